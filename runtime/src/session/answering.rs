//! Answering the calls that were served: each by itself, or many that have ended in place under one lock and with one write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;

use farref_proto::{
    Connection, Extensions, IncomingCall, OnewayReceipt, OutgoingReply, ReplyStatus, SendError,
    TableEntry,
};

use super::ending::{Served, ServedTogether};
use super::inbox::Garbage;
use super::refusals::kind_of;
use super::runs::Results;
use super::under_way;
use super::{IncomingCallId, Session, State};
use crate::codec::Codec;
use crate::context::{Annotations, CallName, Scope};
use crate::dispatch::Reply;
use crate::error::{Fault, Result};
use crate::serve::{Answer, Handler};
use crate::sync::MutexGuard;
use crate::{FaultKind, Outcome};

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
        reply.recycle();
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

impl Session {
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
