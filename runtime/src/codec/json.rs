//! The JSON codec.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Deserializer;
use serde_json::error::Category;

use super::{Codec, CodecError, GuardError, Guarded, Meter};

pub(super) fn encode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    serde_json::to_writer(out, value).map_err(|error| CodecError::Unencodable {
        codec: Codec::Json,
        message: error.to_string(),
    })
}

pub(super) fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<T, CodecError> {
    let (value, rest) = next(bytes, meter)?;
    match skip_space(rest) {
        [] => Ok(value),
        rest => Err(CodecError::TrailingBytes(rest.len())),
    }
}

/// Decodes the value at the beginning of `bytes`, and returns what follows it.
pub(super) fn next<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<(T, &'de [u8]), CodecError> {
    let mut deserializer = Deserializer::from_slice(bytes);
    let value = T::deserialize(Guarded::new(&mut deserializer, meter))
        .map_err(|error| malformed(error, meter))?;
    // The deserializer does not tell its position, but the stream made of it does.
    let used = deserializer.into_iter::<IgnoredAny>().byte_offset();
    Ok((value, bytes.get(used..).unwrap_or_default()))
}

/// Drops the white space at the beginning.
pub(super) fn skip_space(bytes: &[u8]) -> &[u8] {
    let space = bytes
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .count();
    &bytes[space..]
}

/// Makes an error about the text itself.
pub(super) fn syntax(message: &str) -> CodecError {
    CodecError::Malformed {
        codec: Codec::Json,
        message: message.to_owned(),
    }
}

#[cold]
fn malformed(error: GuardError<serde_json::Error>, meter: &Meter) -> CodecError {
    if let Some(exceeded) = meter.exceeded() {
        return exceeded;
    }
    let message = match error {
        GuardError::Value(message) => message.into(),
        GuardError::Codec(error) if error.classify() == Category::Eof => {
            "the text ends in the middle of a value".to_owned()
        }
        GuardError::Codec(error) => error.to_string(),
    };
    CodecError::Malformed {
        codec: Codec::Json,
        message,
    }
}
