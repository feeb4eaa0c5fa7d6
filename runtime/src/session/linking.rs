//! A session outlives its connection: the side that dialled dials again, the other waits.
//!
//! ```text
//!             disconnected              another connection
//!   Open ────────────────► Suspended ───────────────────────► Open
//!                             │
//!                             └──────► Closed   none came in time, or the peer has not got the session any more
//! ```
//!
//! Each connection has a number, and two tasks that know it. What is lost, read or written under an old number concerns
//! nobody: so whichever task finds out first that a connection is lost, the others find that it is not theirs any more.
//!
//! **Invariant:** the way out and the protocol's state change together, under both locks, so that no frame of one
//! connection is written to another.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use farref_proto::{ConnectionError, Nonce, ResumeRequest, SessionId};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::driver::{Place, Reader};
use super::ending::Queued;
use super::inbox::Garbage;
use super::writing::Writer;
use super::{Phase, Session};
use crate::client::jittered;
use crate::error::{Fault, Result};
use crate::measure;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;
use crate::task::{self, AbortHandle};
use crate::transport::Transport;
use crate::{FaultKind, Outcome, random};

/// How long the side that dialled waits after the first attempt that failed.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// How long it waits at most between two attempts; the wait doubles until then.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How often a session without a connection is compared with what is kept for its peer.
const LOOK: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn tasks(&self) -> MutexGuard<'_, Vec<(u32, AbortHandle)>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the tasks of the connections before the one of this number, whose own may run already.
    pub(super) fn stop_tasks_before(&self, link: u32) {
        let mut tasks = self.tasks();
        let old: Vec<_> = tasks.extract_if(.., |(of, _)| *of < link).collect();
        drop(tasks);
        for (_, task) in old {
            task.abort();
        }
    }

    /// Ends the tasks of this session without more ado.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.stop_tasks_before(u32::MAX);
    }

    /// Says that the connection of this number is lost. The session waits for another if it can, and else is over.
    pub(super) fn disconnected(self: &Arc<Self>, link: u32, text: &str) {
        let now = self.now();
        let mut state = self.lock();
        if state.connection.link() != link && state.closed.is_none() {
            return;
        }
        let waits = state.closed.is_none() && state.connection.disconnected(now);
        drop(state);
        if waits {
            self.suspended(text);
        } else {
            self.lost(text);
        }
    }

    /// Gives up the transport of a session that waits for another.
    pub(super) fn suspended(self: &Arc<Self>, text: &str) {
        let mut pipe = self.output.lock();
        let mut state = self.lock();
        if !state.connection.is_suspended() || state.closed.is_some() {
            return;
        }
        if state.has_link {
            state.has_link = false;
            state.suspended_at = Some(Instant::now());
        }
        let next = state.connection.link();
        let old = pipe.take();
        drop((state, pipe));
        drop(old);
        tracing::debug!(session = self.number, peer = %self.address, text, "a connection is lost");
        self.stop_tasks_before(next);
        let mut was_open = false;
        self.phase.send_modify(|phase| {
            was_open = matches!(phase, Phase::Open);
            if was_open {
                *phase = Phase::Suspended;
            }
        });
        // Else an attempt to connect again has failed, and whoever made it makes the next.
        if was_open {
            self.wait_for_connection();
        }
    }

    fn wait_for_connection(self: &Arc<Self>) {
        let waiting = Waiting(Some(Arc::clone(self)));
        if Handle::try_current().is_ok() {
            task::spawn(waiting.run());
            if self.node.stream_linger < self.node.limits.linger {
                let session = Arc::clone(self);
                task::spawn(async move { session.discard_streams().await });
            }
        }
    }

    /// Ends the streams that this side produces, if there is no connection for longer than they wait for one.
    async fn discard_streams(&self) {
        let mut phase = self.phase.subscribe();
        let until = Instant::now() + self.node.stream_linger;
        if self.still_waits(&mut phase, until).await {
            let mut garbage = Garbage::default();
            let mut state = self.lock();
            if state.connection.is_suspended() {
                state.streams.discard(&mut garbage);
            }
            drop(state);
            garbage.wake();
        }
    }

    /// Waits until `until`, or until this session has a connection or has ended. Returns whether it still waits.
    async fn still_waits(&self, phase: &mut watch::Receiver<Phase>, until: Instant) -> bool {
        let decided = phase.wait_for(|phase| !matches!(phase, Phase::Suspended));
        tokio::time::timeout_at(until, decided).await.is_err()
    }

    /// When the session ends unless there is another connection.
    fn lingers_until(&self) -> Instant {
        let time = self.lock().connection.poll_timeout();
        time.map_or_else(Instant::now, |time| self.instant(time))
    }

    /// Goes on over this transport, on the side that dialled. The handshake is under way then. Returns whether the
    /// session wanted it.
    fn go_on(self: &Arc<Self>, transport: Transport) -> bool {
        let Transport { reader, writer, .. } = transport;
        let nonce = Nonce::from_bytes(random::bytes());
        let now = self.now();
        let mut pipe = self.output.lock();
        let mut state = self.lock();
        if state.closed.is_some() || !state.connection.resume(nonce, now) {
            return false;
        }
        state.has_link = true;
        let link = state.connection.link();
        let old = pipe.open(link, writer);
        drop((state, pipe));
        drop(old);
        self.start(link, reader, Arc::new(None));
        true
    }

    /// Gives the transport of this session, which is none, to the session that the peer asks for. Returns the reader if
    /// there is no such session: the peer is told so.
    pub(super) fn hand_over(
        self: &Arc<Self>,
        request: &ResumeRequest,
        reader: Reader,
        place: &Place,
    ) -> Option<Reader> {
        let found = self.node.resumable(request.session());
        let adopted = match (found, self.output.take_writer()) {
            (Some(session), Some(writer)) => session.adopt(request, reader, writer, place),
            (_, None) => return None,
            (None, Some(writer)) => Err((reader, writer)),
        };
        match adopted {
            Ok(()) => {
                let text = "its transport is that of another session now";
                let fault = Fault::new(FaultKind::SessionLost, Outcome::NotStarted, text);
                self.fail(&fault, Queued::Discarded);
                None
            }
            Err((reader, writer)) => {
                let old = self.output.lock().open(0, writer);
                drop(old);
                tracing::debug!(peer = %self.address, "a session was asked for that is not here");
                self.lock().connection.refuse_resume();
                let text = "the peer asked for a session that is not here";
                let fault = Fault::not_started(FaultKind::SessionLost, text);
                self.fail(&fault, Queued::Written);
                Some(reader)
            }
        }
    }

    /// Goes on over this transport, on the side that was dialled, if the request is good. The old connection is read no
    /// more.
    fn adopt(
        self: &Arc<Self>,
        request: &ResumeRequest,
        reader: Reader,
        writer: Writer,
        place: &Place,
    ) -> std::result::Result<(), (Reader, Writer)> {
        let now = self.now();
        let mut pipe = self.output.lock();
        let mut state = self.lock();
        let accepted = match &state.closed {
            Some(_) => Err(ConnectionError::SessionLost),
            None => state.connection.accept_resume(request, now),
        };
        if accepted.is_err() {
            return Err((reader, writer));
        }
        state.has_link = true;
        let link = state.connection.link();
        let old = pipe.open(link, writer);
        let again = state.connection.retransmitted();
        let garbage = self.take_resumed(&mut state);
        drop((state, pipe));
        drop(old);
        self.count_resumption(again);
        self.stop_tasks_before(link);
        self.start(link, reader, Arc::clone(place));
        garbage.wake();
        tracing::debug!(session = self.number, peer = %self.address, "a session goes on");
        Ok(())
    }

    /// Counts that the session goes on, and what it has sent again since it began.
    fn count_resumption(&self, again: u64) {
        let before = self.sent_again.swap(again, Ordering::Relaxed);
        measure::resumed(again.saturating_sub(before));
    }

    /// Dials until there is a connection, or until the session has ended.
    async fn dial(self: &Arc<Self>) {
        let mut phase = self.phase.subscribe();
        let until = self.lingers_until();
        let mut wait = FIRST_WAIT;
        while let Some(dialer) = &self.dialer {
            let dialled = tokio::select! {
                biased;
                waits = self.still_waits(&mut phase, until) => {
                    if waits {
                        self.pass_time();
                    }
                    return;
                }
                dialled = dialer.dial() => dialled,
            };
            match dialled {
                Ok(transport) => {
                    phase.mark_unchanged();
                    if !self.go_on(transport) {
                        return;
                    }
                    // Its tasks end the session if its time passes meanwhile.
                    let _ = phase.changed().await;
                    if matches!(*phase.borrow(), Phase::Open) {
                        let again = self.lock().connection.retransmitted();
                        self.count_resumption(again);
                    }
                }
                Err(fault) => {
                    tracing::debug!(session = self.number, %fault, "connecting again failed");
                }
            }
            let next = (Instant::now() + jittered(wait)).min(until);
            tokio::select! {
                biased;
                () = self.hurry.notified() => {}
                waits = self.still_waits(&mut phase, next) => {
                    if !waits {
                        return;
                    }
                }
            }
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }

    /// Waits for the peer to dial, until the session has ended.
    async fn linger(self: &Arc<Self>) {
        let mut phase = self.phase.subscribe();
        let until = self.lingers_until();
        loop {
            for session in self.node.too_many_lingering(self) {
                session.lost("too much is kept for peers that have lost their connections");
            }
            let next = (Instant::now() + LOOK).min(until);
            if !self.still_waits(&mut phase, next).await {
                return;
            }
            if next == until {
                self.pass_time();
                return;
            }
        }
    }

    /// Whether this side dialled, and dials again.
    pub(crate) fn dials(&self) -> bool {
        self.dialer.is_some()
    }

    /// The session's id, once the handshake is done.
    pub(crate) fn id(&self) -> Option<SessionId> {
        self.peer.get().map(|peer| peer.session)
    }

    /// Whether the peers of both sessions are one, as far as what is kept for them goes.
    pub(crate) fn is_of_same_peer(&self, other: &Session) -> bool {
        self.identity() == other.identity() && self.address.is_same_host(&other.address)
    }

    /// How much is kept for the peer of a session without a connection; `None` if there is a connection.
    pub(crate) fn lingering(&self) -> Option<Lingering> {
        let state = self.lock();
        if state.closed.is_some() || !state.connection.is_suspended() {
            return None;
        }
        let tables = state.connection.tables();
        let held = tables.calls_in + tables.calls_out + tables.exports + tables.imports;
        Some(Lingering {
            since: state.suspended_at,
            bytes: tables.unacknowledged,
            is_empty: held + tables.aliases == 0 && tables.unacknowledged == 0,
        })
    }
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionState {
    /// The handshake is under way.
    Connecting,
    /// Calls go both ways.
    Connected,
    /// The connection is lost, and another is awaited. Calls wait.
    Reconnecting,
    /// The session has ended.
    Closed,
}

impl From<&Phase> for SessionState {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Connecting => SessionState::Connecting,
            Phase::Open => SessionState::Connected,
            Phase::Suspended => SessionState::Reconnecting,
            Phase::Closed(_) => SessionState::Closed,
        }
    }
}

/// Tells how a session stands, and each change of it that lasts until it is looked at.
#[derive(Debug)]
pub struct StateWatch {
    phase: watch::Receiver<Phase>,
    seen: SessionState,
}

impl StateWatch {
    /// How the session stands now.
    pub fn current(&self) -> SessionState {
        SessionState::from(&*self.phase.borrow())
    }

    /// Waits until the session stands otherwise than this said last, or than when the watch began, and says how. Once it
    /// is closed, that is said at once.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn changed(&mut self) -> SessionState {
        let seen = self.seen;
        let changed = |phase: &Phase| {
            let now = SessionState::from(phase);
            now != seen || now == SessionState::Closed
        };
        self.seen = match self.phase.wait_for(changed).await {
            Ok(phase) => SessionState::from(&*phase),
            // Nobody is left who could end it.
            Err(_) => SessionState::Closed,
        };
        self.seen
    }
}

impl Session {
    /// Waits until there is a connection, and has the next attempt to get one made at once.
    pub(crate) async fn connected(&self) -> Result<()> {
        let mut phase = self.phase.subscribe();
        self.hurry.notify_waiters();
        let decided = |phase: &Phase| matches!(phase, Phase::Open | Phase::Closed(_));
        match phase.wait_for(decided).await.as_deref() {
            Ok(Phase::Closed(fault)) => Err(fault.clone()),
            // The session itself holds the sender.
            _ => Ok(()),
        }
    }

    /// How the session stands.
    pub(crate) fn standing(&self) -> SessionState {
        SessionState::from(&*self.phase.borrow())
    }

    /// Begins to watch how the session stands.
    pub(crate) fn watch_standing(&self) -> StateWatch {
        let phase = self.phase.subscribe();
        let seen = SessionState::from(&*phase.borrow());
        StateWatch { phase, seen }
    }
}

/// What a session without a connection keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lingering {
    /// When it lost its connection.
    pub(crate) since: Option<Instant>,
    /// How many bytes it has sent that its peer has not shown to have.
    pub(crate) bytes: u64,
    /// Whether neither side holds anything of the other.
    pub(crate) is_empty: bool,
}

/// A session that waits for a connection. It is over if the runtime ends meanwhile.
struct Waiting(Option<Arc<Session>>);

impl Waiting {
    async fn run(mut self) {
        if let Some(session) = &self.0 {
            match session.dialer {
                Some(_) => session.dial().await,
                None => session.linger().await,
            }
        }
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(session) = self.0.take()
            && !session.is_closed()
        {
            session.lost("its runtime has ended");
        }
    }
}
