//! Calls within this process that are encoded all the same: to pinned objects, and near calls that outlive the borrow
//! of their caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use farref_proto::FaultKind;
use tokio::sync::oneshot;

use crate::Outcome;
use crate::codec::Budget;
use crate::context::{Annotations, Scope};
use crate::descriptor::MethodFlags;
use crate::dispatch::{Incoming, RawReply, Reply};
use crate::error::{Fault, Result};
use crate::far::{Encoded, Extras, OnewayMode};
use crate::held::Held;
use crate::object::{Export, ExportKind};
use crate::serve::{Answer, Handler, Running};
use crate::spans::ServedSpan;
use crate::start_queue::Cancel;

/// A call under way within this process.
pub(crate) struct Loopback {
    reply: Option<oneshot::Receiver<(Result<Reply>, Annotations)>>,
    cancel: Option<Arc<Cancel>>,
}

/// The way of a result back to the caller, if there is one who waits.
pub(crate) struct Sender(Option<oneshot::Sender<(Result<Reply>, Annotations)>>);

impl Answer for Sender {
    fn answer(self, scope: &Scope, result: Result<Reply>) {
        match (self.0, result) {
            (Some(reply), result) => {
                let _ = reply.send((result, scope.take_reply_annotations()));
            }
            (None, Err(fault)) => {
                tracing::warn!(call = %scope.call_name(), %fault, "a oneway call failed")
            }
            (None, Ok(_)) => {}
        }
    }
}

impl Loopback {
    /// Starts a call of an object of this process.
    pub(crate) fn start(
        export: &Export,
        encoded: Encoded,
        oneway: OnewayMode,
        extras: Extras,
        span: ServedSpan,
    ) -> Result<Self> {
        let ExportKind::Object(exported) = &export.kind else {
            return Err(Fault::not_started(
                FaultKind::Internal,
                "an object of another process cannot be called here",
            ));
        };
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            Fault::not_started(
                FaultKind::Misuse,
                "this call needs a tokio runtime; make it from within one",
            )
        })?;
        let (exported, index, method) = exported
            .find(usize::from(encoded.key.index), encoded.key.hash)
            .ok_or_else(|| {
                Fault::not_started(
                    FaultKind::NoSuchMethod,
                    "the object does not serve this method",
                )
            })?;
        let scope = Scope::loopback(exported.interface.name, method.name, oneway, extras, span);
        let incoming = Incoming {
            scope: Arc::clone(&scope),
            codec: encoded.codec,
            budget: Budget::default(),
            range: 0..encoded.body.len(),
            body: Bytes::from(encoded.body).into(),
            attachments: Held::new(encoded.attachments),
            transferred: Held::new(encoded.transferred),
        };
        let future = exported.serve(index, incoming);
        let (sender, reply) = match oneway {
            OnewayMode::Answered => {
                let (sender, reply) = oneshot::channel();
                (Some(sender), Some(reply))
            }
            OnewayMode::Plain | OnewayMode::Ordered => (None, None),
        };
        let flags: MethodFlags = method.flags;
        let handler = Handler {
            future,
            scope,
            flags,
        };
        let call = Running::new(handler, Sender(sender));
        let ordered = oneway == OnewayMode::Ordered;
        let cancel = exported
            .meta
            .starts()
            .push(&runtime, call, flags.spawn, ordered);
        let is_cancellable = reply.is_some() && !flags.runs_to_its_end();
        Ok(Loopback {
            reply,
            cancel: is_cancellable.then_some(cancel),
        })
    }

    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        annotations: &mut Annotations,
    ) -> Poll<Result<RawReply>> {
        let Some(reply) = &mut self.reply else {
            return Poll::Ready(Ok(RawReply::empty()));
        };
        let answered = std::task::ready!(Pin::new(reply).poll(cx));
        self.cancel = None;
        Poll::Ready(match answered {
            Ok((result, notes)) => {
                *annotations = notes;
                result.map(RawReply::of)
            }
            Err(_) => Err(Fault::new(
                FaultKind::Cancelled,
                Outcome::Unknown,
                "the runtime that served the call is gone",
            )),
        })
    }

    /// Cancels the call, unless its method runs to its end anyway.
    pub(crate) fn abandon(self) {
        if let Some(cancel) = self.cancel {
            cancel.cancel();
        }
    }
}
