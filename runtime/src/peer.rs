//! The process at the other end of a session.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::context::Storage;
use crate::daemon_object::{ClockOffset, DaemonObjectProxy, clock_offset};
use crate::error::{CallError, Fault, FaultKind, Result};
use crate::permission::Denied;
use crate::proxy::{self, Proxy};
use crate::remote::{FarReference, Remote};
use crate::session::{Session, SessionState, StateWatch, TableSizes};

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

impl PeerAddress {
    /// Whether both are at one host; ports do not matter, nor does what the application calls its streams.
    pub(crate) fn is_same_host(&self, other: &PeerAddress) -> bool {
        match (self, other) {
            (PeerAddress::Tcp(one), PeerAddress::Tcp(other)) => one.ip() == other.ip(),
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
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

    /// How far the wall clock of the peer, which must be a daemon, is from this process's.
    ///
    /// # Errors
    ///
    /// `NoSuchObject`, if the peer is no daemon; `SessionLost`, if the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the measurement.
    pub async fn clock_offset(&self) -> Result<ClockOffset> {
        let daemon: DaemonObjectProxy = self.object("").await?;
        clock_offset(&daemon).await
    }

    /// Shuts the peer down, which must be a daemon: it informs all its clients, lets calls under way end for as long as
    /// its drain timeout says, and ends all its sessions. Returns when this session has ended, also if somebody else
    /// has ended it.
    ///
    /// # Errors
    ///
    /// [`Denied`], if the daemon's policy does not grant [`Permission::ShutDown`](crate::Permission::ShutDown) to this
    /// process; `NoSuchObject`, if the peer is no daemon.
    ///
    /// # Cancel safety
    ///
    /// The daemon shuts down also if the future is dropped, once it has begun.
    pub async fn shut_down(&self) -> Result<(), CallError<Denied>> {
        let is_over = |fault: &Fault| {
            matches!(
                fault.kind(),
                FaultKind::ShuttingDown | FaultKind::SessionLost
            )
        };
        let daemon = match self.object::<DaemonObjectProxy>("").await {
            Ok(daemon) => daemon,
            Err(fault) if is_over(&fault) => {
                self.closed().await;
                return Ok(());
            }
            Err(fault) => return Err(fault.into()),
        };
        match daemon.shut_down().await {
            Ok(()) => {}
            Err(CallError::Fault(fault)) if is_over(&fault) => {}
            Err(error) => return Err(error),
        }
        drop(daemon);
        self.closed().await;
        Ok(())
    }

    /// Waits until the peer has seen all that was sent and given back so far, and has dropped what it kept for it.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded`, if the call that is being served has one that passes meanwhile.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn flush(&self) -> Result<()> {
        self.0.flush().await
    }

    /// Waits until the session has ended, and says why.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn closed(&self) -> Fault {
        self.0.ended().await
    }

    /// Tells the peer goodbye when all that was queued is written, and ends the session.
    pub fn close(&self) {
        self.0.close("closed by the peer");
    }

    /// Ends the session at once; what is queued is lost.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// How the session stands: connected, without a connection for the moment, or closed.
    pub fn state(&self) -> SessionState {
        self.0.standing()
    }

    /// Begins to watch how the session stands, for instance to show it to a person.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(peer: farref::Peer) {
    /// use farref::SessionState;
    ///
    /// let mut state = peer.watch_state();
    /// while state.changed().await != SessionState::Closed {
    ///     println!("{:?}", state.current());
    /// }
    /// # }
    /// ```
    pub fn watch_state(&self) -> StateWatch {
        self.0.watch_standing()
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
