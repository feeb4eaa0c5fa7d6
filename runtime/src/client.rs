//! The calling side: configuration, connecting, sessions shared by proxies to one daemon.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use farref_proto::{FaultKind, Limits};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::codec::{Budget, Codec, CodecSet};
use crate::error::{Fault, Result};
use crate::handoff::HandOff;
use crate::interceptor::{Interceptor, Interceptors};
use crate::life::{self, LifeCycle};
#[cfg(feature = "names")]
use crate::names::{AskNameServer, NameServer, Told};
use crate::node::{Node, NodeConfig, Published};
use crate::proxy::{self, Proxy};
use crate::random;
use crate::remote::{FarReference, Finding, Remote};
#[cfg(not(feature = "names"))]
use crate::resolve::NoResolver;
use crate::resolve::{Choice, Resolution, Resolver};
use crate::session::{Hold, Lifetime, Session};
use crate::signal::Sender;
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
    config: ClientBuilder,
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

/// Says how a [`Client`] behaves.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    pub(crate) node: NodeConfig,
    token: Option<Vec<u8>>,
    connect_timeout: Duration,
    connect_attempts: u32,
    connect_wait: Duration,
    max_retries: u32,
    attempt_timeout: Option<Duration>,
    resolver: Option<Arc<dyn Resolver>>,
    choice: Choice,
    #[cfg(feature = "names")]
    name_server: NameServer,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            node: NodeConfig::default(),
            token: None,
            connect_timeout: Duration::from_secs(10),
            connect_attempts: 1,
            connect_wait: Duration::from_millis(500),
            max_retries: 0,
            attempt_timeout: None,
            resolver: None,
            choice: Choice::default(),
            #[cfg(feature = "names")]
            name_server: NameServer::Unsaid,
        }
    }
}

impl ClientBuilder {
    /// Proves to daemons that this client holds their shared secret. Costs a round trip more per session.
    pub fn token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.token = Some(token.as_ref().to_vec());
        self
    }

    /// How long connecting may take, until the transport is connected; the default is 10 s. The handshake has a limit of
    /// its own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How often connecting is tried; the default is once.
    pub fn connect_attempts(mut self, attempts: u32) -> Self {
        self.connect_attempts = attempts.max(1);
        self
    }

    /// How long to wait between two attempts to connect, give or take a quarter; the default is 500 ms.
    pub fn connect_wait(mut self, wait: Duration) -> Self {
        self.connect_wait = wait;
        self
    }

    /// How long each call may take unless it says otherwise; the default, and zero, is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.node.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        self
    }

    /// How long a stream that this process produces may last, from its first item on; the default, and zero, is no limit.
    /// It ends with `DeadlineExceeded` then.
    pub fn stream_lifetime(mut self, lifetime: Duration) -> Self {
        self.node.stream_lifetime = Some(lifetime).filter(|lifetime| !lifetime.is_zero());
        self
    }

    /// How long a stream that this process produces outlives a lost connection, if its session does; the default is 30 s.
    /// Beyond that its producer is dropped, and its consumer learns, when it is there again, that the stream has ended with
    /// `SessionLost`. With zero, streams end with their connection.
    pub fn stream_linger(mut self, time: Duration) -> Self {
        self.node.stream_linger = time;
        self
    }

    /// How often a call of an `#[idempotent]` method is made again when its session was lost; the default is never.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// How long one attempt of a call that may be made again may take, until it is cancelled and made again; the default is
    /// as long as the whole call. See [`Proxy::with_attempt_timeout`](crate::Proxy::with_attempt_timeout).
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Who knows where `farname:` and `farmeta:` URIs lead; the default, with the feature `names`, is a name server.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Which of several objects of one name, or of the same tags, to connect to; the default is any.
    pub fn choice(mut self, choice: Choice) -> Self {
        self.choice = choice;
        self
    }

    /// The name server that `farname:` and `farmeta:` URIs lead through unless they say another; see
    /// [`names`](mod@crate::names) for the default.
    ///
    /// # Errors
    ///
    /// `InvalidUri`, if the URI does not say where the name server is.
    #[cfg(feature = "names")]
    pub fn name_server(mut self, uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<Self> {
        let uri = uri.try_into().map_err(|error| Fault::from(error.into()))?;
        self.name_server = NameServer::At(uri.as_directory()?);
        Ok(self)
    }

    /// Finds the name server by the beacon that is answered at this address, which may be that of a broadcast.
    #[cfg(feature = "names")]
    pub fn name_server_beacon(mut self, address: std::net::SocketAddr) -> Self {
        self.name_server = NameServer::Beacon(address);
        self
    }

    #[cfg(feature = "names")]
    pub(crate) fn name_server_at(mut self, server: NameServer) -> Self {
        self.name_server = server;
        self
    }

    /// How calls are encoded; the default is postcard.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.node.codec = codec;
        self
    }

    /// What is accepted from daemons that call back; the default is all that this build has.
    pub fn accept_codecs(mut self, codecs: CodecSet) -> Self {
        self.node.codecs = codecs;
        self
    }

    /// What daemons are granted, and what is taken from them.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.node.limits = limits;
        self
    }

    /// What decoding one message may cost.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.node.budget = budget;
        self
    }

    /// How long sessions of this client outlive a lost connection, if the daemon keeps them for as long: calls, callbacks
    /// and references go on when it is there again. The default is 30 s; with zero, a lost connection is a lost session.
    pub fn linger(mut self, time: Duration) -> Self {
        self.node.limits.linger = time;
        self
    }

    /// Is told of each session that has ended though this client did not end it: the daemon shut down or started anew, or
    /// the network was away for longer than [`linger`](ClientBuilder::linger). Callbacks that the daemon held are forgotten
    /// there; proxies to named objects find them again at their next call, so this is the place to subscribe anew.
    ///
    /// It runs in a task of its own. A panic ends that task alone.
    ///
    /// # Examples
    ///
    /// ```
    /// let (lost, mut losses) = tokio::sync::mpsc::unbounded_channel();
    /// let client = farref::Client::builder()
    ///     .on_session_lost(move |peer, fault| {
    ///         let _ = lost.send((peer, fault));
    ///     })
    ///     .build();
    /// # let _ = (client, &mut losses);
    /// ```
    pub fn on_session_lost(mut self, hook: impl Fn(Peer, Fault) + Send + Sync + 'static) -> Self {
        self.node.on_session_lost = Some(Arc::new(hook));
        self
    }

    /// Whether references to objects of third processes lead there directly.
    pub fn hand_off(mut self, hand_off: HandOff) -> Self {
        self.node.hand_off = hand_off;
        self
    }

    /// What this process calls itself; the default is the program's file name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.node.name = name.into();
        self
    }

    /// Sees every call that goes out.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.node.outgoing.push(Arc::new(interceptor));
        self
    }

    /// Sees every call that daemons make back.
    pub fn callback_interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.node.incoming.push(Arc::new(interceptor));
        self
    }

    /// Takes what the environment says over what was said before: `FARREF_TOKEN`, `FARREF_TIMEOUT` and
    /// `FARREF_CONNECT_TIMEOUT` (seconds), `FARREF_CODEC`, `FARREF_ACCEPT_CODECS` (names with commas between),
    /// `FARREF_MAX_RETRIES`, `FARREF_ATTEMPT_TIMEOUT`, `FARREF_CONNECT_ATTEMPTS`, `FARREF_NAME`, `FARREF_CHOICE` (`random`, `round-robin` or
    /// `least-loaded`) and, with the feature `names`, `FARREF_NAME_SERVER` (`host`, `host:port`, a URI, or
    /// `beacon:ADDRESS:PORT`).
    ///
    /// # Errors
    ///
    /// `Misuse`, naming the variable, if one has a value that means nothing.
    pub fn from_env(self) -> Result<Self> {
        crate::environment::client(self)
    }

    /// Tells what happens to the client's sessions by these signals.
    pub fn life_cycle(mut self, signals: &Arc<LifeCycle>) -> Self {
        self.node.life = Some(life::teller(signals));
        self
    }

    /// Puts it into the network of a test.
    #[cfg(feature = "testing")]
    pub(crate) fn at(mut self, place: crate::testing::Place) -> Self {
        self.node.place = Some(place);
        self
    }

    /// Makes the client. Does no I/O.
    pub fn build(self) -> Client {
        let node = Node::new(NodeConfig {
            token: self.token.clone(),
            connect_timeout: self.connect_timeout,
            ..self.node.clone()
        });
        #[cfg(feature = "names")]
        let asking = || Arc::new(AskNameServer) as Arc<dyn Resolver>;
        #[cfg(not(feature = "names"))]
        let asking = || Arc::new(NoResolver) as Arc<dyn Resolver>;
        let resolver = self.resolver.clone().unwrap_or_else(asking);
        Client(Arc::new(Inner {
            node,
            resolution: Resolution::new(resolver, self.choice),
            config: self,
            slots: Mutex::default(),
            #[cfg(feature = "names")]
            told: Told::default(),
        }))
    }
}

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

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("connect_attempts", &self.connect_attempts)
            .finish_non_exhaustive()
    }
}

/// The client of [`connect`] and [`lazy`].
pub(crate) fn default_client() -> Result<Client> {
    static DEFAULT: std::sync::OnceLock<Result<Client>> = std::sync::OnceLock::new();
    DEFAULT
        .get_or_init(|| Client::builder().from_env().map(ClientBuilder::build))
        .clone()
}

/// Connects to the object at this URI and makes sure that it is there.
///
/// Proxies to one daemon share a session. The client behind this is configured from the environment, see
/// [`ClientBuilder::from_env`].
///
/// # Errors
///
/// As [`Client::connect`]; and `Misuse`, if the environment holds a value that means nothing.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn connect<P: Proxy>(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<P> {
    default_client()?.connect(uri).await
}

/// A proxy to the object at this URI, which connects at its first call. Does no I/O.
///
/// # Errors
///
/// As [`Client::lazy`]; and `Misuse`, if the environment holds a value that means nothing.
pub fn lazy<P: Proxy>(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<P> {
    default_client()?.lazy(uri)
}

/// Ends all sessions of [`connect`] and [`lazy`], once what was queued is written: for a program that is about to exit and
/// wants its daemons to know at once what they need not keep for it any more.
///
/// # Cancel safety
///
/// The sessions end also if the future is dropped.
pub async fn close() {
    if let Ok(client) = default_client() {
        client.close().await;
    }
}

/// An error for what the environment says.
pub(crate) fn misuse(message: String) -> Fault {
    Fault::new(FaultKind::Misuse, Outcome::NotStarted, message)
}
