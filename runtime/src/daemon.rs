//! The serving side: listens, hosts named objects, ends in good order.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use farref_proto::{
    Connection, FaultKind, Limits, Nonce, Refusal, RefusalCode, ServerConfig, Time, Token,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::codec::{Budget, CodecSet};
use crate::daemon_object::{DaemonObjectProxy, Host};
use crate::error::{Fault, Result};
use crate::interceptor::Interceptor;
use crate::node::{Node, NodeConfig};
use crate::proxy::{self, Proxy};
use crate::random;
use crate::session::{Lifetime, Session};
use crate::transport::Transport;
use crate::transport::listener::Listener;
use crate::uri::{Address, Uri, UriError};
use crate::{Identity, Outcome, Peer};

/// How many connections one listener refuses at once with a reason.
const MAX_REFUSALS: usize = 64;

/// Listens for other processes and hosts the objects that they call.
///
/// Dropping it shuts it down at once, as [`Shutdown::Abort`] does; [`detach`](Daemon::detach) lets it go on. What can be
/// done with it is on [`DaemonHandle`], which it dereferences to.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
///
/// #[expose]
/// pub trait Adder {
///     fn add(&self, a: u32, b: u32) -> u32;
/// }
///
/// struct Calculator;
/// impl Adder for Calculator {
///     fn add(&self, a: u32, b: u32) -> u32 {
///         a + b
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// let uri = daemon.register("adder", AdderProxy::new(Calculator))?;
///
/// let adder: AdderProxy = farref::connect(&uri).await?;
/// assert_eq!(adder.add(2, 3).await?, 5);
/// daemon.shutdown(Shutdown::default()).await;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a daemon shuts it down"]
pub struct Daemon {
    handle: DaemonHandle,
    /// Whether dropping this leaves the daemon running.
    detached: bool,
}

/// A hold on a [`Daemon`] that does not decide how long it lives.
#[derive(Clone)]
pub struct DaemonHandle(Arc<Inner>);

struct Inner {
    node: Arc<Node>,
    uris: Vec<Uri>,
    token: Option<Vec<u8>>,
    drain_timeout: Duration,
    /// One permit for each connection that may be open.
    connections: Arc<Semaphore>,
    /// One permit for each connection that may be in its handshake.
    handshakes: Arc<Semaphore>,
    listeners: Mutex<Vec<JoinHandle<()>>>,
    stopped: watch::Sender<bool>,
}

/// How a daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Accepts no more connections and no more calls, lets those that are being served end for this long, and then says
    /// goodbye.
    Drain(Duration),
    /// Ends all sessions at once; calls under way are cancelled.
    Abort,
}

impl Default for Shutdown {
    /// Drains for at most 30 s.
    fn default() -> Self {
        Shutdown::Drain(Duration::from_secs(30))
    }
}

/// Says how a [`Daemon`] behaves.
#[must_use = "a builder does nothing until `bind` is called"]
pub struct DaemonBuilder {
    node: NodeConfig,
    listen: Vec<Result<Uri>>,
    advertise: Option<(String, Option<u16>)>,
    token: Option<Vec<u8>>,
    insecure_public: bool,
    max_connections: usize,
    max_handshakes: usize,
    drain_timeout: Duration,
}

impl Default for DaemonBuilder {
    fn default() -> Self {
        DaemonBuilder {
            node: NodeConfig::default(),
            listen: Vec::new(),
            advertise: None,
            token: None,
            insecure_public: false,
            max_connections: 1024,
            max_handshakes: 256,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl DaemonBuilder {
    /// Listens here, too. Port 0 lets the system choose one.
    pub fn listen(mut self, uri: impl TryInto<Uri, Error: Into<UriError>>) -> Self {
        self.listen
            .push(uri.try_into().map_err(|error| Fault::from(error.into())));
        self
    }

    /// The host, and maybe the port, that URIs of registered objects name instead of those that the daemon is bound to:
    /// where it is reached from outside through address translation.
    pub fn advertise(mut self, host: impl Into<String>, port: Option<u16>) -> Self {
        self.advertise = Some((host.into(), port));
        self
    }

    /// Lets only those in who prove that they hold this shared secret. It never travels.
    pub fn token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.token = Some(token.as_ref().to_vec());
        self
    }

    /// Allows listening on an address that other machines reach, though anybody may then call. Without this, such an
    /// address needs a [`token`](DaemonBuilder::token).
    pub fn insecure_public(mut self, allowed: bool) -> Self {
        self.insecure_public = allowed;
        self
    }

    /// What peers are granted, and what is taken from them.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.node.limits = limits;
        self
    }

    /// How many connections may be open at once; the default is 1024. One more is refused.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.min(Semaphore::MAX_PERMITS);
        self
    }

    /// How many connections may be in their handshake at once; the default is 256. One more is refused.
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.max_handshakes = handshakes.min(Semaphore::MAX_PERMITS);
        self
    }

    /// What decoding one message may cost.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.node.budget = budget;
        self
    }

    /// The codecs that calls may come in; the default is all that this build has.
    pub fn accept_codecs(mut self, codecs: CodecSet) -> Self {
        self.node.codecs = codecs;
        self
    }

    /// How this process encodes the calls that it makes to its peers' objects; the default is postcard.
    pub fn codec(mut self, codec: crate::Codec) -> Self {
        self.node.codec = codec;
        self
    }

    /// What this daemon calls itself; the default is the program's file name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.node.name = name.into();
        self
    }

    /// Tells callers what a handler said when it panicked; off by default, since strangers should not know.
    pub fn backtraces(mut self, shown: bool) -> Self {
        self.node.backtraces = shown;
        self
    }

    /// Sees every call that comes in.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.node.incoming.push(Arc::new(interceptor));
        self
    }

    /// Sees every call that this process makes to its peers' objects.
    pub fn callback_interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.node.outgoing.push(Arc::new(interceptor));
        self
    }

    /// How long [`run_until`](Daemon::run_until) lets calls under way end; the default is 30 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Starts the daemon. Without a place to listen it serves only what [`serve_io`](DaemonHandle::serve_io) gives it.
    ///
    /// # Errors
    ///
    /// `InvalidUri`; `Misuse`, if an address is public and there is no token; `ConnectFailed`, if an address cannot be
    /// bound. Whatever fails leaves nothing behind.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn bind(self) -> Result<Daemon> {
        let mut listeners = Vec::new();
        let mut uris = Vec::new();
        for uri in self.listen {
            let uri = uri?;
            let cannot = |error: &std::io::Error| {
                Fault::not_started(
                    FaultKind::ConnectFailed,
                    format!("cannot listen at {uri}: {error}"),
                )
                .with_cause(error)
            };
            let listener = Listener::bind(uri.address())
                .await
                .map_err(|error| cannot(&error))?;
            let is_public = listener
                .socket_address()
                .is_some_and(|address| !address.ip().is_loopback());
            if is_public && self.token.is_none() && !self.insecure_public {
                return Err(public_without_token(&uri));
            }
            let address = listener
                .address(uri.address())
                .map_err(|error| cannot(&error))?;
            uris.push(advertised(address, self.advertise.as_ref())?);
            listeners.push(listener);
        }
        let daemon = DaemonHandle(Arc::new(Inner {
            node: Node::new(self.node),
            uris,
            token: self.token,
            drain_timeout: self.drain_timeout,
            connections: Arc::new(Semaphore::new(self.max_connections)),
            handshakes: Arc::new(Semaphore::new(self.max_handshakes)),
            listeners: Mutex::default(),
            stopped: watch::Sender::new(false),
        }));
        let host = DaemonObjectProxy::new(Host::new(Arc::downgrade(&daemon.0.node)));
        daemon.0.node.set_daemon(proxy::to_export(&host));
        for listener in listeners {
            daemon.listen(listener);
        }
        Ok(Daemon {
            handle: daemon,
            detached: false,
        })
    }
}

fn advertised(address: Address, advertise: Option<&(String, Option<u16>)>) -> Result<Uri> {
    let address = match (address, advertise) {
        (Address::Tcp { port, .. }, Some((host, advertised))) => Address::Tcp {
            host: host.clone(),
            port: advertised.unwrap_or(port),
        },
        (address, _) => address,
    };
    Ok(Uri::new(address)?)
}

fn public_without_token(uri: &Uri) -> Fault {
    Fault::new(
        FaultKind::Misuse,
        Outcome::NotStarted,
        format!(
            "{uri} can be reached from other machines, and anybody there could call: set a token with \
             `Daemon::builder().token(..)`, listen on 127.0.0.1, or allow it with `insecure_public(true)`"
        ),
    )
}

impl Daemon {
    /// Starts a daemon that listens at one address.
    ///
    /// # Errors
    ///
    /// As [`DaemonBuilder::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn bind(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<Daemon> {
        Daemon::builder().listen(uri).bind().await
    }

    /// Begins to configure a daemon.
    pub fn builder() -> DaemonBuilder {
        DaemonBuilder::default()
    }

    /// Serves until `until` ends, then drains and shuts down.
    ///
    /// # Errors
    ///
    /// None so far; the result leaves room for what may go wrong on the way.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the daemon, which shuts it down at once.
    pub async fn run_until(self, until: impl Future) -> Result<()> {
        until.await;
        let drain = Shutdown::Drain(self.handle.0.drain_timeout);
        self.shutdown(drain).await;
        Ok(())
    }

    /// Serves until something else shuts it down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the daemon, which shuts it down at once.
    pub async fn serve(self) {
        self.handle.stopped().await;
    }

    /// Lets the daemon go on without an owner, until it is shut down through the handle or the runtime ends.
    pub fn detach(mut self) -> DaemonHandle {
        self.detached = true;
        self.handle.clone()
    }
}

impl Deref for Daemon {
    type Target = DaemonHandle;

    fn deref(&self) -> &DaemonHandle {
        &self.handle
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.detached {
            self.handle.abort();
        }
    }
}

impl DaemonHandle {
    /// What the daemon calls itself.
    pub fn name(&self) -> &str {
        &self.0.node.name
    }

    /// Where it listens, as others should address it.
    pub fn uris(&self) -> &[Uri] {
        &self.0.uris
    }

    /// Gives the object behind `proxy` a name, and returns the URI at which others find it: that of the first listener.
    /// A daemon that listens nowhere returns one that cannot be dialled; peers on pipes ask for the name.
    ///
    /// A daemon registers proxies, so it serves objects of its own and forwards to objects elsewhere.
    ///
    /// # Errors
    ///
    /// `Misuse`, if the name is taken, empty or too long.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a caller gives its object away and need not keep a proxy"
    )]
    pub fn register<P: Proxy>(&self, name: &str, proxy: P) -> Result<Uri> {
        self.0.node.publish(name, proxy::to_export(&proxy))?;
        match self.0.uris.first() {
            Some(uri) => Ok(uri.with_object(name)),
            // Nobody can dial a daemon that listens nowhere; peers on pipes ask for the name.
            None => Ok(Uri::new(Address::Memory("nowhere".to_owned()))?.with_object(name)),
        }
    }

    /// Takes a name away. References that are held live on. Returns whether the name was there.
    pub fn unregister(&self, name: &str) -> bool {
        self.0.node.unpublish(name).is_some()
    }

    /// Takes all names of an object away and ends all references to it, whose holders get `StaleReference`.
    pub fn revoke<P: Proxy>(&self, proxy: &P) {
        let Some(identity) = proxy::to_remote(proxy).identity() else {
            return;
        };
        self.0.node.unpublish_object(identity);
        for session in self.0.node.sessions() {
            session.revoke(identity);
        }
    }

    /// The names of the objects, and the wire names of the interfaces under which they are served.
    pub fn registered(&self) -> BTreeMap<String, String> {
        self.0.node.names()
    }

    /// The processes that have sessions here.
    pub fn peers(&self) -> Vec<Peer> {
        self.0.node.sessions().iter().map(Peer::of).collect()
    }

    /// How many oneway calls failed here.
    pub fn failed_oneways(&self) -> u64 {
        self.0.node.failed_oneways()
    }

    /// Serves a process at the other end of a pipe that the application opened itself. `name` stands for its address in
    /// messages.
    ///
    /// # Errors
    ///
    /// `ConnectFailed` or `Refused`, if the handshake fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the pipe.
    pub async fn serve_io(
        &self,
        io: impl AsyncRead + AsyncWrite + Send + 'static,
        name: impl Into<String>,
    ) -> Result<Peer> {
        let session = self.open(Transport::from_io(io, name.into()), false, None);
        session.opened().await?;
        Ok(Peer::of(&session))
    }

    /// Shuts the daemon down as `how` says, and waits until all sessions have ended. Its objects have no names then.
    /// Doing it twice is doing it once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the daemon without listeners, and its sessions as they are.
    pub async fn shutdown(&self, how: Shutdown) {
        for listener in self.stop_listening() {
            // Its address is free when its task has ended.
            let _ = listener.await;
        }
        match how {
            Shutdown::Abort => self.abort(),
            Shutdown::Drain(limit) => {
                let sessions = self.0.node.sessions();
                for session in &sessions {
                    session.drain();
                }
                let served = async {
                    for session in &sessions {
                        session.served().await;
                    }
                };
                if tokio::time::timeout(limit, served).await.is_err() {
                    tracing::warn!(
                        ?limit,
                        "calls were still being served when the time for draining was over"
                    );
                }
                for session in self.0.node.sessions() {
                    session.close("the daemon shut down");
                }
                for session in sessions {
                    session.flushed().await;
                }
            }
        }
        self.0.node.unpublish_all();
        self.0.stopped.send_replace(true);
    }

    /// Waits until the daemon was shut down.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn stopped(&self) {
        let mut stopped = self.0.stopped.subscribe();
        // The daemon itself holds the sender.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    fn abort(&self) {
        self.stop_listening();
        for session in self.0.node.sessions() {
            session.abort();
        }
        self.0.node.unpublish_all();
        self.0.stopped.send_replace(true);
    }

    fn stop_listening(&self) -> Vec<JoinHandle<()>> {
        let listeners = std::mem::take(&mut *self.listeners());
        for listener in &listeners {
            listener.abort();
        }
        listeners
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, mut listener: Listener) {
        // A detached daemon lives as long as this task; the owner of another ends it.
        let daemon = self.clone();
        let connections = Arc::clone(&self.0.connections);
        let handshakes = Arc::clone(&self.0.handshakes);
        let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
        let task = tokio::spawn(async move {
            loop {
                let transport = listener.accept().await;
                let connection = Arc::clone(&connections).try_acquire_owned();
                let handshake = Arc::clone(&handshakes).try_acquire_owned();
                match (connection, handshake) {
                    (Ok(connection), Ok(handshake)) => {
                        let session = daemon.open(transport, false, Some(connection));
                        tokio::spawn(async move {
                            // An error ends the session, too, and its own task reports it.
                            let _ = session.established().await;
                            drop(handshake);
                        });
                    }
                    _ => {
                        tracing::warn!(peer = %transport.peer, "a connection is refused: there are as many as allowed");
                        // Saying so takes a while; in a flood the rest are closed without a word.
                        if let Ok(refusal) = Arc::clone(&refusals).try_acquire_owned() {
                            daemon.open(transport, true, Some(refusal));
                        }
                    }
                }
            }
        });
        self.listeners().push(task);
    }

    /// Opens a session, or one that is refused for being `busy`. It takes up `place` until its transport is closed.
    fn open(
        &self,
        transport: Transport,
        busy: bool,
        place: Option<OwnedSemaphorePermit>,
    ) -> Arc<Session> {
        let node = Arc::clone(&self.0.node);
        let mut config =
            ServerConfig::new(random::instance_id(), Nonce::from_bytes(random::bytes()));
        config.limits = node.limits.clone();
        // Those that it accepts and that of its own calls, which may differ; each call that comes is looked at.
        config.codecs = node.codecs.bits() | CodecSet::from(node.codec).bits();
        config.name.clone_from(&node.name);
        config.token = self.0.token.clone().map(Token::new);
        config.refusal = busy.then(|| {
            Refusal::new(
                RefusalCode::Busy,
                "there are as many connections as allowed",
            )
        });
        let identity = if config.token.is_some() {
            Identity::Token
        } else {
            Identity::Anonymous
        };
        let connection = Connection::server(config, Time::ZERO);
        let session = Session::new(
            node,
            Lifetime::UntilClosed,
            transport.peer.clone(),
            identity,
            connection,
        );
        self.0.node.add_session(&session);
        session.drive(transport, place);
        session
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Daemon").field(&self.handle.0.uris).finish()
    }
}

impl fmt::Debug for DaemonHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DaemonHandle").field(&self.0.uris).finish()
    }
}

impl fmt::Debug for DaemonBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DaemonBuilder")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}
