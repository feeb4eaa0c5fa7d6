//! Saying how a daemon behaves, and starting it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use farref_proto::FaultKind;
use tokio::sync::{Semaphore, watch};

use super::{Daemon, DaemonHandle, Inner, WeakDaemon};
use crate::Outcome;
use crate::builder::Builder;
use crate::daemon_object::{DaemonObjectProxy, Host};
use crate::error::{Fault, Result};
use crate::interceptor::Interceptor;
use crate::life::Happening;
use crate::node::Node;
use crate::peer::Peer;
use crate::permission::{Permission, Policy};
use crate::proxy;
use crate::publishing::MAX_PUBLISHED;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicBool;
use crate::transport::listener::Listener;
use crate::uri::{Address, Uri, UriError};

/// Says how a [`Daemon`] behaves.
pub type DaemonBuilder = Builder<Serving>;

/// What a [`DaemonBuilder`] is told of daemons alone.
pub struct Serving {
    listen: Vec<Result<Uri>>,
    advertise: Option<(String, Option<u16>)>,
    insecure_public: bool,
    max_connections: usize,
    max_handshakes: usize,
    drain_timeout: Duration,
    policy: Policy,
    max_published: u32,
}

impl Default for Serving {
    fn default() -> Self {
        Serving {
            listen: Vec::new(),
            advertise: None,
            insecure_public: false,
            max_connections: 1024,
            max_handshakes: 256,
            drain_timeout: Duration::from_secs(30),
            policy: Policy::default(),
            max_published: MAX_PUBLISHED,
        }
    }
}

impl Builder<Serving> {
    /// Listens here, too. Port 0 lets the system choose one.
    pub fn listen(mut self, uri: impl TryInto<Uri, Error: Into<UriError>>) -> Self {
        self.role
            .listen
            .push(uri.try_into().map_err(|error| Fault::from(error.into())));
        self
    }

    /// The host, and maybe the port, that URIs of registered objects name instead of those that the daemon is bound to:
    /// where it is reached from outside through address translation.
    pub fn advertise(mut self, host: impl Into<String>, port: Option<u16>) -> Self {
        self.role.advertise = Some((host.into(), port));
        self
    }

    /// Lets only those in who prove that they hold this shared secret. It never travels.
    pub fn token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.node.token = Some(token.as_ref().to_vec());
        self
    }

    /// Allows listening on an address that other machines reach, though anybody may then call. Without this, such an
    /// address needs a [`token`](DaemonBuilder::token).
    pub fn insecure_public(mut self, allowed: bool) -> Self {
        self.role.insecure_public = allowed;
        self
    }

    /// How many connections may be open at once; the default is 1024. One more is refused.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.role.max_connections = connections.min(Semaphore::MAX_PERMITS);
        self
    }

    /// How many connections may be in their handshake at once; the default is 256. One more is refused.
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.role.max_handshakes = handshakes.min(Semaphore::MAX_PERMITS);
        self
    }

    /// How many sessions that have lost their connections are kept for one identity at one host, and how many bytes that
    /// wait for their peers there; the default is 64 sessions and 64 MiB. Beyond that, those that hold nothing end first,
    /// then those that have waited longest.
    pub fn max_lingering(mut self, sessions: usize, bytes: u64) -> Self {
        self.node.max_lingering = sessions;
        self.node.max_lingering_bytes = bytes;
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
        self.role.drain_timeout = timeout;
        self
    }

    /// Decides what peers may do through the [daemon object](crate::daemon_object): `grants` is asked for each such call.
    /// [`Permission`] says what is granted to whom without this.
    ///
    /// # Examples
    ///
    /// ```
    /// use farref::{Daemon, Identity, Permission};
    ///
    /// // Whoever proved the token may do everything.
    /// let builder = Daemon::builder()
    ///     .token("swordfish")
    ///     .grant(|peer, _| peer.identity() == Identity::Token);
    /// # let _ = (builder, Permission::ShutDown);
    /// ```
    pub fn grant(
        mut self,
        grants: impl Fn(&Peer, Permission) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.role.policy = Policy::new(grants);
        self
    }

    /// How many names one session may give to objects here, if the policy [grants](DaemonBuilder::grant) it
    /// [`Permission::Publish`]; the default is 256. One more is refused.
    pub fn max_published(mut self, names: u32) -> Self {
        self.role.max_published = names;
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
    pub fn bind(self) -> impl Future<Output = Result<Daemon>> + Send {
        // In a box, so that it is compiled here and not in each application.
        let started: Pin<Box<dyn Future<Output = Result<Daemon>> + Send>> = Box::pin(self.start());
        started
    }

    async fn start(self) -> Result<Daemon> {
        let mut listeners = Vec::new();
        let mut uris = Vec::new();
        for uri in self.role.listen {
            let uri = uri?;
            let Some(asked) = uri.address() else {
                return Err(nowhere(&uri));
            };
            let cannot = |error: &std::io::Error| {
                Fault::not_started(
                    FaultKind::ConnectFailed,
                    format!("cannot listen at {uri}: {error}"),
                )
                .with_cause(error)
            };
            let listener = Listener::bind(asked)
                .await
                .map_err(|error| cannot(&error))?;
            let is_public = listener
                .socket_address()
                .is_some_and(|address| !address.ip().is_loopback());
            if is_public && self.node.token.is_none() && !self.role.insecure_public {
                return Err(public_without_token(&uri));
            }
            let address = listener.address(asked).map_err(|error| cannot(&error))?;
            uris.push(advertised(address, self.role.advertise.as_ref())?);
            listeners.push(listener);
        }
        let daemon = DaemonHandle(Arc::new(Inner {
            uris,
            token: self.node.token.clone(),
            node: Node::new(self.node),
            drain_timeout: self.role.drain_timeout,
            connections: Arc::new(Semaphore::new(self.role.max_connections)),
            handshakes: Arc::new(Semaphore::new(self.role.max_handshakes)),
            listeners: Mutex::default(),
            stopped: watch::Sender::new(false),
            is_ending: AtomicBool::new(false),
        }));
        let weak = WeakDaemon(Arc::downgrade(&daemon.0));
        let host = Host::new(
            Arc::downgrade(&daemon.0.node),
            weak,
            self.role.policy,
            self.role.max_published,
        );
        let host = DaemonObjectProxy::new(host);
        daemon.0.node.set_daemon(proxy::to_export(&host));
        if let Some(life) = &daemon.0.node.life {
            life.note_runtime();
        }
        for listener in listeners {
            daemon.listen(listener);
        }
        daemon.tell_life(Happening::Started).wait().await;
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

fn nowhere(uri: &Uri) -> Fault {
    Fault::not_started(
        FaultKind::Misuse,
        format!(
            "a daemon cannot listen at {uri}: give it an address, such as far://127.0.0.1:0, and register the name at the \
             name server"
        ),
    )
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

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}
