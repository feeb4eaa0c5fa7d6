//! What generated code asks of the items of a stream.

use super::StreamItem;
use super::remote::RemoteStream;
use crate::dispatch::{self, Incoming, RawReply, Reply};
use crate::error::Result;
use crate::shape::Shape;

/// A type that can be an item of a stream which an exposed method returns; see [`Wire`](crate::wire::Wire) for why its
/// functions have no bounds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an item of a stream to another process",
    label = "this type, or one inside it, lacks serde's `Serialize` or `Deserialize`, or `Send`, or is not `'static`",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to your types in it"
)]
pub trait StreamWire: Sized {
    /// Answers with a stream.
    fn reply(call: &Incoming, stream: RemoteStream<Self>) -> Result<Reply>;
    /// Decodes a stream that was answered.
    fn decode(reply: &mut RawReply) -> Result<RemoteStream<Self>>;
    /// Traces the shape of the stream.
    fn shape() -> Shape;
}

#[diagnostic::do_not_recommend]
impl<T: StreamItem> StreamWire for T {
    fn reply(call: &Incoming, stream: RemoteStream<T>) -> Result<Reply> {
        call.answer(false, &stream)
    }

    fn decode(reply: &mut RawReply) -> Result<RemoteStream<T>> {
        dispatch::decode_value(reply)
    }

    fn shape() -> Shape {
        Shape::of::<RemoteStream<T>>()
    }
}
