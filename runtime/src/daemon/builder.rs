//! Saying how a daemon behaves, and starting it.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref_proto::{FaultKind, Limits};
use tokio::sync::{Semaphore, watch};

use super::{Daemon, DaemonHandle, Inner, WeakDaemon};
use crate::Outcome;
use crate::codec::{Budget, CodecSet};
use crate::daemon_object::{DaemonObjectProxy, Host};
use crate::error::{Fault, Result};
use crate::handoff::HandOff;
use crate::interceptor::Interceptor;
use crate::life::{self, Happening, LifeCycle};
use crate::node::{Node, NodeConfig};
use crate::peer::Peer;
use crate::permission::{Permission, Policy};
use crate::proxy;
use crate::publishing::MAX_PUBLISHED;
use crate::transport::listener::Listener;
use crate::uri::{Address, Uri, UriError};

/// Says how a [`Daemon`] behaves.
#[must_use = "a builder does nothing until `bind` is called"]
pub struct DaemonBuilder {
    pub(crate) node: NodeConfig,
    listen: Vec<Result<Uri>>,
    advertise: Option<(String, Option<u16>)>,
    token: Option<Vec<u8>>,
    insecure_public: bool,
    max_connections: usize,
    max_handshakes: usize,
    drain_timeout: Duration,
    policy: Policy,
    max_published: u32,
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
            policy: Policy::default(),
            max_published: MAX_PUBLISHED,
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

    /// How long sessions outlive a lost connection, if the client keeps them for as long: calls, callbacks and references
    /// go on when it connects again. The default is 30 s; with zero, a lost connection is a lost session.
    pub fn linger(mut self, time: Duration) -> Self {
        self.node.limits.linger = time;
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

    /// Whether references to objects of third processes lead there directly. A daemon that dials for that proves its own
    /// [`token`](DaemonBuilder::token), if it has one.
    pub fn hand_off(mut self, hand_off: HandOff) -> Self {
        self.node.hand_off = hand_off;
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
        self.policy = Policy::new(grants);
        self
    }

    /// How many names one session may give to objects here, if the policy [grants](DaemonBuilder::grant) it
    /// [`Permission::Publish`]; the default is 256. One more is refused.
    pub fn max_published(mut self, names: u32) -> Self {
        self.max_published = names;
        self
    }

    /// Tells what happens to the daemon and its sessions by these signals.
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
        for uri in self.listen {
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
            if is_public && self.token.is_none() && !self.insecure_public {
                return Err(public_without_token(&uri));
            }
            let address = listener.address(asked).map_err(|error| cannot(&error))?;
            uris.push(advertised(address, self.advertise.as_ref())?);
            listeners.push(listener);
        }
        let daemon = DaemonHandle(Arc::new(Inner {
            node: Node::new(NodeConfig {
                token: self.token.clone(),
                ..self.node
            }),
            uris,
            token: self.token,
            drain_timeout: self.drain_timeout,
            connections: Arc::new(Semaphore::new(self.max_connections)),
            handshakes: Arc::new(Semaphore::new(self.max_handshakes)),
            listeners: Mutex::default(),
            stopped: watch::Sender::new(false),
            is_ending: AtomicBool::new(false),
        }));
        let weak = WeakDaemon(Arc::downgrade(&daemon.0));
        let host = Host::new(
            Arc::downgrade(&daemon.0.node),
            weak,
            self.policy,
            self.max_published,
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

impl fmt::Debug for DaemonBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DaemonBuilder")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}
