//! Reading postcard, and charging a meter for what is read.

use serde::de::{Deserializer, Visitor};

use super::access::{Elements, Parts};
use crate::codec::Meter;
use crate::codec::budget::{Allotment, LARGEST_MAP_RESERVE, LARGEST_SEQUENCE_RESERVE};
use crate::codec::failure::Failure;

/// Reads values that stand one after the other.
pub(super) struct PostcardDeserializer<'de, 'm> {
    pub(super) rest: &'de [u8],
    pub(super) meter: &'m Meter,
}

#[cold]
fn not_self_describing() -> Failure {
    Failure::new(
        "the type needs a self-describing codec (untagged, flattened or any value); use msgpack or json",
    )
}

#[cold]
fn too_large() -> Failure {
    Failure::new("a number is too large for its type")
}

/// Reads a number of so many bits from the beginning, and returns what follows it.
fn long_varint<const BITS: u32>(bytes: &[u8]) -> Result<(u64, &[u8]), Failure> {
    let mut number = 0;
    let mut shift = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if shift + 7 > BITS && byte >> (BITS - shift) != 0 {
            return Err(too_large());
        }
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok((number, &bytes[index + 1..]));
        }
        shift += 7;
    }
    Err(Failure::truncated())
}

impl<'de> PostcardDeserializer<'de, '_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, Failure> {
        match self.rest {
            [byte, rest @ ..] => {
                self.rest = rest;
                Ok(*byte)
            }
            [] => Err(Failure::truncated()),
        }
    }

    #[inline]
    fn bytes(&mut self, length: usize) -> Result<&'de [u8], Failure> {
        match self.rest.split_at_checked(length) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(Failure::truncated()),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        match self.rest.split_first_chunk() {
            Some((array, rest)) => {
                self.rest = rest;
                Ok(*array)
            }
            None => Err(Failure::truncated()),
        }
    }

    /// Reads a number of so many bits, which are 14 at least: seven bits a byte, the least significant first.
    #[inline]
    pub(super) fn varint<const BITS: u32>(&mut self) -> Result<u64, Failure> {
        let low = |byte: u8| u64::from(byte & 0x7f);
        match *self.rest {
            [last, ref rest @ ..] if last < 0x80 => {
                self.rest = rest;
                Ok(last.into())
            }
            [first, last, ref rest @ ..] if last < 0x80 => {
                self.rest = rest;
                Ok(low(first) | u64::from(last) << 7)
            }
            [first, second, last, ref rest @ ..] if last < 0x80 && BITS >= 21 => {
                self.rest = rest;
                Ok(low(first) | low(second) << 7 | u64::from(last) << 14)
            }
            _ => {
                let (number, rest) = long_varint::<BITS>(self.rest)?;
                self.rest = rest;
                Ok(number)
            }
        }
    }

    fn wide_varint(&mut self) -> Result<u128, Failure> {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            if shift + 7 > u128::BITS && byte >> (u128::BITS - shift) != 0 {
                return Err(too_large());
            }
            number |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    #[inline]
    fn length(&mut self) -> Result<usize, Failure> {
        // No slice is longer than an address can count, so a length that does not fit claims too much anyway.
        Ok(usize::try_from(self.varint::<64>()?).unwrap_or(usize::MAX))
    }

    #[inline]
    fn text(&mut self) -> Result<&'de str, Failure> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Failure::not_utf8())
    }

    /// Shows a visitor something with parts, one level down.
    #[inline]
    fn nested<T>(
        &mut self,
        show: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.meter.enter()?;
        let result = show(self);
        self.meter.leave();
        result
    }
}

/// Undoes the mapping of small negative numbers to small ones.
#[inline]
const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Implements the methods for numbers that are read as one of so many bits, and then narrowed.
macro_rules! numbers {
    ($($method:ident => $visit:ident($bits:literal, $convert:expr)),* $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let convert = $convert;
            visitor.$visit(convert(self.varint::<$bits>()?))
        }
    )*};
}

/// Implements the methods for what only a format that describes itself can answer.
macro_rules! refused {
    ($($method:ident),*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Failure> {
            Err(not_self_describing())
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut PostcardDeserializer<'de, '_> {
    type Error = Failure;

    refused!(
        deserialize_any,
        deserialize_identifier,
        deserialize_ignored_any
    );

    numbers! {
        deserialize_u16 => visit_u16(16, |number: u64| number as u16),
        deserialize_u32 => visit_u32(32, |number: u64| number as u32),
        deserialize_u64 => visit_u64(64, |number: u64| number),
        deserialize_i16 => visit_i16(16, |number: u64| unzigzag(number) as i16),
        deserialize_i32 => visit_i32(32, |number: u64| unzigzag(number) as i32),
        deserialize_i64 => visit_i64(64, unzigzag),
    }

    #[inline]
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_u8(self.byte()?)
    }

    #[inline]
    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_i8(self.byte()?.cast_signed())
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_u128(self.wide_varint()?)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let number = self.wide_varint()?;
        visitor.visit_i128((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(Failure::new("a bool is neither 0 nor 1")),
        }
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let mut letters = self.text()?.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => visitor.visit_char(letter),
            _ => Err(Failure::new("a char is no Unicode scalar value")),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let length = self.length()?;
        visitor.visit_borrowed_bytes(self.bytes(length)?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.byte()? {
            0 => visitor.visit_none(),
            1 => self.nested(|deserializer| visitor.visit_some(deserializer)),
            _ => Err(Failure::new("an option's tag is neither 0 nor 1")),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.nested(|deserializer| visitor.visit_newtype_struct(deserializer))
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let left = self.length()?;
        let meter = self.meter;
        let allotment = Allotment::new(meter, LARGEST_SEQUENCE_RESERVE);
        self.nested(|deserializer| {
            visitor.visit_seq(Elements {
                deserializer,
                left,
                allotment: &allotment,
            })
        })
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let left = self.length()?;
        let meter = self.meter;
        let allotment = Allotment::new(meter, LARGEST_MAP_RESERVE);
        self.nested(|deserializer| {
            visitor.visit_map(Elements {
                deserializer,
                left,
                allotment: &allotment,
            })
        })
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.nested(|deserializer| {
            visitor.visit_seq(Parts {
                deserializer,
                left: length,
            })
        })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.nested(|deserializer| visitor.visit_enum(deserializer))
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}
