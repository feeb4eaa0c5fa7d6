//! A handler's panic fails its own call and nothing else.

use std::any::Any;
use std::fmt::Display;
use std::future::poll_fn;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use crate::error::Fault;
use crate::{FaultKind, Outcome};

/// Runs `run` and catches its panic.
///
/// What `run` leaves half done is never looked at again: a future that panicked is dropped.
pub(crate) fn contain<R>(run: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(run))
}

/// Awaits `future`, and catches its panic and that of its drop.
pub(crate) async fn contain_future<O>(
    mut future: Pin<Box<dyn Future<Output = O> + Send>>,
) -> Result<O, Box<dyn Any + Send>> {
    let polled = poll_fn(|cx| match contain(|| future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await;
    drop_contained(future);
    polled
}

/// An object of the application, whose drop may panic without harm: whoever drops it last, a session's reader maybe, goes
/// on, and so do the objects that are dropped with it.
pub(crate) struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    pub(crate) fn new(object: T) -> Self {
        Contained(Some(object))
    }

    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("only this and drop take the object")
    }
}

impl<T> Deref for Contained<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
            .as_ref()
            .expect("only `into_inner` and drop take the object")
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        let object = self.0.take();
        if let Err(panic) = contain(|| drop(object)) {
            let message = message(&*panic);
            tracing::error!(
                object = std::any::type_name::<T>(),
                message,
                "an object panicked while it was dropped"
            );
        }
    }
}

/// Drops what may be the last hold on an object of the application, and logs the panic of its drop.
pub(crate) fn drop_contained<T>(value: T) {
    if let Err(panic) = contain(|| drop(value)) {
        tracing::error!(
            message = message(&*panic),
            "an object panicked when it was dropped"
        );
    }
}

/// The words of a panic.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic that is not text")
}

/// Logs a handler's panic where it happened, and makes the fault that its caller gets. What the handler said stands in
/// the fault's backtrace, which a daemon keeps to itself unless it is configured otherwise: it is not meant for strangers.
pub(crate) fn report(call: &dyn Display, panic: &(dyn Any + Send), callback: bool) -> Fault {
    let message = message(panic);
    tracing::error!(%call, callback, message, "a handler panicked");
    Fault::new(
        FaultKind::Panicked,
        Outcome::Ran,
        format!("`{call}` panicked; the log of its process says more"),
    )
    .with_backtrace(format!("`{call}` panicked: {message}"))
}
