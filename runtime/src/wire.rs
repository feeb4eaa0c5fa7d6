//! What a type must be able to do to travel, with an error that says how to teach it.
//!
//! [`Wire`] is all that generated code asks of a user's types, and it is nothing but serde's traits and `Send`. It
//! exists so that the compiler's message is about the method and not about the inside of the framework.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dispatch::{self, Arguments, ArgumentsOut, Incoming, RawReply, Reply};
use crate::error::Result;
use crate::shape::Shape;

/// A type that can be an argument, a result or an error of an exposed method.
///
/// Generated code names a user's type only as `<T as Wire>::function`, and hands these functions to generic ones that
/// ask nothing of `T`. So a type that lacks something is reported in the same words wherever it is used, and the
/// compiler says the same only once. For the same reason this has no supertraits: each would be reported, too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "this type, or one inside it, lacks serde's `Serialize` or `Deserialize`, or `Send`",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to your types in it"
)]
pub trait Wire: Sized {
    /// Writes an argument.
    fn put(out: &mut ArgumentsOut<'_>, name: &str, value: &Self) -> Result<()>;
    /// Reads an argument.
    fn take(arguments: &mut Arguments<'_>, name: &str) -> Result<Self>;
    /// Answers with a value.
    fn reply(call: &Incoming, value: Self, reply: &mut Reply) -> Result<()>;
    /// Answers with the method's own error.
    fn reply_error(call: &Incoming, error: Self, reply: &mut Reply) -> Result<()>;
    /// Decodes a value that was answered.
    fn decode(reply: &mut RawReply) -> Result<Self>;
    /// Decodes the method's own error.
    fn decode_error(reply: &mut RawReply) -> Result<Self>;
    /// Traces the shape of the type.
    fn shape() -> Shape;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send> Wire for T {
    #[inline]
    fn put(out: &mut ArgumentsOut<'_>, name: &str, value: &T) -> Result<()> {
        out.value(name, value)
    }

    #[inline]
    fn take(arguments: &mut Arguments<'_>, name: &str) -> Result<T> {
        arguments.value(name)
    }

    #[inline]
    fn reply(call: &Incoming, value: T, reply: &mut Reply) -> Result<()> {
        call.encode(false, &value, reply)
    }

    fn reply_error(call: &Incoming, error: T, reply: &mut Reply) -> Result<()> {
        call.encode(true, &error, reply)
    }

    #[inline]
    fn decode(reply: &mut RawReply) -> Result<T> {
        dispatch::decode_value(reply)
    }

    fn decode_error(reply: &mut RawReply) -> Result<T> {
        dispatch::decode_error(reply)
    }

    fn shape() -> Shape {
        Shape::of::<T>()
    }
}

/// A byte string that travels outside the codec, on its way out.
pub trait IntoBytes {
    /// Gives the bytes away; copies nothing.
    fn into_bytes(self) -> Bytes;
}

impl IntoBytes for Bytes {
    fn into_bytes(self) -> Bytes {
        self
    }
}

impl IntoBytes for Vec<u8> {
    fn into_bytes(self) -> Bytes {
        Bytes::from(self)
    }
}

/// A byte string that its caller keeps while it travels outside the codec.
pub trait ToBytes {
    /// The bytes, shared where the type can be shared, else copied.
    fn to_bytes(&self) -> Bytes;
}

impl ToBytes for Bytes {
    fn to_bytes(&self) -> Bytes {
        self.clone()
    }
}

impl ToBytes for Vec<u8> {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl ToBytes for [u8] {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl<T: ToBytes + ?Sized> ToBytes for &T {
    fn to_bytes(&self) -> Bytes {
        (**self).to_bytes()
    }
}

/// A byte string that travelled outside the codec, on its way in.
pub trait FromBytes {
    /// Takes the bytes.
    fn from_bytes(bytes: Bytes) -> Self;
}

impl FromBytes for Bytes {
    fn from_bytes(bytes: Bytes) -> Self {
        bytes
    }
}

impl FromBytes for Vec<u8> {
    fn from_bytes(bytes: Bytes) -> Self {
        // Takes the memory over if nothing else shares it, else copies.
        bytes.into()
    }
}

/// The two sides of a `Result`, also behind an alias.
pub trait ResultParts {
    /// What it holds when all is well.
    type Ok;
    /// What it holds otherwise.
    type Err;
}

impl<T, E> ResultParts for Result<T, E> {
    type Ok = T;
    type Err = E;
}
