//! Passing calls on to an object that another process owns, without decoding them.

use crate::dispatch::{HandlerFuture, Incoming, RawReply};
use crate::far::{CallOptions, Encoded, FarCall, Label, MethodKey, OnewayMode};
use crate::remote::Remote;

/// Calls `remote` with the arguments of a call that arrived here. References in them are exported anew, so that the
/// owner's answers find their way back.
pub(crate) fn call(
    remote: Remote,
    key: MethodKey,
    incoming: Incoming,
    oneway: OnewayMode,
) -> HandlerFuture {
    Box::pin(async move {
        let transferred = incoming.transferred.take();
        let encoded = Encoded {
            key,
            codec: incoming.codec,
            body: incoming.encoded().to_vec(),
            attachments: incoming.attachments.take(),
            transferred,
        };
        let scope = &incoming.scope;
        let mut options = CallOptions {
            annotations: scope.annotations().to_vec(),
            ..CallOptions::default()
        };
        let label = Label::Static {
            interface: "",
            method: "",
        };
        let call = FarCall::new(
            remote,
            label,
            encoded,
            oneway,
            scope.deadline,
            Some(0),
            Some(&mut options),
        );
        let (reply, annotations) = call.finish().await;
        scope.put_reply_annotations(annotations);
        reply.map(RawReply::into_reply)
    })
}
