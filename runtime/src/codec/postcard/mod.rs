//! The postcard codec: format version 1, as <https://postcard.jamesmunns.com/wire-format> describes it.
//!
//! The postcard crate itself is not used; tests compare the two byte by byte. Its errors cannot carry what a type says
//! when it refuses a value or bytes. It writes a struct of which a field was skipped (`skip_serializing_if`) as if it were
//! whole, which the reader takes for something else; here that is an error. And a reader that knows the meter needs no guard
//! around it, which applications would compile again for each of their types.

mod access;
mod deserializer;
mod serializer;

#[cfg(feature = "dynamic")]
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

use self::deserializer::PostcardDeserializer;
use self::serializer::PostcardSerializer;
use super::{Codec, CodecError, Meter};

#[inline]
pub(super) fn encode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    value
        .serialize(&mut PostcardSerializer { out })
        .map_err(|refusal| refusal.report(Codec::Postcard))
}

#[inline]
pub(super) fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<T, CodecError> {
    let (value, rest) = next(bytes, meter)?;
    super::refuse_rest(rest)?;
    Ok(value)
}

/// Decodes the value at the beginning of `bytes`, and returns what follows it.
#[inline]
pub(super) fn next<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<(T, &'de [u8]), CodecError> {
    let mut deserializer = PostcardDeserializer { rest: bytes, meter };
    match T::deserialize(&mut deserializer) {
        Ok(value) => Ok((value, deserializer.rest)),
        Err(failure) => Err(failure.report(Codec::Postcard, meter)),
    }
}

/// Decodes one value that fills `bytes`, by a seed that knows what is in them.
#[cfg(feature = "dynamic")]
pub(super) fn decode_seed<'de, S: DeserializeSeed<'de>>(
    seed: S,
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<S::Value, CodecError> {
    let mut deserializer = PostcardDeserializer { rest: bytes, meter };
    let value = seed
        .deserialize(&mut deserializer)
        .map_err(|failure| failure.report(Codec::Postcard, meter))?;
    super::refuse_rest(deserializer.rest)?;
    Ok(value)
}
