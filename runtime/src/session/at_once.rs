//! The short way of a call that arrived: its method never waits, and nothing was said beside its arguments, so it is served
//! without a future. Whatever else there may be is left to [`handler`](Session::handler).

use std::sync::Arc;

use farref_proto::IncomingCall;

use super::Session;
use super::answering::{AnswerKind, Finished};
use super::inbox::Arrived;
use crate::codec::Codec;
use crate::context::{CallName, Scope};
use crate::descriptor::Method;
use crate::dispatch::{Incoming, Reply};
use crate::error::Result;
use crate::held::Held;
use crate::object::{Export, ExportKind, Exported};
use crate::panics;
use crate::serve::Handler;
use crate::spans::ServedSpan;

/// What has become of a call that was to be served at once.
pub(super) enum AtOnce {
    Served(CallName),
    /// It may wait, or there is more to it.
    Not(Handler, AnswerKind),
}

impl Session {
    /// The object, and its method, of a call that can be served at once, as far as the session can tell.
    #[inline]
    pub(super) fn plain_method<'a>(
        &self,
        call: &IncomingCall,
        target: &'a Result<Arc<Export>>,
    ) -> Option<(&'a Exported, &'static Method, Codec)> {
        let ExportKind::Object(exported) = &target.as_ref().ok()?.kind else {
            return None;
        };
        let methods = exported.interface.methods;
        let method = methods.get(usize::from(call.method_index))?;
        let codec = Codec::from_id(call.codec)?;
        let is_plain = method.hash == call.method_hash
            && (call.shape == 0 || call.shape == method.shape_hash())
            && call.extensions.is_none()
            && !method.flags.spawn
            && !method.flags.callback
            && self.node.codecs.contains(codec)
            && self.node.incoming.is_empty();
        is_plain.then_some((exported, method, codec))
    }

    /// Serves a call to its end, unless its method or its object may wait.
    #[inline]
    pub(super) fn serve_at_once(
        self: &Arc<Self>,
        arrived: Arrived,
        finished: &mut Finished,
    ) -> AtOnce {
        let Arrived {
            call,
            target,
            transferred,
            receipt,
        } = arrived;
        let Some((exported, method, codec)) = self.plain_method(&call, &target) else {
            let (handler, kind) = self.handler(Arrived {
                call,
                target,
                transferred,
                receipt,
            });
            return AtOnce::Not(handler, kind);
        };
        let kind = AnswerKind::of(&call, receipt);
        let index = usize::from(call.method_index);
        let name = CallName(exported.interface.name, method.name);
        let scope = Scope::served_next(finished.scope.take(), self, name, |scope| {
            scope.target = Some(call.target);
            scope.span = ServedSpan::begin(name.0, name.1, self.peer_address(), None);
        });
        scope.meter.begin();
        let incoming = Incoming {
            scope: Arc::clone(&scope),
            codec,
            budget: self.node.budget,
            range: 0..call.body.len(),
            body: call.body,
            attachments: Held::new(call.attachments),
            transferred: Held::new(transferred),
        };
        let mut reply = Reply::new();
        let served = {
            let _entered = scope.enter();
            panics::contain(|| exported.serve_at_once(index, &incoming, &mut reply))
        };
        let result = match served {
            Ok(Some(result)) => result.map(|()| reply),
            Ok(None) => {
                reply.recycle();
                let handler = Handler {
                    future: exported.serve(index, incoming),
                    scope,
                    flags: method.flags,
                };
                return AtOnce::Not(handler, kind);
            }
            Err(panic) => Err(panics::report(&name, &*panic, false)),
        };
        drop(incoming);
        self.report(&kind, &scope, &result);
        finished.push(kind, &scope, result);
        finished.scope = Scope::kept(scope);
        AtOnce::Served(name)
    }
}
