//! What a client and a daemon have in common: the names that peers may ask for, and how sessions behave.

mod ends;
mod lingering;
mod names;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::Duration;

use farref_proto::{InstanceId, Limits, SessionId, features};
use tokio::runtime::Handle;

use crate::codec::{Budget, Codec, CodecSet};
use crate::error::Fault;
use crate::handoff::HandOff;
use crate::interceptor::{Interceptor, Interceptors};
use crate::life::Tells;
use crate::object::Export;
use crate::peer::Peer;
use crate::reaping::{Reaper, Reaping};
use crate::session::Session;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::task;

use self::ends::Ends;
use self::names::Names;
pub(crate) use self::names::Published;

pub(crate) struct Node {
    /// What this process calls itself towards its peers.
    pub(crate) name: String,
    pub(crate) limits: Limits,
    /// How calls are encoded unless their proxy says otherwise.
    pub(crate) codec: Codec,
    /// How long calls may take unless their proxy says otherwise.
    pub(crate) timeout: Option<Duration>,
    /// How long a stream that this side produces may last.
    pub(crate) stream_lifetime: Option<Duration>,
    /// How long a stream that this side produces outlives a lost connection.
    pub(crate) stream_linger: Duration,
    /// How long a session asks a socket again and again before it sleeps.
    pub(crate) busy_poll: Duration,
    /// What is accepted from peers.
    pub(crate) codecs: CodecSet,
    pub(crate) budget: Budget,
    /// Whether peers are told where a handler panicked.
    pub(crate) backtraces: bool,
    pub(crate) outgoing: Interceptors,
    pub(crate) incoming: Interceptors,
    on_session_lost: Option<OnSessionLost>,
    max_lingering: usize,
    max_lingering_bytes: u64,
    /// The sessions that their clients may take up again.
    resumable: Mutex<HashMap<SessionId, Weak<Session>>>,
    pub(crate) hand_off: HandOff,
    /// The secret that is proved to whom this process is introduced.
    pub(crate) token: Option<Vec<u8>>,
    pub(crate) connect_timeout: Duration,
    /// Who is being dialled because a peer named it.
    dialling: Mutex<HashMap<InstanceId, Arc<tokio::sync::Mutex<()>>>>,
    /// Who is told what happens, if anybody.
    pub(crate) life: Option<Arc<dyn Tells>>,
    /// Where this is in a network of a test.
    #[cfg(feature = "testing")]
    pub(crate) place: Option<crate::testing::Place>,
    pub(crate) reaper: Reaper,
    /// Told of each end of a handler and of a session.
    pub(crate) ends: Ends,
    /// The daemon itself as an object, which has no name.
    daemon: OnceLock<Arc<Export>>,
    names: Names,
    sessions: Mutex<Vec<Weak<Session>>>,
    failed_oneways: AtomicU64,
}

/// Told of sessions that have ended though nobody here wanted that.
pub(crate) type OnSessionLost = Arc<dyn Fn(Peer, Fault) + Send + Sync>;

/// What a node is made of.
#[derive(Clone)]
pub(crate) struct NodeConfig {
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) codec: Codec,
    pub(crate) timeout: Option<Duration>,
    /// How long a stream that this side produces may last.
    pub(crate) stream_lifetime: Option<Duration>,
    /// How long a stream that this side produces outlives a lost connection.
    pub(crate) stream_linger: Duration,
    pub(crate) busy_poll: Duration,
    pub(crate) codecs: CodecSet,
    pub(crate) budget: Budget,
    pub(crate) backtraces: bool,
    pub(crate) outgoing: Vec<Arc<dyn Interceptor>>,
    pub(crate) incoming: Vec<Arc<dyn Interceptor>>,
    pub(crate) on_session_lost: Option<OnSessionLost>,
    pub(crate) max_lingering: usize,
    pub(crate) max_lingering_bytes: u64,
    pub(crate) hand_off: HandOff,
    pub(crate) token: Option<Vec<u8>>,
    pub(crate) connect_timeout: Duration,
    /// Who is told what happens.
    pub(crate) life: Option<Arc<dyn Tells>>,
    /// Where it is in a network of a test.
    #[cfg(feature = "testing")]
    pub(crate) place: Option<crate::testing::Place>,
    pub(crate) reaping: Reaping,
}

impl Default for NodeConfig {
    fn default() -> Self {
        NodeConfig {
            name: default_name(),
            limits: Limits::default(),
            codec: Codec::Postcard,
            timeout: None,
            stream_lifetime: None,
            stream_linger: Duration::from_secs(30),
            busy_poll: Duration::from_micros(200),
            codecs: CodecSet::default(),
            budget: Budget::default(),
            backtraces: false,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            on_session_lost: None,
            max_lingering: 64,
            max_lingering_bytes: 64 << 20,
            hand_off: HandOff::default(),
            token: None,
            connect_timeout: Duration::from_secs(10),
            life: None,
            #[cfg(feature = "testing")]
            place: None,
            reaping: Reaping::default(),
        }
    }
}

/// The file name of the program that runs.
fn default_name() -> String {
    let program = std::env::current_exe().ok();
    let stem = program.as_deref().and_then(std::path::Path::file_stem);
    stem.map_or_else(
        || "farref".to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

impl Node {
    pub(crate) fn new(config: NodeConfig) -> Arc<Self> {
        Arc::new(Node {
            name: config.name,
            limits: config.limits,
            codec: config.codec,
            timeout: config.timeout,
            stream_lifetime: config.stream_lifetime,
            stream_linger: config.stream_linger,
            busy_poll: config.busy_poll,
            codecs: config.codecs,
            budget: config.budget,
            backtraces: config.backtraces,
            outgoing: config.outgoing.into(),
            incoming: config.incoming.into(),
            on_session_lost: config.on_session_lost,
            max_lingering: config.max_lingering,
            max_lingering_bytes: config.max_lingering_bytes,
            resumable: Mutex::default(),
            hand_off: config.hand_off,
            token: config.token,
            connect_timeout: config.connect_timeout,
            dialling: Mutex::default(),
            life: config.life,
            #[cfg(feature = "testing")]
            place: config.place,
            reaper: Reaper::new(config.reaping),
            ends: Ends::new(),
            daemon: OnceLock::new(),
            names: Names::default(),
            sessions: Mutex::default(),
            failed_oneways: AtomicU64::new(0),
        })
    }

    /// The optional parts of the protocol that this process takes part in.
    pub(crate) fn features(&self) -> u64 {
        let hand_off = match self.hand_off.is_on() {
            true => features::HAND_OFF,
            false => 0,
        };
        hand_off | features::RUNS | features::GATHERED
    }

    /// Held by whoever dials this process because a peer named it.
    pub(crate) fn dialling(&self, holder: InstanceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits for the others any more.
        dialling.retain(|_, place| Arc::strong_count(place) > 1);
        Arc::clone(dialling.entry(holder).or_default())
    }

    /// Sets the object that the daemon itself is.
    pub(crate) fn set_daemon(&self, export: Arc<Export>) {
        let _ = self.daemon.set(export);
    }

    /// The object that the daemon itself is.
    pub(crate) fn daemon(&self) -> Option<Arc<Export>> {
        self.daemon.get().cloned()
    }

    fn session_list(&self) -> MutexGuard<'_, Vec<Weak<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a session of this node.
    pub(crate) fn add_session(self: &Arc<Self>, session: &Arc<Session>) {
        let mut sessions = self.session_list();
        sessions.retain(|session| {
            session
                .upgrade()
                .is_some_and(|session| !session.is_closed())
        });
        sessions.push(Arc::downgrade(session));
        drop(sessions);
        self.reaper.watch(self);
        if let Some(life) = &self.life {
            Arc::clone(life).watch(Arc::clone(session));
        }
    }

    /// The sessions that have not ended.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.session_list()
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|session| !session.is_closed())
            .collect()
    }

    /// The sessions that have not ended, and those whose last words may not be written yet.
    pub(crate) fn unwritten_sessions(&self) -> Vec<Arc<Session>> {
        self.session_list()
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Tells the application that a session is lost, in a task: who ended it may be anywhere.
    pub(crate) fn tell_of_loss(&self, session: &Arc<Session>, fault: Fault) {
        if let Some(hook) = &self.on_session_lost
            && Handle::try_current().is_ok()
        {
            let (hook, peer) = (Arc::clone(hook), Peer::of(session));
            task::spawn(async move { hook(peer, fault) });
        }
    }

    pub(crate) fn count_failed_oneway(&self) {
        self.failed_oneways.fetch_add(1, Ordering::Relaxed);
    }

    /// How many oneways failed here since the node was made.
    pub(crate) fn failed_oneways(&self) -> u64 {
        self.failed_oneways.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
