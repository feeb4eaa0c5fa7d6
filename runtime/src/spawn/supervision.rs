//! The task that sees a child process to its end.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Child as Process;
use tokio::sync::watch;

use crate::Outcome;
use crate::error::{Fault, FaultKind, Result};
use crate::peer::Peer;

/// How long what a process wrote before it ended may take to be read. It ends sooner unless processes that the child
/// started hold its end of the way.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is to become of the process; the later takes the place of the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Run,
    Stop,
    Kill,
}

/// How it ended.
pub(super) type Exit = Result<ExitStatus>;

/// Waits until the process has ended, by itself, by order or with its session, and then until the session has.
pub(super) async fn supervise(
    mut process: Process,
    peer: Peer,
    mut orders: watch::Receiver<Order>,
    grace: Duration,
) -> Exit {
    let status = end(&mut process, &peer, &mut orders, grace).await;
    if tokio::time::timeout(LAST_WORDS, peer.closed())
        .await
        .is_err()
    {
        peer.abort();
        peer.closed().await;
    }
    status.map_err(|error| {
        Fault::new(
            FaultKind::Internal,
            Outcome::Unknown,
            format!("cannot wait for a process: {error}"),
        )
        .with_cause(&error)
    })
}

async fn end(
    process: &mut Process,
    peer: &Peer,
    orders: &mut watch::Receiver<Order>,
    grace: Duration,
) -> std::io::Result<ExitStatus> {
    tokio::select! {
        status = process.wait() => return status,
        // Nobody who could give an order any more is an order, too.
        _ = orders.wait_for(|order| *order >= Order::Stop) => peer.close(),
        _ = peer.closed() => {}
    }
    let killed = async {
        if orders
            .wait_for(|order| *order == Order::Kill)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        status = process.wait() => return status,
        () = killed => {}
        () = tokio::time::sleep(grace) => {
            tracing::warn!(process = process.id(), ?grace, "a child process did not end with its session and is killed");
        }
    }
    process.start_kill()?;
    process.wait().await
}
