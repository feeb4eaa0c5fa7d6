//! Far references: call objects in other processes as you call your own.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod call;
pub mod chain;
mod client;
mod codec;
mod context;
mod daemon;
pub mod daemon_object;
mod descriptor;
mod dispatch;
#[cfg(feature = "json")]
mod dynamic;
mod environment;
mod error;
mod far;
mod forward;
mod interceptor;
mod local;
mod loopback;
mod node;
mod object;
mod panics;
mod peer;
mod proxy;
mod random;
mod references;
mod remote;
mod schema;
mod serial;
mod serve;
mod session;
pub mod shape;
mod transport;
mod uri;
mod versions;
mod wire;

#[doc(hidden)]
pub mod __private;

pub use farref_macros::*;
pub use farref_proto::Limits;

pub use crate::access::{Access, AccessMut, Serial, Shared, SharedArc};
pub use crate::call::{AnnotatedCall, Call, OnewayCall};
pub use crate::client::{Client, ClientBuilder, connect, lazy};
pub use crate::codec::{Budget, Codec, CodecError, CodecSet};
pub use crate::context::{CallContext, Storage};
pub use crate::daemon::{Daemon, DaemonBuilder, DaemonHandle, Shutdown};
pub use crate::descriptor::{
    Argument, Interface, InterfaceInfo, Method, MethodFlags, MethodInfo, MethodKind, Returns,
    ValueInfo,
};
#[cfg(feature = "json")]
pub use crate::dynamic::{DynProxy, DynReply};
pub use crate::error::{CallError, Failure, Fault, FaultKind, Outcome, Result};
pub use crate::interceptor::{CallInfo, Direction, Intercepted, Interceptor};
pub use crate::object::Object;
pub use crate::peer::{Identity, Peer, PeerAddress};
pub use crate::proxy::{Proxy, ProxyOptions, same_object};
pub use crate::session::TableSizes;
pub use crate::shape::Shape;
pub use crate::uri::{Address, Uri, UriError};

/// What most programs import.
pub mod prelude {
    pub use farref_macros::{attribute, callback, expose, oneway};

    pub use crate::{CallContext, CallError, Client, Daemon, Fault, Object, Proxy, Shutdown, Uri};
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
