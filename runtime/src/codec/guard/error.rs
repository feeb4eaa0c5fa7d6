//! The guard's error: keeps a type's own words, which postcard's error would drop.

use std::fmt;

use serde::de;

use super::Meter;

/// An error from below, or a message from the type being decoded.
#[derive(Debug)]
pub(crate) enum GuardError<E> {
    /// The codec's error.
    Codec(E),
    /// What the type itself said about its bytes.
    Value(Box<str>),
}

impl<E: de::Error> GuardError<E> {
    /// Turns the error into the codec's, keeping the message in the meter.
    #[inline]
    pub(super) fn lower(self, meter: &Meter) -> E {
        match self {
            Self::Codec(error) => error,
            Self::Value(message) => lower_message(message, meter),
        }
    }
}

#[cold]
fn lower_message<E: de::Error>(message: Box<str>, meter: &Meter) -> E {
    let error = E::custom(&message);
    meter.keep_message(message);
    error
}

impl<E: de::Error> de::Error for GuardError<E> {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string().into())
    }
}

impl<E: fmt::Display> fmt::Display for GuardError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec(error) => error.fmt(f),
            Self::Value(message) => f.write_str(message),
        }
    }
}

impl<E: std::error::Error> std::error::Error for GuardError<E> {}
