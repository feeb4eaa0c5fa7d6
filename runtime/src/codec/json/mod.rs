//! The JSON codec, as RFC 8259 has it.
//!
//! Values look as serde_json writes them, down to its raw values; tests compare the two. serde_json itself is not used: a
//! reader that knows the meter needs no guard around it, which applications would compile again for each of their types,
//! and most applications have no other use for that crate.

mod access;
mod deserializer;
mod key;
mod reader;
mod serializer;
mod text;

use serde::{Deserialize, Serialize};

use self::deserializer::JsonDeserializer;
pub(super) use self::reader::skip_space;
use self::serializer::JsonSerializer;
use super::{Codec, CodecError, Meter};

/// The name under which serde_json's `RawValue` asks for a value's text.
const RAW_VALUE: &str = "$serde_json::private::RawValue";
/// The name under which serde_json writes a number whose digits it keeps.
const RAW_NUMBER: &str = "$serde_json::private::Number";

pub(super) fn encode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    value
        .serialize(JsonSerializer { out })
        .map_err(|refusal| refusal.report(Codec::Json))
}

pub(super) fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<T, CodecError> {
    let (value, rest) = next(bytes, meter)?;
    super::refuse_rest(skip_space(rest))?;
    Ok(value)
}

/// Decodes the value at the beginning of `bytes`, and returns what follows it.
pub(super) fn next<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<(T, &'de [u8]), CodecError> {
    let mut deserializer = JsonDeserializer::new(bytes, meter);
    match T::deserialize(&mut deserializer) {
        Ok(value) => Ok((value, deserializer.rest())),
        Err(failure) => Err(failure.report(Codec::Json, meter)),
    }
}

/// Makes an error about the text itself.
pub(super) fn syntax(message: &str) -> CodecError {
    CodecError::Malformed {
        codec: Codec::Json,
        message: message.to_owned(),
    }
}
