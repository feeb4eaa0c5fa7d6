//! Writing postcard.

use std::fmt::Display;
use std::io::Write as _;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::codec::refusal::Refusal;

/// Appends to a vector that the caller reuses, so that encoding neither allocates nor copies twice.
pub(super) struct PostcardSerializer<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

#[cold]
fn unknown_length() -> Refusal {
    Refusal::new(
        "a sequence or map does not know its length (a flattened struct?); use msgpack or json",
    )
}

#[cold]
fn skipped(field: &str) -> Refusal {
    Refusal::new(format!(
        "the field `{field}` is left out (`skip_serializing_if`), which postcard cannot express; write it \
         always, or use msgpack or json"
    ))
}

impl PostcardSerializer<'_> {
    /// Writes seven bits a byte, the least significant first.
    #[inline]
    fn varint(&mut self, number: u64) {
        let more = |index: u32| (number >> (7 * index)) as u8 | 0x80;
        match number {
            0..0x80 => self.out.push(number as u8),
            0x80..0x4000 => self.out.extend_from_slice(&[more(0), (number >> 7) as u8]),
            0x4000..0x20_0000 => {
                self.out
                    .extend_from_slice(&[more(0), more(1), (number >> 14) as u8]);
            }
            _ => self.wide_varint(number.into()),
        }
    }

    fn wide_varint(&mut self, mut number: u128) {
        while number >= 0x80 {
            self.out.push(low_bits(number) | 0x80);
            number >>= 7;
        }
        self.out.push(low_bits(number));
    }

    #[inline]
    fn length(&mut self, length: usize) {
        self.varint(length as u64);
    }

    #[inline]
    fn known_length(&mut self, length: Option<usize>) -> Result<(), Refusal> {
        self.length(length.ok_or_else(unknown_length)?);
        Ok(())
    }
}

/// Returns the seven lowest bits.
#[inline]
const fn low_bits(number: u128) -> u8 {
    (number & 0x7f) as u8
}

/// Maps small negative numbers to small ones: 0, -1, 1, -2 become 0, 1, 2, 3.
#[inline]
const fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

impl<'a, 'o> Serializer for &'a mut PostcardSerializer<'o> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Refusal> {
        self.serialize_u8(value.into())
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Refusal> {
        self.serialize_u8(value.cast_unsigned())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Refusal> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Refusal> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Refusal> {
        self.varint(zigzag(value));
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), Refusal> {
        self.wide_varint((value << 1 ^ value >> 127).cast_unsigned());
        Ok(())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Refusal> {
        self.out.push(value);
        Ok(())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Refusal> {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Refusal> {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), Refusal> {
        self.varint(value);
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Refusal> {
        self.wide_varint(value);
        Ok(())
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Refusal> {
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Refusal> {
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Refusal> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Refusal> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Refusal> {
        self.length(value.len());
        self.out.extend_from_slice(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Refusal> {
        self.serialize_u8(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        self.out.push(1);
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Refusal> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Refusal> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Result<(), Refusal> {
        self.serialize_u32(index)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        self.varint(index.into());
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Refusal> {
        self.known_length(length)?;
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _length: usize) -> Result<Self, Refusal> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Self, Refusal> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Refusal> {
        self.varint(index.into());
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self, Refusal> {
        self.known_length(length)?;
        Ok(self)
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self, Refusal> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Refusal> {
        self.varint(index.into());
        Ok(self)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        // The text is written first and its length put before it: texts are short, and nothing is formatted twice.
        let start = self.out.len();
        write!(self.out, "{value}").map_err(ser::Error::custom)?;
        let length = self.out.len() - start;
        self.length(length);
        self.out[start..].rotate_left(length);
        Ok(())
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Implements what all compound values share: their parts stand one after the other.
macro_rules! compounds {
    ($($compound:ident::$method:ident),* $(,)?) => {$(
        impl $compound for &mut PostcardSerializer<'_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Refusal> {
                part.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<(), Refusal> {
                Ok(())
            }
        }
    )*};
}

compounds! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

impl SerializeMap for &mut PostcardSerializer<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Implements the compounds with names, which are not written, but must all be there.
macro_rules! structs {
    ($($compound:ident),*) => {$(
        impl $compound for &mut PostcardSerializer<'_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _name: &'static str,
                field: &T,
            ) -> Result<(), Refusal> {
                field.serialize(&mut **self)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Refusal> {
                Err(skipped(name))
            }

            #[inline]
            fn end(self) -> Result<(), Refusal> {
                Ok(())
            }
        }
    )*};
}

structs!(SerializeStruct, SerializeStructVariant);
