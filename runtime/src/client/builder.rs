//! Saying how a client behaves, and making it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Client, Inner};
use crate::Peer;
use crate::builder::Builder;
use crate::error::{Fault, Result};
use crate::interceptor::Interceptor;
#[cfg(feature = "names")]
use crate::names::{AskNameServer, NameServer, Told};
use crate::node::Node;
#[cfg(not(feature = "names"))]
use crate::resolve::NoResolver;
use crate::resolve::{Choice, Resolution, Resolver};
use crate::sync::Mutex;
#[cfg(feature = "names")]
use crate::uri::{Uri, UriError};

/// Says how a [`Client`] behaves.
pub type ClientBuilder = Builder<Calling>;

/// What a [`ClientBuilder`] is told of clients alone.
#[derive(Clone)]
pub struct Calling {
    pub(super) connect_attempts: u32,
    pub(super) connect_wait: Duration,
    pub(super) max_retries: u32,
    pub(super) attempt_timeout: Option<Duration>,
    resolver: Option<Arc<dyn Resolver>>,
    choice: Choice,
    #[cfg(feature = "names")]
    pub(super) name_server: NameServer,
}

impl Default for Calling {
    fn default() -> Self {
        Calling {
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

impl Builder<Calling> {
    /// Proves to daemons that this client holds their shared secret. Costs a round trip more per session.
    pub fn token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.node.token = Some(token.as_ref().to_vec());
        self
    }

    /// How long connecting may take, until the transport is connected; the default is 10 s. The handshake has a limit of
    /// its own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.node.connect_timeout = timeout;
        self
    }

    /// How often connecting is tried; the default is once.
    pub fn connect_attempts(mut self, attempts: u32) -> Self {
        self.role.connect_attempts = attempts.max(1);
        self
    }

    /// How long to wait between two attempts to connect, give or take a quarter; the default is 500 ms.
    pub fn connect_wait(mut self, wait: Duration) -> Self {
        self.role.connect_wait = wait;
        self
    }

    /// How long each call may take unless it says otherwise; the default, and zero, is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.node.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        self
    }

    /// How often a call of an `#[idempotent]` method is made again when its session was lost; the default is never.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.role.max_retries = retries;
        self
    }

    /// How long one attempt of a call that may be made again may take, until it is cancelled and made again; the default is
    /// as long as the whole call. See [`Proxy::with_attempt_timeout`](crate::Proxy::with_attempt_timeout).
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.role.attempt_timeout = Some(timeout);
        self
    }

    /// Who knows where `farname:` and `farmeta:` URIs lead; the default, with the feature `names`, is a name server.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.role.resolver = Some(Arc::new(resolver));
        self
    }

    /// Which of several objects of one name, or of the same tags, to connect to; the default is any.
    pub fn choice(mut self, choice: Choice) -> Self {
        self.role.choice = choice;
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
        self.role.name_server = NameServer::At(uri.as_directory()?);
        Ok(self)
    }

    /// Finds the name server by the beacon that is answered at this address, which may be that of a broadcast.
    #[cfg(feature = "names")]
    pub fn name_server_beacon(mut self, address: std::net::SocketAddr) -> Self {
        self.role.name_server = NameServer::Beacon(address);
        self
    }

    #[cfg(feature = "names")]
    pub(crate) fn name_server_at(mut self, server: NameServer) -> Self {
        self.role.name_server = server;
        self
    }

    /// Is told of each session that has ended though this client did not end it: the daemon shut down or started anew, or
    /// the network was away for longer than [`linger`](Builder::linger). Callbacks that the daemon held are forgotten
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

    /// Makes the client. Does no I/O.
    pub fn build(self) -> Client {
        #[cfg(feature = "names")]
        let asking = || Arc::new(AskNameServer) as Arc<dyn Resolver>;
        #[cfg(not(feature = "names"))]
        let asking = || Arc::new(NoResolver) as Arc<dyn Resolver>;
        let resolver = self.role.resolver.clone().unwrap_or_else(asking);
        Client(Arc::new(Inner {
            node: Node::new(self.node),
            resolution: Resolution::new(resolver, self.role.choice),
            config: self.role,
            slots: Mutex::default(),
            #[cfg(feature = "names")]
            told: Told::default(),
        }))
    }
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling")
            .field("connect_attempts", &self.connect_attempts)
            .finish_non_exhaustive()
    }
}
