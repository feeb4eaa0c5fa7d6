//! What can go wrong between values and bytes.

use std::fmt;

use super::Codec;

/// Why a value could not be encoded or decoded.
///
/// The message is one line, says where the fault lies and, where there is something to do about it, what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// This build lacks the codec.
    Unsupported(Codec),
    /// The text names no codec.
    UnknownName(String),
    /// The value's `Serialize` failed, or the codec cannot express the value.
    Unencodable {
        /// The codec that was asked to encode.
        codec: Codec,
        /// What the type or the codec said.
        message: String,
    },
    /// The bytes are not the codec's form of the expected type.
    Malformed {
        /// The codec of the bytes.
        codec: Codec,
        /// What the type or the codec said.
        message: String,
    },
    /// A string is not UTF-8.
    NotUtf8(Codec),
    /// The value is deeper or larger than the budget allows.
    Budget {
        /// What was counted: `elements` or `levels of nesting`.
        what: &'static str,
        /// The largest allowed count.
        limit: u64,
    },
    /// Bytes are left after the value or the last argument.
    TrailingBytes(usize),
    /// The message holds fewer arguments than the method takes.
    MissingArgument {
        /// The position of the missing argument, from zero.
        index: usize,
    },
    /// The message holds more arguments than the method takes.
    TooManyArguments {
        /// How many arguments the method takes.
        expected: usize,
    },
    /// A byte string should have come as an attachment and did not.
    MissingAttachment {
        /// The position of the argument, from zero.
        index: usize,
    },
    /// Attachments came that no argument asked for.
    UnusedAttachments(usize),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(codec) => write!(
                f,
                "this program was built without the {codec} codec; enable farref's cargo feature `{codec}`"
            ),
            Self::UnknownName(name) => write!(
                f,
                "`{name}` is no codec; the codecs are postcard, msgpack and json"
            ),
            Self::Unencodable { codec, message } => {
                write!(f, "cannot be encoded as {codec}: {message}")
            }
            Self::Malformed { codec, message } => write!(f, "malformed {codec}: {message}"),
            Self::NotUtf8(codec) => write!(f, "malformed {codec}: a string is not valid UTF-8"),
            Self::Budget { what, limit } => write!(
                f,
                "more than {limit} {what}; the receiver's `Budget` sets this limit"
            ),
            Self::TrailingBytes(count) => write!(
                f,
                "{count} bytes too many at the end; do both sides declare the same types?"
            ),
            Self::MissingArgument { index } => write!(
                f,
                "argument {} is missing; do both sides declare the same parameters?",
                index + 1
            ),
            Self::TooManyArguments { expected } => write!(
                f,
                "more than {expected} arguments; do both sides declare the same parameters?"
            ),
            Self::MissingAttachment { index } => {
                write!(f, "the attachment of argument {} is missing", index + 1)
            }
            Self::UnusedAttachments(count) => {
                write!(f, "{count} attachments that belong to no argument")
            }
        }
    }
}

impl std::error::Error for CodecError {}
