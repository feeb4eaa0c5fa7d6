//! Serving the calls that arrive on a session.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use farref_proto::{
    Connection, Extensions, IncomingCall, OnewayReceipt, OutgoingReply, ReplyStatus, ResumeRequest,
    SendError, TableEntry,
};
use tokio::task::AbortHandle;

use super::at_once::AtOnce;
use super::batches::Cancelling;
use super::ending::{Served, ServedTogether};
use super::inbox::{Arrived, Garbage, Work};
use super::refusals::kind_of;
use super::runs::Results;
use super::streams::Pump;
use super::under_way;
use super::{IncomingCallId, Session, State};
use crate::codec::Codec;
use crate::context::{Annotations, CallName, Scope};
use crate::dispatch::{Reply, buffer};
use crate::error::{Fault, Result};
use crate::handoff::provisions;
use crate::serve::{Answer, Handler, Running};
use crate::task;
use crate::{FaultKind, Outcome};

/// A handler that holds the reader longer than this is named in a warning.
const SLOW: Duration = Duration::from_millis(10);
/// Replies that are ready wait for those of the same read, but no longer than this.
const PATIENCE: Duration = Duration::from_micros(100);

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

/// The way of a result back to the caller.
pub(crate) struct SessionAnswer {
    pub(super) kind: AnswerKind,
    /// Given back when the caller is answered.
    pub(super) served: Served,
}

pub(super) enum AnswerKind {
    Call(IncomingCallId),
    Oneway(OnewayReceipt),
    /// The next call of a run.
    OfRun {
        run: IncomingCallId,
        is_last: bool,
    },
    Answered,
}

impl AnswerKind {
    pub(super) fn of(call: &IncomingCall, receipt: Option<OnewayReceipt>) -> Self {
        match receipt {
            Some(receipt) => AnswerKind::Oneway(receipt),
            None => AnswerKind::Call(call.id),
        }
    }

    pub(super) fn call(&self) -> Option<IncomingCallId> {
        match self {
            AnswerKind::Call(call) | AnswerKind::OfRun { run: call, .. } => Some(*call),
            AnswerKind::Oneway(_) | AnswerKind::Answered => None,
        }
    }
}

impl SessionAnswer {
    /// The way of a result that does not come at once, whose call is listed as under way.
    pub(super) fn listed(handler: &Handler, kind: AnswerKind, mut served: Served) -> Self {
        served.list(under_way::Call {
            scope: Arc::clone(&handler.scope),
            oneway: matches!(kind, AnswerKind::Oneway(_)),
            since: tokio::time::Instant::now(),
        });
        SessionAnswer { kind, served }
    }
}

impl Answer for SessionAnswer {
    fn answer(mut self, scope: &Scope, result: Result<Reply>) {
        let session = Arc::clone(self.served.session());
        let mut garbage = Garbage::default();
        session.report(&self.kind, scope, &result);
        let call = scope.call_name();
        let annotations = scope.take_reply_annotations();
        let mut state = session.lock();
        let sent = session.answer(
            &mut state,
            &mut self.kind,
            call,
            &result,
            annotations,
            &mut garbage,
        );
        Session::unlock_and_write(state);
        let kept = std::mem::take(&mut garbage.answered);
        drop(garbage);
        answered(call, result, sent);
        if !kept.is_empty() {
            session.release_elsewhere(kept);
        }
    }
}

/// What is left to do once the answer is on its way.
fn answered(call: CallName, result: Result<Reply>, sent: std::result::Result<(), SendError>) {
    if let Ok(reply) = result {
        buffer::give(reply.body);
    }
    if let Err(error) = sent {
        tracing::warn!(%call, %error, "a fault could not be sent");
    }
}

/// Handlers that have ended in place and are answered together.
#[derive(Default)]
pub(crate) struct Finished {
    handlers: Vec<Ended>,
    /// Calls whose answers others may have waited for, once they are on their way.
    pub(super) answered: VecDeque<IncomingCallId>,
    /// The scope of the call before, for the next one that is served at once.
    pub(super) scope: Option<Arc<Scope>>,
    /// What calls of one run have returned; empty between two runs.
    pub(super) results: Results,
    /// Whether handlers held whoever reads for so long that they were named.
    pub(super) were_slow: bool,
}

struct Ended {
    kind: AnswerKind,
    call: CallName,
    result: Result<Reply>,
    annotations: Annotations,
    sent: std::result::Result<(), SendError>,
}

impl Finished {
    /// How many are answered at once at most: as many as there is memory for that is used again.
    const FULL: usize = 64;

    pub(super) fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.handlers.len() >= Self::FULL
    }

    #[inline]
    pub(super) fn push(&mut self, kind: AnswerKind, scope: &Scope, result: Result<Reply>) {
        self.handlers.push(Ended {
            kind,
            call: scope.call_name(),
            result,
            annotations: scope.take_reply_annotations(),
            sent: Ok(()),
        });
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

    /// Answers handlers that have ended, all under one lock and with one write.
    pub(super) fn answer_all(
        self: &Arc<Self>,
        finished: &mut Finished,
        served: &mut ServedTogether,
        cx: &mut Context<'_>,
    ) {
        self.answer_now(finished, served);
        if !finished.answered.is_empty() {
            self.release_held(served, finished, cx);
        }
    }

    /// The same, and leaves what may have waited for these answers to be released.
    pub(super) fn answer_now(&self, finished: &mut Finished, served: &mut ServedTogether) {
        self.answer_finished(finished, served, |state| self.unlock_and_write_now(state));
    }

    /// The same, and leaves what is to be written to be written.
    pub(super) fn append_answers(&self, finished: &mut Finished, served: &mut ServedTogether) {
        self.answer_finished(finished, served, |state| drop(state));
    }

    fn answer_finished(
        &self,
        finished: &mut Finished,
        served: &mut ServedTogether,
        unlock: impl FnOnce(MutexGuard<'_, State>),
    ) {
        if finished.handlers.is_empty() {
            return;
        }
        let mut garbage = Garbage::default();
        let mut state = self.lock();
        for ended in &mut finished.handlers {
            ended.sent = self.answer(
                &mut state,
                &mut ended.kind,
                ended.call,
                &ended.result,
                std::mem::take(&mut ended.annotations),
                &mut garbage,
            );
        }
        unlock(state);
        finished.answered.extend(garbage.answered.drain(..));
        drop(garbage);
        let count = finished.handlers.len();
        for Ended {
            call, result, sent, ..
        } in finished.handlers.drain(..)
        {
            answered(call, result, sent);
        }
        served.end(count);
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
        let task = tokio::spawn(running);
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

    /// Counts a call that has ended, and says at home what the caller of a oneway never hears.
    pub(super) fn report(&self, kind: &AnswerKind, scope: &Scope, result: &Result<Reply>) {
        let measured = result.as_ref().map(|reply| reply.is_error);
        scope.meter.ended(scope.interface, scope.method, measured);
        scope.span.ended(measured);
        let AnswerKind::Oneway(_) = kind else {
            return;
        };
        match result {
            Err(fault) => {
                self.node.count_failed_oneway();
                tracing::warn!(call = %scope.call_name(), %fault, "a oneway call failed");
            }
            Ok(reply) if reply.is_error => {
                self.node.count_failed_oneway();
                tracing::warn!(call = %scope.call_name(), "a oneway call returned an error");
            }
            Ok(_) => {}
        }
    }

    /// Writes the answer to a call, or gives back what a oneway cost. Returns why not even a fault could be sent.
    fn answer(
        &self,
        state: &mut State,
        kind: &mut AnswerKind,
        name: CallName,
        result: &Result<Reply>,
        annotations: Annotations,
        garbage: &mut Garbage,
    ) -> std::result::Result<(), SendError> {
        let (call, is_last) = match std::mem::replace(kind, AnswerKind::Answered) {
            AnswerKind::Call(call) => (call, true),
            AnswerKind::OfRun { run, is_last } => (run, is_last),
            AnswerKind::Oneway(receipt) => {
                if state.closed.is_none() {
                    state.connection.oneway_done(receipt);
                    blame(state, result);
                }
                return Ok(());
            }
            AnswerKind::Answered => return Ok(()),
        };
        if is_last {
            state.answers.remove(call);
        }
        if state.closed.is_some() {
            return Ok(());
        }
        blame(state, result);
        let fault = match result {
            Ok(reply) => match self.reply(state, call, reply, annotations, garbage) {
                Ok(()) => {
                    if Self::keep(state, call, &Ok(reply)) {
                        garbage.answered.push(call);
                    }
                    return Ok(());
                }
                Err(error) => unsendable(name, &error),
            },
            Err(fault) => fault.clone(),
        };
        if Self::keep(state, call, &Err(&fault)) {
            garbage.answered.push(call);
        }
        let message = fault
            .with_hop(&self.node.name)
            .to_message(self.node.backtraces);
        state.connection.reply_fault(call, &message)
    }

    fn reply(
        &self,
        state: &mut State,
        call: IncomingCallId,
        reply: &Reply,
        annotations: Annotations,
        garbage: &mut Garbage,
    ) -> std::result::Result<(), SendError> {
        let made;
        let extensions = if annotations.is_empty() {
            Extensions::NONE
        } else {
            made = Extensions {
                annotations,
                ..Extensions::default()
            };
            &made
        };
        // A reply in no codec transfers no stream.
        let codec = reply.codec.unwrap_or(Codec::Postcard);
        let send = |connection: &mut Connection, extensions: &Extensions, table: &[TableEntry]| {
            let outgoing = OutgoingReply {
                status: if reply.is_error {
                    ReplyStatus::Error
                } else {
                    ReplyStatus::Ok
                },
                codec: reply.codec.map_or(0, Codec::id),
                extensions,
                table,
                body: &reply.body,
                attachments: &reply.attachments,
            };
            connection.reply(call, &outgoing)
        };
        let transferred = (&*reply.transferred, codec);
        state.send_with_table(transferred, extensions, self, || garbage, send)
    }
}

/// Names handlers that hold the reader for too long. Looking at the clock costs as much as a small handler does, so it
/// is looked at for several at once.
pub(super) struct Watch {
    since: Instant,
    calls: [Option<CallName>; Watch::CALLS],
    count: usize,
    /// Whether any were named.
    has_named: bool,
}

impl Watch {
    const CALLS: usize = 4;

    pub(super) fn new() -> Self {
        Watch {
            since: Instant::now(),
            calls: [None; Watch::CALLS],
            count: 0,
            has_named: false,
        }
    }

    /// Names those that it has not looked at yet, too. Returns whether any were named.
    pub(super) fn ends(&mut self) -> bool {
        self.end();
        self.has_named
    }

    /// Counts a handler. Returns whether those that have ended should not wait for those to come.
    pub(super) fn took_long(&mut self, call: Option<CallName>) -> bool {
        self.calls[self.count] = call;
        self.count += 1;
        self.count == Watch::CALLS && self.end() > PATIENCE
    }

    /// Looks at the clock after several calls of one method. Returns whether those that have ended should not wait for
    /// those to come.
    pub(super) fn took_long_together(&mut self, call: CallName) -> bool {
        self.calls[..2].fill(Some(call));
        self.count = 2;
        self.end() > PATIENCE
    }

    /// Looks at the clock.
    fn end(&mut self) -> Duration {
        let now = Instant::now();
        let took = now - std::mem::replace(&mut self.since, now);
        let calls = &self.calls[..std::mem::take(&mut self.count)];
        if took > SLOW {
            self.has_named = true;
            match *calls {
                [Some(call)] => {
                    tracing::warn!(%call, ?took, "a handler held its connection; mark the method `#[blocking]` or `#[expose(spawn)]`")
                }
                _ => {
                    let calls: Vec<_> = calls.iter().flatten().map(CallName::to_string).collect();
                    tracing::warn!(
                        ?calls,
                        ?took,
                        "one of these handlers held its connection; mark the method `#[blocking]` or `#[expose(spawn)]`"
                    );
                }
            }
        }
        took
    }
}

/// Counts a call that the peer should never have made.
#[inline]
fn blame(state: &mut State, result: &Result<Reply>) {
    if let Err(fault) = result
        && fault.blames_caller()
    {
        state.connection.blame();
    }
}

fn unsendable(call: CallName, error: &SendError) -> Fault {
    let kind = match kind_of(error) {
        kind @ (FaultKind::TooLarge | FaultKind::Overloaded) => kind,
        _ => FaultKind::Unencodable,
    };
    Fault::new(
        kind,
        Outcome::Ran,
        format!("`{call}` ran, but its result cannot be sent: {error}"),
    )
}
