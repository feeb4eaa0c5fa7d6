//! A session: a conversation with one other process, in which both sides call.
//!
//! One lock guards the protocol's state and the tables beside it. It is held to append a frame or to parse what a read
//! brought, never while code of the application runs: handlers, `Serialize`, `Drop` of objects all happen outside it.
//!
//! **Invariant:** nothing that holds a [`Bound`](crate::remote::Bound), an export or a waker is dropped under the lock;
//! it is moved out first, because dropping it may come back for the lock.

mod driver;
mod exports;
mod inbox;
mod ordered;
mod questions;
mod serving;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use farref_proto::{
    CallId, Chain, CloseCode, CloseReason, Connection, DrainCode, DrainReason, FaultKind, ImportId,
    OutgoingCall, PeerInfo, SendError, Time,
};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::exports::Exports;
use self::inbox::Garbage;
use self::ordered::OrderedOneways;
pub(crate) use self::questions::{Question, Questions, SendState, Ticket};
pub(crate) use self::serving::DESCRIBE;
use crate::Outcome;
use crate::codec::{Codec, CodecSet};
use crate::context::Storage;
use crate::error::{Fault, Result};
use crate::far::{Encoded, Extras, OnewayMode};
use crate::interceptor::Interceptors;
use crate::node::Node;
use crate::peer::{Identity, PeerAddress};
use crate::remote::Bound;

pub use farref_proto::TableSizes;

/// How far a session has come.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// The handshake is under way.
    Connecting,
    /// Calls go both ways.
    Open,
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
    state: Mutex<State>,
    /// Wakes the task that writes.
    writer: Notify,
    node: Arc<Node>,
    number: u64,
    lifetime: Lifetime,
    started: Instant,
    address: PeerAddress,
    peer: OnceLock<Box<PeerInfo>>,
    /// Who the peer is once the handshake is done.
    identity: Identity,
    phase: watch::Sender<Phase>,
    /// How many places in its books proxies of this process hold.
    holders: AtomicUsize,
    /// Whether a place was ever held: a session that is being opened is not idle.
    was_held: AtomicBool,
    /// How many calls and oneways of the peer are being served.
    serving: AtomicUsize,
    storage: Storage,
    ordered: OrderedOneways,
    /// Set when the tasks that read and write are to end without more ado.
    aborted: watch::Sender<bool>,
}

pub(crate) struct State {
    connection: Connection,
    questions: Questions,
    exports: Exports,
    answers: serving::Answers,
    closed: Option<Fault>,
}

impl Session {
    pub(crate) fn new(
        node: Arc<Node>,
        lifetime: Lifetime,
        address: PeerAddress,
        identity: Identity,
        connection: Connection,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let state = State {
            connection,
            questions: Questions::default(),
            exports: Exports::new(node.find("")),
            answers: serving::Answers::default(),
            closed: None,
        };
        Arc::new(Session {
            state: Mutex::new(state),
            writer: Notify::new(),
            node,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            lifetime,
            started: Instant::now(),
            address,
            peer: OnceLock::new(),
            identity,
            phase: watch::Sender::new(Phase::Connecting),
            holders: AtomicUsize::new(0),
            was_held: AtomicBool::new(false),
            serving: AtomicUsize::new(0),
            storage: Storage::default(),
            ordered: OrderedOneways::default(),
            aborted: watch::Sender::new(false),
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

    pub(crate) fn outgoing_interceptors(&self) -> Interceptors {
        self.node.outgoing.clone()
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
        matches!(*self.phase.borrow(), Phase::Closed(_))
    }

    /// Waits until the handshake is done.
    pub(crate) async fn established(&self) -> Result<()> {
        let mut phase = self.phase.subscribe();
        loop {
            match &*phase.borrow_and_update() {
                Phase::Connecting => {}
                Phase::Open => return Ok(()),
                Phase::Closed(fault) => return Err(fault.clone()),
            }
            // The session itself holds the sender.
            let _ = phase.changed().await;
        }
    }

    /// Waits until the session has ended.
    pub(crate) async fn ended(&self) {
        let mut phase = self.phase.subscribe();
        while !matches!(*phase.borrow_and_update(), Phase::Closed(_)) {
            let _ = phase.changed().await;
        }
    }

    /// Counts a place in the books that is held from outside.
    pub(crate) fn hold(&self) {
        self.holders.fetch_add(1, Ordering::AcqRel);
        self.was_held.store(true, Ordering::Release);
    }

    /// Gives one place in the books back.
    pub(crate) fn release(&self, import: ImportId) {
        self.holders.fetch_sub(1, Ordering::AcqRel);
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        state.connection.release(import, 1);
        let idle = self.is_idle(&state);
        drop(state);
        if idle {
            self.close("no longer used");
        }
        self.writer.notify_one();
    }

    /// Whether nothing on either side needs this session any more.
    fn is_idle(&self, state: &State) -> bool {
        let is_held =
            self.holders.load(Ordering::Acquire) > 0 || !self.was_held.load(Ordering::Acquire);
        if self.lifetime == Lifetime::UntilClosed || is_held || state.closed.is_some() {
            return false;
        }
        let tables = state.connection.tables();
        tables.exports == 0 && tables.calls_in == 0 && tables.calls_out == 0
    }

    /// Sends a call if there is room, or queues for room.
    pub(crate) fn send(
        &self,
        target: u32,
        encoded: &Encoded,
        oneway: OnewayMode,
        extras: &Extras,
        ticket: &mut Ticket,
        cx: &std::task::Context<'_>,
    ) -> Result<SendState> {
        let is_nested = extras.depth() > 0;
        let is_oneway = oneway != OnewayMode::Answered;
        let depth = if is_oneway { 0 } else { extras.depth() };
        let extensions = farref_proto::Extensions {
            deadline: extras.deadline.map(|deadline| self.time(deadline)),
            // A oneway starts a chain of its own.
            chain: extras
                .scope
                .as_ref()
                .filter(|_| !is_oneway)
                .map(|scope| Chain {
                    id: scope.chain(),
                    depth,
                }),
            annotations: extras.annotations.clone(),
            ..farref_proto::Extensions::default()
        };
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(fault) = &state.closed {
            return Err(fault.clone().with_outcome(Outcome::NotStarted));
        }
        if !state.questions.may_send(depth, ticket) {
            state.questions.queue(depth, ticket, cx.waker());
            return Ok(SendState::Queued);
        }
        let table = state
            .exports
            .transfer(&mut state.connection, &encoded.references, self)?;
        let call = OutgoingCall {
            target,
            method_index: encoded.key.index,
            method_hash: encoded.key.hash,
            shape: encoded.key.shape,
            codec: encoded.codec.id(),
            extensions: &extensions,
            table: &table,
            body: &encoded.body,
            attachments: &encoded.attachments,
        };
        let sent = match oneway {
            OnewayMode::Answered => state.connection.call(&call).map(Some),
            OnewayMode::Plain => state.connection.oneway(&call, false).map(|()| None),
            OnewayMode::Ordered => state.connection.oneway(&call, true).map(|()| None),
        };
        let outcome = match sent {
            Ok(Some(id)) => Ok(SendState::Sent(state.questions.ask(id))),
            Ok(None) => Ok(SendState::Oneway),
            // Whoever serves a call must not wait for a oneway: two sides could wait for each other.
            Err(SendError::NoCredit) if is_oneway && is_nested => Err(overloaded()),
            Err(SendError::NoCredit | SendError::NotEstablished) => Ok(SendState::Queued),
            Err(error) => Err(send_fault(&error)),
        };
        let mut garbage = Garbage::default();
        let mut next = None;
        match outcome {
            Ok(SendState::Queued) => {
                state
                    .exports
                    .take_back(&mut state.connection, &table, &mut garbage);
                state.questions.queue(depth, ticket, cx.waker());
            }
            Ok(_) => next = state.questions.dequeue(depth, ticket),
            Err(_) => {
                state
                    .exports
                    .take_back(&mut state.connection, &table, &mut garbage);
                next = state.questions.dequeue(depth, ticket);
            }
        }
        drop(guard);
        drop(garbage);
        if let Some(waker) = next {
            waker.wake();
        }
        self.writer.notify_one();
        outcome
    }

    /// Gives a place in the queue for room up.
    pub(crate) fn leave_queue(&self, depth: u16, mut ticket: Ticket) {
        let next = self.lock().questions.dequeue(depth, &mut ticket);
        if let Some(waker) = next {
            waker.wake();
        }
    }

    /// Asks the peer for the object of this name. Waits for room to ask, not for the answer.
    pub(crate) async fn bind(self: &Arc<Self>, name: &str, interface: u32) -> Result<Arc<Bound>> {
        let mut ticket = Ticket::none();
        let asked = std::future::poll_fn(|cx| {
            let mut guard = self.lock();
            let state = &mut *guard;
            if let Some(fault) = &state.closed {
                return std::task::Poll::Ready(Err(fault
                    .clone()
                    .with_outcome(Outcome::NotStarted)));
            }
            let asked = if state.questions.may_send(0, &ticket) {
                state.connection.bind(name, interface)
            } else {
                Err(SendError::NoCredit)
            };
            match asked {
                Ok((call, import)) => {
                    let bound = Bound::asked(Arc::clone(self), import, interface);
                    state.questions.ask_for(call, Arc::downgrade(&bound));
                    let next = state.questions.dequeue(0, &mut ticket);
                    drop(guard);
                    if let Some(waker) = next {
                        waker.wake();
                    }
                    std::task::Poll::Ready(Ok(bound))
                }
                Err(SendError::NoCredit | SendError::NotEstablished) => {
                    state.questions.queue(0, &mut ticket, cx.waker());
                    std::task::Poll::Pending
                }
                Err(error) => std::task::Poll::Ready(Err(send_fault(&error))),
            }
        });
        let bound = asked.await?;
        self.writer.notify_one();
        Ok(bound)
    }

    /// Ends the session once all that is queued is written.
    pub(crate) fn close(&self, text: &str) {
        self.lock()
            .connection
            .close(&CloseReason::new(CloseCode::Done, text));
        self.writer.notify_one();
        self.fail(&Fault::new(
            FaultKind::SessionLost,
            Outcome::Unknown,
            format!("the session was ended: {text}"),
        ));
    }

    /// Ends the session at once.
    pub(crate) fn abort(&self) {
        self.aborted.send_replace(true);
        self.fail(&Fault::new(
            FaultKind::SessionLost,
            Outcome::Unknown,
            "the session was aborted",
        ));
    }

    /// Tells the peer that no new calls are accepted.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        if state.closed.is_none() {
            state.connection.drain(DrainReason::new(
                DrainCode::ShuttingDown,
                "the daemon is shutting down",
            ));
        }
        drop(state);
        self.writer.notify_one();
    }

    /// Waits until no call and no oneway of the peer is being served.
    pub(crate) async fn served(&self) {
        let mut phase = self.phase.subscribe();
        loop {
            let mut ended = std::pin::pin!(self.node.served.notified());
            ended.as_mut().enable();
            if self.serving.load(Ordering::Acquire) == 0 || self.is_closed() {
                return;
            }
            // Each end of a handler wakes this, as the end of the session does.
            tokio::select! {
                () = ended => {}
                _ = phase.changed() => {}
            }
        }
    }

    /// Ends everything that depends on this session, the first time that it is called.
    pub(crate) fn fail(&self, fault: &Fault) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(fault.clone());
        let mut garbage = Garbage::default();
        let State {
            questions,
            exports,
            connection,
            ..
        } = &mut *state;
        questions.fail(fault, connection, &mut garbage);
        exports.clear(&mut garbage);
        let handlers = state.answers.take();
        drop(state);
        self.phase.send_replace(Phase::Closed(fault.clone()));
        for handler in handlers {
            handler.abort();
        }
        garbage.wake();
        self.storage.clear();
        self.node.served.notify_waiters();
        tracing::debug!(session = self.number, peer = %self.address, %fault, "a session ended");
    }

    /// Makes references to this object stale for the peer.
    pub(crate) fn revoke(&self, object: u64) {
        let mut garbage = Garbage::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        state
            .exports
            .revoke(&mut state.connection, object, &mut garbage);
        drop(guard);
        drop(garbage);
        self.writer.notify_one();
    }

    /// Forgets a call whose caller gave up, and asks the peer to cancel it.
    pub(crate) fn abandon(&self, question: Question) {
        let mut garbage = Garbage::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(call) = state.questions.abandon(question, &mut garbage) {
            state.connection.cancel(call);
        }
        drop(guard);
        drop(garbage);
        self.writer.notify_one();
    }
}

fn overloaded() -> Fault {
    Fault::not_started(
        FaultKind::Overloaded,
        "the peer has as many unfinished oneways as it takes, and a handler must not wait for them; call it instead, or \
         send it later",
    )
}

/// What a refusal of the protocol means to a caller.
fn send_fault(error: &SendError) -> Fault {
    let kind = match error {
        SendError::TooLarge { .. } | SendError::TooMany { .. } => FaultKind::TooLarge,
        SendError::UnsupportedCodec(_) => FaultKind::UnsupportedCodec,
        SendError::Draining => FaultKind::ShuttingDown,
        SendError::Closed => FaultKind::SessionLost,
        SendError::DepthExceeded { .. } => FaultKind::DepthExceeded,
        SendError::TooManyExports { .. } | SendError::TooManyAliases { .. } => {
            FaultKind::Overloaded
        }
        _ => FaultKind::Internal,
    };
    let message = match error {
        SendError::UnsupportedCodec(codec) => {
            let name = Codec::from_id(*codec).map_or("this codec", Codec::name);
            format!("the peer does not accept {name}; choose another with `with_codec`")
        }
        error => error.to_string(),
    };
    Fault::not_started(kind, message)
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
