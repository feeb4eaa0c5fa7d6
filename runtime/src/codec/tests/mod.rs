//! Unit tests of the codecs: round trips, arguments, and what strangers send.

mod allocation;
mod arguments;
#[cfg(all(feature = "json", feature = "msgpack"))]
mod fuzzed;
mod hostile;
#[cfg(feature = "json")]
mod json;
mod round_trip;
mod values;
mod wire;

use super::{Budget, Codec, CodecError, decode, encode};

/// Encodes into a fresh vector.
fn encoded<T: serde::Serialize + ?Sized>(codec: Codec, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(codec, value, &mut out).expect("encodes");
    out
}

/// Decodes on the default budget.
fn decoded<'de, T: serde::Deserialize<'de>>(
    codec: Codec,
    bytes: &'de [u8],
) -> Result<T, CodecError> {
    decode(codec, bytes, &Budget::default())
}
