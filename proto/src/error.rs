//! What can go wrong, sorted by whose fault it is.

use std::fmt;

use crate::id::InstanceId;
use crate::reason::{CloseCode, Refusal, RefusalCode};

/// Why a connection ended before its time. Nothing else can be done with it but to send what is left and close it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The other side does not speak this protocol at all.
    Stranger(Stranger),
    /// The other side refused the handshake. Nothing that was sent has run.
    Refused {
        /// The reason that a program can act on.
        code: RefusalCode,
        /// The same for a person.
        text: String,
    },
    /// This side refuses every client, as it was configured to.
    Refusing(Refusal),
    /// The server asks for a token and this client has none. Nothing that was sent has run.
    TokenRequired,
    /// The client did not prove that it holds the token.
    BadToken,
    /// The server did not prove that it holds the token which this client is configured to share with it.
    ServerNotAuthenticated,
    /// Another process answers at this address than the one expected.
    WrongInstance {
        /// The instance that was asked for.
        expected: InstanceId,
        /// The instance that answered.
        found: InstanceId,
    },
    /// No version of the protocol is spoken by both sides.
    Version {
        /// The lowest version that the other side speaks.
        min: u16,
        /// The highest version that the other side speaks.
        max: u16,
        /// The version that this side speaks.
        ours: u16,
    },
    /// No codec is offered by the one and accepted by the other.
    Codec,
    /// A client wants to take up a session that is not here any more.
    SessionLost,
    /// The session was without a connection for longer than it is kept.
    Abandoned,
    /// The handshake took longer than its limit.
    HandshakeTimeout,
    /// A frame took longer than its limit from its first byte to its last.
    FrameTimeout,
    /// Nothing came from the other side for longer than the limit.
    PeerTimeout,
    /// The other side made more calls that it should never have made than are borne.
    TooManyErrors {
        /// How many are borne at once.
        limit: u32,
    },
    /// A frame could not be decoded.
    Malformed(DecodeError),
    /// A frame was well formed and broke a rule.
    Violation(Violation),
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger(stranger) => {
                write!(f, "the other side does not speak farref: {stranger}")
            }
            Self::Refused { code, text } => {
                write!(f, "the other side refused the connection ({code}): {text}")
            }
            Self::Refusing(refusal) => write!(f, "this side refuses: {refusal}"),
            Self::TokenRequired => {
                f.write_str("the server asks for a token, and none is configured here")
            }
            Self::BadToken => f.write_str("the client did not prove that it holds the token"),
            Self::ServerNotAuthenticated => f.write_str(
                "the server did not prove that it holds the token that is configured here",
            ),
            Self::WrongInstance { expected, found } => write!(
                f,
                "expected the process {expected} at this address and found {found}"
            ),
            Self::Version { min, max, ours } => write!(
                f,
                "the other side speaks versions {min} to {max} of the protocol, this side speaks version {ours}"
            ),
            Self::Codec => f.write_str("no codec is known to both sides"),
            Self::SessionLost => f.write_str("the session to resume is not known here"),
            Self::Abandoned => f.write_str("the connection was lost and no other came in time"),
            Self::HandshakeTimeout => f.write_str("the handshake was not done in time"),
            Self::FrameTimeout => f.write_str("a frame was begun and not finished in time"),
            Self::PeerTimeout => f.write_str("the other side has fallen silent"),
            Self::TooManyErrors { limit } => write!(
                f,
                "the other side made more than {limit} calls that name what is not there, or cannot be read"
            ),
            Self::Malformed(error) => write!(f, "a broken frame arrived: {error}"),
            Self::Violation(violation) => {
                write!(f, "the other side broke the protocol: {violation}")
            }
        }
    }
}

impl std::error::Error for ConnectionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::Violation(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DecodeError> for ConnectionError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<Violation> for ConnectionError {
    fn from(error: Violation) -> Self {
        Self::Violation(error)
    }
}

impl ConnectionError {
    /// Returns the code by which a refusal tells this error to the other side, before the handshake is done.
    pub(crate) fn refusal_code(&self) -> RefusalCode {
        match self {
            Self::Refusing(refusal) => refusal.code,
            Self::TokenRequired => RefusalCode::TokenRequired,
            Self::BadToken | Self::ServerNotAuthenticated => RefusalCode::BadToken,
            Self::WrongInstance { .. } => RefusalCode::WrongInstance,
            Self::Version { .. } => RefusalCode::Version,
            Self::Codec => RefusalCode::Codec,
            Self::SessionLost => RefusalCode::SessionLost,
            Self::Abandoned | Self::HandshakeTimeout | Self::FrameTimeout | Self::PeerTimeout => {
                RefusalCode::Timeout
            }
            Self::Stranger(_)
            | Self::Refused { .. }
            | Self::TooManyErrors { .. }
            | Self::Malformed(_)
            | Self::Violation(_) => RefusalCode::Malformed,
        }
    }

    /// Tells whether an attempt to take a session up that ends like this ends the session, too: the other side says that
    /// it has not got it, or another process is there.
    pub(crate) fn ends_session(&self) -> bool {
        match self {
            Self::Refused { code, .. } => !matches!(
                *code,
                RefusalCode::Busy
                    | RefusalCode::ShuttingDown
                    | RefusalCode::Timeout
                    | RefusalCode::Malformed
            ),
            Self::Abandoned => true,
            _ => false,
        }
    }

    /// Returns the code by which a goodbye tells this error to the other side, after the handshake.
    pub(crate) fn close_code(&self) -> CloseCode {
        match self {
            Self::HandshakeTimeout | Self::FrameTimeout | Self::PeerTimeout => CloseCode::Timeout,
            Self::Malformed(_) => CloseCode::Malformed,
            Self::TooManyErrors { .. } => CloseCode::Excess,
            _ => CloseCode::Violation,
        }
    }
}

/// What seems to be at the other end instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stranger {
    /// A browser, or a web server.
    Http,
    /// A side that wants to encrypt, at a port that does not.
    Tls,
    /// A secure shell.
    Ssh,
    /// Something else.
    Unknown,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => f.write_str("this looks like HTTP"),
            Self::Tls => f.write_str("this looks like TLS"),
            Self::Ssh => f.write_str("this looks like SSH"),
            Self::Unknown => f.write_str("its first bytes are of no protocol known here"),
        }
    }
}

impl std::error::Error for Stranger {}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame ends inside a field.
    Truncated(&'static str),
    /// The frame goes on after its last field.
    Trailing(usize),
    /// A frame is shorter than its own header.
    TooShort(u32),
    /// A frame is longer than was granted. Seen at the header: nothing was reserved for it.
    TooLong {
        /// What the header says.
        length: u32,
        /// What was granted.
        limit: u32,
    },
    /// This kind of frame is not of this version.
    UnknownKind(u8),
    /// Bits are set that are reserved.
    Reserved(&'static str),
    /// A field holds a value that has no meaning.
    BadValue {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// There are more of something than was granted.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A text is not UTF-8.
    NotUtf8(&'static str),
    /// An option that must be understood is not.
    UnknownOption(u8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(field) => write!(f, "it ends inside {field}"),
            Self::Trailing(bytes) => write!(f, "{bytes} bytes follow its last field"),
            Self::TooShort(length) => write!(f, "its length {length} is less than its header"),
            Self::TooLong { length, limit } => {
                write!(f, "its length {length} is above the limit of {limit} bytes")
            }
            Self::UnknownKind(kind) => write!(f, "the kind {kind:#04x} is unknown"),
            Self::Reserved(field) => write!(f, "reserved bits of {field} are set"),
            Self::BadValue { field, value } => {
                write!(f, "the value {value} of {field} has no meaning")
            }
            Self::TooMany { what, count, limit } => {
                write!(f, "{count} {what} are above the limit of {limit}")
            }
            Self::NotUtf8(field) => write!(f, "{field} is not UTF-8"),
            Self::UnknownOption(option) => {
                write!(f, "the option {option:#04x} must be understood, and is not")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Which rule a well-formed frame broke.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A frame came at a time when it may not.
    OutOfTurn(u8),
    /// A call took an id whose call has not been answered.
    CallIdInUse(u32),
    /// A call took an id although a lower one was never used, or more ids than there can be calls.
    CallIdOutOfSequence(u32),
    /// A reply came for a call that was not made.
    UnknownReply(u32),
    /// The answer to a bind does not describe the object that was bound.
    BadBindReply(u32),
    /// A call came although there was no credit left for it.
    CreditOverspent(u16),
    /// More credit came back than was spent.
    CreditOverflow(u16),
    /// A release gave back more than was granted.
    OverReleased(u32),
    /// A bind chose a name that is in use or beyond the limit.
    BadAlias(u32),
    /// A reference that is still held was given again as another object.
    ReferenceChanged(u32),
    /// More references were given than are accepted.
    TooManyReferences(u32),
    /// A message is about a stream that is not open.
    UnknownStream(u32),
    /// A stream was opened under a number that is in use, or although a lower one was never used.
    StreamOutOfSequence(u32),
    /// More streams were opened than are accepted.
    TooManyStreams(u32),
    /// Items came although there was no credit left for them.
    StreamCreditOverspent(u32),
    /// A stream ended after another number of items than came.
    StreamItemsMissing(u32),
    /// More was acknowledged than was sent, or less than before.
    BadAcknowledgement(u64),
    /// The server answers another handshake than the one begun.
    BadHello,
    /// An answer was given up that is not kept.
    UnknownFinish(u32),
    /// More answers are to be kept than was granted.
    TooManyKept(u32),
    /// The frames of a batch do not fit together.
    BadBatch(&'static str),
    /// A batch announces more calls than there may be unfinished.
    BatchTooLong(u32),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTurn(kind) => write!(f, "a frame of kind {kind:#04x} came out of its turn"),
            Self::CallIdInUse(id) => write!(f, "the call id {id} is in use"),
            Self::CallIdOutOfSequence(id) => write!(f, "the call id {id} is out of sequence"),
            Self::UnknownReply(id) => write!(f, "a reply came to the call {id}, which is not open"),
            Self::BadBindReply(alias) => write!(
                f,
                "the answer to the bind {alias} does not describe the object"
            ),
            Self::CreditOverspent(depth) => {
                write!(f, "the credit for calls of depth {depth} is spent")
            }
            Self::CreditOverflow(depth) => {
                write!(f, "more credit of depth {depth} came back than was spent")
            }
            Self::OverReleased(reference) => write!(
                f,
                "more of the reference {reference:#x} was released than was given"
            ),
            Self::BadAlias(alias) => write!(f, "the name {alias:#x} cannot be bound"),
            Self::ReferenceChanged(reference) => write!(
                f,
                "the reference {reference:#x} became another object while it was held"
            ),
            Self::TooManyReferences(limit) => write!(f, "more than {limit} references were given"),
            Self::UnknownStream(stream) => write!(f, "the stream {stream:#x} is not open"),
            Self::StreamOutOfSequence(stream) => {
                write!(
                    f,
                    "the stream {stream:#x} cannot be opened: its number is taken or out of sequence"
                )
            }
            Self::TooManyStreams(limit) => write!(f, "more than {limit} streams were opened"),
            Self::StreamCreditOverspent(stream) => {
                write!(f, "the credit of the stream {stream:#x} is spent")
            }
            Self::StreamItemsMissing(stream) => write!(
                f,
                "the stream {stream:#x} ended after another number of items than came"
            ),
            Self::BadAcknowledgement(offset) => {
                write!(f, "the acknowledged offset {offset} is impossible")
            }
            Self::UnknownFinish(id) => write!(f, "the answer of the call {id} is not kept"),
            Self::TooManyKept(limit) => {
                write!(f, "more than {limit} answers are to be kept as targets")
            }
            Self::BadBatch(what) => write!(f, "the frames of a batch do not fit together: {what}"),
            Self::BatchTooLong(calls) => {
                write!(f, "a batch of {calls} calls is longer than was granted")
            }
            Self::BadHello => f.write_str("the server's hello does not fit the client's"),
        }
    }
}

impl std::error::Error for Violation {}

/// Why something was not sent. The connection is as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no credit left at this depth; an event tells when there is.
    NoCredit,
    /// The message is larger than the other side accepts.
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more of something than the other side accepts in one message.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The call would be nested more deeply than the other side accepts.
    DepthExceeded {
        /// The greatest depth.
        limit: u16,
    },
    /// As many objects are exported as may be.
    TooManyExports {
        /// How many there may be.
        limit: u32,
    },
    /// As many names are bound as may be.
    TooManyAliases {
        /// How many there may be.
        limit: u32,
    },
    /// As many streams are open as may be.
    TooManyStreams {
        /// How many there may be.
        limit: u32,
    },
    /// As many answers are kept as may be.
    TooManyKept {
        /// How many there may be.
        limit: u32,
    },
    /// The two sides did not agree on this codec.
    UnsupportedCodec(u8),
    /// The other side takes no new calls.
    Draining,
    /// Its owner has ended the object, and nobody would be told that a call without an answer was not served.
    Revoked,
    /// The handshake is not done; an event tells when it is.
    NotEstablished,
    /// The connection is closed.
    Closed,
    /// There is no such call, export or import.
    Unknown(&'static str),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredit => f.write_str("the other side has no room for another call now"),
            Self::TooLarge { size, limit } => write!(
                f,
                "the message takes {size} bytes, and the other side accepts {limit}"
            ),
            Self::TooMany { what, count, limit } => write!(
                f,
                "the message has {count} {what}, and the other side accepts {limit}"
            ),
            Self::DepthExceeded { limit } => write!(
                f,
                "calls nest too deeply: the other side accepts a depth of {limit}"
            ),
            Self::TooManyExports { limit } => write!(
                f,
                "{limit} references are given out, and no more are accepted"
            ),
            Self::TooManyAliases { limit } => write!(
                f,
                "{limit} objects are bound by name, and no more are accepted"
            ),
            Self::TooManyStreams { limit: 0 } => f.write_str("streams are switched off here"),
            Self::TooManyStreams { limit } => {
                write!(f, "{limit} streams are open, and no more are accepted")
            }
            Self::TooManyKept { limit } => write!(
                f,
                "the results of {limit} calls are kept for others, and no more are accepted"
            ),
            Self::UnsupportedCodec(codec) => write!(f, "the codec {codec} was not agreed on"),
            Self::Draining => f.write_str("the other side takes no new calls"),
            Self::Revoked => f.write_str("the object was ended by its owner"),
            Self::NotEstablished => f.write_str("the connection is not established yet"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::Unknown(what) => write!(f, "there is no such {what}"),
        }
    }
}

impl std::error::Error for SendError {}
