//! The runtime of a program that has none: one thread, started when it is first needed.

use std::sync::OnceLock;

use tokio::runtime::{Builder, EnterGuard, Handle};

use crate::FaultKind;
use crate::error::{Fault, Result};

/// Makes the runtime in the background the current one. Its thread lasts as long as the process.
pub(super) fn enter() -> Result<EnterGuard<'static>> {
    static HANDLE: OnceLock<std::result::Result<Handle, String>> = OnceLock::new();
    let handle = HANDLE.get_or_init(|| start().map_err(|error| error.to_string()));
    match handle {
        Ok(handle) => Ok(handle.enter()),
        Err(error) => Err(Fault::not_started(
            FaultKind::Internal,
            format!("the runtime in the background does not start: {error}"),
        )),
    }
}

fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("farref".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
