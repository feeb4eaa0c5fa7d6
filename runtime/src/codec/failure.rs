//! Why bytes could not be read, while they are being read.

use std::borrow::Cow;
use std::fmt;

use serde::de;

use super::{Codec, CodecError, Meter};

/// What a deserializer of this crate fails with. It is one pointer wide, since every value passes a result.
pub(super) struct Failure(Box<Cause>);

enum Cause {
    /// The format or the type says so.
    Said(Cow<'static, str>),
    /// A string is not UTF-8.
    NotUtf8,
}

impl Failure {
    /// Makes a failure of the format itself.
    #[cold]
    pub(super) fn new(message: &'static str) -> Self {
        Self(Box::new(Cause::Said(message.into())))
    }

    /// Makes the failure for a string that is none.
    #[cold]
    pub(super) fn not_utf8() -> Self {
        Self(Box::new(Cause::NotUtf8))
    }

    /// Makes the failure for a message that is too short.
    #[cold]
    pub(super) fn truncated() -> Self {
        Self::new("the bytes end in the middle of a value")
    }

    /// Tells the caller, who may have to hear of the budget instead.
    #[cold]
    pub(super) fn report(self, codec: Codec, meter: &Meter) -> CodecError {
        if let Some(exceeded) = meter.exceeded() {
            return exceeded;
        }
        match *self.0 {
            Cause::NotUtf8 => CodecError::NotUtf8(codec),
            Cause::Said(message) => CodecError::Malformed {
                codec,
                message: message.into_owned(),
            },
        }
    }
}

impl de::Error for Failure {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Cause::Said(message.to_string().into())))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0 {
            Cause::Said(message) => message,
            Cause::NotUtf8 => "a string is not valid UTF-8",
        })
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}
