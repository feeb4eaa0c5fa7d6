//! A session: a conversation with one other process, in which both sides call.
//!
//! One lock guards the protocol's state and the tables beside it. It is held to append a frame or to parse what a read
//! brought, never while code of the application runs: handlers, `Serialize`, `Drop` of objects all happen outside it.
//!
//! **Invariant:** nothing that holds a [`Bound`](crate::remote::Bound), an export or a waker is dropped under the lock;
//! it is moved out first, because dropping it may come back for the lock.

mod aliases;
mod answering;
mod apart;
mod at_once;
mod batches;
mod binding;
mod busy_polling;
mod coalescing;
mod driver;
mod ending;
mod exports;
mod flushing;
mod grouping;
mod groups;
mod handing_off;
mod handlers;
mod inbox;
mod input;
mod inspection;
mod linking;
mod ordered;
mod promises;
mod promising;
mod questions;
mod refusals;
mod room;
mod runs;
#[cfg(all(test, shuttle, feature = "testing"))]
mod schedules;
mod sending;
mod serving;
mod slowness;
mod streams;
mod transfer;
mod under_way;

mod writing;

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use farref_proto::{CallId, Connection, PeerInfo, Time};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub(crate) use self::ending::{Hold, Queued};
use self::exports::Exports;
pub(crate) use self::grouping::{GroupCall, GroupSent, ReadyRun};
pub(crate) use self::groups::{Answer, Results, WaitingGroup};
pub(crate) use self::handing_off::Counted;
use self::handing_off::HandingOff;
pub(crate) use self::handlers::DESCRIBE;
pub(crate) use self::inspection::hexadecimal;
pub use self::linking::{SessionState, StateWatch};
use self::ordered::OrderedOneways;
use self::promises::Promises;
pub(crate) use self::questions::{Question, Questions, SendState};
use self::room::Queues;
pub(crate) use self::room::Ticket;
use self::streams::Streams;
use self::under_way::UnderWay;
use self::writing::{Output, Requested};
use crate::codec::{Codec, CodecSet};
use crate::context::Storage;
use crate::dialling::Dialer;
use crate::error::{Fault, Result};
use crate::interceptor::Interceptors;
use crate::measure::{self, TableMeter};
use crate::node::Node;
use crate::peer::{Identity, PeerAddress};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::task::AbortHandle;

pub use farref_proto::TableSizes;

/// How far a session has come.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// The handshake is under way.
    Connecting,
    /// Calls go both ways.
    Open,
    /// The connection is lost, and another may come.
    Suspended,
    /// Ended, and why.
    Closed(Fault),
}

/// When a session ends without being told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// When neither side has anything that the other holds: sessions that proxies made for themselves.
    WhileUsed,
    /// When the peer or its transport ends it.
    UntilClosed,
}

pub(crate) struct Session {
    me: Weak<Session>,
    state: Mutex<State>,
    output: Output,
    /// The tasks that read and write, with the number of their connection.
    tasks: Mutex<Vec<(u32, AbortHandle)>>,
    /// Told when the next attempt to connect again should not wait.
    hurry: tokio::sync::Notify,
    /// Held by the task that reads.
    reading: tokio::sync::Mutex<()>,
    /// Whether that task runs handlers now. As long as one of them holds it, nothing is read.
    is_performing: AtomicBool,
    /// Set when these tasks are to end without more ado.
    stopped: AtomicBool,
    node: Arc<Node>,
    /// How to connect again, on the side that dialled.
    dialer: Option<Dialer>,
    number: u64,
    lifetime: Lifetime,
    started: Instant,
    address: PeerAddress,
    peer: OnceLock<Arc<PeerInfo>>,
    /// Who the peer is once the handshake is done.
    identity: Identity,
    phase: watch::Sender<Phase>,
    /// Whether the session has ended; set under the lock.
    closed: AtomicBool,
    /// Whether all is written that will ever be.
    written: AtomicBool,
    /// Tells those who wait for that.
    all_written: Notify,
    /// How many places in its books proxies of this process hold, and how many are about to.
    holders: AtomicUsize,
    /// How many calls and oneways of the peer are being served.
    serving: AtomicUsize,
    storage: Storage,
    ordered: OrderedOneways,
    under_way: UnderWay,
    handing_off: HandingOff,
    /// How many bytes it had sent again when that was last counted.
    sent_again: AtomicU64,
    table_meter: TableMeter,
}

pub(crate) struct State {
    connection: Connection,
    questions: Questions,
    queues: Queues,
    exports: Exports,
    streams: Streams,
    answers: serving::Answers,
    promises: Promises,
    writing: Requested,
    closed: Option<Fault>,
    /// Whether nothing more is written, not even what is queued.
    discards: bool,
    /// Whether there are tasks that read and write.
    has_link: bool,
    /// Whether this side wanted the end.
    ended_here: bool,
    /// When there were none the last time.
    suspended_at: Option<Instant>,
}

impl Session {
    pub(crate) fn new(
        node: Arc<Node>,
        dialer: Option<Dialer>,
        lifetime: Lifetime,
        address: PeerAddress,
        identity: Identity,
        connection: Connection,
    ) -> Arc<Self> {
        // It outlives the schedules of a test.
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let state = State {
            connection,
            questions: Questions::default(),
            queues: Queues::default(),
            exports: Exports::new(node.daemon()),
            streams: Streams::default(),
            answers: serving::Answers::default(),
            promises: Promises::default(),
            writing: Requested::default(),
            closed: None,
            discards: false,
            has_link: true,
            ended_here: false,
            suspended_at: None,
        };
        measure::session_begun();
        Arc::new_cyclic(|me| Session {
            me: Weak::clone(me),
            state: Mutex::new(state),
            output: Output::default(),
            tasks: Mutex::default(),
            hurry: tokio::sync::Notify::new(),
            reading: tokio::sync::Mutex::default(),
            is_performing: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            node,
            dialer,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            lifetime,
            started: Instant::now(),
            address,
            peer: OnceLock::new(),
            identity,
            phase: watch::Sender::new(Phase::Connecting),
            closed: AtomicBool::new(false),
            written: AtomicBool::new(false),
            all_written: Notify::new(),
            holders: AtomicUsize::new(0),
            serving: AtomicUsize::new(0),
            storage: Storage::default(),
            ordered: OrderedOneways::default(),
            under_way: UnderWay::default(),
            handing_off: HandingOff::default(),
            sent_again: AtomicU64::new(0),
            table_meter: TableMeter::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This moment on the session's clock.
    fn now(&self) -> Time {
        self.time(Instant::now())
    }

    fn time(&self, instant: Instant) -> Time {
        let elapsed = instant.saturating_duration_since(self.started);
        Time::from_micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
    }

    fn instant(&self, time: Time) -> Instant {
        let far = std::time::Duration::from_secs(60 * 60 * 24 * 365);
        self.started + std::time::Duration::from_micros(time.as_micros()).min(far)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn peer_address(&self) -> &PeerAddress {
        &self.address
    }

    pub(crate) fn peer_name(&self) -> String {
        self.peer
            .get()
            .map(|peer| peer.name.clone())
            .unwrap_or_default()
    }

    pub(crate) fn identity(&self) -> Identity {
        match self.peer.get() {
            Some(_) => self.identity.clone(),
            None => Identity::Anonymous,
        }
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// How many references to objects of this process the other side may hold at once.
    pub(crate) fn most_references(&self) -> usize {
        usize::try_from(self.node.limits.exports).unwrap_or(usize::MAX)
    }

    pub(crate) fn is_intercepting(&self) -> bool {
        !self.node.outgoing.is_empty()
    }

    pub(crate) fn outgoing_interceptors(&self) -> Interceptors {
        self.node.outgoing.clone()
    }

    /// How long calls may take unless their proxy says otherwise.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.node.timeout
    }

    /// How calls are encoded unless their proxy says otherwise.
    pub(crate) fn codec(&self) -> Codec {
        self.node.codec
    }

    pub(crate) fn accepts(&self, codec: Codec) -> bool {
        codec.is_available()
            && self
                .peer
                .get()
                .is_some_and(|peer| CodecSet::from_bits(peer.codecs).contains(codec))
    }

    pub(crate) fn tables(&self) -> TableSizes {
        self.lock().connection.tables()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether the handshake was done once.
    pub(crate) fn was_opened(&self) -> bool {
        self.peer.get().is_some()
    }

    /// Waits until the handshake is done.
    pub(crate) async fn established(&self) -> Result<()> {
        let mut phase = self.phase.subscribe();
        loop {
            match &*phase.borrow_and_update() {
                Phase::Connecting => {}
                Phase::Open | Phase::Suspended => return Ok(()),
                Phase::Closed(fault) => return Err(fault.clone()),
            }
            // The session itself holds the sender.
            let _ = phase.changed().await;
        }
    }
}

impl Session {
    /// Waits until the session has ended, and says why.
    pub(crate) async fn ended(&self) -> Fault {
        let mut phase = self.phase.subscribe();
        loop {
            if let Phase::Closed(fault) = &*phase.borrow_and_update() {
                return fault.clone();
            }
            // The session itself holds the sender.
            let _ = phase.changed().await;
        }
    }
}

/// A call of the peer by its number.
pub(crate) type IncomingCallId = CallId;

/// Those to wake, once the lock is free.
pub(crate) type Wakers = Vec<Waker>;

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("number", &self.number)
            .field("peer", &self.address)
            .finish_non_exhaustive()
    }
}
