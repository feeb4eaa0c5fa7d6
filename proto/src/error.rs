//! What can go wrong, sorted by whose fault it is.

use crate::id::InstanceId;
use crate::reason::{CloseCode, Refusal, RefusalCode};

/// Why a connection ended before its time. Nothing else can be done with it but to send what is left and close it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The other side does not speak this protocol at all.
    #[error("the other side does not speak farref: {0}")]
    Stranger(Stranger),
    /// The other side refused the handshake. Nothing that was sent has run.
    #[error("the other side refused the connection ({code}): {text}")]
    Refused {
        /// The reason that a program can act on.
        code: RefusalCode,
        /// The same for a person.
        text: String,
    },
    /// This side refuses every client, as it was configured to.
    #[error("this side refuses: {0}")]
    Refusing(Refusal),
    /// The server asks for a token and this client has none. Nothing that was sent has run.
    #[error("the server asks for a token, and none is configured here")]
    TokenRequired,
    /// The client did not prove that it holds the token.
    #[error("the client did not prove that it holds the token")]
    BadToken,
    /// The server did not prove that it holds the token which this client is configured to share with it.
    #[error("the server did not prove that it holds the token that is configured here")]
    ServerNotAuthenticated,
    /// Another process answers at this address than the one expected.
    #[error("expected the process {expected} at this address and found {found}")]
    WrongInstance {
        /// The instance that was asked for.
        expected: InstanceId,
        /// The instance that answered.
        found: InstanceId,
    },
    /// No version of the protocol is spoken by both sides.
    #[error(
        "the other side speaks versions {min} to {max} of the protocol, this side speaks version {ours}"
    )]
    Version {
        /// The lowest version that the other side speaks.
        min: u16,
        /// The highest version that the other side speaks.
        max: u16,
        /// The version that this side speaks.
        ours: u16,
    },
    /// No codec is offered by the one and accepted by the other.
    #[error("no codec is known to both sides")]
    Codec,
    /// A client wants to take up a session that is not here any more.
    #[error("the session to resume is not known here")]
    SessionLost,
    /// The handshake took longer than its limit.
    #[error("the handshake was not done in time")]
    HandshakeTimeout,
    /// A frame took longer than its limit from its first byte to its last.
    #[error("a frame was begun and not finished in time")]
    FrameTimeout,
    /// Nothing came from the other side for longer than the limit.
    #[error("the other side has fallen silent")]
    PeerTimeout,
    /// A frame could not be decoded.
    #[error("a broken frame arrived: {0}")]
    Malformed(#[from] DecodeError),
    /// A frame was well formed and broke a rule.
    #[error("the other side broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// A frame asks for a part of the protocol that this side does not have yet.
    #[error("the other side used what this side does not support: {0}")]
    Unsupported(&'static str),
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
            Self::HandshakeTimeout | Self::FrameTimeout | Self::PeerTimeout => RefusalCode::Timeout,
            Self::Unsupported(_) => RefusalCode::Unsupported,
            Self::Stranger(_) | Self::Refused { .. } | Self::Malformed(_) | Self::Violation(_) => {
                RefusalCode::Malformed
            }
        }
    }

    /// Returns the code by which a goodbye tells this error to the other side, after the handshake.
    pub(crate) fn close_code(&self) -> CloseCode {
        match self {
            Self::HandshakeTimeout | Self::FrameTimeout | Self::PeerTimeout => CloseCode::Timeout,
            Self::Unsupported(_) => CloseCode::Unsupported,
            Self::Malformed(_) => CloseCode::Malformed,
            _ => CloseCode::Violation,
        }
    }
}

/// What seems to be at the other end instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stranger {
    /// A browser, or a web server.
    #[error("this looks like HTTP")]
    Http,
    /// A side that wants to encrypt, at a port that does not.
    #[error("this looks like TLS")]
    Tls,
    /// A secure shell.
    #[error("this looks like SSH")]
    Ssh,
    /// Something else.
    #[error("its first bytes are of no protocol known here")]
    Unknown,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame ends inside a field.
    #[error("it ends inside {0}")]
    Truncated(&'static str),
    /// The frame goes on after its last field.
    #[error("{0} bytes follow its last field")]
    Trailing(usize),
    /// A frame is shorter than its own header.
    #[error("its length {0} is less than its header")]
    TooShort(u32),
    /// A frame is longer than was granted. Seen at the header: nothing was reserved for it.
    #[error("its length {length} is above the limit of {limit} bytes")]
    TooLong {
        /// What the header says.
        length: u32,
        /// What was granted.
        limit: u32,
    },
    /// This kind of frame is not of this version.
    #[error("the kind {0:#04x} is unknown")]
    UnknownKind(u8),
    /// Bits are set that are reserved.
    #[error("reserved bits of {0} are set")]
    Reserved(&'static str),
    /// A field holds a value that has no meaning.
    #[error("the value {value} of {field} has no meaning")]
    BadValue {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// There are more of something than was granted.
    #[error("{count} {what} are above the limit of {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    /// An option that must be understood is not.
    #[error("the option {0:#04x} must be understood, and is not")]
    UnknownOption(u8),
}

/// Which rule a well-formed frame broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A frame came at a time when it may not.
    #[error("a frame of kind {0:#04x} came out of its turn")]
    OutOfTurn(u8),
    /// A call took an id whose call has not been answered.
    #[error("the call id {0} is in use")]
    CallIdInUse(u32),
    /// A call took an id although a lower one was never used, or more ids than there can be calls.
    #[error("the call id {0} is out of sequence")]
    CallIdOutOfSequence(u32),
    /// A reply came for a call that was not made.
    #[error("a reply came to the call {0}, which is not open")]
    UnknownReply(u32),
    /// The answer to a bind does not describe the object that was bound.
    #[error("the answer to the bind {0} does not describe the object")]
    BadBindReply(u32),
    /// A call came although there was no credit left for it.
    #[error("the credit for calls of depth {0} is spent")]
    CreditOverspent(u16),
    /// More credit came back than was spent.
    #[error("more credit of depth {0} came back than was spent")]
    CreditOverflow(u16),
    /// A release gave back more than was granted.
    #[error("more of the reference {0:#x} was released than was given")]
    OverReleased(u32),
    /// A bind chose a name that is in use or beyond the limit.
    #[error("the name {0:#x} cannot be bound")]
    BadAlias(u32),
    /// A reference that is still held was given again as another object.
    #[error("the reference {0:#x} became another object while it was held")]
    ReferenceChanged(u32),
    /// More references were given than are accepted.
    #[error("more than {0} references were given")]
    TooManyReferences(u32),
    /// More was acknowledged than was sent, or less than before.
    #[error("the acknowledged offset {0} is impossible")]
    BadAcknowledgement(u64),
    /// The server answers another handshake than the one begun.
    #[error("the server's hello does not fit the client's")]
    BadHello,
}

/// Why something was not sent. The connection is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no credit left at this depth; an event tells when there is.
    #[error("the other side has no room for another call now")]
    NoCredit,
    /// The message is larger than the other side accepts.
    #[error("the message takes {size} bytes, and the other side accepts {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more of something than the other side accepts in one message.
    #[error("the message has {count} {what}, and the other side accepts {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The call would be nested more deeply than the other side accepts.
    #[error("calls nest too deeply: the other side accepts a depth of {limit}")]
    DepthExceeded {
        /// The greatest depth.
        limit: u16,
    },
    /// As many objects are exported as may be.
    #[error("{limit} references are given out, and no more are accepted")]
    TooManyExports {
        /// How many there may be.
        limit: u32,
    },
    /// As many names are bound as may be.
    #[error("{limit} objects are bound by name, and no more are accepted")]
    TooManyAliases {
        /// How many there may be.
        limit: u32,
    },
    /// The two sides did not agree on this codec.
    #[error("the codec {0} was not agreed on")]
    UnsupportedCodec(u8),
    /// The other side takes no new calls.
    #[error("the other side takes no new calls")]
    Draining,
    /// The handshake is not done; an event tells when it is.
    #[error("the connection is not established yet")]
    NotEstablished,
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// There is no such call, export or import.
    #[error("there is no such {0}")]
    Unknown(&'static str),
}
