//! The calling side: connecting, and sessions shared by proxies to one daemon.

mod builder;
mod default;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use farref_proto::FaultKind;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::builder::{Calling, ClientBuilder};
#[cfg(any(feature = "dynamic", feature = "names"))]
pub(crate) use self::default::default_client;
pub use self::default::{close, connect, lazy};
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::interceptor::Interceptors;
#[cfg(feature = "names")]
use crate::names::{NameServer, Told};
use crate::node::{Node, Published};
use crate::proxy::{self, Proxy};
use crate::random;
use crate::remote::{FarReference, Finding, Remote};
use crate::resolve::Resolution;
use crate::session::{Hold, Lifetime, Session};
use crate::signal::Sender;
use crate::sync::Mutex;
use crate::transport::Transport;
use crate::uri::{Address, Uri, UriError};
use crate::{Outcome, Peer, dialling};

/// Makes proxies, and shares sessions between those to one daemon.
///
/// Clones share everything. [`connect`](crate::connect) and [`lazy`](crate::lazy) use one that is configured from the
/// environment; a program that wants more builds its own.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let client = farref::Client::builder()
///     .timeout(Duration::from_secs(5))
///     .max_retries(2)
///     .connect_attempts(3)
///     .build();
/// # let _ = client;
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    node: Arc<Node>,
    config: Calling,
    slots: Mutex<HashMap<Address, Arc<SessionSlot>>>,
    resolution: Resolution,
    #[cfg(feature = "names")]
    told: Told,
}

/// How many places for sessions are kept before the unused ones are looked for.
const MAX_UNUSED_SLOTS: usize = 64;

/// A place for a session that proxies share. Held while one of them connects, so that the others wait for it.
#[derive(Debug, Default)]
pub(crate) struct SessionSlot(tokio::sync::Mutex<Weak<Session>>);

impl Client {
    /// Begins to configure a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client of default configuration.
    pub fn new() -> Self {
        Client::builder().build()
    }

    /// Connects to the object at this URI and makes sure that it is there.
    ///
    /// # Errors
    ///
    /// `InvalidUri`; `ConnectFailed` if nobody answers; `Refused` if the daemon does not let this client in;
    /// `NoSuchObject`; `Incompatible` if the object does not serve the interface. Whatever fails leaves nothing behind.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect<P: Proxy>(
        &self,
        uri: impl TryInto<Uri, Error: Into<UriError>>,
    ) -> Result<P> {
        let proxy: P = self.lazy(uri)?;
        proxy.ensure_connected().await?;
        Ok(proxy)
    }

    /// A proxy to the object at this URI, which connects at its first call. Does no I/O.
    ///
    /// # Errors
    ///
    /// `InvalidUri`.
    pub fn lazy<P: Proxy>(&self, uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<P> {
        let uri = uri.try_into().map_err(|error| Fault::from(error.into()))?;
        let remote = self.reference(uri, P::DESCRIPTOR.hash);
        Ok(proxy::far(remote))
    }

    pub(crate) fn reference(&self, uri: Uri, interface: u32) -> Remote {
        let found = match uri.address() {
            Some(address) => Finding::At(address.clone(), self.slot(address)),
            None => Finding::Search(Box::default()),
        };
        Remote::Far(FarReference::named(self.clone(), uri, interface, found))
    }

    /// The place for a session that all proxies to this address share.
    pub(crate) fn slot(&self, address: &Address) -> Arc<SessionSlot> {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_UNUSED_SLOTS {
            // Those that no proxy knows any more.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(address.clone()).or_default())
    }

    pub(crate) fn resolution(&self) -> &Resolution {
        &self.0.resolution
    }

    /// Where its name server is, and what beacons told.
    #[cfg(feature = "names")]
    pub(crate) fn name_server(&self) -> (&NameServer, &Told) {
        (&self.0.config.name_server, &self.0.told)
    }

    pub(crate) fn connect_attempts(&self) -> u32 {
        self.0.config.connect_attempts
    }

    /// Waits as long as between two attempts to connect.
    pub(crate) async fn wait_to_connect(&self) {
        tokio::time::sleep(jittered(self.0.config.connect_wait)).await;
    }

    /// Speaks over a pipe that the application opened itself, and returns the process at its other end. `name` stands for
    /// its address in messages.
    ///
    /// # Errors
    ///
    /// `ConnectFailed` or `Refused`, if the handshake fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the pipe.
    pub async fn from_io(
        &self,
        io: impl AsyncRead + AsyncWrite + Send + 'static,
        name: impl Into<String>,
    ) -> Result<Peer> {
        let transport = Transport::from_io(io, name.into());
        let hold = dialling::open(&self.0.node, transport, None, Lifetime::UntilClosed, None);
        let session = Arc::clone(hold.session());
        session.opened().await?;
        Ok(Peer::of(&session))
    }

    /// Publishes an object under a name, which daemons may ask for on any session of this client.
    ///
    /// # Errors
    ///
    /// `Misuse`, if the name is taken or unfit.
    pub fn publish<P: Proxy>(&self, name: &str, proxy: &P) -> Result<()> {
        let published = Published::Object(proxy::to_export(proxy));
        self.0.node.publish(name, published)
    }

    /// Takes a published name back. References to the object live on. Returns whether the name was there.
    pub fn unpublish(&self, name: &str) -> bool {
        self.0.node.unpublish(name).is_some()
    }

    /// Who the client's [life-cycle signals](crate::life) are sent by, if it has any.
    pub fn sender(&self) -> Option<&Sender> {
        self.0.node.life.as_ref().map(|life| life.sender())
    }

    /// The processes that this client has sessions with.
    pub fn peers(&self) -> Vec<Peer> {
        self.0.node.sessions().iter().map(Peer::of).collect()
    }

    /// Waits until all daemons that this client has sessions with have seen what was sent and given back so far, and have
    /// dropped what they kept for it.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded`, if the call that is being served has one that passes meanwhile.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn flush(&self) -> Result<()> {
        for session in self.0.node.sessions() {
            session.flush().await?;
        }
        Ok(())
    }

    /// Ends all sessions of this client, once what was queued is written. Proxies connect again at their next use.
    ///
    /// # Cancel safety
    ///
    /// The sessions end also if the future is dropped.
    pub async fn close(&self) {
        // Those that ended just before, too: a process that exits now would take their goodbyes along.
        let sessions = self.0.node.unwritten_sessions();
        for session in &sessions {
            session.close("closed by the client");
        }
        for session in &sessions {
            session.flushed().await;
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.0.node.codec
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.0.node.timeout
    }

    pub(crate) fn max_retries(&self) -> u32 {
        self.0.config.max_retries
    }

    pub(crate) fn attempt_timeout(&self) -> Option<Duration> {
        self.0.config.attempt_timeout
    }

    pub(crate) fn is_intercepting(&self) -> bool {
        !self.0.node.outgoing.is_empty()
    }

    pub(crate) fn interceptors(&self) -> Interceptors {
        self.0.node.outgoing.clone()
    }

    /// The session of this slot, connected if need be, in so many attempts. The handshake may still be under way: frames
    /// wait for it.
    pub(crate) async fn session(
        &self,
        address: &Address,
        slot: &SessionSlot,
        attempts: u32,
    ) -> Result<Hold> {
        let mut place = slot.0.lock().await;
        if let Some(hold) = place.upgrade().and_then(|session| session.hold()) {
            return Ok(hold);
        }
        let mut attempt = 1;
        loop {
            match dialling::connect(&self.0.node, address).await {
                Ok(transport) => {
                    let address = Some(address.clone());
                    let hold =
                        dialling::open(&self.0.node, transport, address, Lifetime::WhileUsed, None);
                    *place = Arc::downgrade(hold.session());
                    return Ok(hold);
                }
                Err(fault) if attempt >= attempts => return Err(fault),
                Err(fault) => {
                    tracing::debug!(%address, attempt, %fault, "connecting failed and is tried again");
                    attempt += 1;
                    self.wait_to_connect().await;
                }
            }
        }
    }
}

/// A duration, give or take a quarter, so that many clients do not come back at one moment.
pub(crate) fn jittered(wait: Duration) -> Duration {
    let random = u32::from(u16::from_le_bytes(random::bytes()));
    wait.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u16::MAX))
}

impl Default for Client {
    fn default() -> Self {
        Client::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("node", &self.0.node)
            .finish_non_exhaustive()
    }
}

/// An error for what the environment says.
pub(crate) fn misuse(message: String) -> Fault {
    Fault::new(FaultKind::Misuse, Outcome::NotStarted, message)
}
