//! JSON to postcard and back, by shape: for tools that talk to programs without a JSON codec.

mod read;
mod write;

use serde_json::Value;

use self::read::Reader;
use self::write::Shaped;
use super::check::check_for_postcard;
use super::scope::Scope;
use super::{Mismatch, Shape};
use crate::codec::{self, Budget, Codec, CodecError};

/// Appends the postcard form of a JSON value to `out`.
///
/// A field that is absent is written as an absent `Option`; other defaults only the type itself knows, so such a
/// field must be given. Numbers of 128 bits may be given as strings of digits.
///
/// # Errors
///
/// A [`Mismatch`] names the first part that is not of the shape, or whose postcard form the shape does not tell;
/// `out` is as before then.
pub fn json_to_postcard(value: &Value, shape: &Shape, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    check_for_postcard(value, shape)?;
    let before = out.len();
    codec::encode(
        Codec::Postcard,
        &Shaped {
            value,
            shape,
            scope: &Scope::ROOT,
        },
        out,
    )
    .map_err(|error| {
        out.truncate(before);
        Mismatch::new("a value that postcard can carry", error)
    })
}

/// Reads a postcard value of this shape as JSON.
///
/// Integers beyond 64 bits become strings of digits, and keys that are no strings become their JSON text.
///
/// # Errors
///
/// A [`CodecError`] if the bytes are not of the shape, go over the budget, or hold a part whose form the shape does
/// not tell.
pub fn postcard_to_json(bytes: &[u8], shape: &Shape, budget: &Budget) -> Result<Value, CodecError> {
    codec::decode_postcard_seed(
        Reader {
            shape,
            scope: &Scope::ROOT,
        },
        bytes,
        budget,
    )
}
