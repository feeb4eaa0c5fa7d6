//! The guard's error: keeps a type's own words apart from the codec's.

use std::fmt;

use serde::de;

/// An error from below, or a message from the type being decoded.
#[derive(Debug)]
pub(crate) enum GuardError<E> {
    /// The codec's error.
    Codec(E),
    /// What the type itself said about its bytes.
    Value(Box<str>),
}

impl<E: de::Error> GuardError<E> {
    /// Turns the error into the codec's.
    #[inline]
    pub(super) fn lower(self) -> E {
        match self {
            Self::Codec(error) => error,
            Self::Value(message) => E::custom(message),
        }
    }
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
