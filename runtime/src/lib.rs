//! Far references: call objects in other processes as you call your own.
//!
//! Annotate a trait with [`#[expose]`](expose). It stays the trait that you wrote, and beside it stands a proxy: one type
//! for objects of this process and of others, `Clone + Send + Sync`, with the methods of the trait.
//!
//! ```
//! use farref::prelude::*;
//!
//! /// Greets.
//! #[expose]
//! pub trait Greeter {
//!     /// Greets somebody by name.
//!     async fn greet(&self, name: &str) -> String;
//! }
//!
//! struct Polite;
//!
//! impl Greeter for Polite {
//!     async fn greet(&self, name: &str) -> String {
//!         format!("good day, {name}")
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> farref::Result<()> {
//! // In one process:
//! let daemon = Daemon::bind("far://127.0.0.1:0").await?;
//! let uri = daemon.register("greeter", GreeterProxy::new(Polite))?;
//!
//! // In another:
//! let greeter: GreeterProxy = farref::connect(&uri).await?;
//! assert_eq!(greeter.greet("Ada").await?, "good day, Ada");
//! # Ok(())
//! # }
//! ```
//!
//! # What a caller may rely on
//!
//! - A call runs **at most once**. An error says whether it may have run: [`Outcome`].
//! - While both processes live, a lost connection is no failure: the session goes on over another, within 30 s, and every
//!   call has run once. [`Peer::state`] tells how it stands.
//! - Calls made one after the other through one session to one object start in that order; a call is made at its first
//!   poll. Replies come in any order.
//! - Dropping a call cancels it. A timeout travels with the call, and with every call made on its behalf.
//! - A proxy in an argument or a result crosses as a reference. Coming home it is the near object again. Dropping the
//!   last reference drops the object.
//! - Both sides call on one connection, to any depth up to a limit, without deadlock. A call that would wait for itself
//!   is refused with [`FaultKind::WouldDeadlock`].
//! - Whatever one call does, whether it panics, is too large or makes no sense, fails that call and nothing else.
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | exposing a trait | [`expose`] |
//! | serving | [`Daemon`], [`Object`] |
//! | calling | [`connect`], [`lazy`], [`Client`], [`Call`], [`Proxy`] |
//! | calling and serving without async | [`mod@blocking`] |
//! | what went wrong | [`Fault`], [`CallError`] |
//! | objects by value or by reference | [`Passed`] |
//! | items that come one by one | [`RemoteStream`], [`StreamCall`] |
//! | telling others | [`Signal`], [`Attribute`], [`Listeners`] and [`Topic`] for callbacks |
//! | errors that come home | [`AnyError`] |
//! | what happens to daemons and sessions | [`life`] |
//! | who calls me | [`CallContext`], [`Peer`] |
//! | spans for collectors | the module `trace` |
//! | calling again and again | [`timer`] |
//! | every call on its way | [`Interceptor`] |
//! | calling without the trait | `DynProxy`, `DynPath` |
//! | groups of objects | [`Module`] |
//! | child processes that serve | the module `spawn` |
//! | a daemon about itself | [`daemon_object`] |
//! | finding objects by name and by tags | the module `names`, [`Resolver`], [`Choice`] |
//! | what bounds what | [`Limits`], [`Budget`] |
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `json` | yes | the JSON codec |
//! | `dynamic` | no | `DynProxy`, and JSON for values of known [`shape`] |
//! | `signal` | no | `shutdown_signal` |
//! | `spawn` | no | on Unix, `Client::spawn`: child processes that serve their parent |
//! | `names` | no | `farname:` and `farmeta:` URIs that a name server resolves, and announcing objects there |
//! | `metrics` | no | counts of calls, bytes and sessions, for any recorder of the crate `metrics` |
//! | `tracing` | no | a span for every call, joined across processes by W3C Trace Context; the module `trace` |
//! | `msgpack` | no | MessagePack, by which peers whose types differ compatibly understand each other |
//! | `schema` | no | JSON Schema in descriptions, for types that have one |
//! | `testing` | no | `farref::testing`, a network in memory for tests of what faults do to an application |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod any_error;
mod any_proxy;
mod attribute;
mod batch;
pub mod blocking;
mod builder;
mod call;
pub mod chain;
mod client;
mod clock;
mod codec;
mod context;
mod daemon;
pub mod daemon_object;
mod descriptor;
mod dialling;
mod dispatch;
#[cfg(feature = "dynamic")]
mod dynamic;
mod environment;
mod error;
mod factory;
mod far;
mod forward;
mod handoff;
mod held;
mod interceptor;
mod lend;
pub mod life;
pub mod listeners;
mod local;
mod loopback;
mod measure;
mod methods;
#[cfg(feature = "metrics")]
pub mod metrics;
mod module;
#[cfg(feature = "names")]
pub mod names;
mod node;
mod object;
mod observed;
mod panics;
mod passing;
mod peer;
mod permission;
mod promise;
mod proxy;
mod publishing;
mod random;
mod reaping;
mod references;
mod relay;
mod remote;
mod resolve;
mod roster;
mod schema;
mod search;
mod serial;
mod serve;
mod session;
pub mod shape;
pub mod signal;
mod spans;
#[cfg(all(unix, feature = "spawn"))]
pub mod spawn;
mod start_queue;
mod started;
mod stream;
mod sync;
mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timer;
pub mod topic;
#[cfg(feature = "tracing")]
pub mod trace;
mod transferred;
mod transport;
mod uri;
mod versions;
mod walking;
mod wire;

#[doc(hidden)]
pub mod __private;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use crate::codec::fuzzed as __fuzzed;

pub use farref_macros::*;
pub use farref_proto::Limits;
pub use futures_core::Stream;

pub use crate::access::{Access, AccessMut, Serial, Shared, SharedArc};
pub use crate::any_error::AnyError;
pub use crate::any_proxy::AnyProxy;
pub use crate::attribute::Attribute;
pub use crate::batch::{
    AllOrFirst, Batch, CallValue, Calls, Each, Join, Sending, Slot, Together, batch,
};
pub use crate::builder::Builder;
pub use crate::call::{AnnotatedCall, Call, OnewayCall};
pub use crate::client::{Calling, Client, ClientBuilder, close, connect, lazy};
pub use crate::codec::{Budget, Codec, CodecError, CodecSet};
pub use crate::context::{CallContext, Storage};
pub use crate::daemon::{Daemon, DaemonBuilder, DaemonHandle, Serving, Shutdown};
pub use crate::descriptor::{
    Argument, Interface, InterfaceInfo, Method, MethodFlags, MethodInfo, MethodKind, Returns,
    ValueInfo,
};
#[cfg(feature = "dynamic")]
pub use crate::dynamic::{DynPath, DynProxy, DynReply, DynStream};
pub use crate::error::{CallError, Failure, Fault, FaultKind, Outcome, Result};
pub use crate::handoff::HandOff;
pub use crate::interceptor::{CallInfo, Direction, Intercepted, Interceptor};
pub use crate::lend::Loan;
pub use crate::listeners::Listeners;
pub use crate::module::{
    MemberInfo, Module, ModuleObject, ModuleObjectBlocking, ModuleObjectProxy,
};
pub use crate::object::Object;
pub use crate::passing::{Passed, Wish};
pub use crate::peer::{Identity, Peer, PeerAddress};
pub use crate::permission::{Denied, Permission};
pub use crate::proxy::{Proxy, ProxyOptions, same_object};
pub use crate::publishing::PublishError;
pub use crate::reaping::{Idle, Verdict};
pub use crate::resolve::{Candidate, Choice, Resolver, Resolving};
pub use crate::session::{SessionState, StateWatch, TableSizes};
pub use crate::shape::Shape;
pub use crate::signal::Signal;
pub use crate::started::{Started, start};
pub use crate::stream::{
    Opening, RemoteStream, StreamCall, StreamItem, StreamSender, StreamWindow,
};
pub use crate::timer::{Timer, every};
pub use crate::topic::Topic;
pub use crate::uri::{Address, Uri, UriError};

/// What most programs import.
pub mod prelude {
    pub use farref_macros::{attribute, callback, expose, oneway, signal};

    pub use crate::{
        Batch, CallContext, CallError, Client, Daemon, Fault, Object, Proxy, RemoteStream,
        Shutdown, Signal, Stream, Uri,
    };
}

/// Ends when the process is asked to stop: by an interrupt from the terminal or, on Unix, by a termination signal.
#[cfg(feature = "signal")]
pub async fn shutdown_signal() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        let Ok(mut terminate) =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        else {
            return interrupted.await;
        };
        tokio::select! {
            () = interrupted => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}
