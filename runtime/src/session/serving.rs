//! Serving the calls that arrive on a session.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use farref_proto::ResumeRequest;

use super::answering::{AnswerKind, Finished, SessionAnswer};
use super::at_once::AtOnce;
use super::batches::Cancelling;
use super::ending::ServedTogether;
use super::inbox::{Arrived, Garbage, Work};
use super::slowness::Watch;
use super::streams::Pump;
use super::{IncomingCallId, Session};
use crate::context::{CallName, Scope};
use crate::dispatch::Reply;
use crate::error::Result;
use crate::handoff::provisions;
use crate::serve::{Handler, Running};
use crate::task::{self, AbortHandle};

/// The handlers that run in tasks, by the number of their call, so that they can be cancelled.
#[derive(Default)]
pub(crate) struct Answers(Vec<Option<Canceller>>);

/// How a call is cancelled that is being served in a task.
#[derive(Clone)]
pub(crate) enum Canceller {
    Task(AbortHandle),
    /// It is one of a batch.
    Batch(Arc<Cancelling>),
    /// It waits for the answer of this call.
    Promise(IncomingCallId),
}

impl Canceller {
    /// Cancels this call.
    pub(super) fn cancel(&self, call: IncomingCallId) {
        match self {
            Canceller::Task(task) => task.abort(),
            Canceller::Batch(batch) => batch.cancel(call),
            // Who reads looks for it there.
            Canceller::Promise(_) => {}
        }
    }

    /// Cancels what nobody waits for, now that the session has ended.
    pub(super) fn end(&self) {
        match self {
            Canceller::Task(task) => task.abort(),
            Canceller::Batch(batch) => batch.cancel_all(),
            Canceller::Promise(_) => {}
        }
    }
}

impl Answers {
    pub(super) fn put(&mut self, call: IncomingCallId, task: Canceller) {
        let index = call.index() as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index] = Some(task);
    }

    pub(super) fn remove(&mut self, call: IncomingCallId) -> Option<Canceller> {
        self.0.get_mut(call.index() as usize)?.take()
    }

    pub(crate) fn take(&mut self) -> Vec<Canceller> {
        std::mem::take(&mut self.0).into_iter().flatten().collect()
    }
}

/// What a read brought, and what has come of it.
pub(crate) struct Batch {
    pub(super) lists: Box<Lists>,
    /// The calls among the work, until they have ended or are given away.
    pub(super) served: ServedTogether,
    /// The peer asks for another session than this one.
    pub(super) resume: Option<ResumeRequest>,
    /// Something is to be written once the work is done.
    pub(super) transmits: bool,
}

/// The lists of a batch, whose memory is used again.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) work: Vec<Work>,
    pub(super) garbage: Garbage,
    pub(super) finished: Finished,
}

/// More work than this in one read is rare, and its memory is not kept.
const KEPT_WORK: usize = 1024;

thread_local! {
    /// By the thread and not by the session: most sessions are idle.
    static LISTS: Cell<Option<Box<Lists>>> = const { Cell::new(None) };
}

impl Batch {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        Batch {
            lists: LISTS
                .try_with(Cell::take)
                .ok()
                .flatten()
                .unwrap_or_default(),
            served: ServedTogether::new(session),
            resume: None,
            transmits: false,
        }
    }

    /// Keeps the memory of a batch that is over for the next one on this thread.
    pub(super) fn recycle(self) {
        let mut lists = self.lists;
        if let Some(scope) = lists.finished.scope.take() {
            Scope::recycle(scope);
        }
        if lists.work.is_empty() && lists.work.capacity() <= KEPT_WORK {
            let _ = LISTS.try_with(|kept| kept.set(Some(lists)));
        }
    }
}

impl Session {
    /// Does the work that a read brought, and answers what has ended at once.
    pub(crate) fn perform(self: &Arc<Self>, batch: &mut Batch) {
        if batch.lists.work.is_empty() {
            return;
        }
        // Whatever many handlers in a row consume of the reader's own budget must not make one falsely pending.
        let all = poll_fn(|cx| {
            self.perform_all(batch, cx);
            Poll::Ready(())
        });
        // Nothing is registered to wake a handler that is polled in place: a pending one is polled again.
        let _ = pin!(tokio::task::unconstrained(all)).poll(&mut Context::from_waker(Waker::noop()));
    }

    fn perform_all(self: &Arc<Self>, batch: &mut Batch, cx: &mut Context<'_>) {
        let Batch { lists, served, .. } = batch;
        let Lists { work, finished, .. } = &mut **lists;
        let mut watch = Watch::new();
        let mut was_gathered = false;
        for work in work.drain(..) {
            match work {
                Work::Call(arrived) => {
                    let call = self.serve(arrived, served, finished, cx);
                    if watch.took_long(call) || finished.is_full() {
                        self.answer_all(finished, served, cx);
                    }
                }
                Work::Calls(run) => {
                    self.serve_gathered(run, served, finished, &mut watch, cx);
                    was_gathered = true;
                }
                Work::Batch(batch) => self.serve_batch(batch, served, finished, &mut watch, cx),
                Work::Make(instance, bind) => self.make(instance, bind),
                Work::Produce(production) => drop(task::spawn(Pump::new(self, production))),
                Work::Provide(provide, target) => self.serve_provide(&provide, target),
                Work::Claim(claim) => provisions::claim(self, claim),
                Work::Cancel(call) => {
                    // It may be a call that has just ended.
                    let handler = self.lock().answers.remove(call);
                    match handler {
                        Some(Canceller::Promise(promise)) => {
                            self.cancel_held(promise, call, served, finished, cx);
                        }
                        Some(handler) => handler.cancel(call),
                        None => {}
                    }
                }
            }
        }
        finished.were_slow |= watch.ends();
        self.answer_all(finished, served, cx);
        if was_gathered {
            self.unlock_and_write_now(self.lock());
        }
    }

    /// Serves a call. Returns its name if it was run in place.
    pub(super) fn serve(
        self: &Arc<Self>,
        arrived: Arrived,
        served: &mut ServedTogether,
        finished: &mut Finished,
        cx: &mut Context<'_>,
    ) -> Option<CallName> {
        if arrived.call.ordered {
            self.serve_ordered(arrived, served, finished, cx);
            return None;
        }
        match self.serve_at_once(arrived, finished) {
            AtOnce::Served(name) => Some(name),
            AtOnce::Not(handler, kind) => self.serve_handler(handler, kind, served, finished, cx),
        }
    }

    /// Serves a call whose handler may wait. Returns its name if it was run in place.
    pub(super) fn serve_handler(
        self: &Arc<Self>,
        mut handler: Handler,
        kind: AnswerKind,
        served: &mut ServedTogether,
        finished: &mut Finished,
        cx: &mut Context<'_>,
    ) -> Option<CallName> {
        let mut in_place = None;
        if !handler.flags.spawn {
            in_place = Some(handler.scope.call_name());
            if let Poll::Ready(result) = handler.poll(cx) {
                self.finish_in_place(handler, kind, result, finished);
                return in_place;
            }
        }
        let call = kind.call();
        let flags = handler.flags;
        let answer = SessionAnswer::listed(&handler, kind, served.give_away());
        let running = match in_place {
            Some(_) => Running::begun(handler, answer),
            None => Running::new(handler, answer),
        };
        let task = task::spawn_unboxed(running);
        if let Some(call) = call
            && !flags.runs_to_its_end()
            && !task.is_finished()
        {
            let mut state = self.lock();
            if state.closed.is_some() {
                drop(state);
                task.abort();
            } else {
                let task = Canceller::Task(task.abort_handle());
                state.answers.put(call, task);
            }
        }
        in_place
    }

    /// Keeps the result of a handler that has ended in place, to be answered with others.
    #[inline]
    pub(super) fn finish_in_place(
        &self,
        Handler { future, scope, .. }: Handler,
        kind: AnswerKind,
        result: Result<Reply>,
        finished: &mut Finished,
    ) {
        // It holds the scope, too.
        drop(future);
        self.report(&kind, &scope, &result);
        finished.push(kind, &scope, result);
        Scope::recycle(scope);
    }
}
