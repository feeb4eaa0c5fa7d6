//! Reading JSON, and charging a meter for what is read.

use std::borrow::Cow;
use std::str::FromStr;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::key::{KeyDeserializer, RawEntry};
use super::reader::{Digits, Number, Reader};
use crate::codec::Meter;
use crate::codec::failure::Failure;

/// Reads one value.
pub(super) struct JsonDeserializer<'de, 'm> {
    pub(super) reader: Reader<'de, 'm>,
}

/// Whether the parts of a value are charged: not where the type says how many there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    Charged,
    Fixed,
}

impl<'de, 'm> JsonDeserializer<'de, 'm> {
    pub(super) fn new(bytes: &'de [u8], meter: &'m Meter) -> Self {
        Self {
            reader: Reader { rest: bytes, meter },
        }
    }

    /// Returns what follows the value.
    pub(super) fn rest(self) -> &'de [u8] {
        self.reader.rest
    }

    /// Shows a visitor something with parts, one level down.
    fn nested<T>(
        &mut self,
        show: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let meter = self.reader.meter;
        meter.enter()?;
        let result = show(self);
        meter.leave();
        result
    }

    fn array<V: Visitor<'de>>(&mut self, visitor: V, parts: Parts) -> Result<V::Value, Failure> {
        self.reader.pass();
        let value = visitor.visit_seq(Access::new(self, parts))?;
        self.reader.mark(b']')?;
        Ok(value)
    }

    fn object<V: Visitor<'de>>(&mut self, visitor: V, parts: Parts) -> Result<V::Value, Failure> {
        self.reader.pass();
        let value = visitor.visit_map(Access::new(self, parts))?;
        self.reader.mark(b'}')?;
        Ok(value)
    }

    /// Reads the fields of a struct, by name or in order.
    fn fields<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'{' => self.object(visitor, Parts::Fixed),
            b'[' => self.array(visitor, Parts::Fixed),
            _ => Err(self.reader.unexpected(&visitor)),
        }
    }

    fn elements<V: Visitor<'de>>(&mut self, visitor: V, parts: Parts) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'[' => self.array(visitor, parts),
            _ => Err(self.reader.unexpected(&visitor)),
        }
    }

    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'-' | b'0'..=b'9' => match self.reader.number()? {
                Number::Unsigned(number) => visitor.visit_u64(number),
                Number::Signed(number) => visitor.visit_i64(number),
                Number::Float(number) => visitor.visit_f64(number),
            },
            _ => Err(self.reader.unexpected(&visitor)),
        }
    }

    /// Reads the digits of a number.
    fn digits<V: Visitor<'de>>(&mut self, visitor: &V) -> Result<Digits<'de>, Failure> {
        match self.reader.peek()? {
            b'-' | b'0'..=b'9' => self.reader.digits(),
            _ => Err(self.reader.unexpected(visitor)),
        }
    }

    /// Reads an integer as a type that is wider than most, and anything else as what it is.
    fn wide<T: FromStr, V: Visitor<'de>>(
        &mut self,
        visitor: V,
        visit: impl FnOnce(V, T) -> Result<V::Value, Failure>,
    ) -> Result<V::Value, Failure> {
        let before = self.reader.rest;
        match self.digits(&visitor)?.text.parse() {
            Ok(number) => visit(visitor, number),
            Err(_) => {
                self.reader.rest = before;
                self.number(visitor)
            }
        }
    }

    fn text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'"' => match self.reader.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            _ => Err(self.reader.unexpected(&visitor)),
        }
    }

    /// Shows a visitor the text of a value.
    fn raw<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Failure> {
        self.reader.peek()?;
        let start = self.reader.rest;
        self.reader.skip()?;
        let length = start.len() - self.reader.rest.len();
        let text = std::str::from_utf8(&start[..length]).map_err(|_| Failure::not_utf8())?;
        visitor.visit_map(RawEntry { text, done: false })
    }
}

/// Implements the methods for what is read alike.
macro_rules! alike {
    ($($read:ident: $($method:ident)*;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.$read(visitor)
        }
    )*)*};
}

impl<'de> Deserializer<'de> for &mut JsonDeserializer<'de, '_> {
    type Error = Failure;

    alike! {
        number:
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
            deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_f64;
        text: deserialize_char deserialize_str deserialize_string deserialize_identifier;
        deserialize_bytes: deserialize_byte_buf;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'n' => self.deserialize_unit(visitor),
            b't' | b'f' => self.deserialize_bool(visitor),
            b'"' => self.text(visitor),
            b'[' => self.deserialize_seq(visitor),
            b'{' => self.deserialize_map(visitor),
            _ => self.number(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reader.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b't' => {
                self.reader.word("true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                self.reader.word("false")?;
                visitor.visit_bool(false)
            }
            _ => Err(self.reader.unexpected(&visitor)),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.wide(visitor, V::visit_u128)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.wide(visitor, V::visit_i128)
    }

    /// Rounds once, from the text, where two roundings could end beside the nearest.
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.digits(&visitor)?.text.parse::<f32>() {
            Ok(number) if number.is_finite() => visitor.visit_f32(number),
            _ => Err(Failure::new("a number is too large")),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'[' => self.deserialize_seq(visitor),
            b'"' => match self.reader.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
                Cow::Owned(text) => visitor.visit_byte_buf(text.into_bytes()),
            },
            _ => Err(self.reader.unexpected(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'n' => {
                self.reader.word("null")?;
                visitor.visit_none()
            }
            _ => self.nested(|deserializer| visitor.visit_some(deserializer)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'n' => {
                self.reader.word("null")?;
                visitor.visit_unit()
            }
            _ => Err(self.reader.unexpected(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == super::RAW_VALUE {
            return self.raw(visitor);
        }
        self.nested(|deserializer| visitor.visit_newtype_struct(deserializer))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.nested(|deserializer| deserializer.elements(visitor, Parts::Charged))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.nested(|deserializer| deserializer.elements(visitor, Parts::Fixed))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.nested(|deserializer| match deserializer.reader.peek()? {
            b'{' => deserializer.object(visitor, Parts::Charged),
            _ => Err(deserializer.reader.unexpected(&visitor)),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.nested(|deserializer| deserializer.fields(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.nested(|deserializer| match deserializer.reader.peek()? {
            b'"' => visitor.visit_enum(Variant {
                deserializer,
                has_content: false,
            }),
            b'{' => {
                deserializer.reader.pass();
                let value = visitor.visit_enum(Variant {
                    deserializer: &mut *deserializer,
                    has_content: true,
                })?;
                deserializer.reader.mark(b'}')?;
                Ok(value)
            }
            _ => Err(deserializer.reader.unexpected(&visitor)),
        })
    }
}

/// The parts of an array or an object.
struct Access<'a, 'de, 'm> {
    deserializer: &'a mut JsonDeserializer<'de, 'm>,
    first: bool,
    parts: Parts,
}

impl<'a, 'de, 'm> Access<'a, 'de, 'm> {
    fn new(deserializer: &'a mut JsonDeserializer<'de, 'm>, parts: Parts) -> Self {
        Self {
            deserializer,
            first: true,
            parts,
        }
    }

    fn step(&mut self, end: u8) -> Result<bool, Failure> {
        self.deserializer.reader.step(&mut self.first, end)
    }

    /// Charges a part of so many bytes in memory.
    fn charge(&self, size: usize) -> Result<(), Failure> {
        match self.parts {
            Parts::Charged => self.deserializer.reader.meter.charge(size),
            Parts::Fixed => Ok(()),
        }
    }
}

impl<'de> SeqAccess<'de> for Access<'_, 'de, '_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !self.step(b']')? {
            return Ok(None);
        }
        let element = seed.deserialize(&mut *self.deserializer)?;
        self.charge(size_of::<S::Value>())?;
        Ok(Some(element))
    }
}

impl<'de> MapAccess<'de> for Access<'_, 'de, '_> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !self.step(b'}')? {
            return Ok(None);
        }
        let key = seed.deserialize(KeyDeserializer(&mut *self.deserializer))?;
        self.charge(0)?;
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        self.deserializer.reader.mark(b':')?;
        seed.deserialize(&mut *self.deserializer)
    }
}

/// A variant: its name alone, or the one entry of an object.
pub(super) struct Variant<'a, 'de, 'm> {
    pub(super) deserializer: &'a mut JsonDeserializer<'de, 'm>,
    pub(super) has_content: bool,
}

impl Variant<'_, '_, '_> {
    fn with_content(&self, expected: &str) -> Result<(), Failure> {
        match self.has_content {
            true => Ok(()),
            false => Err(Failure::invalid_type(Unexpected::UnitVariant, &expected)),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let variant = seed.deserialize(KeyDeserializer(&mut *self.deserializer))?;
        if self.has_content {
            self.deserializer.reader.mark(b':')?;
        }
        Ok((variant, self))
    }
}

/// The content of a variant, which is on the level of its enum.
impl<'de> VariantAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match self.has_content {
            true => serde::Deserialize::deserialize(self.deserializer),
            false => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        self.with_content("newtype variant")?;
        seed.deserialize(self.deserializer)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.with_content("tuple variant")?;
        self.deserializer.elements(visitor, Parts::Fixed)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.with_content("struct variant")?;
        self.deserializer.fields(visitor)
    }
}
