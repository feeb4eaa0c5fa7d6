//! Reading JSON, and charging a meter for what is read.

use std::borrow::Cow;
use std::str::FromStr;

use serde::de::{Deserializer, Visitor};

use super::access::{Access, Parts, Variant};
use super::key::RawEntry;
use super::reader::{Digits, Number, Reader};
use crate::codec::Meter;
use crate::codec::failure::Failure;

/// Reads one value.
pub(super) struct JsonDeserializer<'de, 'm> {
    pub(super) reader: Reader<'de, 'm>,
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
    pub(super) fn nested<T>(
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
    pub(super) fn fields<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.peek()? {
            b'{' => self.object(visitor, Parts::Fixed),
            b'[' => self.array(visitor, Parts::Fixed),
            _ => Err(self.reader.unexpected(&visitor)),
        }
    }

    pub(super) fn elements<V: Visitor<'de>>(
        &mut self,
        visitor: V,
        parts: Parts,
    ) -> Result<V::Value, Failure> {
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
