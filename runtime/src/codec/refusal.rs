//! Why a value could not be written, while it is being written.

use std::fmt::{self, Display};

use serde::ser;

use super::{Codec, CodecError};

/// What a serializer of this crate fails with: the type's own words, or the format's.
#[derive(Debug)]
pub(super) struct Refusal(Box<str>);

impl Refusal {
    /// Makes a refusal by the format.
    #[cold]
    pub(super) fn new(message: impl Into<Box<str>>) -> Self {
        Self(message.into())
    }

    /// Tells the caller.
    #[cold]
    pub(super) fn report(self, codec: Codec) -> CodecError {
        CodecError::Unencodable {
            codec,
            message: self.0.into(),
        }
    }
}

impl ser::Error for Refusal {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}
