//! Serving batches: their calls run one after the other, in place as long as none of them stays pending.

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use farref_proto::{BatchMode, FaultKind, IncomingBatch};

use super::answering::{AnswerKind, Finished, SessionAnswer};
use super::ending::ServedTogether;
use super::inbox::{Arrived, Work};
use super::promises::{promise_of, unknown};
use super::runs::{ArrivedRun, RunServed};
use super::serving::Canceller;
use super::slowness::Watch;
use super::{IncomingCallId, Session, State};
use crate::call::member::skipped;
use crate::context::CallName;
use crate::dispatch::Reply;
use crate::error::{Fault, Result};
use crate::object::Export;
use crate::serve::{Handler, Running};
use crate::sync::{Mutex, MutexGuard};
use crate::task;

/// The calls of a batch that have not begun.
pub(crate) struct ArrivedBatch {
    mode: BatchMode,
    calls: VecDeque<Next>,
    /// The call that failed, in a batch that stops there.
    stopped: Option<CallName>,
    /// Whether what the next call is for was looked for, where that is the answer of another call.
    is_resolved: bool,
    /// How its calls are cancelled, once it has left the reader.
    cancelling: Option<Arc<Cancelling>>,
}

/// What a batch goes on with.
enum Next {
    Call(Arrived),
    Run(ArrivedRun),
}

/// What the calls that a batch has not ended are cancelled by, once it is in a task.
#[derive(Default)]
pub(super) struct Cancelling(Mutex<Cancelled>);

#[derive(Default)]
struct Cancelled {
    calls: HashSet<IncomingCallId>,
    /// Nobody waits for any of them: the session has ended.
    all: bool,
    waker: Option<Waker>,
}

impl Cancelling {
    fn lock(&self) -> MutexGuard<'_, Cancelled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels a call, which may not have begun.
    pub(super) fn cancel(&self, call: IncomingCallId) {
        let mut cancelled = self.lock();
        cancelled.calls.insert(call);
        let waker = cancelled.waker.take();
        drop(cancelled);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Cancels them all.
    pub(super) fn cancel_all(&self) {
        let mut cancelled = self.lock();
        cancelled.all = true;
        let waker = cancelled.waker.take();
        drop(cancelled);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn is_cancelled(&self, call: Option<IncomingCallId>) -> bool {
        let cancelled = self.lock();
        cancelled.all || call.is_some_and(|call| cancelled.calls.contains(&call))
    }

    /// Whether the call is cancelled; if not, the task is woken when one is.
    fn poll_cancelled(&self, call: Option<IncomingCallId>, cx: &Context<'_>) -> bool {
        let mut cancelled = self.lock();
        if cancelled.all || call.is_some_and(|call| cancelled.calls.contains(&call)) {
            return true;
        }
        match &mut cancelled.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => cancelled.waker = Some(cx.waker().clone()),
        }
        false
    }
}

/// A call of a batch whose handler stayed pending, or is not to be polled where it is.
struct Pending {
    handler: Handler,
    kind: AnswerKind,
    has_begun: bool,
}

impl ArrivedBatch {
    /// How many calls have not begun.
    pub(super) fn len(&self) -> usize {
        let count = |next: &Next| match next {
            Next::Call(_) => 1,
            Next::Run(run) => run.len(),
        };
        self.calls.iter().map(count).sum()
    }

    /// Takes the next call, and the way of its answer if it is one of a run.
    fn next(&mut self) -> Option<(Arrived, Option<AnswerKind>)> {
        loop {
            match self.calls.pop_front()? {
                Next::Call(arrived) => return Some((arrived, None)),
                Next::Run(mut run) => {
                    if let Some((arrived, kind)) = run.next() {
                        self.calls.push_front(Next::Run(run));
                        return Some((arrived, Some(kind)));
                    }
                }
            }
        }
    }

    /// Notes how a call ended.
    fn ended(&mut self, call: CallName, result: &Result<Reply>) {
        if result.as_ref().map_or(true, |reply| reply.is_error) {
            self.failed(call);
        }
    }

    fn failed(&mut self, call: CallName) {
        if self.mode == BatchMode::Stop && self.stopped.is_none() {
            self.stopped = Some(call);
        }
    }

    /// The call whose answer the next call is for, if that was not looked for.
    fn awaits(&self) -> Option<IncomingCallId> {
        let Some(Next::Call(next)) = self.calls.front() else {
            return None;
        };
        let awaits = next.call.pipelined && !self.is_resolved && self.stopped.is_none();
        awaits.then(|| promise_of(next))
    }

    /// Takes what the next call is for.
    pub(super) fn resolve(&mut self, target: Result<Arc<Export>>) {
        if let Some(Next::Call(next)) = self.calls.front_mut() {
            next.target = target;
            self.is_resolved = true;
        }
    }

    /// Has cancels that come from now on reach those of the calls that have not ended.
    pub(super) fn can_be_cancelled(&mut self, state: &mut State) -> Arc<Cancelling> {
        if let Some(cancelling) = &self.cancelling {
            return Arc::clone(cancelling);
        }
        let cancelling = Arc::new(Cancelling::default());
        for call in self.call_ids() {
            let canceller = Canceller::Batch(Arc::clone(&cancelling));
            state.answers.put(call, canceller);
        }
        self.cancelling = Some(Arc::clone(&cancelling));
        cancelling
    }

    fn is_cancelled(&self, call: IncomingCallId) -> bool {
        let cancelling = self.cancelling.as_ref();
        cancelling.is_some_and(|cancelling| cancelling.is_cancelled(Some(call)))
    }

    fn call_ids(&self) -> impl Iterator<Item = IncomingCallId> {
        self.calls.iter().filter_map(|next| match next {
            Next::Call(arrived) => arrived.receipt.is_none().then_some(arrived.call.id),
            Next::Run(run) => Some(run.id()),
        })
    }
}

impl Session {
    pub(super) fn arrived_batch(self: &Arc<Self>, state: &mut State, batch: IncomingBatch) -> Work {
        let calls = batch.calls.into_iter().map(|batched| {
            let mut arrived = self.arrived(state, batched.call, batched.receipt);
            // Only the answers of calls before it are there to wait for.
            if arrived.call.pipelined && !state.promises.contains(promise_of(&arrived)) {
                arrived.call.pipelined = false;
                arrived.target = Err(unknown());
            }
            if arrived.call.keep_answer && arrived.receipt.is_none() {
                state.promises.open(arrived.call.id);
            }
            if let Some(refusal) = batched.refusal {
                arrived.call.pipelined = false;
                arrived.target = Err(match refusal.kind {
                    FaultKind::ShuttingDown => Fault::from_message(*refusal),
                    _ => Fault::from_message(*refusal).blaming_caller(),
                });
            }
            match batched.run {
                Some(lengths) => Next::Run(ArrivedRun::batched(arrived, lengths)),
                None => Next::Call(arrived),
            }
        });
        Work::Batch(ArrivedBatch {
            mode: batch.mode,
            calls: calls.collect(),
            stopped: None,
            is_resolved: false,
            cancelling: None,
        })
    }

    /// Serves a batch as far as it goes in place; the rest goes on in a task.
    pub(super) fn serve_batch(
        self: &Arc<Self>,
        batch: ArrivedBatch,
        served: &mut ServedTogether,
        finished: &mut Finished,
        watch: &mut Watch,
        cx: &mut Context<'_>,
    ) {
        let pending = self.run_batch(batch, served, finished, Some(watch), cx);
        if let Some((batch, pending)) = pending {
            // What comes from the task comes behind.
            self.answer_now(finished, served);
            let served = served.give_many_away(batch.len() + 1);
            self.move_to_task(batch, pending, served);
        }
    }

    /// Runs the calls of a batch in place until one stays pending, which is returned. A batch whose next call is for an
    /// answer that has not come waits with it.
    fn run_batch(
        self: &Arc<Self>,
        mut batch: ArrivedBatch,
        served: &mut ServedTogether,
        finished: &mut Finished,
        mut watch: Option<&mut Watch>,
        cx: &mut Context<'_>,
    ) -> Option<(ArrivedBatch, Pending)> {
        loop {
            if let Some(promise) = batch.awaits() {
                // It may be the answer of a call that has just ended.
                self.answer_now(finished, served);
                batch = self.next_of_batch(batch, promise, served)?;
            }
            let mut waiting = None;
            if let Some(Next::Run(run)) = batch.calls.front_mut()
                && batch.stopped.is_none()
            {
                let cancelling = batch.cancelling.as_deref();
                let watch = watch.as_deref_mut();
                let ended = self.serve_run(run, cancelling, served, finished, watch, cx);
                self.unlock_and_write_now(self.lock());
                match ended {
                    RunServed::UpTo => {}
                    RunServed::Failed(name) => {
                        batch.failed(name);
                        continue;
                    }
                    RunServed::Waits(handler, kind) => waiting = Some((handler, kind)),
                }
            }
            let (mut handler, kind, is_cancelled) = match waiting {
                Some((handler, kind)) => (handler, kind, false),
                None => {
                    let (mut arrived, of_run) = batch.next()?;
                    batch.is_resolved = false;
                    if arrived.call.ordered && batch.stopped.is_none() {
                        self.serve_ordered(arrived, served, finished, cx);
                        continue;
                    }
                    if batch.stopped.is_some() {
                        // Its handler only says why; what it transferred goes back now.
                        drop(arrived.transferred.take());
                    }
                    let call = arrived.call.id;
                    let is_cancelled = arrived.receipt.is_none() && batch.is_cancelled(call);
                    let (handler, kind) = self.handler(arrived);
                    (handler, of_run.unwrap_or(kind), is_cancelled)
                }
            };
            let name = handler.scope.call_name();
            let result = if let Some(failed) = batch.stopped {
                Err(skipped(name, failed))
            } else if is_cancelled {
                Err(cancelled(name))
            } else {
                // In a task of its own the batch holds nobody.
                let may_poll = !handler.flags.spawn || watch.is_none();
                let polled = match may_poll {
                    true => handler.poll(cx),
                    false => Poll::Pending,
                };
                match polled {
                    Poll::Ready(result) => result,
                    Poll::Pending => {
                        let pending = Pending {
                            handler,
                            kind,
                            has_begun: may_poll,
                        };
                        return Some((batch, pending));
                    }
                }
            };
            batch.ended(name, &result);
            self.finish_in_place(handler, kind, result, finished);
            let took_long = watch
                .as_deref_mut()
                .is_some_and(|watch| watch.took_long(Some(name)));
            if took_long || finished.is_full() {
                self.answer_now(finished, served);
            }
        }
    }

    fn move_to_task(
        self: &Arc<Self>,
        mut batch: ArrivedBatch,
        mut pending: Pending,
        mut served: ServedTogether,
    ) {
        let current = pending.kind.call();
        let mut state = self.lock();
        if state.closed.is_some() {
            drop(state);
            drop((pending, batch));
            return;
        }
        let cancelling = batch.can_be_cancelled(&mut state);
        if let Some(call) = current {
            let canceller = Canceller::Batch(Arc::clone(&cancelling));
            state.answers.put(call, canceller);
        }
        drop(state);
        let session = Arc::clone(self);
        task::spawn(async move {
            let mut finished = Finished::default();
            loop {
                session
                    .end_pending(pending, &mut batch, &cancelling, &mut served)
                    .await;
                let mut rest = Some(batch);
                let next = poll_fn(|cx| {
                    let batch = rest.take();
                    let next = batch.and_then(|batch| {
                        session.run_batch(batch, &mut served, &mut finished, None, cx)
                    });
                    session.answer_all(&mut finished, &mut served, cx);
                    Poll::Ready(next)
                });
                match tokio::task::unconstrained(next).await {
                    Some((rest, next)) => (batch, pending) = (rest, next),
                    None => break,
                }
            }
        });
    }

    /// Runs a call of a batch to its end, or until it is cancelled.
    async fn end_pending(
        self: &Arc<Self>,
        pending: Pending,
        batch: &mut ArrivedBatch,
        cancelling: &Cancelling,
        served: &mut ServedTogether,
    ) {
        let Pending {
            handler,
            kind,
            has_begun,
        } = pending;
        let call = kind.call();
        let name = handler.scope.call_name();
        let may_be_cancelled = !handler.flags.runs_to_its_end();
        let answer = SessionAnswer::listed(&handler, kind, served.give_away());
        let mut running = match has_begun {
            true => Running::begun(handler, answer),
            false => Running::new(handler, answer),
        };
        let ended = poll_fn(|cx| {
            if may_be_cancelled && cancelling.poll_cancelled(call, cx) {
                return Poll::Ready(None);
            }
            running.poll_result(cx).map(Some)
        });
        match ended.await {
            Some(result) => {
                batch.ended(name, &result);
                running.answer(result);
            }
            None => {
                batch.ended(name, &Err(cancelled(name)));
                // Dropping it answers that it was cancelled.
                drop(running);
            }
        }
    }
}

fn cancelled(call: CallName) -> Fault {
    let message = format!("`{call}` was cancelled before it began");
    Fault::not_started(FaultKind::Cancelled, message)
}
