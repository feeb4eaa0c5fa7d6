//! The keys of objects, which are strings: numbers and bools stand in quotes.

use std::fmt::{self, Display};

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{Error as _, Impossible, Serialize, Serializer};

use super::access::Variant;
use super::deserializer::JsonDeserializer;
use super::text;
use crate::codec::failure::Failure;
use crate::codec::refusal::Refusal;

/// Writes a key, or, without quotes, text that is handed through.
pub(super) struct KeySerializer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) quotes: bool,
}

#[cold]
fn no_key() -> Refusal {
    Refusal::new("the key of a map must be a string, a number, a bool or a variant without content")
}

impl KeySerializer<'_> {
    fn number(self, number: &dyn fmt::Debug) -> Result<(), Refusal> {
        self.out.push(b'"');
        text::number(number, self.out);
        self.out.push(b'"');
        Ok(())
    }
}

/// Implements the methods for numbers.
macro_rules! numbers {
    ($($method:ident($kind:ty)),* $(,)?) => {$(
        fn $method(self, value: $kind) -> Result<(), Refusal> {
            self.number(&value)
        }
    )*};
}

type Nothing = Impossible<(), Refusal>;

impl Serializer for KeySerializer<'_> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Nothing;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStruct = Nothing;
    type SerializeStructVariant = Nothing;

    numbers! {
        serialize_bool(bool),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64), serialize_u128(u128),
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64), serialize_i128(i128),
    }

    fn serialize_f32(self, value: f32) -> Result<(), Refusal> {
        match value.is_finite() {
            true => self.number(&value),
            false => Err(no_key()),
        }
    }

    fn serialize_f64(self, value: f64) -> Result<(), Refusal> {
        match value.is_finite() {
            true => self.number(&value),
            false => Err(no_key()),
        }
    }

    fn serialize_char(self, value: char) -> Result<(), Refusal> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Refusal> {
        match self.quotes {
            true => text::string(value, self.out),
            false => self.out.extend_from_slice(value.as_bytes()),
        }
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Refusal> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        value.serialize(self)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        text::displayed(&value, self.out).map_err(Refusal::custom)
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<(), Refusal> {
        Err(no_key())
    }

    fn serialize_none(self) -> Result<(), Refusal> {
        Err(no_key())
    }

    fn serialize_unit(self) -> Result<(), Refusal> {
        Err(no_key())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Refusal> {
        Err(no_key())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), Refusal> {
        Err(no_key())
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Nothing, Refusal> {
        Err(no_key())
    }

    fn serialize_tuple(self, _length: usize) -> Result<Nothing, Refusal> {
        Err(no_key())
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Nothing, Refusal> {
        Err(no_key())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Nothing, Refusal> {
        Err(no_key())
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Nothing, Refusal> {
        Err(no_key())
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Nothing, Refusal> {
        Err(no_key())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Nothing, Refusal> {
        Err(no_key())
    }
}

/// Reads a key.
pub(super) struct KeyDeserializer<'a, 'de, 'm>(pub(super) &'a mut JsonDeserializer<'de, 'm>);

/// Implements the methods for what stands in quotes though it is no string.
macro_rules! quoted {
    ($($method:ident => $visit:ident($kind:ty)),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let text = self.0.reader.string()?;
            match text.parse::<$kind>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(de::Error::invalid_type(de::Unexpected::Str(&text), &visitor)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for KeyDeserializer<'_, 'de, '_> {
    type Error = Failure;

    quoted! {
        deserialize_bool => visit_bool(bool),
        deserialize_u8 => visit_u8(u8), deserialize_u16 => visit_u16(u16), deserialize_u32 => visit_u32(u32),
        deserialize_u64 => visit_u64(u64), deserialize_u128 => visit_u128(u128),
        deserialize_i8 => visit_i8(i8), deserialize_i16 => visit_i16(i16), deserialize_i32 => visit_i32(i32),
        deserialize_i64 => visit_i64(i64), deserialize_i128 => visit_i128(i128),
        deserialize_f32 => visit_f32(f32), deserialize_f64 => visit_f64(f64),
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.0.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.0
            .nested(|deserializer| visitor.visit_some(KeyDeserializer(deserializer)))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.0
            .nested(|deserializer| visitor.visit_newtype_struct(KeyDeserializer(deserializer)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.0.nested(|deserializer| {
            visitor.visit_enum(Variant {
                deserializer,
                has_content: false,
            })
        })
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The one entry of the object as which serde_json's `RawValue` reads the text of a value.
pub(super) struct RawEntry<'de> {
    pub(super) text: &'de str,
    pub(super) done: bool,
}

impl<'de> de::MapAccess<'de> for RawEntry<'de> {
    type Error = Failure;

    fn next_key_seed<S: de::DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        match std::mem::replace(&mut self.done, true) {
            true => Ok(None),
            false => seed
                .deserialize(BorrowedStrDeserializer::new(super::RAW_VALUE))
                .map(Some),
        }
    }

    fn next_value_seed<S: de::DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Failure> {
        seed.deserialize(BorrowedStrDeserializer::new(self.text))
    }
}
