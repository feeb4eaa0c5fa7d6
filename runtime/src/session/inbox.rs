//! What a read brought: parsed under the lock, acted on outside it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use farref_proto::{
    ConnectionError, Event, FaultKind, IncomingBind, IncomingCall, IncomingClaim, IncomingProvide,
    IncomingRef, IncomingReply, OnewayReceipt, Seldom,
};

use super::batches::ArrivedBatch;
use super::ending::Queued;
use super::handing_off;
use super::input::Input;
use super::promises::Promise;
use super::runs::ArrivedRun;
use super::serving::{Batch, Lists};
use super::streams::Production;
use super::{IncomingCallId, Phase, Session, State, Wakers, transfer};
use crate::Outcome;
use crate::error::{Fault, Result};
use crate::factory::Instance;
use crate::object::{Export, ObjectIdentity};
use crate::panics;
use crate::promise;
use crate::remote::Bound;
use crate::transferred::Transferred;

/// So many callers are woken at once at most, while a read may bring answers for a thousand: the lock that they all need is
/// held no longer, and they go on while the rest is still read.
const WOKEN_TOGETHER: usize = 32;

/// What is to be dropped or woken once the lock is free.
#[derive(Default)]
pub(crate) struct Garbage {
    pub(crate) wakers: Wakers,
    pub(crate) found: Vec<(Arc<Bound>, Result<ObjectIdentity>)>,
    pub(crate) exports: Vec<Arc<Export>>,
    pub(crate) transferred: Vec<Transferred>,
    /// What is provided for third processes now that a frame says so.
    pub(crate) provided: Vec<handing_off::Promised>,
    /// What would have been, had the frame been sent.
    pub(crate) withdrawn: Vec<handing_off::Promised>,
    /// Answers that are kept by the peer, with the references that came with them.
    pub(crate) promised: Vec<(Arc<Bound>, IncomingReply, Seldom<Transferred>)>,
    /// Answers that will not come.
    pub(crate) broken: Vec<(Arc<Bound>, Fault)>,
    /// Calls of the peer whose answers are kept, and are on their way now.
    pub(crate) answered: Vec<IncomingCallId>,
    /// Answers that are kept for the peer no longer.
    pub(crate) promises: Vec<Promise>,
}

impl Garbage {
    /// Wakes who waits, and drops the rest. The memory is kept for the next time.
    pub(crate) fn clear(&mut self) {
        for (bound, found) in self.found.drain(..) {
            bound.answer(found);
        }
        for (bound, reply, references) in self.promised.drain(..) {
            let result = bound.session.promised(&bound, reply, references);
            bound.settle(result);
        }
        for (bound, fault) in self.broken.drain(..) {
            bound.settle(Err(promise::broken(&fault)));
        }
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        self.drop_contained();
    }

    /// Wakes who waits, and drops the rest.
    pub(crate) fn wake(mut self) {
        self.clear();
    }

    fn drop_contained(&mut self) {
        if !self.provided.is_empty() || !self.withdrawn.is_empty() {
            self.withdrawn.clear();
            handing_off::promise(std::mem::take(&mut self.provided));
        }
        if self.exports.is_empty() && self.transferred.is_empty() && self.promises.is_empty() {
            return;
        }
        self.promises.drain(..).for_each(panics::drop_contained);
        // Each may be the last hold on an object, and one whose drop panics takes nothing else along.
        self.exports.drain(..).for_each(panics::drop_contained);
        self.transferred.drain(..).for_each(panics::drop_contained);
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        self.drop_contained();
    }
}

/// A call that arrived, with all that the books say of it.
pub(crate) struct Arrived {
    pub(crate) call: IncomingCall,
    pub(crate) target: Result<Arc<Export>>,
    pub(crate) transferred: Seldom<Transferred>,
    /// For a oneway: what to give back when its handler has ended.
    pub(crate) receipt: Option<OnewayReceipt>,
}

/// The work that a read brought.
pub(crate) enum Work {
    Call(Arrived),
    /// Calls that were gathered.
    Calls(ArrivedRun),
    Cancel(IncomingCallId),
    Batch(ArrivedBatch),
    /// The peer promises an object of this process to a third one.
    Provide(IncomingProvide, Result<Arc<Export>>),
    /// The peer claims what was promised to it.
    Claim(IncomingClaim),
    /// The peer asked for a name whose object may have to be made.
    Make(Arc<Instance>, IncomingBind),
    /// The peer consumes a stream for the first time.
    Produce(Production),
}

/// What events say of the session itself.
#[derive(Default)]
struct Notices {
    /// The peer has ended it, and why.
    closed: Option<Fault>,
}

impl Session {
    /// Takes bytes that arrived, and leaves what is not a whole frame yet. The work that they bring is added to `batch`.
    pub(super) fn receive(
        self: &Arc<Self>,
        link: u32,
        input: &mut Input,
        batch: &mut Batch,
    ) -> Result<(), ConnectionError> {
        let now = self.now();
        let Batch {
            lists,
            served,
            resume,
            transmits,
        } = batch;
        let Lists { work, garbage, .. } = &mut **lists;
        let mut guard = self.lock();
        let mut notices = Notices::default();
        let mut counted = 0;
        let handled = loop {
            let connection = &mut guard.connection;
            let event = match input.take_apart() {
                None => connection.take_event_of(link, now, &mut input.bytes),
                Some(bytes) => connection.take_apart_of(link, now, &mut input.bytes, bytes),
            };
            match event {
                Ok(Some(Event::ResumeRequested(request))) => {
                    // What follows is for another session.
                    *resume = Some(request);
                    break Ok(());
                }
                Ok(Some(event)) => {
                    self.take_event(&mut guard, event, garbage, work, &mut notices);
                    if garbage.wakers.len() >= WOKEN_TOGETHER {
                        served.begin(calls_among(&work[counted..]));
                        counted = work.len();
                        drop(guard);
                        garbage.clear();
                        guard = self.lock();
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.take_events(&mut guard, garbage, work, &mut notices);
        served.begin(calls_among(&work[counted..]));
        let ending = self.end_if_idle(&mut guard);
        // The task that writes is woken on this thread, where a handler that blocks would keep it from running.
        let is_to_be_written = guard.connection.has_transmit();
        *transmits = is_to_be_written && !work.is_empty();
        if is_to_be_written && work.is_empty() {
            Self::unlock_and_write(guard);
        } else {
            drop(guard);
        }
        self.follow_introductions();
        garbage.clear();
        if let Some(fault) = notices.closed {
            // It reads nothing more, so what is queued never runs.
            self.fail(&fault, Queued::Discarded);
        }
        self.finish(ending);
        handled
    }

    /// Lets the clock advance: beats, deadlines of the handshake and of frames, silence of the peer.
    pub(crate) fn tick(self: &Arc<Self>, batch: &mut Batch) -> Result<(), ConnectionError> {
        let now = self.now();
        let Batch { lists, served, .. } = batch;
        let Lists { work, garbage, .. } = &mut **lists;
        let mut guard = self.lock();
        if self.is_performing.load(Ordering::Relaxed) {
            guard.connection.excuse_silence(now);
        }
        let handled = guard.connection.handle_timeout(now);
        let mut notices = Notices::default();
        self.take_events(&mut guard, garbage, work, &mut notices);
        served.begin(calls_among(work));
        drop(guard);
        self.follow_introductions();
        garbage.clear();
        if let Some(fault) = notices.closed {
            self.fail(&fault, Queued::Discarded);
        }
        handled
    }

    /// Takes the events that wait.
    fn take_events(
        self: &Arc<Self>,
        state: &mut State,
        garbage: &mut Garbage,
        work: &mut Vec<Work>,
        notices: &mut Notices,
    ) {
        while let Some(event) = state.connection.poll_event() {
            self.take_event(state, event, garbage, work, notices);
        }
    }

    #[inline]
    fn take_event(
        self: &Arc<Self>,
        state: &mut State,
        event: Event,
        garbage: &mut Garbage,
        work: &mut Vec<Work>,
        notices: &mut Notices,
    ) {
        match event {
            Event::Reply(reply) => {
                let (exports, streams) = (&state.exports, &mut state.streams);
                let receive =
                    |table: &[IncomingRef]| transfer::receive(exports, streams, self, table);
                state.questions.answer(reply, receive, garbage);
            }
            Event::Replies(replies) => state.questions.answer_gathered(replies, garbage),
            Event::Results(results) => state.questions.results(results, garbage),
            Event::Call(call) => self.take_call(state, call, None, work),
            Event::Calls(calls) => {
                let target = state.exports.target(calls.target);
                work.push(Work::Calls(ArrivedRun::gathered(calls, target)));
            }
            Event::Oneway(call, receipt) => self.take_call(state, call, Some(receipt), work),
            Event::Finished(call) => state.promises.finish(call, garbage),
            Event::Batch(batch) => work.push(self.arrived_batch(state, batch)),
            Event::Bind(bind) => self.serve_bind(state, bind, garbage, work),
            Event::Provide(provide) => {
                let target = state.exports.target(provide.target);
                work.push(Work::Provide(provide, target));
            }
            Event::Claim(claim) => {
                state.exports.await_claim(claim.alias, claim.call);
                work.push(Work::Claim(claim));
            }
            Event::Claimed { .. } => {
                tracing::debug!(
                    session = self.number,
                    "the peer has got a reference of its own"
                )
            }
            Event::Cancel(call) => work.push(Work::Cancel(call)),
            Event::Released(id) => state.exports.released(id, garbage),
            Event::AliasReleased(alias) => state.exports.name_released(alias, garbage),
            Event::CreditAvailable { depth } => garbage.wakers.extend(state.who_has_room(depth)),
            Event::Established(peer) => {
                self.node.note_resumable(self, &state.connection);
                let _ = self.peer.set(peer);
                garbage.wakers.extend(state.queues.firsts());
                self.opened_phase();
            }
            Event::StreamItems(mut items) => {
                let table = std::mem::take(&mut items.table);
                let streams = &mut state.streams;
                let transferred = transfer::receive(&state.exports, streams, self, &table);
                streams.received(self, items, transferred, garbage);
            }
            Event::StreamEnded(number, ending) => state.streams.ended(number, &ending, garbage),
            Event::StreamCredit(number) => {
                let production = state.streams.credited(number, garbage);
                work.extend(production.map(Work::Produce));
            }
            Event::StreamCancelled(number) => {
                let connection = &mut state.connection;
                state.streams.cancelled(connection, number, garbage);
            }
            Event::Resumed => self.opened_phase(),
            Event::Draining { .. } => {
                tracing::debug!(session = self.number, "the peer accepts no new calls")
            }
            Event::Closed(reason) => {
                notices.closed = Some(Fault::new(
                    FaultKind::SessionLost,
                    Outcome::Unknown,
                    format!("the peer ended the session: {reason}"),
                ));
            }
            // Calls to it will say so, and oneways are not sent.
            Event::Revoked(_) => {}
            _ => {}
        }
    }

    /// Takes what came of going on over another connection. Who is to be woken is returned.
    pub(super) fn take_resumed(self: &Arc<Self>, state: &mut State) -> Garbage {
        let (mut garbage, mut work) = (Garbage::default(), Vec::new());
        let mut notices = Notices::default();
        self.take_events(state, &mut garbage, &mut work, &mut notices);
        debug_assert!(
            work.is_empty() && notices.closed.is_none(),
            "nothing was received"
        );
        garbage
    }

    /// Says that frames go to and fro, unless the session has ended.
    fn opened_phase(&self) {
        self.phase.send_if_modified(|phase| {
            let opened = !matches!(phase, Phase::Open | Phase::Closed(_));
            if opened {
                *phase = Phase::Open;
            }
            opened
        });
    }

    /// Takes a call or a oneway that arrived.
    #[inline]
    fn take_call(
        self: &Arc<Self>,
        state: &mut State,
        call: IncomingCall,
        receipt: Option<OnewayReceipt>,
        work: &mut Vec<Work>,
    ) {
        let concerns_promises = call.pipelined || call.keep_answer;
        let arrived = self.arrived(state, call, receipt);
        match concerns_promises {
            false => work.push(Work::Call(arrived)),
            true => work.extend(self.sorted(state, arrived)),
        }
    }

    pub(super) fn arrived(
        self: &Arc<Self>,
        state: &mut State,
        call: IncomingCall,
        receipt: Option<OnewayReceipt>,
    ) -> Arrived {
        let target = state.exports.target(call.target);
        let transferred = transfer::receive(&state.exports, &mut state.streams, self, &call.table);
        Arrived {
            call,
            target,
            transferred,
            receipt,
        }
    }
}

/// How many calls and oneways there are among this work.
fn calls_among(work: &[Work]) -> usize {
    work.iter()
        .map(|work| match work {
            Work::Call(_) => 1,
            Work::Calls(run) => run.len(),
            Work::Batch(batch) => batch.len(),
            Work::Cancel(_)
            | Work::Provide(..)
            | Work::Claim(_)
            | Work::Make(..)
            | Work::Produce(_) => 0,
        })
        .sum()
}
