//! How values become bytes, and how bytes from a stranger become values.
//!
//! Three codecs stand behind two functions, [`encode`] and [`decode`], and behind the pair
//! [`ArgumentsEncoder`] and [`ArgumentsDecoder`], which handle a call's arguments one by one so that an error
//! can name the argument. All decoding is charged to a [`Meter`], whatever the codec: depth and elements count against a
//! [`Budget`], and what is reserved ahead of the data is bounded. Our own readers of postcard and JSON do so themselves; the
//! borrowed reader of MessagePack stands behind a guard.

mod arguments;
mod budget;
mod error;
mod failure;
#[cfg(any(all(test, feature = "json", feature = "msgpack"), fuzzing))]
#[cfg_attr(
    not(fuzzing),
    expect(unreachable_pub, reason = "the fuzz target is outside")
)]
pub mod fuzzed;
#[cfg(feature = "msgpack")]
mod guard;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod messagepack;
mod postcard;
mod refusal;
mod set;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use self::arguments::{ArgumentsDecoder, ArgumentsEncoder};
pub use self::budget::Budget;
use self::budget::Meter;
pub use self::error::CodecError;
pub use self::set::CodecSet;

/// A format for values on the wire.
///
/// Every variant exists in every build; whether this build can use one is told by [`Codec::is_available`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Codec {
    /// Postcard: compact and fast, for peers whose types are equal. Always available.
    Postcard = 1,
    /// MessagePack with named fields, for peers whose types differ compatibly. Cargo feature `msgpack`.
    MessagePack = 2,
    /// JSON, for tools and people. Cargo feature `json`.
    Json = 3,
}

impl Codec {
    /// Lists every codec that this version of farref knows, available in this build or not.
    pub const ALL: [Self; 3] = [Self::Postcard, Self::MessagePack, Self::Json];

    /// Returns the set of codecs that this build can use.
    #[must_use]
    pub fn available() -> CodecSet {
        Self::ALL
            .into_iter()
            .filter(|codec| codec.is_available())
            .collect()
    }

    /// Tells whether this build can use the codec.
    #[must_use]
    pub const fn is_available(self) -> bool {
        match self {
            Self::Postcard => true,
            Self::MessagePack => cfg!(feature = "msgpack"),
            Self::Json => cfg!(feature = "json"),
        }
    }

    /// Returns the number by which frames name the codec.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Finds the codec with this number.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::Postcard),
            2 => Some(Self::MessagePack),
            3 => Some(Self::Json),
            _ => None,
        }
    }

    /// Returns the codec's name: `postcard`, `msgpack` or `json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postcard => "postcard",
            Self::MessagePack => "msgpack",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Codec {
    type Err = CodecError;

    /// Finds a codec by its name.
    ///
    /// # Errors
    ///
    /// [`CodecError::UnknownName`] for any other text.
    fn from_str(name: &str) -> Result<Self, CodecError> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| CodecError::UnknownName(name.to_owned()))
    }
}

/// Encodes a value in postcard, whatever else there is, and appends it to `out`.
#[inline]
pub(crate) fn encode_postcard<T: Serialize>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    postcard::encode(value, out)
}

/// Decodes a value from postcard, whatever else there is.
#[inline]
pub(crate) fn decode_postcard<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    budget: &Budget,
) -> Result<T, CodecError> {
    postcard::decode(bytes, &Meter::new(budget, bytes.len()))
}

/// Appends the encoded value to `out`.
///
/// On an error `out` holds a part of the value; the caller truncates it.
#[inline(always)]
pub(crate) fn encode<T>(codec: Codec, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>
where
    T: Serialize + ?Sized,
{
    match codec {
        Codec::Postcard => postcard::encode(value, out),
        _ => encode_by(codec, value, out),
    }
}

/// The same in a function of its own: what is seldom used stays out of the code that makes calls.
#[inline(never)]
fn encode_by<T>(codec: Codec, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>
where
    T: Serialize + ?Sized,
{
    match codec {
        Codec::Postcard => postcard::encode(value, out),
        #[cfg(feature = "msgpack")]
        Codec::MessagePack => messagepack::encode(value, out),
        #[cfg(feature = "json")]
        Codec::Json => json::encode(value, out),
        #[cfg(not(all(feature = "msgpack", feature = "json")))]
        absent => Err(CodecError::Unsupported(absent)),
    }
}

/// Decodes one value that fills `bytes` exactly.
#[inline]
pub(crate) fn decode<'de, T>(
    codec: Codec,
    bytes: &'de [u8],
    budget: &Budget,
) -> Result<T, CodecError>
where
    T: Deserialize<'de>,
{
    match codec {
        Codec::Postcard => postcard::decode(bytes, &Meter::new(budget, bytes.len())),
        _ => decode_by(codec, bytes, budget),
    }
}

/// The same in a function of its own; see [`encode_by`].
#[inline(never)]
fn decode_by<'de, T>(codec: Codec, bytes: &'de [u8], budget: &Budget) -> Result<T, CodecError>
where
    T: Deserialize<'de>,
{
    let meter = Meter::new(budget, bytes.len());
    match codec {
        Codec::Postcard => postcard::decode(bytes, &meter),
        #[cfg(feature = "msgpack")]
        Codec::MessagePack => messagepack::decode(bytes, &meter),
        #[cfg(feature = "json")]
        Codec::Json => json::decode(bytes, &meter),
        #[cfg(not(all(feature = "msgpack", feature = "json")))]
        absent => Err(CodecError::Unsupported(absent)),
    }
}

/// Decodes one postcard value that fills `bytes` exactly, by a seed that knows what is in them.
#[cfg(feature = "dynamic")]
pub(crate) fn decode_postcard_seed<'de, S>(
    seed: S,
    bytes: &'de [u8],
    budget: &Budget,
) -> Result<S::Value, CodecError>
where
    S: serde::de::DeserializeSeed<'de>,
{
    postcard::decode_seed(seed, bytes, &Meter::new(budget, bytes.len()))
}

/// Refuses bytes that are left after the last value.
#[inline]
fn refuse_rest(rest: &[u8]) -> Result<(), CodecError> {
    match rest.len() {
        0 => Ok(()),
        length => Err(CodecError::TrailingBytes(length)),
    }
}
