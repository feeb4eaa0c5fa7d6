//! Serving the calls that arrive on a session.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;

use farref_proto::{
    Connection, IncomingBind, OnewayReceipt, OutgoingReply, ReplyStatus, SendError,
};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::inbox::{Arrived, Garbage, Work};
use super::{IncomingCallId, Session, State};
use crate::call::deadline_exceeded;
use crate::codec::Codec;
use crate::context::Scope;
use crate::descriptor::{InterfaceInfo, MethodFlags};
use crate::dispatch::{HandlerFuture, Incoming, Reply, buffer};
use crate::error::{Fault, Result};
use crate::forward;
use crate::interceptor::{self, CallInfo, Direction};
use crate::object::{Export, ExportKind};
use crate::peer::Peer;
use crate::serve::{Answer, Running};
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
    session: Arc<Session>,
    kind: AnswerKind,
}

enum AnswerKind {
    Call(IncomingCallId),
    Oneway(OnewayReceipt),
}

impl Answer for SessionAnswer {
    fn answer(self, scope: &Scope, result: Result<Reply>) {
        let annotations = scope.take_reply_annotations();
        let session = Arc::clone(&self.session);
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
        session.serving.fetch_sub(1, Ordering::AcqRel);
        session.node.served.notify_waiters();
    }
}

impl Session {
    /// Does the work that a read brought.
    pub(crate) fn perform(self: &Arc<Self>, work: &mut Vec<Work>) {
        for work in work.drain(..) {
            match work {
                Work::Call(arrived) => self.serve(*arrived),
                Work::Cancel(call) => {
                    let handler = self.lock().answers.remove(call);
                    if let Some(handler) = handler {
                        handler.abort();
                    }
                }
            }
        }
    }

    fn serve(self: &Arc<Self>, arrived: Arrived) {
        let is_ordered = arrived.call.ordered;
        let target = arrived.call.target.index();
        let (handler, flags) = self.handler(arrived);
        if is_ordered {
            let Some(mut handler) = self.queue_ordered(target, handler) else {
                return;
            };
            match handler.poll_in_place() {
                Poll::Ready(result) => handler.answer(result),
                Poll::Pending => self.run_ordered(target, handler),
            }
            return;
        }
        let mut handler = handler;
        if !flags.spawn && !flags.blocking {
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
            && !flags.no_cancel
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

    /// Makes the handler of a call that arrived; one that cannot be served gets a handler that says why.
    fn handler(self: &Arc<Self>, arrived: Arrived) -> (Running<SessionAnswer>, MethodFlags) {
        let Arrived {
            call,
            target,
            references,
            receipt,
        } = arrived;
        let kind = match receipt {
            Some(receipt) => AnswerKind::Oneway(receipt),
            None => AnswerKind::Call(call.id),
        };
        self.serving.fetch_add(1, Ordering::AcqRel);
        let answer = SessionAnswer {
            session: Arc::clone(self),
            kind,
        };
        let codec = Codec::from_id(call.codec).filter(|codec| self.node.codecs.contains(*codec));
        let method = target.as_ref().ok().and_then(|export| match &export.kind {
            ExportKind::Object(exported) => {
                exported.find(usize::from(call.method_index), call.method_hash)
            }
            ExportKind::Forward(_) => None,
        });
        let chain = OnceLock::new();
        let depth = call.depth();
        let extensions = call
            .extensions
            .map(|extensions| *extensions)
            .unwrap_or_default();
        if let Some(known) = extensions.chain {
            let _ = chain.set(known.id);
        }
        let scope = Arc::new(Scope {
            chain,
            depth,
            level: 0,
            deadline: extensions.deadline.map(|deadline| self.instant(deadline)),
            session: Some(Arc::clone(self)),
            interface: method
                .as_ref()
                .map_or("", |(exported, ..)| exported.interface.name),
            method: method.as_ref().map_or("", |(.., method)| method.name),
            annotations: extensions.annotations,
            replaced_annotations: OnceLock::new(),
            reply_annotations: Mutex::default(),
        });
        let flags = method
            .as_ref()
            .map_or_else(MethodFlags::default, |(.., method)| method.flags);
        let future: HandlerFuture = match (&target, codec) {
            (Err(fault), _) => refuse(fault.clone()),
            (_, None) => refuse(self.unsupported_codec(call.codec)),
            _ if scope
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now()) =>
            {
                refuse(deadline_exceeded(Outcome::NotStarted))
            }
            (Ok(export), Some(codec)) => {
                let incoming = Incoming {
                    scope: Arc::clone(&scope),
                    codec,
                    budget: self.node.budget,
                    body: call.body,
                    attachments: call.attachments,
                    references: Mutex::new(references),
                };
                match (&export.kind, method) {
                    (ExportKind::Forward(remote), _) => forward::call(
                        remote.clone(),
                        crate::far::MethodKey {
                            index: call.method_index,
                            hash: call.method_hash,
                            shape: call.shape,
                        },
                        incoming,
                        receipt_mode(&answer, call.ordered),
                    ),
                    (ExportKind::Object(exported), None) if call.method_hash == DESCRIBE => {
                        let info = InterfaceInfo::of(exported.interface);
                        Box::pin(async move { incoming.encode(false, &info) })
                    }
                    (ExportKind::Object(exported), None) => {
                        refuse(no_such_method(exported.interface.name, call.method_index))
                    }
                    (ExportKind::Object(exported), Some((_, _, method))) => {
                        let differs = call.shape != 0 && call.shape != method.shape_hash();
                        if differs {
                            refuse(incompatible(&scope))
                        } else if self.node.incoming.is_empty() {
                            let (found, index) = match exported
                                .find(usize::from(call.method_index), call.method_hash)
                            {
                                Some((found, index, _)) => (found, index),
                                None => (exported, usize::MAX),
                            };
                            found.serve(index, incoming)
                        } else {
                            self.intercepted(
                                Arc::clone(export),
                                call.method_index,
                                call.method_hash,
                                incoming,
                            )
                        }
                    }
                }
            }
        };
        (Running::new(future, scope, flags, answer), flags)
    }

    /// The same handler with the daemon's interceptors around it.
    fn intercepted(
        self: &Arc<Self>,
        export: Arc<Export>,
        index: u16,
        hash: u32,
        incoming: Incoming,
    ) -> HandlerFuture {
        let interceptors = self.node.incoming.clone();
        let mut info = CallInfo {
            direction: Direction::Incoming,
            interface: incoming.scope.interface.into(),
            method: incoming.scope.method.into(),
            peer: Some(Peer::of(self)),
            deadline: incoming.scope.deadline,
            depth: incoming.scope.depth,
            annotations: incoming.scope.annotations.clone(),
        };
        Box::pin(async move {
            let result = match interceptor::before(&interceptors, &mut info).await {
                Err(fault) => Err(fault.with_outcome(Outcome::NotStarted)),
                Ok(()) => {
                    incoming.scope.replace_annotations(&info.annotations);
                    let ExportKind::Object(exported) = &export.kind else {
                        return Err(no_such_method("", index));
                    };
                    match exported.find(usize::from(index), hash) {
                        Some((found, index, _)) => found.serve(index, incoming).await,
                        None => Err(no_such_method(exported.interface.name, index)),
                    }
                }
            };
            interceptor::after(&interceptors, &info, result.as_ref().map(drop));
            result
        })
    }

    fn unsupported_codec(&self, codec: u8) -> Fault {
        let name = Codec::from_id(codec)
            .map_or_else(|| format!("codec {codec}"), |codec| codec.to_string());
        Fault::not_started(
            FaultKind::UnsupportedCodec,
            format!(
                "{name} is not accepted here; accepted are {}",
                self.node.codecs
            ),
        )
    }

    /// Answers a bind. Done under the lock, since calls to the name may follow in the same read.
    pub(super) fn serve_bind(&self, state: &mut State, bind: IncomingBind) {
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
                    Some(_) => crate::remote::other_interface(&bind.name),
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
        state.answers.remove(call);
        if state.closed.is_none() {
            match &result {
                Ok(reply) => {
                    match state
                        .exports
                        .transfer(&mut state.connection, &reply.references, self)
                    {
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
                        Err(refused) => fault = Some(refused.with_outcome(Outcome::Ran)),
                    }
                }
                Err(failed) => fault = Some(failed.clone()),
            }
            if let Some(fault) = fault {
                let message = fault
                    .with_hop(&self.node.name)
                    .to_message(self.node.backtraces);
                if let Err(error) = state.connection.reply_fault(call, &message) {
                    tracing::warn!(call = %scope.call_name(), %error, "a fault could not be sent");
                }
            }
        }
        let idle = self.is_idle(state);
        drop(guard);
        drop(garbage);
        if let Ok(reply) = result {
            buffer::give(reply.body);
        }
        self.writer.notify_one();
        if idle {
            self.close("no longer used");
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

/// The reserved method by which any object describes itself: FNV-1a of `farref.describe`.
pub(crate) const DESCRIBE: u32 = farref_proto::fnv1a32(b"farref.describe");

fn refuse(fault: Fault) -> HandlerFuture {
    Box::pin(std::future::ready(Err(fault)))
}

fn receipt_mode(answer: &SessionAnswer, ordered: bool) -> crate::far::OnewayMode {
    match (&answer.kind, ordered) {
        (AnswerKind::Call(_), _) => crate::far::OnewayMode::Answered,
        (AnswerKind::Oneway(_), false) => crate::far::OnewayMode::Plain,
        (AnswerKind::Oneway(_), true) => crate::far::OnewayMode::Ordered,
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

fn no_such_method(interface: &str, index: u16) -> Fault {
    Fault::not_started(
        FaultKind::NoSuchMethod,
        format!(
            "`{interface}` has no method that answers to number {index} of the caller's interface; compare the versions"
        ),
    )
}

fn incompatible(scope: &Scope) -> Fault {
    Fault::not_started(
        FaultKind::Incompatible,
        format!(
            "the types of `{}` differ between the caller and the object",
            scope.call_name()
        ),
    )
}

fn unsendable(scope: &Scope, error: &SendError) -> Fault {
    let kind = match error {
        SendError::TooLarge { .. } => FaultKind::TooLarge,
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
