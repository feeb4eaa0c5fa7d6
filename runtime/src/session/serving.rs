//! Serving the calls that arrive on a session.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use farref_proto::{
    Connection, IncomingBind, OnewayReceipt, OutgoingReply, ReplyStatus, SendError,
};
use tokio::task::AbortHandle;

use super::ending::Served;
use super::inbox::{Arrived, Garbage, Work};
use super::{IncomingCallId, Session, State};
use crate::codec::Codec;
use crate::context::Scope;
use crate::dispatch::{Reply, buffer};
use crate::error::{Fault, Result};
use crate::serve::Answer;
use crate::{FaultKind, Outcome};

/// A handler that holds the reader longer than this is named in a warning.
const SLOW: Duration = Duration::from_millis(10);

/// The handlers that run in tasks, by the number of their call, so that they can be cancelled.
#[derive(Default)]
pub(crate) struct Answers(Vec<Option<AbortHandle>>);

impl Answers {
    fn put(&mut self, call: IncomingCallId, task: AbortHandle) {
        let index = call.index() as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index] = Some(task);
    }

    fn remove(&mut self, call: IncomingCallId) -> Option<AbortHandle> {
        self.0.get_mut(call.index() as usize)?.take()
    }

    pub(crate) fn take(&mut self) -> Vec<AbortHandle> {
        std::mem::take(&mut self.0).into_iter().flatten().collect()
    }
}

/// The way of a result back to the caller.
pub(crate) struct SessionAnswer {
    pub(super) session: Arc<Session>,
    pub(super) kind: AnswerKind,
    /// Given back when the caller is answered.
    pub(super) _served: Served,
}

pub(super) enum AnswerKind {
    Call(IncomingCallId),
    Oneway(OnewayReceipt),
}

impl Answer for SessionAnswer {
    fn answer(self, scope: &Scope, result: Result<Reply>) {
        let annotations = scope.take_reply_annotations();
        match self.kind {
            AnswerKind::Call(call) => self.session.reply(call, scope, result, annotations),
            AnswerKind::Oneway(receipt) => {
                match result {
                    Err(fault) => {
                        self.session.node.count_failed_oneway();
                        tracing::warn!(call = %scope.call_name(), %fault, "a oneway call failed");
                    }
                    Ok(reply) if reply.is_error => {
                        self.session.node.count_failed_oneway();
                        tracing::warn!(call = %scope.call_name(), "a oneway call returned an error");
                    }
                    Ok(_) => {}
                }
                self.session.oneway_done(receipt);
            }
        }
    }
}

impl Session {
    /// Does the work that a read brought.
    pub(crate) fn perform(self: &Arc<Self>, work: &mut Vec<Work>) {
        for work in work.drain(..) {
            match work {
                Work::Call(arrived) => self.serve(arrived),
                Work::Cancel(call) => {
                    let handler = self.lock().answers.remove(call);
                    if let Some(handler) = handler {
                        handler.abort();
                    }
                }
            }
        }
    }

    fn serve(self: &Arc<Self>, arrived: Box<Arrived>) {
        if arrived.call.ordered {
            self.serve_ordered(arrived);
            return;
        }
        let (mut handler, flags) = self.handler(*arrived);
        if !flags.spawn {
            let begun = std::time::Instant::now();
            let polled = handler.poll_in_place();
            let took = begun.elapsed();
            if took > SLOW {
                let call = handler.call_name();
                tracing::warn!(%call, ?took, "a handler held its connection; mark the method `#[blocking]` or `#[expose(spawn)]`");
            }
            if let Poll::Ready(result) = polled {
                handler.answer(result);
                return;
            }
        }
        let call = handler.answer_to().and_then(SessionAnswer::call);
        let task = tokio::spawn(handler);
        if let Some(call) = call
            && !flags.runs_to_its_end()
            && !task.is_finished()
        {
            let mut state = self.lock();
            if state.closed.is_some() {
                drop(state);
                task.abort();
            } else {
                state.answers.put(call, task.abort_handle());
            }
        }
    }

    /// Answers a bind. Done under the lock, since calls to the name may follow in the same read.
    pub(super) fn serve_bind(&self, state: &mut State, bind: IncomingBind, garbage: &mut Garbage) {
        match self.node.find(&bind.name) {
            Some(export) if bind.interface == 0 || export.serves(bind.interface) => {
                let identity = export.identity;
                let entry = Connection::alias_entry(
                    bind.alias,
                    identity.object,
                    export.interface,
                    identity.owner,
                );
                state.exports.name(bind.alias, export);
                let reply = OutgoingReply {
                    status: ReplyStatus::Ok,
                    codec: 0,
                    extensions: farref_proto::Extensions::NONE,
                    table: &[entry],
                    body: &[],
                    attachments: &[],
                };
                let _ = state.connection.reply(bind.call, &reply);
            }
            found => {
                let fault = match found {
                    Some(export) => {
                        // It may be the last hold on the object, whose drop is the application's code.
                        garbage.exports.push(export);
                        crate::remote::other_interface(&bind.name)
                    }
                    None => crate::remote::no_such_object(&bind.name),
                };
                let is_there = fault.kind() == FaultKind::Incompatible;
                state.exports.name_refused(bind.alias, bind.name, is_there);
                let _ = state.connection.reply_fault(
                    bind.call,
                    &fault.with_hop(&self.node.name).to_message(false),
                );
            }
        }
    }

    fn reply(
        self: &Arc<Self>,
        call: IncomingCallId,
        scope: &Scope,
        result: Result<Reply>,
        annotations: crate::context::Annotations,
    ) {
        let mut garbage = Garbage::default();
        let extensions = farref_proto::Extensions {
            annotations,
            ..farref_proto::Extensions::default()
        };
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut fault = None;
        let mut sent = Ok(());
        state.answers.remove(call);
        if state.closed.is_none() {
            match &result {
                Ok(reply) => {
                    let transferred = state.exports.transfer(
                        &mut state.connection,
                        &reply.references,
                        self,
                        &mut garbage,
                    );
                    match transferred {
                        Ok(table) => {
                            let outgoing = OutgoingReply {
                                status: if reply.is_error {
                                    ReplyStatus::Error
                                } else {
                                    ReplyStatus::Ok
                                },
                                codec: reply.codec.map_or(0, Codec::id),
                                extensions: &extensions,
                                table: &table,
                                body: &reply.body,
                                attachments: &reply.attachments,
                            };
                            if let Err(error) = state.connection.reply(call, &outgoing) {
                                state.exports.take_back(
                                    &mut state.connection,
                                    &table,
                                    &mut garbage,
                                );
                                fault = Some(unsendable(scope, &error));
                            }
                        }
                        Err(error) => fault = Some(unsendable(scope, &error)),
                    }
                }
                Err(failed) => fault = Some(failed.clone()),
            }
            if let Some(fault) = fault {
                let message = fault
                    .with_hop(&self.node.name)
                    .to_message(self.node.backtraces);
                sent = state.connection.reply_fault(call, &message);
            }
        }
        drop(guard);
        drop(garbage);
        if let Ok(reply) = result {
            buffer::give(reply.body);
        }
        self.writer.notify_one();
        if let Err(error) = sent {
            tracing::warn!(call = %scope.call_name(), %error, "a fault could not be sent");
        }
    }

    fn oneway_done(&self, receipt: OnewayReceipt) {
        let mut state = self.lock();
        if state.closed.is_none() {
            state.connection.oneway_done(receipt);
        }
        drop(state);
        self.writer.notify_one();
    }
}

impl SessionAnswer {
    fn call(&self) -> Option<IncomingCallId> {
        match self.kind {
            AnswerKind::Call(call) => Some(call),
            AnswerKind::Oneway(_) => None,
        }
    }
}

fn unsendable(scope: &Scope, error: &SendError) -> Fault {
    let kind = match error {
        SendError::TooLarge { .. } | SendError::TooMany { .. } => FaultKind::TooLarge,
        SendError::TooManyExports { .. } => FaultKind::Overloaded,
        _ => FaultKind::Unencodable,
    };
    Fault::new(
        kind,
        Outcome::Ran,
        format!(
            "`{}` ran, but its result cannot be sent: {error}",
            scope.call_name()
        ),
    )
}
