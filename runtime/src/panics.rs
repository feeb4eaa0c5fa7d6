//! A handler's panic fails its own call and nothing else.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Fault;
use crate::{FaultKind, Outcome};

/// Runs `run` and catches its panic.
///
/// What `run` leaves half done is never looked at again: a future that panicked is dropped.
pub(crate) fn contain<R>(run: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(run))
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
