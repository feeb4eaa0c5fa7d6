//! How a session ends: told to, no longer used, or lost.
//!
//! What depends on a session ends in two steps. Under the lock it is marked and taken out of the books, so that nothing
//! new begins and every outcome is true; outside the lock it is woken, aborted and dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use farref_proto::{
    CloseCode, CloseReason, DrainCode, DrainReason, FaultKind, ImportId, TableSizes,
};

use super::inbox::Garbage;
use super::serving::Canceller;
use super::under_way::{self, Place};
use super::{Lifetime, Phase, Session, State};
use crate::Outcome;
use crate::error::{Fault, Result};
use crate::handoff::provisions;
use crate::measure;
use crate::object::ObjectIdentity;

/// What becomes of the frames that are queued when a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// They are written, so the calls among them may yet run.
    Written,
    /// They never leave this process.
    Discarded,
}

/// What is to be done about an ended session outside its lock.
#[must_use = "whoever ends a session under its lock finishes outside it"]
pub(super) struct Ending {
    fault: Fault,
    garbage: Garbage,
    handlers: Vec<Canceller>,
    /// There is no connection that anything could still be written to.
    is_written: bool,
    /// It was established, and this side did not want the end.
    is_lost: bool,
}

/// Keeps a session from ending as no longer used.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Session>);

impl Hold {
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.let_go(|_| ());
    }
}

/// Ends a session whose opening is given up.
struct Opening<'a>(&'a Session);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A call or a oneway of the peer that is being served, until it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    session: Arc<Session>,
    /// Where it is listed, if it did not end at once.
    listed: Option<Place>,
}

impl Served {
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Lists it with the calls under way.
    pub(super) fn list(&mut self, call: under_way::Call) {
        self.listed = Some(self.session.under_way.add(call));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(place) = self.listed.take() {
            self.session.under_way.remove(place);
        }
        self.session.have_served(1);
    }
}

/// The calls and oneways of the peer that a read brought and that are being served, counted together.
#[derive(Debug)]
pub(crate) struct ServedTogether {
    session: Arc<Session>,
    count: usize,
}

impl ServedTogether {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        ServedTogether {
            session: Arc::clone(session),
            count: 0,
        }
    }

    /// Begins to serve so many more.
    pub(super) fn begin(&mut self, count: usize) {
        if count > 0 {
            self.session.serving.fetch_add(count, Ordering::AcqRel);
            self.count += count;
        }
    }

    /// Gives one away that will take longer than the others.
    pub(super) fn give_away(&mut self) -> Served {
        self.count -= 1;
        Served {
            session: Arc::clone(&self.session),
            listed: None,
        }
    }

    /// Gives so many away that are served elsewhere.
    pub(super) fn give_many_away(&mut self, count: usize) -> ServedTogether {
        self.count -= count;
        ServedTogether {
            session: Arc::clone(&self.session),
            count,
        }
    }

    /// Takes others over.
    pub(super) fn take_over(&mut self, mut others: ServedTogether) {
        self.count += std::mem::take(&mut others.count);
    }

    /// So many of them have ended.
    pub(super) fn end(&mut self, count: usize) {
        if count > 0 {
            self.count -= count;
            self.session.have_served(count);
        }
    }
}

impl Drop for ServedTogether {
    fn drop(&mut self) {
        self.end(self.count);
    }
}

impl Session {
    /// Notes that handlers of so many calls have ended.
    fn have_served(&self, count: usize) {
        self.serving.fetch_sub(count, Ordering::SeqCst);
        self.node.ends.tell();
        // Only a session that nobody holds can be idle now, and most are held.
        if self.lifetime == Lifetime::WhileUsed && self.holders.load(Ordering::Acquire) == 0 {
            let ending = self.end_if_idle(&mut self.lock());
            self.finish(ending);
        }
    }

    /// Holds the session, unless it has ended.
    pub(crate) fn hold(self: &Arc<Self>) -> Option<Hold> {
        let state = self.lock();
        if state.closed.is_some() {
            return None;
        }
        self.count_holder();
        drop(state);
        Some(Hold(Arc::clone(self)))
    }

    /// Holds a session that nobody else knows yet.
    pub(crate) fn first_hold(self: &Arc<Self>) -> Hold {
        self.count_holder();
        Hold(Arc::clone(self))
    }

    /// Waits until the handshake is done. A session that does not get there, or whose future is dropped before, ends.
    pub(crate) async fn opened(&self) -> Result<()> {
        let opening = Opening(self);
        self.established().await?;
        std::mem::forget(opening);
        Ok(())
    }

    /// Counts a place in the books that is held from outside. The caller holds the session's lock, or the session in
    /// another way.
    pub(crate) fn count_holder(&self) {
        self.holders.fetch_add(1, Ordering::AcqRel);
    }

    /// Gives one place in the books back.
    pub(crate) fn release(&self, import: ImportId) {
        self.let_go(|state| state.connection.release(import, 1));
    }

    /// Gives a place in the books back, as `note` says it.
    pub(super) fn let_go(&self, note: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        self.holders.fetch_sub(1, Ordering::AcqRel);
        if state.closed.is_none() {
            note(&mut state);
        }
        let ending = self.end_if_idle(&mut state);
        Self::unlock_and_write(state);
        self.finish(ending);
    }

    /// Ends the session if nothing on either side needs it any more.
    pub(super) fn end_if_idle(&self, state: &mut State) -> Option<Ending> {
        let is_held = self.holders.load(Ordering::Acquire) > 0;
        if self.lifetime == Lifetime::UntilClosed || is_held || state.closed.is_some() {
            return None;
        }
        let tables = state.connection.tables();
        let is_idle = tables.exports == 0
            && tables.aliases == 0
            && tables.calls_in == 0
            && tables.promises_in == 0
            && tables.calls_out == 0
            && tables.streams_out == 0
            && tables.streams_in == 0
            && self.serving.load(Ordering::Acquire) == 0
            && state.queues.are_empty();
        if is_idle {
            self.end_with_goodbye(state, "no longer used")
        } else {
            None
        }
    }

    fn end_with_goodbye(&self, state: &mut State, text: &str) -> Option<Ending> {
        if state.closed.is_some() {
            return None;
        }
        state.ended_here = true;
        state
            .connection
            .close(&CloseReason::new(CloseCode::Done, text));
        let fault = Fault::new(
            FaultKind::SessionLost,
            Outcome::Unknown,
            format!("the session was ended: {text}"),
        );
        self.end(state, &fault, Queued::Written)
    }

    /// Ends everything that depends on this session, the first time that it is called.
    fn end(&self, state: &mut State, fault: &Fault, queued: Queued) -> Option<Ending> {
        if state.closed.is_some() {
            return None;
        }
        let mut garbage = Garbage::default();
        let State {
            questions,
            queues,
            exports,
            streams,
            promises,
            connection,
            ..
        } = state;
        questions.fail(fault, &mut garbage, |call| match queued {
            // A refusal means that nothing ran, whatever was sent before it.
            Queued::Written if fault.may_have_run() => Outcome::Unknown,
            _ => connection.outcome_if_lost(call),
        });
        garbage.wakers.extend(queues.drain());
        if self.has_provisions() {
            provisions::outlive(self.number);
        }
        exports.clear(&mut garbage);
        streams.fail(fault, &mut garbage);
        promises.clear(&mut garbage);
        state.closed = Some(fault.clone());
        state.discards = queued == Queued::Discarded;
        self.closed.store(true, Ordering::Release);
        Some(Ending {
            fault: fault.clone(),
            garbage,
            handlers: state.answers.take(),
            is_written: !state.has_link,
            is_lost: !state.ended_here && self.peer.get().is_some(),
        })
    }

    pub(super) fn finish(&self, ending: Option<Ending>) {
        let Some(Ending {
            fault,
            garbage,
            handlers,
            is_written,
            is_lost,
        }) = ending
        else {
            return;
        };
        tracing::debug!(session = self.number, peer = %self.address, %fault, "a session ended");
        // Who learns of the end may look for the names at once.
        self.node.withdraw_all(self);
        self.phase.send_replace(Phase::Closed(fault.clone()));
        measure::session_ended();
        self.table_meter.tell(TableSizes::default);
        for handler in handlers {
            handler.end();
        }
        garbage.wake();
        self.storage.close();
        self.node.forget_resumable(self);
        if is_lost && let Some(session) = self.me.upgrade() {
            self.node.tell_of_loss(&session, fault);
        }
        self.node.ends.tell();
        if is_written {
            self.tell_written();
        }
        Self::unlock_and_write(self.lock());
    }

    /// Ends the session for a reason that is not this side's.
    pub(crate) fn fail(&self, fault: &Fault, queued: Queued) {
        let ending = self.end(&mut self.lock(), fault, queued);
        self.finish(ending);
    }

    /// Ends the session once all that is queued is written.
    pub(crate) fn close(&self, text: &str) {
        let ending = self.end_with_goodbye(&mut self.lock(), text);
        self.finish(ending);
    }

    /// Ends the session at once. The peer is told if that needs no waiting: else it would wait for another connection.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        if state.closed.is_none() {
            let reason = CloseReason::new(CloseCode::Done, "the session was aborted");
            state.connection.abort(&reason);
            state.ended_here = true;
            drop(state);
            self.write_last();
        } else {
            drop(state);
        }
        let fault = Fault::new(
            FaultKind::SessionLost,
            Outcome::Unknown,
            "the session was aborted",
        );
        self.fail(&fault, Queued::Discarded);
        self.stop();
    }

    /// Tells the peer that no new calls are accepted.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        if state.closed.is_none() {
            let reason = DrainReason::new(DrainCode::ShuttingDown, "the daemon is shutting down");
            state.connection.drain(reason);
        }
        Self::unlock_and_write(state);
    }

    /// Waits until no call and no oneway of the peer is being served.
    pub(crate) async fn served(&self) {
        let is_over = || self.serving.load(Ordering::SeqCst) == 0 || self.is_closed();
        self.node.ends.until(is_over).await;
    }

    /// Whether the session may end without taking anything from the peer: no call of its is being served, and either it
    /// is there, or it has all that it was sent, as far as it goes.
    pub(crate) fn is_drained(&self) -> bool {
        self.serving.load(Ordering::SeqCst) == 0 && !self.is_awaited() || self.is_closed()
    }

    /// Whether there is something for a peer that has lost its connection.
    fn is_awaited(&self) -> bool {
        let state = self.lock();
        state.closed.is_none()
            && state.connection.is_suspended()
            && state.connection.tables().unacknowledged > 0
    }

    /// Waits until the peer is there again for which something is kept, or the session has ended.
    pub(crate) async fn returned(&self) {
        let mut phase = self.phase.subscribe();
        if self.is_awaited() {
            // The session itself holds the sender.
            let _ = phase
                .wait_for(|phase| matches!(phase, Phase::Open | Phase::Closed(_)))
                .await;
        }
    }

    /// Says that all is written that will ever be.
    pub(super) fn tell_written(&self) {
        self.written.store(true, Ordering::SeqCst);
        self.all_written.notify_waiters();
    }

    /// Waits until the session has ended and all is written that will ever be.
    pub(crate) async fn flushed(&self) {
        let mut told = std::pin::pin!(self.all_written.notified());
        told.as_mut().enable();
        if !self.written.load(Ordering::SeqCst) {
            told.await;
        }
    }

    /// Makes references to this object stale for the peer.
    pub(crate) fn revoke(&self, object: ObjectIdentity) {
        let mut garbage = Garbage::default();
        let mut guard = self.lock();
        let State {
            exports,
            connection,
            ..
        } = &mut *guard;
        exports.revoke(connection, object, &mut garbage);
        Self::unlock_and_write(guard);
        drop(garbage);
    }
}
