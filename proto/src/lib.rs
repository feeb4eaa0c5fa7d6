//! The protocol of farref, without any input or output of its own.
//!
//! [`Connection`] is one end of a conversation between two processes that call each other's objects. Bytes and the
//! time go in, bytes and [`Event`]s come out: this crate opens no socket, reads no clock, draws no random number and
//! knows no async runtime, so one test can cut a conversation at every byte, in memory, in milliseconds.
//!
//! A driver does four things, in any order, whenever it likes:
//!
//! - hands over what it read, with [`Connection::take_event`] or [`Connection::handle_bytes`];
//! - calls [`Connection::handle_timeout`] when the instant told by [`Connection::poll_timeout`] has come;
//! - asks for things: [`Connection::call`], [`Connection::reply`], [`Connection::release`] and their like;
//! - takes what else came of it: [`Connection::poll_event`] until it is empty, then [`Connection::poll_transmit`].
//!
//! `PROTOCOL.md`, at the root of the repository, specifies the bytes.
//!
//! **Invariant:** whatever the bytes, nothing here panics, spins, or reserves memory ahead of the bytes received.

mod body;
mod calls;
mod connection;
mod error;
mod errors;
pub mod frame;
mod handshake;
mod id;
mod limits;
pub mod message;
mod reason;
mod references;
mod seldom;
mod session;
mod streams;
mod time;

pub use crate::body::Body;
pub use crate::connection::{
    BatchedCall, CallFlags, Connection, Event, IncomingBatch, IncomingBind, IncomingCall,
    IncomingCalls, IncomingClaim, IncomingIntroduction, IncomingItems, IncomingProvide,
    IncomingRef, IncomingReplies, IncomingReply, IncomingResults, OnewayReceipt, StreamEnding,
    TableSizes, features,
};
pub use crate::error::{ConnectionError, DecodeError, SendError, Stranger, Violation};
pub use crate::handshake::{
    ClientConfig, PeerInfo, ResumeRequest, ServerConfig, SessionSecret, Token,
};
pub use crate::id::{
    ALIAS_BIT, CallId, ChainId, DAEMON_TARGET, ExportId, ImportId, InstanceId, Nonce, SessionId,
    StreamNumber, fnv1a32,
};
#[cfg(feature = "sabotage")]
pub use crate::limits::Sabotage;
pub use crate::limits::{Grants, Limits};
pub use crate::message::{
    BatchMode, Chain, EntryKind, Extensions, FaultKind, FaultMessage, Gathered, Introduction,
    MAX_INTRODUCTIONS, Outcome, OutgoingCall, OutgoingItems, OutgoingReplies, OutgoingReply,
    OutgoingResults, OutgoingRun, ReplyStatus, TableEntry, TraceContext,
};
pub use crate::reason::{CloseCode, CloseReason, DrainCode, DrainReason, Refusal, RefusalCode};
pub use crate::seldom::Seldom;
pub use crate::streams::{LEAST_ITEM_COST, StreamCost, item_costs};
pub use crate::time::Time;
