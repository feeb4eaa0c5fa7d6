//! The process at the other end of a session.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::context::Storage;
use crate::error::Result;
use crate::proxy::{self, Proxy};
use crate::remote::{FarReference, Remote};
use crate::session::{Session, TableSizes};

/// Where a peer is, as far as its transport tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerAddress {
    /// A TCP endpoint.
    Tcp(SocketAddr),
    /// A Unix socket; the path of the listener, if known.
    Unix(Option<PathBuf>),
    /// This process, through memory.
    Memory(String),
    /// A stream that the application opened itself, under the name that it gave.
    Stream(String),
}

impl PeerAddress {
    /// Whether the peer is on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            PeerAddress::Tcp(address) => address.ip().is_loopback(),
            PeerAddress::Unix(_) | PeerAddress::Memory(_) => true,
            PeerAddress::Stream(_) => false,
        }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddress::Tcp(address) => address.fmt(f),
            PeerAddress::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            PeerAddress::Unix(None) => f.write_str("unix"),
            PeerAddress::Memory(name) => write!(f, "memory:{name}"),
            PeerAddress::Stream(name) => write!(f, "stream:{name}"),
        }
    }
}

/// Who a peer proved to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// Nobody in particular.
    Anonymous,
    /// A holder of the shared token.
    Token,
}

/// The process at the other end of a session.
#[derive(Clone)]
pub struct Peer(Arc<Session>);

impl Peer {
    pub(crate) fn of(session: &Arc<Session>) -> Self {
        Peer(Arc::clone(session))
    }

    /// Where it is.
    pub fn address(&self) -> &PeerAddress {
        self.0.peer_address()
    }

    /// Who it proved to be.
    pub fn identity(&self) -> Identity {
        self.0.identity()
    }

    /// The name that it calls itself; empty if it has none, and never proved.
    pub fn name(&self) -> String {
        self.0.peer_name()
    }

    /// A number that no other session of this process has.
    pub fn session_number(&self) -> u64 {
        self.0.number()
    }

    /// Values that live as long as the session.
    pub fn storage(&self) -> &Storage {
        self.0.storage()
    }

    /// A proxy to the object that the peer published under this name, on this session.
    ///
    /// # Errors
    ///
    /// `NoSuchObject`, if it published none; `SessionLost`, if the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the request.
    pub async fn object<P: Proxy>(&self, name: &str) -> Result<P> {
        let bound = self.0.bind(name, P::DESCRIPTOR.hash).await?;
        bound.found().await?;
        Ok(proxy::far(Remote::Far(FarReference::held(bound))))
    }

    /// Tells the peer goodbye when all that was queued is written, and ends the session.
    pub fn close(&self) {
        self.0.close("closed by the peer");
    }

    /// Ends the session at once; what is queued is lost.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// How much the books of the session hold at this moment.
    pub fn tables(&self) -> TableSizes {
        self.0.tables()
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Peer {}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.address())
            .field("session", &self.session_number())
            .finish_non_exhaustive()
    }
}
