//! What can go wrong between values and bytes.

use super::Codec;

/// Why a value could not be encoded or decoded.
///
/// The message is one line, says where the fault lies and, where there is something to do about it, what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// This build lacks the codec.
    #[error("this program was built without the {0} codec; enable farref's cargo feature `{0}`")]
    Unsupported(Codec),
    /// The text names no codec.
    #[error("`{0}` is no codec; the codecs are postcard, msgpack and json")]
    UnknownName(String),
    /// The value's `Serialize` failed, or the codec cannot express the value.
    #[error("cannot be encoded as {codec}: {message}")]
    Unencodable {
        /// The codec that was asked to encode.
        codec: Codec,
        /// What the type or the codec said.
        message: String,
    },
    /// The bytes are not the codec's form of the expected type.
    #[error("malformed {codec}: {message}")]
    Malformed {
        /// The codec of the bytes.
        codec: Codec,
        /// What the type or the codec said.
        message: String,
    },
    /// A string is not UTF-8.
    #[error("malformed {0}: a string is not valid UTF-8")]
    NotUtf8(Codec),
    /// The value is deeper or larger than the budget allows.
    #[error("more than {limit} {what}; the receiver's `Budget` sets this limit")]
    Budget {
        /// What was counted: `elements` or `levels of nesting`.
        what: &'static str,
        /// The largest allowed count.
        limit: u64,
    },
    /// Bytes are left after the value or the last argument.
    #[error("{0} bytes too many at the end; do both sides declare the same types?")]
    TrailingBytes(usize),
    /// The message holds fewer arguments than the method takes.
    #[error("argument {} is missing; do both sides declare the same parameters?", .index + 1)]
    MissingArgument {
        /// The position of the missing argument, from zero.
        index: usize,
    },
    /// The message holds more arguments than the method takes.
    #[error("more than {expected} arguments; do both sides declare the same parameters?")]
    TooManyArguments {
        /// How many arguments the method takes.
        expected: usize,
    },
    /// A byte string should have come as an attachment and did not.
    #[error("the attachment of argument {} is missing", .index + 1)]
    MissingAttachment {
        /// The position of the argument, from zero.
        index: usize,
    },
    /// Attachments came that no argument asked for.
    #[error("{0} attachments that belong to no argument")]
    UnusedAttachments(usize),
}
