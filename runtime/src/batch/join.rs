//! The failure that several calls have in common.

use crate::error::{CallError, Fault};

/// Calls that fail with `Self` and calls that fail with `Other` have a failure in common: [`Fault`] if neither has an
/// error of its own, and [`CallError<E>`] if one has, or both have the same.
#[diagnostic::on_unimplemented(
    message = "calls of a batch whose methods return errors of different types have no failure in common",
    label = "this batch cannot be awaited as a whole",
    note = "await the result of each call by itself: `farref::batch((..)).each().await`"
)]
pub trait Join<Other> {
    /// What they have in common.
    type Joint;
}

impl Join<Fault> for Fault {
    type Joint = Fault;
}

impl<E> Join<CallError<E>> for Fault {
    type Joint = CallError<E>;
}

impl<E> Join<Fault> for CallError<E> {
    type Joint = CallError<E>;
}

impl<E> Join<CallError<E>> for CallError<E> {
    type Joint = CallError<E>;
}
