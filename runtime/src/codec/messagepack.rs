//! The MessagePack codec, with structs as maps by name.

use rmp_serde::decode::Error;
use rmp_serde::{Deserializer, Serializer};
use serde::{Deserialize, Serialize};

use super::guard::{GuardError, Guarded};
use super::{Codec, CodecError, Meter};

pub(super) fn encode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    value
        .serialize(&mut Serializer::new(out).with_struct_map())
        .map_err(|error| CodecError::Unencodable {
            codec: Codec::MessagePack,
            message: error.to_string(),
        })
}

pub(super) fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<T, CodecError> {
    let (value, rest) = next(bytes, meter)?;
    super::refuse_rest(rest)?;
    Ok(value)
}

/// Decodes the value at the beginning of `bytes`, and returns what follows it.
pub(super) fn next<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    meter: &Meter,
) -> Result<(T, &'de [u8]), CodecError> {
    // The deserializer does not tell how far it read, so the value is measured first. That also settles, for
    // any claimed length, that its bytes are there.
    let (value, rest) = bytes.split_at(value_length(bytes)?);
    let mut deserializer = Deserializer::from_read_ref(value);
    deserializer.set_max_depth(usize::from(u16::MAX));
    let value = T::deserialize(Guarded::new(&mut deserializer, meter))
        .map_err(|error| malformed(error, meter))?;
    Ok((value, rest))
}

/// Appends the head of an array.
pub(super) fn write_array_head(count: usize, out: &mut Vec<u8>) {
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(count @ 0..=15), _) => out.push(0x90 | count),
        (_, Ok(count)) => {
            out.push(0xdc);
            out.extend_from_slice(&count.to_be_bytes());
        }
        _ => {
            out.push(0xdd);
            out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// Reads the head of an array: how many elements it claims, and what follows.
pub(super) fn read_array_head(bytes: &[u8]) -> Result<(usize, &[u8]), CodecError> {
    let (&marker, rest) = bytes.split_first().ok_or_else(truncated)?;
    match marker {
        0x90..=0x9f => Ok((usize::from(marker & 0x0f), rest)),
        0xdc => Ok((big_endian(rest, 2)?, &rest[2..])),
        0xdd => Ok((big_endian(rest, 4)?, &rest[4..])),
        _ => Err(CodecError::Malformed {
            codec: Codec::MessagePack,
            message: "arguments must be an array".to_owned(),
        }),
    }
}

/// Returns the length in bytes of the value at the beginning, without recursion.
fn value_length(bytes: &[u8]) -> Result<usize, CodecError> {
    let mut position = 0_usize;
    let mut values_left = 1_u64;
    while values_left > 0 {
        values_left -= 1;
        let &marker = bytes.get(position).ok_or_else(truncated)?;
        let after = &bytes[position + 1..];
        // What follows the marker: so many bytes of a length, so many bytes of data, so many values.
        let (data, values) = match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0),
            0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
            0x90..=0x9f => (0, u64::from(marker & 0x0f)),
            0xa0..=0xbf => (usize::from(marker & 0x1f), 0),
            0xc4 | 0xd9 => (1 + big_endian(after, 1)?, 0),
            0xc5 | 0xda => (2 + big_endian(after, 2)?, 0),
            0xc6 | 0xdb => (4_usize.saturating_add(big_endian(after, 4)?), 0),
            0xc7 => (2 + big_endian(after, 1)?, 0),
            0xc8 => (3 + big_endian(after, 2)?, 0),
            0xc9 => (5_usize.saturating_add(big_endian(after, 4)?), 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 | 0xd4 => (2, 0),
            0xd5 => (3, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xd6 => (5, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd7 => (9, 0),
            0xd8 => (17, 0),
            0xdc => (2, big_endian(after, 2)? as u64),
            0xdd => (4, big_endian(after, 4)? as u64),
            0xde => (2, 2 * big_endian(after, 2)? as u64),
            0xdf => (4, 2 * big_endian(after, 4)? as u64),
            0xc1 => {
                let message = "0xc1 is no MessagePack marker".to_owned();
                return Err(CodecError::Malformed {
                    codec: Codec::MessagePack,
                    message,
                });
            }
        };
        if data > after.len() {
            return Err(truncated());
        }
        position += 1 + data;
        values_left = values_left.saturating_add(values);
        // Each value is a byte at least.
        if values_left > (bytes.len() - position) as u64 {
            return Err(truncated());
        }
    }
    Ok(position)
}

/// Reads the first `width` bytes, at most four, as a number.
fn big_endian(bytes: &[u8], width: usize) -> Result<usize, CodecError> {
    let digits = bytes.get(..width).ok_or_else(truncated)?;
    Ok(digits
        .iter()
        .fold(0, |number, digit| number << 8 | usize::from(*digit)))
}

#[cold]
fn truncated() -> CodecError {
    let message = "the bytes end in the middle of a value".to_owned();
    CodecError::Malformed {
        codec: Codec::MessagePack,
        message,
    }
}

#[cold]
fn malformed(error: GuardError<Error>, meter: &Meter) -> CodecError {
    if let Some(exceeded) = meter.exceeded() {
        return exceeded;
    }
    let message = match error {
        GuardError::Value(message) => message.into(),
        GuardError::Codec(Error::Utf8Error(_)) => return CodecError::NotUtf8(Codec::MessagePack),
        GuardError::Codec(error) => error.to_string(),
    };
    CodecError::Malformed {
        codec: Codec::MessagePack,
        message,
    }
}
