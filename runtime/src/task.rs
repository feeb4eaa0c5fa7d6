//! Tasks that are not on the way of every call.

use std::pin::Pin;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Starts a task.
///
/// Tokio compiles some five thousand lines of LLVM's code for each type of future that is spawned, so those whose
/// allocation does not matter are all of one type.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let future: Boxed = Box::pin(future);
    tokio::spawn(future)
}

/// Starts a task on this runtime.
pub(crate) fn spawn_on(runtime: &Handle, future: impl Future<Output = ()> + Send + 'static) {
    let future: Boxed = Box::pin(future);
    runtime.spawn(future);
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
