//! Streams: items that are produced in one process and consumed in another, with back-pressure.
//!
//! A [`RemoteStream`] is a value that crosses as a reference does. Its items are encoded as their consumer gives credit:
//! a [`Feed`] gives them a frame at a time, and the session carries them.

mod block;
mod call;
mod channel;
mod feed;
mod local;
mod packing;
mod produced;
mod reader;
mod remote;
mod window;
mod wire;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::block::{NearStream, Yielder, near_stream, stream};
pub use self::call::{Opening, StreamCall};
pub use self::channel::StreamSender;
pub(crate) use self::feed::{Feed, Items, Room};
pub use self::local::local_stream;
pub use self::remote::RemoteStream;
pub(crate) use self::remote::STREAM;
pub use self::window::StreamWindow;
pub use self::wire::StreamWire;

/// What the items of a stream must be able to do; every type that does, is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an item of a stream to another process",
    label = "this type, or one inside it, lacks serde's `Serialize` or `Deserialize`, or `Send`, or is not `'static`",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to your types in it"
)]
pub trait StreamItem: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> StreamItem for T {}
