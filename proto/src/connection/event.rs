//! What a connection tells its driver.

use std::sync::Arc;

use bytes::Bytes;

use super::IncomingBatch;
use super::handing_off::{IncomingClaim, IncomingIntroduction, IncomingProvide};
use crate::body::Body;
use crate::handshake::{PeerInfo, ResumeRequest};
use crate::id::{CallId, ExportId, ImportId, InstanceId, StreamNumber};
use crate::message::{Extensions, Gathered, ReplyStatus};
use crate::reason::{CloseReason, DrainReason};
use crate::seldom::Seldom;

/// Something that happened, in the order in which it did.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is done.
    Established(Arc<PeerInfo>),
    /// The client wants to take up a session that lost its connection. It is to be looked for, and if it is here, the
    /// transport is to be given to it; see [`ResumeRequest`]. No more bytes are to be handed over here.
    ResumeRequested(ResumeRequest),
    /// The session goes on over another connection.
    Resumed,
    /// A call arrived. It must be answered, once its handler has ended, with exactly one reply.
    Call(IncomingCall),
    /// A oneway arrived. Its receipt must be given back, once its handler has ended, with
    /// [`Connection::oneway_done`](super::Connection::oneway_done).
    Oneway(IncomingCall, OnewayReceipt),
    /// Several calls arrived, or several oneways if it says so, in this order. They are to be answered as others are,
    /// together or one by one; for a oneway there is [`OnewayReceipt::of_gathered`].
    Calls(IncomingCalls),
    /// A whole batch arrived. Its calls are to be served one after the other, and each of them is to be answered as any
    /// call is, also those that are not started.
    Batch(IncomingBatch),
    /// A bind arrived. It must be answered as a call is.
    Bind(IncomingBind),
    /// An object of this side is to be handed to a third process. It must be answered as a call is.
    Provide(IncomingProvide),
    /// The other side claims what was provided for it. It must be answered as a bind is.
    Claim(IncomingClaim),
    /// The other side has got what this side introduced it to, from its holder.
    Claimed {
        /// The grant that it showed there.
        grant: [u8; 16],
    },
    /// A reply arrived. The id of its call is free again, unless others of its run have no reply yet.
    Reply(IncomingReply),
    /// What the next calls of a run returned arrived. The id of the run is free again with the last of them.
    Results(IncomingResults),
    /// Replies to several calls arrived, which all ended well. Their ids are free again.
    Replies(IncomingReplies),
    /// The other side does not need the reply of this call any more. It must be answered all the same.
    Cancel(CallId),
    /// The other side does not need the answer of this call as a target any more. It may use the id again.
    Finished(CallId),
    /// The other side gave back the last grant of this export. The id may name another object from now on.
    Released(ExportId),
    /// The other side gave back this name, which it chose in a bind. It may bind it again.
    AliasReleased(ExportId),
    /// The owner ended this object. It must still be released.
    Revoked(ImportId),
    /// There is room again for calls at this depth, where a call was turned away.
    CreditAvailable {
        /// How many calls wait for such a call.
        depth: u16,
    },
    /// Items of a stream arrived that this side consumes.
    StreamItems(IncomingItems),
    /// A stream that this side consumes has ended. Its number is free.
    StreamEnded(StreamNumber, StreamEnding),
    /// There is credit again for a stream that this side produces, where there was none.
    StreamCredit(StreamNumber),
    /// The consumer of a stream wants no more. It must still be ended.
    StreamCancelled(StreamNumber),
    /// The other side takes no new calls.
    Draining(DrainReason),
    /// The other side has ended the conversation.
    Closed(CloseReason),
}

/// A call or a oneway that arrived.
#[derive(Debug)]
pub struct IncomingCall {
    /// The call to answer. Means nothing in a oneway.
    pub id: CallId,
    /// The object: an export, a name that was bound, or [`DAEMON_TARGET`](crate::DAEMON_TARGET). Nobody has checked
    /// that there is one.
    pub target: ExportId,
    /// The hash of the method's name.
    pub method_hash: u32,
    /// The hash of the method's shapes, in the caller's eyes; 0 if they are not to be compared.
    pub shape: u32,
    /// The method's place in the caller's descriptor.
    pub method_index: u16,
    /// What the body is encoded with, and the reply is to be.
    pub codec: u8,
    /// The target is the answer of the call of this id instead, which is kept: of a call before this one.
    pub pipelined: bool,
    /// The answer is to be kept as a target, until [`Event::Finished`].
    pub keep_answer: bool,
    /// The oneway keeps its order with the other calls to its object.
    pub ordered: bool,
    /// What else came with the call; `None` if nothing did. The deadline is on this side's clock.
    pub extensions: Option<Box<Extensions>>,
    /// The references that the body points into.
    pub table: Seldom<IncomingRef>,
    /// The arguments.
    pub body: Body,
    /// The byte strings among them.
    pub attachments: Seldom<Bytes>,
}

impl IncomingCall {
    /// Returns what else came with the call.
    pub fn extensions(&self) -> &Extensions {
        self.extensions.as_deref().unwrap_or(Extensions::NONE)
    }

    /// Returns how many calls wait for this one.
    pub fn depth(&self) -> u16 {
        self.extensions().depth()
    }
}

/// Calls, or oneways, of one method of one object, beside whose arguments nothing else came.
#[derive(Debug)]
pub struct IncomingCalls {
    /// The object. Nobody has checked that there is one.
    pub target: ExportId,
    /// The hash of the method's name.
    pub method_hash: u32,
    /// The hash of the method's shapes, in the caller's eyes; 0 if they are not to be compared.
    pub shape: u32,
    /// The method's place in the caller's descriptor.
    pub method_index: u16,
    /// What the arguments are encoded with, and the replies are to be.
    pub codec: u8,
    /// Nothing is to be answered.
    pub oneway: bool,
    /// The calls and their arguments. Never empty.
    pub calls: Vec<Gathered>,
}

/// A reference that arrived in the table of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncomingRef {
    /// An object of the other side. This is a new grant of it, to be given back with
    /// [`Connection::release`](super::Connection::release).
    Import {
        /// How to name it in calls.
        import: ImportId,
        /// The owner's number for it.
        object: u64,
        /// The hash of its interface's wire name.
        interface: u32,
        /// The process that owns it.
        owner: InstanceId,
    },
    /// An object of a third process, which may be claimed from its holder. This is a new grant of the sender's, too.
    Introduced(Box<IncomingIntroduction>),
    /// An object of this side that came home.
    Home(ExportId),
    /// A stream that the other side produces. It must be consumed to its end, or cancelled with
    /// [`Connection::cancel_stream`](super::Connection::cancel_stream).
    Stream(StreamNumber),
    /// An object that is no more, or never was.
    Dead,
    /// Something that this version does not support.
    Unsupported,
}

/// Items of a stream that arrived.
#[derive(Debug)]
pub struct IncomingItems {
    /// The stream.
    pub stream: StreamNumber,
    /// What the items are encoded with.
    pub codec: u8,
    /// The length of each item in the body.
    pub lengths: Vec<u32>,
    /// The references that the items point into.
    pub table: Seldom<IncomingRef>,
    /// The items one after the other.
    pub body: Bytes,
    /// The byte strings in them.
    pub attachments: Seldom<Bytes>,
}

/// How a stream ended.
#[derive(Debug)]
pub enum StreamEnding {
    /// All items have come.
    Complete,
    /// Its producer failed, with a fault in the body or with an error of its own.
    Failed {
        /// [`ReplyStatus::Error`] or [`ReplyStatus::Fault`].
        status: ReplyStatus,
        /// What the error is encoded with.
        codec: u8,
        /// The error or the fault.
        body: Bytes,
    },
}

/// A promise to say when the handler of a oneway has ended, or those of several.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a oneway whose receipt is not given back takes the other side's credit for ever"]
pub struct OnewayReceipt {
    pub(super) depth: u16,
    pub(super) calls: u32,
    pub(super) bytes: u64,
}

impl OnewayReceipt {
    pub(super) fn of_one(depth: u16, bytes: u32) -> Self {
        Self {
            depth,
            calls: 1,
            bytes: bytes.into(),
        }
    }

    /// Has this receipt stand for the other one, too. Both must be of calls that were gathered.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a receipt is good for one time"
    )]
    pub fn join(&mut self, other: Self) {
        debug_assert_eq!(self.depth, other.depth, "what is gathered is not nested");
        self.calls += other.calls;
        self.bytes += other.bytes;
    }
}

/// A bind that arrived: the other side names an object of this one.
///
/// Calls to the name may follow before the bind is answered. The name lives until
/// [`Event::AliasReleased`], whatever the answer is.
#[derive(Debug, PartialEq, Eq)]
pub struct IncomingBind {
    /// The call to answer: with [`Connection::alias_entry`](super::Connection::alias_entry) as its whole table, or with
    /// a fault.
    pub call: CallId,
    /// The number by which calls will name the object.
    pub alias: ExportId,
    /// The object's name.
    pub name: String,
    /// The hash of the wire name of the interface that is expected.
    pub interface: u32,
}

/// A reply that arrived.
#[derive(Debug)]
pub struct IncomingReply {
    /// The call, as it was returned when the call was made.
    pub call: CallId,
    /// Whether the call is one of a run, and there are others behind it that have no reply yet.
    pub more: bool,
    /// How the call ended.
    pub status: ReplyStatus,
    /// What the body is encoded with.
    pub codec: u8,
    /// What else came with it; `None` if nothing did.
    pub extensions: Option<Box<Extensions>>,
    /// The references that the body points into.
    pub table: Seldom<IncomingRef>,
    /// The result, the error, or a [`FaultMessage`](crate::FaultMessage).
    pub body: Body,
    /// The byte strings in it.
    pub attachments: Seldom<Bytes>,
}

/// What several calls returned, all of which ended well, and with nothing but a value.
#[derive(Debug)]
pub struct IncomingReplies {
    /// What the results are encoded with.
    pub codec: u8,
    /// The calls and their results. Never empty.
    pub replies: Vec<Gathered>,
}

/// What the next calls of a run returned.
#[derive(Debug)]
pub struct IncomingResults {
    /// The run, as it was returned when it was sent.
    pub call: CallId,
    /// Whether there are calls behind these that have no reply yet.
    pub more: bool,
    /// What the results are encoded with.
    pub codec: u8,
    /// The length of each result in the body. Never empty, and their sum is the length of the body.
    pub lengths: Vec<u32>,
    /// The results one after the other.
    pub body: Body,
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TableSizes {
    /// Calls and binds made and not answered.
    pub calls_out: usize,
    /// Calls and binds received and not answered.
    pub calls_in: usize,
    /// Objects of this side that the other side holds by number.
    pub exports: usize,
    /// Objects of this side that the other side holds by name.
    pub aliases: usize,
    /// Objects of the other side that this side holds, by number or by name.
    pub imports: usize,
    /// Streams that this side produces.
    pub streams_out: usize,
    /// Streams that this side consumes.
    pub streams_in: usize,
    /// Answers that the other side keeps for this one, as the targets of calls.
    pub promises_out: usize,
    /// Answers that this side keeps for the other one.
    pub promises_in: usize,
    /// Bytes that wait to be transmitted.
    pub unsent: usize,
    /// Bytes transmitted or waiting that the other side has not acknowledged.
    pub unacknowledged: u64,
    /// Events that wait to be polled.
    pub events: usize,
}
