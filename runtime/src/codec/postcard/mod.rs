//! The postcard codec.

mod serializer;

use ::postcard::de_flavors::Slice;
use ::postcard::{Deserializer, Error};
#[cfg(feature = "dynamic")]
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

use self::serializer::PostcardSerializer;
use super::{Codec, CodecError, GuardError, Guarded, Meter};

#[inline]
pub(super) fn encode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    value
        .serialize(&mut PostcardSerializer { out })
        .map_err(|refusal| CodecError::Unencodable {
            codec: Codec::Postcard,
            message: refusal.to_string(),
        })
}

#[inline]
pub(super) fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<T, CodecError> {
    let mut deserializer = Deserializer::from_bytes(bytes);
    let value = next(&mut deserializer, meter)?;
    finish(deserializer)?;
    Ok(value)
}

/// Decodes the next of several values that stand one after the other.
#[inline]
pub(super) fn next<'de, T: Deserialize<'de>>(
    deserializer: &mut Deserializer<'de, Slice<'de>>,
    meter: &Meter,
) -> Result<T, CodecError> {
    T::deserialize(Guarded::new(deserializer, meter)).map_err(|error| malformed(error, meter))
}

/// Decodes one value that fills `bytes`, by a seed that knows what is in them.
#[cfg(feature = "dynamic")]
pub(super) fn decode_seed<'de, S: DeserializeSeed<'de>>(
    seed: S,
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<S::Value, CodecError> {
    let mut deserializer = Deserializer::from_bytes(bytes);
    let value = seed
        .deserialize(Guarded::new(&mut deserializer, meter))
        .map_err(|error| malformed(error, meter))?;
    finish(deserializer)?;
    Ok(value)
}

/// Refuses bytes that are left after the last value.
#[inline]
pub(super) fn finish<'de>(deserializer: Deserializer<'de, Slice<'de>>) -> Result<(), CodecError> {
    match deserializer.finalize() {
        Ok([]) => Ok(()),
        Ok(rest) => Err(CodecError::TrailingBytes(rest.len())),
        Err(error) => Err(malformed(
            GuardError::Codec(error),
            &Meter::new(&super::Budget::new(), 0),
        )),
    }
}

#[cold]
fn malformed(error: GuardError<Error>, meter: &Meter) -> CodecError {
    if let Some(exceeded) = meter.exceeded() {
        return exceeded;
    }
    let message = match error {
        GuardError::Value(message) => message.into(),
        GuardError::Codec(Error::DeserializeBadUtf8) => return CodecError::NotUtf8(Codec::Postcard),
        GuardError::Codec(Error::SerdeDeCustom) => match meter.take_message() {
            Some(message) => message.into(),
            None => "the type refused the bytes".to_owned(),
        },
        GuardError::Codec(Error::DeserializeUnexpectedEnd) => "the bytes end in the middle of a value".to_owned(),
        GuardError::Codec(Error::DeserializeBadVarint) => "a number is too large for its type".to_owned(),
        GuardError::Codec(Error::DeserializeBadBool) => "a bool is neither 0 nor 1".to_owned(),
        GuardError::Codec(Error::DeserializeBadOption) => "an option's tag is neither 0 nor 1".to_owned(),
        GuardError::Codec(Error::DeserializeBadChar) => "a char is no Unicode scalar value".to_owned(),
        GuardError::Codec(Error::WontImplement | Error::NotYetImplemented) => {
            "the type needs a self-describing codec (untagged, flattened or any value); use msgpack or json".to_owned()
        }
        GuardError::Codec(other) => other.to_string(),
    };
    CodecError::Malformed {
        codec: Codec::Postcard,
        message,
    }
}
