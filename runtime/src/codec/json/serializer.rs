//! Writing JSON, without white space.

use std::fmt::Display;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::key::KeySerializer;
use super::{RAW_NUMBER, RAW_VALUE, text};
use crate::codec::refusal::Refusal;

/// Appends to a vector.
pub(super) struct JsonSerializer<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

/// Something with parts that is being written.
pub(super) struct Compound<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    /// What closes it; nothing closes text that is handed through.
    end: &'static str,
}

impl<'a> JsonSerializer<'a> {
    fn word(self, word: &str) -> Result<(), Refusal> {
        self.out.extend_from_slice(word.as_bytes());
        Ok(())
    }

    fn open(self, start: &str, end: &'static str) -> Compound<'a> {
        self.out.extend_from_slice(start.as_bytes());
        Compound {
            out: self.out,
            first: true,
            end,
        }
    }

    /// Opens a variant with content, which is an object of one entry.
    fn variant(self, variant: &str, start: &str, end: &'static str) -> Compound<'a> {
        self.out.push(b'{');
        text::string(variant, self.out);
        self.out.push(b':');
        self.open(start, end)
    }
}

/// Implements the methods for numbers that are wider than need be when written.
macro_rules! numbers {
    ($($method:ident($kind:ty) => $write:ident),* $(,)?) => {$(
        fn $method(self, value: $kind) -> Result<(), Refusal> {
            text::$write(value.into(), self.out);
            Ok(())
        }
    )*};
}

impl<'a> Serializer for JsonSerializer<'a> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    numbers! {
        serialize_u8(u8) => unsigned, serialize_u16(u16) => unsigned,
        serialize_u32(u32) => unsigned, serialize_u64(u64) => unsigned,
        serialize_i8(i8) => signed, serialize_i16(i16) => signed,
        serialize_i32(i32) => signed, serialize_i64(i64) => signed,
    }

    fn serialize_u128(self, value: u128) -> Result<(), Refusal> {
        text::number(&value, self.out);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), Refusal> {
        text::number(&value, self.out);
        Ok(())
    }

    /// Writes `null` for what is no number or infinite, which JSON lacks.
    fn serialize_f32(self, value: f32) -> Result<(), Refusal> {
        if !value.is_finite() {
            return self.word("null");
        }
        text::number(&value, self.out);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Refusal> {
        if !value.is_finite() {
            return self.word("null");
        }
        text::number(&value, self.out);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Refusal> {
        self.word(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Result<(), Refusal> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Refusal> {
        text::string(value, self.out);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Refusal> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), Refusal> {
        self.word("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refusal> {
        self.word("null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Refusal> {
        self.word("null")
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

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        let mut compound = self.variant(variant, "", "}");
        value.serialize(compound.next())?;
        compound.close()
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Compound<'a>, Refusal> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple(self, _length: usize) -> Result<Compound<'a>, Refusal> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Compound<'a>, Refusal> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'a>, Refusal> {
        Ok(self.variant(variant, "[", "]}"))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Compound<'a>, Refusal> {
        Ok(self.open("{", "}"))
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Compound<'a>, Refusal> {
        Ok(match name {
            RAW_VALUE | RAW_NUMBER => self.open("", ""),
            _ => self.open("{", "}"),
        })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'a>, Refusal> {
        Ok(self.variant(variant, "{", "}}"))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        text::displayed(&value, self.out).map_err(Refusal::custom)
    }
}

impl Compound<'_> {
    /// Begins the next part.
    fn next(&mut self) -> JsonSerializer<'_> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        JsonSerializer { out: self.out }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, field: &T) -> Result<(), Refusal> {
        text::string(name, self.next().out);
        self.out.push(b':');
        field.serialize(JsonSerializer { out: self.out })
    }

    fn close(self) -> Result<(), Refusal> {
        self.out.extend_from_slice(self.end.as_bytes());
        Ok(())
    }
}

/// Implements the compounds whose parts have no names.
macro_rules! arrays {
    ($($compound:ident::$method:ident),* $(,)?) => {$(
        impl $compound for Compound<'_> {
            type Ok = ();
            type Error = Refusal;

            fn $method<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Refusal> {
                part.serialize(self.next())
            }

            fn end(self) -> Result<(), Refusal> {
                self.close()
            }
        }
    )*};
}

arrays! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        key.serialize(KeySerializer {
            out: self.next().out,
            quotes: true,
        })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        self.out.push(b':');
        value.serialize(JsonSerializer { out: self.out })
    }

    fn end(self) -> Result<(), Refusal> {
        self.close()
    }
}

impl SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        field: &T,
    ) -> Result<(), Refusal> {
        if self.end.is_empty() {
            return field.serialize(KeySerializer {
                out: self.out,
                quotes: false,
            });
        }
        self.field(name, field)
    }

    fn end(self) -> Result<(), Refusal> {
        self.close()
    }
}

impl SerializeStructVariant for Compound<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        field: &T,
    ) -> Result<(), Refusal> {
        self.field(name, field)
    }

    fn end(self) -> Result<(), Refusal> {
        self.close()
    }
}
