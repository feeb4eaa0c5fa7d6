//! Reading a value as its shape says, into JSON.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::Value;

use crate::shape::scope::Scope;
use crate::shape::{Content, Field, Shape};

/// Reads a value as its shape says.
#[derive(Clone, Copy)]
pub(super) struct Reader<'s> {
    pub(super) shape: &'s Shape,
    pub(super) scope: &'s Scope<'s>,
}

impl<'s> Reader<'s> {
    const fn with(self, shape: &'s Shape) -> Self {
        Self { shape, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Self { shape, scope } = self;
        match shape {
            Shape::Unit => deserializer.deserialize_unit(self),
            Shape::Bool => deserializer.deserialize_bool(self),
            Shape::I8 => deserializer.deserialize_i8(self),
            Shape::I16 => deserializer.deserialize_i16(self),
            Shape::I32 => deserializer.deserialize_i32(self),
            Shape::I64 => deserializer.deserialize_i64(self),
            Shape::I128 => deserializer.deserialize_i128(self),
            Shape::U8 => deserializer.deserialize_u8(self),
            Shape::U16 => deserializer.deserialize_u16(self),
            Shape::U32 | Shape::Reference { .. } | Shape::Stream(_) => {
                deserializer.deserialize_u32(self)
            }
            Shape::U64 => deserializer.deserialize_u64(self),
            Shape::U128 => deserializer.deserialize_u128(self),
            Shape::F32 => deserializer.deserialize_f32(self),
            Shape::F64 => deserializer.deserialize_f64(self),
            Shape::Char => deserializer.deserialize_char(self),
            Shape::String => deserializer.deserialize_str(self),
            Shape::Bytes => deserializer.deserialize_bytes(self),
            Shape::Option(_) => deserializer.deserialize_option(self),
            Shape::Seq(_) => deserializer.deserialize_seq(self),
            Shape::Map(..) => deserializer.deserialize_map(self),
            Shape::Tuple(parts) | Shape::TupleStruct { fields: parts, .. } => {
                deserializer.deserialize_tuple(parts.len(), self)
            }
            Shape::Struct { fields, .. } => deserializer.deserialize_tuple(fields.len(), self),
            Shape::Enum { .. } => deserializer.deserialize_enum("", &[], self),
            // Through the deserializer, so that the guard sees the level.
            Shape::Newtype { .. } => deserializer.deserialize_newtype_struct("", self),
            Shape::Readable { binary, .. } => self.with(binary).deserialize(deserializer),
            Shape::Named(name) => match scope.resolve(name) {
                Some((shape, scope)) => Reader { shape, scope }.deserialize(deserializer),
                None => Err(de::Error::custom(format_args!("`{name}` is not described"))),
            },
            Shape::Opaque(_) | Shape::Any => {
                let message =
                    format_args!("the postcard form of {shape} is not known; use the json codec");
                Err(de::Error::custom(message))
            }
        }
    }
}

/// Takes a value that JSON has, too.
macro_rules! take {
    ($($method:ident($kind:ty)),* $(,)?) => {$(
        fn $method<E: de::Error>(self, value: $kind) -> Result<Value, E> {
            Ok(Value::from(value))
        }
    )*};
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shape)
    }

    take! {
        visit_bool(bool), visit_i8(i8), visit_i16(i16), visit_i32(i32), visit_i64(i64),
        visit_u8(u8), visit_u16(u16), visit_u32(u32), visit_u64(u64), visit_f32(f32), visit_f64(f64),
        visit_str(&str), visit_bytes(&[u8]),
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::from(value.to_string()), Value::from))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or_else(|_| Value::from(value.to_string()), Value::from))
    }

    fn visit_char<E: de::Error>(self, value: char) -> Result<Value, E> {
        Ok(Value::from(value.to_string()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.shape {
            Shape::Option(inner) => self.with(inner).deserialize(deserializer),
            _ => Err(de::Error::custom("an option was not expected")),
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        match self.shape {
            Shape::Newtype { shape, .. } => Reader {
                shape,
                scope: &self.scope.inside(self.shape),
            }
            .deserialize(deserializer),
            _ => Err(de::Error::custom("a newtype was not expected")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        match self.shape {
            Shape::Seq(inner) => elements(self.with(inner), access),
            Shape::Tuple(shapes) => parts(shapes, self.scope, access).map(Value::Array),
            Shape::TupleStruct { fields, .. } => {
                parts(fields, &self.scope.inside(self.shape), access).map(Value::Array)
            }
            Shape::Struct { fields: list, .. } => {
                fields(list, &self.scope.inside(self.shape), access)
            }
            _ => Err(de::Error::custom("a sequence was not expected")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Shape::Map(key, value) = self.shape else {
            return Err(de::Error::custom("a map was not expected"));
        };
        let mut entries = serde_json::Map::new();
        while let Some(key) = access.next_key_seed(self.with(key))? {
            let key = match key {
                Value::String(text) => text,
                other => other.to_string(),
            };
            entries.insert(key, access.next_value_seed(self.with(value))?);
        }
        Ok(Value::Object(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (index, variant) = access.variant::<u32>()?;
        let chosen = match self.shape {
            Shape::Enum { variants, .. } => usize::try_from(index)
                .ok()
                .and_then(|index| variants.get(index)),
            _ => None,
        };
        let chosen =
            chosen.ok_or_else(|| de::Error::custom(format_args!("there is no variant {index}")))?;
        let scope = self.scope.inside(self.shape);
        let content = match &chosen.content {
            Content::Unit => {
                variant.unit_variant()?;
                return Ok(Value::from(chosen.name.as_str()));
            }
            Content::Newtype(shape) => variant.newtype_variant_seed(Reader {
                shape,
                scope: &scope,
            })?,
            Content::Tuple(shapes) => variant
                .tuple_variant(shapes.len(), PartsVisitor(Parts::Nameless(shapes), &scope))?,
            Content::Struct(list) => {
                variant.tuple_variant(list.len(), PartsVisitor(Parts::Named(list), &scope))?
            }
        };
        Ok(Value::Object(
            [(chosen.name.clone(), content)].into_iter().collect(),
        ))
    }
}

/// Reads what a variant holds.
struct PartsVisitor<'s>(Parts<'s>, &'s Scope<'s>);

enum Parts<'s> {
    Nameless(&'s [Shape]),
    Named(&'s [Field]),
}

impl<'de> Visitor<'de> for PartsVisitor<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the content of a variant")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        match self.0 {
            Parts::Nameless(shapes) => parts(shapes, self.1, access).map(Value::Array),
            Parts::Named(list) => fields(list, self.1, access),
        }
    }
}

fn elements<'de, A: SeqAccess<'de>>(reader: Reader<'_>, mut access: A) -> Result<Value, A::Error> {
    let mut elements = Vec::new();
    while let Some(element) = access.next_element_seed(reader)? {
        elements.push(element);
    }
    Ok(Value::Array(elements))
}

fn parts<'de, A: SeqAccess<'de>>(
    shapes: &[Shape],
    scope: &Scope<'_>,
    mut access: A,
) -> Result<Vec<Value>, A::Error> {
    let mut next = |(index, shape)| {
        let missing = || de::Error::invalid_length(index, &"more parts");
        access
            .next_element_seed(Reader { shape, scope })?
            .ok_or_else(missing)
    };
    shapes.iter().enumerate().map(&mut next).collect()
}

fn fields<'de, A: SeqAccess<'de>>(
    list: &[Field],
    scope: &Scope<'_>,
    mut access: A,
) -> Result<Value, A::Error> {
    let mut entries = serde_json::Map::new();
    for (index, Field { name, shape, .. }) in list.iter().enumerate() {
        let missing = || de::Error::invalid_length(index, &"more fields");
        let value = access
            .next_element_seed(Reader { shape, scope })?
            .ok_or_else(missing)?;
        entries.insert(name.clone(), value);
    }
    Ok(Value::Object(entries))
}
