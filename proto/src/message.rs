//! Messages: what frames mean.
//!
//! A [`Connection`](crate::Connection) never asks for these; they are here for tools and tests that look at a
//! conversation, and are what `PROTOCOL.md` specifies.

mod batch;
mod call;
mod control;
mod extensions;
mod fault;
mod gathered;
mod handoff;
mod hello;
mod link;
mod reader;
mod reasons;
mod run;
mod sections;
mod stream;

use bytes::{Bytes, BytesMut};

pub use self::batch::{BatchBegin, BatchEnd, BatchMode};
pub use self::call::{Bind, Call, OutgoingCall, OutgoingReply, Reply, ReplyStatus};
pub use self::control::{Cancel, Credit, CreditEntry, Finish, Release, ReleaseEntry, Revoked};
pub use self::extensions::{Chain, Extensions, Introduction, MAX_INTRODUCTIONS, TraceContext};
pub use self::fault::{FaultKind, FaultMessage, Outcome};
pub use self::gathered::{Gathered, GatheredCalls, GatheredReplies, OutgoingReplies};
pub use self::handoff::{Claim, Claimed, Provide};
pub use self::hello::{Challenge, ClientHello, Proof, ServerHello, SessionRequest};
pub use self::link::{Ack, Beat};
pub use self::run::{CallRun, OutgoingResults, OutgoingRun, ReplyRun};
pub use self::sections::{ENTRY_LENGTH, EntryKind, Sections, TableEntry};
pub use self::stream::{
    OutgoingItems, StreamCancel, StreamCredit, StreamEnd, StreamError, StreamItems,
};
pub use crate::reason::Refusal;

pub(crate) use self::call::{BATCHED, KEEP_ANSWER, MAX_OBJECT_NAME, ORDERED, PIPELINED};
pub(crate) use self::control::LIST_LENGTH;
pub(crate) use self::gathered::gather;
pub(crate) use self::sections::{SectionsView, only_attachment};

use crate::error::DecodeError;
use crate::frame::{Header, Kind};
use crate::limits::Grants;
use crate::reason::{CloseReason, DrainReason};

/// One decoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "each variant is a kind of frame, which is documented there"
)]
pub enum Message {
    ClientHello(Box<ClientHello>),
    ServerHello(Box<ServerHello>),
    Challenge(Challenge),
    Proof(Proof),
    Refuse(Refusal),
    Ack(Ack),
    Beat(Beat),
    Goodbye(CloseReason),
    Call(Call),
    Oneway(Call),
    Reply(Reply),
    Bind(Bind),
    Cancel(Cancel),
    Credit(Credit),
    Release(Release),
    Drain(DrainReason),
    Revoked(Revoked),
    StreamItems(StreamItems),
    StreamCredit(StreamCredit),
    StreamEnd(StreamEnd),
    StreamError(StreamError),
    StreamCancel(StreamCancel),
    BatchBegin(BatchBegin),
    BatchEnd(BatchEnd),
    CallRun(CallRun),
    ReplyRun(ReplyRun),
    GatheredCalls(GatheredCalls),
    GatheredReplies(GatheredReplies),
    Finish(Finish),
    Provide(Provide),
    Claim(Claim),
    Claimed(Claimed),
}

impl Message {
    /// Returns the kind of the message's frame.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ClientHello(_) => Kind::ClientHello,
            Self::ServerHello(_) => Kind::ServerHello,
            Self::Challenge(_) => Kind::Challenge,
            Self::Proof(_) => Kind::Proof,
            Self::Refuse(_) => Kind::Refuse,
            Self::Ack(_) => Kind::Ack,
            Self::Beat(_) => Kind::Beat,
            Self::Goodbye(_) => Kind::Goodbye,
            Self::Call(_) => Kind::Call,
            Self::Oneway(_) => Kind::Oneway,
            Self::Reply(_) => Kind::Reply,
            Self::Bind(_) => Kind::Bind,
            Self::Cancel(_) => Kind::Cancel,
            Self::Credit(_) => Kind::Credit,
            Self::Release(_) => Kind::Release,
            Self::Drain(_) => Kind::Drain,
            Self::Revoked(_) => Kind::Revoked,
            Self::StreamItems(_) => Kind::StreamItems,
            Self::StreamCredit(_) => Kind::StreamCredit,
            Self::StreamEnd(_) => Kind::StreamEnd,
            Self::StreamError(_) => Kind::StreamError,
            Self::StreamCancel(_) => Kind::StreamCancel,
            Self::BatchBegin(_) => Kind::BatchBegin,
            Self::BatchEnd(_) => Kind::BatchEnd,
            Self::CallRun(_) => Kind::CallRun,
            Self::ReplyRun(_) => Kind::ReplyRun,
            Self::GatheredCalls(_) => Kind::GatheredCalls,
            Self::GatheredReplies(_) => Kind::GatheredReplies,
            Self::Finish(_) => Kind::Finish,
            Self::Provide(_) => Kind::Provide,
            Self::Claim(_) => Kind::Claim,
            Self::Claimed(_) => Kind::Claimed,
        }
    }

    /// Reads the message in `frame`, which is one whole frame with its header. Byte strings share its memory.
    ///
    /// `grants` are the reader's own, which bound the parts.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the bytes. No bytes make this panic or take more memory than a small multiple of theirs.
    pub fn decode(frame: &Bytes, grants: &Grants) -> Result<Self, DecodeError> {
        let header = Header::peek(frame, u32::MAX)?.ok_or(DecodeError::Truncated("the header"))?;
        if header.frame_length() > frame.len() {
            return Err(DecodeError::Truncated("the frame"));
        }
        if header.frame_length() < frame.len() {
            return Err(DecodeError::Trailing(frame.len() - header.frame_length()));
        }
        Self::decode_as(header, frame, grants)
    }

    /// Reads the message in a frame whose header was read before.
    pub(crate) fn decode_as(
        header: Header,
        frame: &Bytes,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        Ok(match header.kind {
            Kind::ClientHello => Self::ClientHello(Box::new(ClientHello::decode(header, frame)?)),
            Kind::ServerHello => Self::ServerHello(Box::new(ServerHello::decode(header, frame)?)),
            Kind::Challenge => Self::Challenge(Challenge::decode(header, frame)?),
            Kind::Proof => Self::Proof(Proof::decode(header, frame)?),
            Kind::Refuse => Self::Refuse(Refusal::decode(header, frame)?),
            Kind::Ack => Self::Ack(Ack::decode(header, frame)?),
            Kind::Beat => Self::Beat(Beat::decode(header, frame)?),
            Kind::Goodbye => Self::Goodbye(CloseReason::decode(header, frame)?),
            Kind::Call => Self::Call(Call::decode(header, frame.clone(), None, grants)?),
            Kind::Oneway => Self::Oneway(Call::decode(header, frame.clone(), None, grants)?),
            Kind::Reply => Self::Reply(Reply::decode(header, frame.clone(), None, grants)?),
            Kind::Bind => Self::Bind(Bind::decode(header, frame, grants)?),
            Kind::Cancel => Self::Cancel(Cancel::decode(header, frame)?),
            Kind::Credit => Self::Credit(Credit::decode(header, frame)?),
            Kind::Release => Self::Release(Release::decode(header, frame)?),
            Kind::Drain => Self::Drain(DrainReason::decode(header, frame)?),
            Kind::Revoked => Self::Revoked(Revoked::decode(header, frame)?),
            Kind::StreamItems => Self::StreamItems(StreamItems::decode(header, frame, grants)?),
            Kind::StreamCredit => Self::StreamCredit(StreamCredit::decode(header, frame)?),
            Kind::StreamEnd => Self::StreamEnd(StreamEnd::decode(header, frame)?),
            Kind::StreamError => Self::StreamError(StreamError::decode(header, frame, grants)?),
            Kind::StreamCancel => Self::StreamCancel(StreamCancel::decode(header, frame)?),
            Kind::BatchBegin => Self::BatchBegin(BatchBegin::decode(header, frame)?),
            Kind::BatchEnd => Self::BatchEnd(BatchEnd::decode(header, frame)?),
            Kind::CallRun => Self::CallRun(CallRun::decode(header, frame.clone(), grants)?),
            Kind::ReplyRun => Self::ReplyRun(ReplyRun::decode(header, frame.clone())?),
            Kind::GatheredCalls => Self::GatheredCalls(GatheredCalls::decode(header, frame)?),
            Kind::GatheredReplies => Self::GatheredReplies(GatheredReplies::decode(header, frame)?),
            Kind::Finish => Self::Finish(Finish::decode(header, frame)?),
            Kind::Provide => Self::Provide(Provide::decode(header, frame)?),
            Kind::Claim => Self::Claim(Claim::decode(header, frame)?),
            Kind::Claimed => Self::Claimed(Claimed::decode(header, frame)?),
        })
    }

    /// Appends the message to `out`, as one frame with its header.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::ClientHello(message) => message.encode(out),
            Self::ServerHello(message) => message.encode(out),
            Self::Challenge(message) => message.encode(out),
            Self::Proof(message) => message.encode(out),
            Self::Refuse(message) => message.encode(out),
            Self::Ack(message) => message.encode(out),
            Self::Beat(message) => message.encode(out),
            Self::Goodbye(message) => message.encode(out),
            Self::Call(message) => message.encode(Kind::Call, out),
            Self::Oneway(message) => message.encode(Kind::Oneway, out),
            Self::Reply(message) => message.encode(out),
            Self::Bind(message) => message.encode(out),
            Self::Cancel(message) => message.encode(out),
            Self::Credit(message) => message.encode(out),
            Self::Release(message) => message.encode(out),
            Self::Drain(message) => message.encode(out),
            Self::Revoked(message) => message.encode(out),
            Self::StreamItems(message) => message.encode(out),
            Self::StreamCredit(message) => message.encode(out),
            Self::StreamEnd(message) => message.encode(out),
            Self::StreamError(message) => message.encode(out),
            Self::StreamCancel(message) => message.encode(out),
            Self::BatchBegin(message) => message.encode(out),
            Self::BatchEnd(message) => message.encode(out),
            Self::CallRun(message) => message.encode(out),
            Self::ReplyRun(message) => message.encode(out),
            Self::GatheredCalls(message) => message.encode(out),
            Self::GatheredReplies(message) => message.encode(out),
            Self::Finish(message) => message.encode(out),
            Self::Provide(message) => message.encode(out),
            Self::Claim(message) => message.encode(out),
            Self::Claimed(message) => message.encode(out),
        }
    }
}
