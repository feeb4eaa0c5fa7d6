//! From a call that arrived to the handler that serves it; one that cannot be served gets a handler that says why.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::Session;
use super::answering::AnswerKind;
use super::inbox::Arrived;
use crate::blocking;
use crate::call::deadline_exceeded;
use crate::codec::Codec;
use crate::context::{CallName, Notes, Scope};
use crate::descriptor::{InterfaceInfo, Method, MethodFlags};
use crate::dispatch::{HandlerFuture, Incoming, refuse};
use crate::error::Fault;
use crate::far::{MethodKey, OnewayMode};
use crate::forward;
use crate::held::Held;
use crate::interceptor::{self, CallInfo, Direction};
use crate::object::{Export, ExportKind};
use crate::peer::Peer;
use crate::serve::Handler;
use crate::spans::ServedSpan;
use crate::walking::{self, WALK};
use crate::{FaultKind, Outcome};

/// The reserved method by which any object describes itself: FNV-1a of `farref.describe`.
pub(crate) const DESCRIBE: u32 = farref_proto::fnv1a32(b"farref.describe");

impl Session {
    /// Makes the handler of a call that arrived; one that cannot be served gets a handler that says why.
    pub(super) fn handler(self: &Arc<Self>, arrived: Arrived) -> (Handler, AnswerKind) {
        let Arrived {
            call,
            target,
            transferred,
            receipt,
        } = arrived;
        let kind = AnswerKind::of(&call, receipt);
        let target = target.and_then(|export| export.called());
        let codec = Codec::from_id(call.codec).filter(|codec| self.node.codecs.contains(*codec));
        let method = target.as_ref().ok().and_then(|export| match &export.kind {
            ExportKind::Object(exported) => {
                exported.find(usize::from(call.method_index), call.method_hash)
            }
            ExportKind::Forward(_) | ExportKind::Lent(_) => None,
        });
        let (name, flags) = match &method {
            Some((exported, _, method)) => {
                (CallName(exported.interface.name, method.name), method.flags)
            }
            None if call.method_hash == WALK => (walking::NAME, walking::FLAGS),
            None => (CallName("", ""), MethodFlags::default()),
        };
        let scope = Scope::served(self, name, |scope| {
            scope.target = Some(call.target);
            let extensions = call.extensions;
            let trace = extensions.as_ref().and_then(|known| known.trace.as_ref());
            scope.span = ServedSpan::begin(name.0, name.1, self.peer_address(), trace);
            if let Some(extensions) = extensions {
                scope.depth = extensions.depth();
                scope.deadline = extensions.deadline.map(|deadline| self.instant(deadline));
                scope.notes = Notes::given(extensions.annotations);
                if let Some(known) = extensions.chain {
                    let _ = scope.chain.set(known.id);
                }
            }
        });
        scope.meter.begin();
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
                    range: 0..call.body.len(),
                    body: call.body,
                    attachments: Held::new(call.attachments),
                    transferred: Held::new(transferred),
                };
                match (&export.kind, method) {
                    (ExportKind::Forward(remote), _) => forward::call(
                        remote.clone(),
                        MethodKey {
                            index: call.method_index,
                            hash: call.method_hash,
                            shape: call.shape,
                        },
                        incoming,
                        receipt_mode(&kind, call.ordered),
                    ),
                    (ExportKind::Lent(_), _) => refuse(no_such_method("", call.method_index)),
                    (ExportKind::Object(exported), None) if call.method_hash == DESCRIBE => {
                        let info = InterfaceInfo::of(exported.interface);
                        Box::pin(async move { incoming.answer(false, &info) })
                    }
                    (ExportKind::Object(_), None) if call.method_hash == WALK => {
                        walking::serve(Arc::clone(self), Arc::clone(export), incoming)
                    }
                    (ExportKind::Object(exported), None) => {
                        refuse(no_such_method(exported.interface.name, call.method_index))
                    }
                    (ExportKind::Object(_), Some((found, index, method))) => {
                        let differs = call.shape != 0 && call.shape != method.shape_hash();
                        if differs {
                            refuse(incompatible(&scope))
                        } else if self.node.incoming.is_empty() {
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
        let future = match &kind {
            AnswerKind::Call(_) => blocking::at_home(&scope, flags.runs_to_its_end(), future),
            AnswerKind::Oneway(_) | AnswerKind::OfRun { .. } | AnswerKind::Answered => future,
        };
        let handler = Handler {
            future,
            scope,
            flags,
        };
        (handler, kind)
    }

    /// Makes the handler of a call that is a step of this call of the peer.
    pub(crate) fn step(
        self: &Arc<Self>,
        export: &Arc<Export>,
        (index, method): (u16, &'static Method),
        arguments: Vec<u8>,
        walk: &Scope,
    ) -> Handler {
        let found = match &export.kind {
            ExportKind::Object(exported) => exported.find(usize::from(index), method.hash),
            ExportKind::Forward(_) | ExportKind::Lent(_) => None,
        };
        // That which declares the method, as for any call.
        let interface = found.map_or("", |(found, ..)| found.interface.name);
        let scope = Scope::served(self, CallName(interface, method.name), |scope| {
            scope.depth = walk.depth;
            scope.deadline = walk.deadline;
            scope.notes = Notes::given(walk.annotations().to_vec());
            scope.span = walk.span.clone();
            let _ = scope.chain.set(walk.chain());
        });
        let incoming = Incoming {
            scope: Arc::clone(&scope),
            codec: Codec::Json,
            budget: self.node.budget,
            range: 0..arguments.len(),
            body: Bytes::from(arguments).into(),
            attachments: Held::default(),
            transferred: Held::default(),
        };
        let future = match found {
            _ if !self.node.incoming.is_empty() => {
                self.intercepted(Arc::clone(export), index, method.hash, incoming)
            }
            Some((found, index, _)) => found.serve(index, incoming),
            None => refuse(no_such_method(interface, index)),
        };
        Handler {
            future,
            scope,
            flags: method.flags,
        }
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
            annotations: incoming.scope.annotations().to_vec(),
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
        .blaming_caller()
    }
}

fn receipt_mode(kind: &AnswerKind, ordered: bool) -> OnewayMode {
    match (kind, ordered) {
        (AnswerKind::Call(_) | AnswerKind::OfRun { .. } | AnswerKind::Answered, _) => {
            OnewayMode::Answered
        }
        (AnswerKind::Oneway(_), false) => OnewayMode::Plain,
        (AnswerKind::Oneway(_), true) => OnewayMode::Ordered,
    }
}

fn no_such_method(interface: &str, index: u16) -> Fault {
    Fault::not_started(
        FaultKind::NoSuchMethod,
        format!(
            "`{interface}` has no method that answers to number {index} of the caller's interface; compare the versions"
        ),
    )
    .blaming_caller()
}

fn incompatible(scope: &Scope) -> Fault {
    Fault::not_started(
        FaultKind::Incompatible,
        format!(
            "the types of `{}` differ between the caller and the object",
            scope.call_name()
        ),
    )
    .blaming_caller()
}
