//! How a receiver fails, and with it a sending.

use std::error::Error;
use std::fmt;

use super::identity::ReceiverId;
use super::receiver::BoxError;

/// What came of one receiver instead of a response.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiverError {
    /// It returned this error. `downcast_ref` tells which type it is.
    Failed(BoxError),
    /// It panicked, and said this.
    Panicked(String),
    /// It did not respond within the time that [`send_within`](super::Signal::send_within) gives each, and is not
    /// connected any more.
    TooSlow,
    /// It must be awaited, and [`send_now`](super::Signal::send_now) does not wait. No receiver was called.
    Asynchronous,
}

impl fmt::Display for ReceiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReceiverError::Failed(error) => error.fmt(f),
            ReceiverError::Panicked(message) => write!(f, "it panicked: {message}"),
            ReceiverError::TooSlow => f.write_str("it took too long, and was disconnected"),
            ReceiverError::Asynchronous => {
                f.write_str("it must be awaited; send the signal with `send`")
            }
        }
    }
}

impl Error for ReceiverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReceiverError::Failed(error) => error.source(),
            ReceiverError::Panicked(_) | ReceiverError::TooSlow | ReceiverError::Asynchronous => {
                None
            }
        }
    }
}

/// A receiver failed and ended the sending: those after it were not called.
#[non_exhaustive]
pub struct SignalError<R = ()> {
    /// Who failed.
    pub receiver: ReceiverId,
    /// What those before it answered.
    pub delivered: Vec<(ReceiverId, R)>,
    /// What went wrong.
    pub error: ReceiverError,
}

impl<R> SignalError<R> {
    pub(super) fn new(
        receiver: &ReceiverId,
        delivered: Vec<(ReceiverId, R)>,
        error: ReceiverError,
    ) -> Self {
        SignalError {
            receiver: receiver.clone(),
            delivered,
            error,
        }
    }
}

impl<R> fmt::Display for SignalError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the receiver `{}` failed", self.receiver)
    }
}

impl<R> fmt::Debug for SignalError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalError")
            .field("receiver", &self.receiver)
            .field("delivered", &self.delivered.len())
            .field("error", &self.error)
            .finish()
    }
}

impl<R> Error for SignalError<R> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
