//! Tasks that are not on the way of every call; in a test under many schedules, those of shuttle.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use tokio::runtime::Handle;

use crate::blocking;
use crate::error::Result;

// `spawn_unboxed` starts a task whose type is its own.
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::future::{AbortHandle, JoinHandle, spawn as spawn_unboxed};
#[cfg(not(all(test, shuttle)))]
pub(crate) use tokio::{
    spawn as spawn_unboxed,
    task::{AbortHandle, JoinHandle},
};

/// Starts a task.
///
/// Tokio compiles some five thousand lines of LLVM's code for each type of future that is spawned, so those whose
/// allocation does not matter are all of one type.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let future: Boxed = Box::pin(future);
    spawn_unboxed(future)
}

/// Runs a future until it has to wait, now, and what is left of it in a task; without a runtime, on the one in the
/// background. What it can send at once is sent in order with what its caller sends next.
///
/// # Errors
///
/// There is no runtime, and none can be started.
pub(crate) fn start_now(
    future: impl Future<Output = ()> + Send + 'static,
) -> Result<Option<JoinHandle<()>>> {
    let _entered = match Handle::try_current() {
        Ok(_) => None,
        Err(_) => Some(blocking::enter()?),
    };
    let mut future: Boxed = Box::pin(future);
    let polled = pin!(tokio::task::unconstrained(future.as_mut()))
        .poll(&mut Context::from_waker(Waker::noop()));
    Ok(polled.is_pending().then(|| spawn_unboxed(future)))
}

/// Starts a task on this runtime.
pub(crate) fn spawn_on(runtime: &Handle, future: impl Future<Output = ()> + Send + 'static) {
    let future: Boxed = Box::pin(future);
    runtime.spawn(future);
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
