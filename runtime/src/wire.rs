//! What a type must be able to do to travel, with errors that say how to teach it.
//!
//! These traits are all that generated code asks of a user's types, and each is nothing but serde's. They exist so that
//! the compiler's message is about the method and not about the inside of the framework.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that can be an argument of an exposed method.
#[diagnostic::on_unimplemented(
    message = "an argument of type `{Self}` cannot be sent",
    label = "cannot be sent to another process",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`"
)]
pub trait ArgumentType: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> ArgumentType for T {}

/// A type that an exposed method can return.
#[diagnostic::on_unimplemented(
    message = "a result of type `{Self}` cannot be sent back",
    label = "cannot be sent to another process",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`"
)]
pub trait ReturnType: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> ReturnType for T {}

/// A type that can be the error of an exposed method.
#[diagnostic::on_unimplemented(
    message = "an error of type `{Self}` cannot be sent back",
    label = "cannot be sent to another process",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`"
)]
pub trait AppError: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> AppError for T {}

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
