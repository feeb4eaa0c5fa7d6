//! Answers that are kept as the targets of the peer's calls, and the calls that wait for them.
//!
//! ```text
//!           answered              all that waited have started
//!  Pending ──────────► Releasing ─────────────────────────────► Kept
//! ```
//!
//! Calls start in the order in which they came, so those that come while others are being released wait behind them.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use farref_proto::FaultKind;
use tokio::runtime::Handle;

use super::answering::Finished;
use super::batches::ArrivedBatch;
use super::ending::ServedTogether;
use super::exports::forward;
use super::inbox::{Arrived, Garbage, Work};
use super::serving::Canceller;
use super::slowness::Watch;
use super::{IncomingCallId, Session, State};
use crate::dispatch::Reply;
use crate::error::{Fault, Result};
use crate::object::Export;
use crate::promise::{broken, broken_by_error};
use crate::remote::Remote;
use crate::transferred::Transferred;

/// The answers that are kept, by the number of their call.
#[derive(Default)]
pub(crate) struct Promises(HashMap<IncomingCallId, Promise>);

pub(crate) struct Promise {
    /// What the call returned, once it has.
    target: Option<Result<Arc<Export>>>,
    /// Those that wait for it, or for their turn.
    waiting: VecDeque<Held>,
    /// Whether those that waited are being started.
    is_releasing: bool,
    /// Whether the peer has given it up, and nothing is kept once all that wait have started.
    is_finished: bool,
}

/// What waits for an answer.
enum Held {
    Call(Box<Arrived>, ServedTogether),
    /// A batch, whose next call is for the answer.
    Batch(ArrivedBatch, ServedTogether),
}

/// What a call on a kept answer is to do.
pub(super) enum Awaited {
    /// This is its target.
    Here(Result<Arc<Export>>),
    /// It has to wait.
    Wait,
}

impl Promises {
    /// Notes that the answer of this call is to be kept.
    pub(super) fn open(&mut self, call: IncomingCallId) {
        let promise = Promise {
            target: None,
            waiting: VecDeque::new(),
            is_releasing: false,
            is_finished: false,
        };
        self.0.insert(call, promise);
    }

    /// Whether the answer of this call is kept, or will be.
    pub(super) fn contains(&self, call: IncomingCallId) -> bool {
        self.0.contains_key(&call)
    }

    /// Looks for the target of a call on the answer of `promise`.
    pub(super) fn find(&self, promise: IncomingCallId) -> Awaited {
        match self.0.get(&promise) {
            None => Awaited::Here(Err(unknown())),
            Some(promise) => match &promise.target {
                Some(target) if !promise.is_releasing => Awaited::Here(target.clone()),
                _ => Awaited::Wait,
            },
        }
    }

    fn hold(&mut self, promise: IncomingCallId, held: Held) {
        if let Some(promise) = self.0.get_mut(&promise) {
            promise.waiting.push_back(held);
        }
    }

    /// Takes the answer of a call. Returns whether others have waited for it.
    fn answer(
        &mut self,
        call: IncomingCallId,
        target: impl FnOnce() -> Result<Arc<Export>>,
    ) -> bool {
        let Some(promise) = self.0.get_mut(&call) else {
            return false;
        };
        if promise.target.is_none() {
            promise.target = Some(target());
            promise.is_releasing = true;
        }
        true
    }

    /// The next that waited for this answer, and where it goes. Returns nothing when all have started.
    fn next(
        &mut self,
        call: IncomingCallId,
        garbage: &mut Garbage,
    ) -> Option<(Held, Result<Arc<Export>>)> {
        let promise = self.0.get_mut(&call)?;
        if let Some(held) = promise.waiting.pop_front() {
            return Some((held, promise.target.clone()?));
        }
        promise.is_releasing = false;
        if promise.is_finished {
            garbage.promises.extend(self.0.remove(&call));
        }
        None
    }

    /// The peer does not name the answer any more.
    pub(super) fn finish(&mut self, call: IncomingCallId, garbage: &mut Garbage) {
        if let Some(promise) = self.0.get_mut(&call) {
            promise.is_finished = true;
            if promise.target.is_some() && !promise.is_releasing || promise.waiting.is_empty() {
                garbage.promises.extend(self.0.remove(&call));
            }
        }
    }

    /// Takes a call out that waits for the answer of `promise`.
    fn take(
        &mut self,
        promise: IncomingCallId,
        call: IncomingCallId,
    ) -> Option<(Arrived, ServedTogether)> {
        let waiting = &mut self.0.get_mut(&promise)?.waiting;
        let place = waiting.iter().position(|held| match held {
            Held::Call(arrived, _) => arrived.receipt.is_none() && arrived.call.id == call,
            Held::Batch(..) => false,
        })?;
        match waiting.remove(place)? {
            Held::Call(arrived, served) => Some((*arrived, served)),
            Held::Batch(..) => None,
        }
    }

    /// Ends them all with the session.
    pub(super) fn clear(&mut self, garbage: &mut Garbage) {
        garbage
            .promises
            .extend(self.0.drain().map(|(_, promise)| promise));
    }
}

impl Session {
    /// Notes a call that arrived, whose target or answer is a promise. Returns nothing if it waits for the answer of
    /// another one.
    pub(super) fn sorted(
        self: &Arc<Self>,
        state: &mut State,
        mut arrived: Arrived,
    ) -> Option<Work> {
        let promise = arrived.call.pipelined.then(|| promise_of(&arrived));
        let awaited = promise.map(|promise| (promise, state.promises.find(promise)));
        // Only now, so that it cannot wait for itself.
        if arrived.call.keep_answer && arrived.receipt.is_none() {
            state.promises.open(arrived.call.id);
        }
        match awaited {
            None => {}
            Some((_, Awaited::Here(target))) => arrived.target = target,
            Some((promise, Awaited::Wait)) => {
                if arrived.receipt.is_none() {
                    let canceller = Canceller::Promise(promise);
                    state.answers.put(arrived.call.id, canceller);
                }
                let mut served = ServedTogether::new(self);
                served.begin(1);
                let held = Held::Call(Box::new(arrived), served);
                state.promises.hold(promise, held);
                return None;
            }
        }
        Some(Work::Call(arrived))
    }

    /// Finds the target of the next call of a batch, which is the answer of another call. Keeps the batch if that has not
    /// come.
    pub(super) fn next_of_batch(
        &self,
        mut batch: ArrivedBatch,
        promise: IncomingCallId,
        served: &mut ServedTogether,
    ) -> Option<ArrivedBatch> {
        let mut guard = self.lock();
        let state = &mut *guard;
        match state.promises.find(promise) {
            Awaited::Here(target) => {
                drop(guard);
                batch.resolve(target);
                Some(batch)
            }
            Awaited::Wait => {
                batch.can_be_cancelled(state);
                let served = served.give_many_away(batch.len());
                state.promises.hold(promise, Held::Batch(batch, served));
                None
            }
        }
    }

    /// Takes the answer to a call that may be kept. Returns whether there may be others that have waited for it.
    pub(super) fn keep(
        state: &mut State,
        call: IncomingCallId,
        result: &std::result::Result<&Reply, &Fault>,
    ) -> bool {
        if state.promises.0.is_empty() {
            return false;
        }
        state.promises.answer(call, || match result {
            Err(fault) => Err(broken(fault)),
            Ok(reply) if reply.is_error => Err(broken_by_error()),
            Ok(reply) => match reply.transferred.first() {
                Some(Transferred::Reference(Remote::Local(export))) => Ok(Arc::clone(export)),
                Some(Transferred::Reference(remote @ Remote::Far(_))) => Ok(forward(remote)),
                Some(Transferred::Reference(Remote::Dead(fault))) => Err(broken(fault)),
                Some(Transferred::Stream(_)) | None => Err(Fault::not_started(
                    FaultKind::BrokenPromise,
                    "the call that was to return the object returned something else",
                )),
            },
        })
    }

    /// Starts what has waited for these answers, which are on their way, outside the task that reads.
    pub(super) fn release_elsewhere(self: &Arc<Self>, answered: Vec<IncomingCallId>) {
        // A runtime that ends takes the session along.
        if Handle::try_current().is_err() {
            return;
        }
        let mut finished = Finished::default();
        finished.answered.extend(answered);
        let mut served = ServedTogether::new(self);
        let all = poll_fn(|cx| {
            self.release_held(&mut served, &mut finished, cx);
            Poll::Ready(())
        });
        // As where calls are read: a handler that is pending is polled again.
        let _ = pin!(tokio::task::unconstrained(all)).poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Starts what has waited for the answers that are on their way, and what has waited for its answers in turn.
    pub(super) fn release_held(
        self: &Arc<Self>,
        served: &mut ServedTogether,
        finished: &mut Finished,
        cx: &mut Context<'_>,
    ) {
        let mut watch = Watch::new();
        while let Some(call) = finished.answered.pop_front() {
            loop {
                let mut garbage = Garbage::default();
                let next = self.lock().promises.next(call, &mut garbage);
                drop(garbage);
                match next {
                    Some((Held::Call(mut arrived, its), target)) => {
                        arrived.target = target;
                        served.take_over(its);
                        let name = self.serve(*arrived, served, finished, cx);
                        watch.took_long(name);
                    }
                    Some((Held::Batch(mut batch, its), target)) => {
                        batch.resolve(target);
                        served.take_over(its);
                        self.serve_batch(batch, served, finished, &mut watch, cx);
                    }
                    None => break,
                }
                if finished.is_full() {
                    self.answer_now(finished, served);
                }
            }
            self.answer_now(finished, served);
        }
        finished.were_slow |= watch.ends();
    }

    /// Cancels a call that waits for the answer of another one.
    pub(super) fn cancel_held(
        self: &Arc<Self>,
        promise: IncomingCallId,
        call: IncomingCallId,
        served: &mut ServedTogether,
        finished: &mut Finished,
        cx: &mut Context<'_>,
    ) {
        let taken = self.lock().promises.take(promise, call);
        if let Some((mut arrived, its)) = taken {
            arrived.target = Err(Fault::not_started(
                FaultKind::Cancelled,
                "the call was cancelled before the object was there that it is for",
            ));
            served.take_over(its);
            self.serve(arrived, served, finished, cx);
        }
    }
}

/// The call whose answer this one is for.
pub(super) fn promise_of(arrived: &Arrived) -> IncomingCallId {
    IncomingCallId::new(arrived.call.target.index())
}

pub(super) fn unknown() -> Fault {
    Fault::not_started(
        FaultKind::BrokenPromise,
        "the call is for the answer of another one, and no such answer is kept",
    )
    .blaming_caller()
}
