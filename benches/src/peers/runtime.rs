//! What clients and servers run on.

use std::future::Future;
use std::io::Write;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::Peer;

/// How many threads a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Threads {
    /// The one that it has.
    One,
    /// The one that it has, for tasks that cannot leave it.
    OneWithItsOwnTasks,
    /// Two workers.
    Two,
}

/// Runs something to its end.
pub(super) fn run<T>(threads: Threads, future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut builder = match threads {
        Threads::One | Threads::OneWithItsOwnTasks => Builder::new_current_thread(),
        Threads::Two => Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(2).enable_all().build()?;
    let result = match threads {
        Threads::OneWithItsOwnTasks => LocalSet::new().block_on(&runtime, future),
        Threads::One | Threads::Two => runtime.block_on(future),
    };
    // Tasks of peers may wait for ever, and hold nothing that the system does not take back.
    runtime.shutdown_background();
    result
}

/// Serves, and prints where.
pub(super) fn serve<P: Peer>() -> Result<()> {
    let announce = |address: &str| {
        let mut output = std::io::stdout();
        // Without a reader there is nobody to serve either.
        let _ = writeln!(output, "{address}").and_then(|()| output.flush());
    };
    run(P::THREADS, P::serve(announce)).context("the server ended")
}
