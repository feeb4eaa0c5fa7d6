//! What code written by the macros names. Not part of the public API: it changes with any version, and macros and
//! runtime are pinned to each other.

pub use std::boxed::Box;
pub use std::clone::Clone;
pub use std::convert::From;
pub use std::marker::PhantomData;
pub use std::ops::Deref;
pub use std::option::Option::{self, None, Some};
pub use std::rc::Rc;
pub use std::result::Result::{self, Err, Ok};
pub use std::string::String;
pub use std::sync::Arc;
pub use std::vec;
pub use std::vec::Vec;

pub use bytes::Bytes;
pub use serde;

pub use crate::access::{Access, AccessMut, Serial, Shared, SharedArc};
pub use crate::blocking::{BlockingProxy, Connect, Items};
pub use crate::call::{Call, NearFuture};
pub use crate::descriptor::{
    Argument, Interface, Method, MethodFlags, MethodKind, Returns, ShapeCache,
};
pub use crate::dispatch::{
    Arguments, ArgumentsOut, HandlerFuture, Incoming, RawReply, Reply, block_on, blocking,
    decode_bytes, decode_result,
};
pub use crate::error::{CallError, Failure, Fault};
pub use crate::local::{
    LocalEntry, LocalGuard, LocalHandler, LocalHandlerFuture, pinned, pinned_serial,
};
pub use crate::methods::Handler;
pub use crate::object::{Entry, Export, Inside, Meta};
pub use crate::proxy::{Proxy, ProxyOptions, Serve, Target, equal, hash_proxy};
pub use crate::references::{deserialize_proxy, serialize_proxy};
pub use crate::remote::{FarReference, Remote};
pub use crate::schema::{NoSchema, Probe};
pub use crate::serial::SerialGuard;
pub use crate::shape::Shape;
pub use crate::signal::{Signal, SignalRef, SignalRequest, Tellable};
pub use crate::stream::{
    NearStream, StreamCall, StreamWire, Yielder, local_stream, near_stream, stream,
};
pub use crate::wire::{FromBytes, IntoBytes, ResultParts, ToBytes, Wire};

/// The index of the method of this hash, which is there: the macro wrote both, and `#[cfg]` removed both or neither.
pub const fn method_index(interface: &'static Interface, hash: u32) -> usize {
    let mut index = 0;
    while index < interface.methods.len() {
        if interface.methods[index].hash == hash {
            return index;
        }
        index += 1;
    }
    panic!("the interface has no such method")
}

/// The export of what a proxy points at.
pub fn export<P: Proxy>(proxy: &P) -> Arc<Export> {
    crate::proxy::to_export(proxy)
}

/// What a method that is marked `#[signal]` returns.
#[diagnostic::on_unimplemented(
    message = "a `#[signal]` method lends a `farref::Signal`, not `{Self}`",
    label = "a type of the same name",
    note = "write `farref::Signal`, or import it"
)]
pub trait IsSignal<T, R> {
    /// The signal itself.
    fn signal(&self) -> &Signal<T, R>;
}

#[diagnostic::do_not_recommend]
impl<T, R> IsSignal<T, R> for Signal<T, R> {
    fn signal(&self) -> &Signal<T, R> {
        self
    }
}

/// The signal that a method returned. All generated code says its type by this, so that a wrong one is one error.
pub fn signal<T, R>(signal: &impl IsSignal<T, R>) -> &Signal<T, R> {
    signal.signal()
}

/// The shape of a string slice.
pub fn shape_of_str() -> Shape {
    Shape::String
}

/// The shape of a byte string that travels outside the codec.
pub fn shape_of_bytes() -> Shape {
    Shape::Bytes
}

/// The schema of what has none.
pub fn no_schema() -> Option<String> {
    None
}
