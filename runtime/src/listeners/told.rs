//! What became of a listener that was called.

use std::error::Error;
use std::fmt;

use crate::FaultKind;
use crate::error::{CallError, Fault};
use crate::proxy::Proxy;

/// What became of one listener.
#[derive(Debug)]
#[non_exhaustive]
pub struct Told<P, T, E> {
    /// Who it is.
    pub listener: P,
    /// What it answered.
    pub result: Result<T, NotTold<E>>,
    /// Whether it is not in the list any more, because it is gone or was too slow too often.
    pub is_evicted: bool,
}

/// Why a listener did not answer as it should.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotTold<E> {
    /// Its session has ended or its object was dropped.
    Gone(E),
    /// The call failed; with the listener's own error, maybe.
    Failed(E),
    /// It took too long, and the call was cancelled. It may have run.
    TimedOut,
    /// Making or awaiting the call panicked here. A listener's own panic is a failed call.
    Panicked(String),
}

impl<E: AsFault> NotTold<E> {
    /// Sorts the error of a call.
    pub(super) fn of<P: Proxy>(listener: &P, error: E) -> Self {
        match error.as_fault() {
            Some(fault) if is_gone(listener, fault) => NotTold::Gone(error),
            _ => NotTold::Failed(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for NotTold<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotTold::Gone(error) | NotTold::Failed(error) => error.fmt(f),
            NotTold::TimedOut => f.write_str("the listener took too long"),
            NotTold::Panicked(message) => write!(f, "telling the listener panicked: {message}"),
        }
    }
}

impl<E: Error> Error for NotTold<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            NotTold::Gone(error) | NotTold::Failed(error) => error.source(),
            NotTold::TimedOut | NotTold::Panicked(_) => None,
        }
    }
}

/// An error of a call that may be a [`Fault`], by which it is known whether the called object is gone.
pub trait AsFault {
    /// The fault, if it is one.
    fn as_fault(&self) -> Option<&Fault>;
}

impl AsFault for Fault {
    fn as_fault(&self) -> Option<&Fault> {
        Some(self)
    }
}

impl<E> AsFault for CallError<E> {
    fn as_fault(&self) -> Option<&Fault> {
        self.fault()
    }
}

/// Whether a call of `proxy` that failed like this will never succeed again. What is known by a URI may come back.
pub(crate) fn is_gone<P: Proxy>(proxy: &P, fault: &Fault) -> bool {
    let kind = fault.kind();
    proxy.uri().is_none() && matches!(kind, FaultKind::SessionLost | FaultKind::StaleReference)
}
