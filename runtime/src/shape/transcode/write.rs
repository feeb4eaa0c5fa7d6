//! Writing a JSON value as its shape says.

use serde::ser::{self, Serialize, SerializeMap, SerializeSeq, SerializeTuple, Serializer};
use serde_json::Value;

use crate::shape::check::{key_value, tagged};
use crate::shape::scope::Scope;
use crate::shape::{Content, Field, Shape};

/// A checked value that serialises itself as its shape says.
pub(super) struct Shaped<'a> {
    pub(super) value: &'a Value,
    pub(super) shape: &'a Shape,
    pub(super) scope: &'a Scope<'a>,
}

impl Shaped<'_> {
    fn parts<S: Serializer>(
        &self,
        parts: &[Shape],
        scope: &Scope<'_>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let elements = self.value.as_array().ok_or_else(unfit::<S>)?;
        let mut tuple = serializer.serialize_tuple(parts.len())?;
        for (value, shape) in elements.iter().zip(parts) {
            tuple.serialize_element(&Shaped {
                value,
                shape,
                scope,
            })?;
        }
        tuple.end()
    }

    fn fields<S: Serializer>(
        &self,
        fields: &[Field],
        scope: &Scope<'_>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(fields.len())?;
        for Field { name, shape, .. } in fields {
            let value = self.value.get(name).unwrap_or(&Value::Null);
            tuple.serialize_element(&Shaped {
                value,
                shape,
                scope,
            })?;
        }
        tuple.end()
    }

    fn variant<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (Shape::Enum { variants, .. }, Some((name, entry))) = (self.shape, tagged(self.value))
        else {
            return Err(unfit::<S>());
        };
        let index = variants
            .iter()
            .position(|variant| variant.name == name)
            .ok_or_else(unfit::<S>)?;
        let content = VariantContent {
            content: &variants[index].content,
            value: entry.unwrap_or(&Value::Null),
            scope: &self.scope.inside(self.shape),
        };
        // Postcard writes a variant as its number and its content, whatever the names.
        let index = u32::try_from(index).map_err(ser::Error::custom)?;
        serializer.serialize_newtype_variant("", index, "", &content)
    }
}

/// What a variant holds, without its number.
struct VariantContent<'a> {
    content: &'a Content,
    value: &'a Value,
    scope: &'a Scope<'a>,
}

impl Serialize for VariantContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            content,
            value,
            scope,
        } = *self;
        let shaped = |shape| Shaped {
            value,
            shape,
            scope,
        };
        match content {
            Content::Unit => serializer.serialize_unit(),
            Content::Newtype(inner) => shaped(inner).serialize(serializer),
            Content::Tuple(parts) => shaped(&Shape::Unit).parts(parts, scope, serializer),
            Content::Struct(fields) => shaped(&Shape::Unit).fields(fields, scope, serializer),
        }
    }
}

impl Serialize for Shaped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            value,
            shape,
            scope,
        } = *self;
        match shape {
            Shape::Unit => serializer.serialize_unit(),
            Shape::Bool => serializer.serialize_bool(value.as_bool().ok_or_else(unfit::<S>)?),
            Shape::I8 => serializer.serialize_i8(integer::<_, S>(value)?),
            Shape::I16 => serializer.serialize_i16(integer::<_, S>(value)?),
            Shape::I32 => serializer.serialize_i32(integer::<_, S>(value)?),
            Shape::I64 => serializer.serialize_i64(integer::<_, S>(value)?),
            Shape::I128 => serializer.serialize_i128(integer::<_, S>(value)?),
            Shape::U8 => serializer.serialize_u8(integer::<_, S>(value)?),
            Shape::U16 => serializer.serialize_u16(integer::<_, S>(value)?),
            Shape::U32 | Shape::Reference { .. } | Shape::Stream(_) => {
                serializer.serialize_u32(integer::<_, S>(value)?)
            }
            Shape::U64 => serializer.serialize_u64(integer::<_, S>(value)?),
            Shape::U128 => match value.as_str() {
                Some(digits) => {
                    serializer.serialize_u128(digits.parse().map_err(ser::Error::custom)?)
                }
                None => serializer.serialize_u128(integer::<_, S>(value)?),
            },
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the nearest f32 is what is meant"
            )]
            Shape::F32 => serializer.serialize_f32(value.as_f64().ok_or_else(unfit::<S>)? as f32),
            Shape::F64 => serializer.serialize_f64(value.as_f64().ok_or_else(unfit::<S>)?),
            Shape::Char => {
                let character = value.as_str().and_then(|text| text.chars().next());
                serializer.serialize_char(character.ok_or_else(unfit::<S>)?)
            }
            Shape::String => serializer.serialize_str(value.as_str().ok_or_else(unfit::<S>)?),
            Shape::Bytes => {
                let elements = value.as_array().ok_or_else(unfit::<S>)?;
                let bytes: Result<Vec<u8>, S::Error> =
                    elements.iter().map(integer::<u8, S>).collect();
                serializer.serialize_bytes(&bytes?)
            }
            Shape::Option(_) if value.is_null() => serializer.serialize_none(),
            Shape::Option(inner) => serializer.serialize_some(&Shaped {
                value,
                shape: inner,
                scope,
            }),
            Shape::Seq(inner) => {
                let elements = value.as_array().ok_or_else(unfit::<S>)?;
                let mut sequence = serializer.serialize_seq(Some(elements.len()))?;
                for value in elements {
                    sequence.serialize_element(&Shaped {
                        value,
                        shape: inner,
                        scope,
                    })?;
                }
                sequence.end()
            }
            Shape::Map(key, inner) => {
                let entries = value.as_object().ok_or_else(unfit::<S>)?;
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (name, value) in entries {
                    let name = key_value(name, key, scope).ok_or_else(unfit::<S>)?;
                    let key = Shaped {
                        value: &name,
                        shape: key,
                        scope,
                    };
                    map.serialize_entry(
                        &key,
                        &Shaped {
                            value,
                            shape: inner,
                            scope,
                        },
                    )?;
                }
                map.end()
            }
            Shape::Tuple(parts) => self.parts(parts, scope, serializer),
            Shape::TupleStruct { fields, .. } => {
                self.parts(fields, &scope.inside(shape), serializer)
            }
            Shape::Struct { fields, .. } => self.fields(fields, &scope.inside(shape), serializer),
            Shape::Enum { .. } => self.variant(serializer),
            Shape::Newtype { shape: inner, .. } => Shaped {
                value,
                shape: inner,
                scope: &scope.inside(shape),
            }
            .serialize(serializer),
            Shape::Readable { binary, .. } => Shaped {
                value,
                shape: binary,
                scope,
            }
            .serialize(serializer),
            Shape::Named(name) => match scope.resolve(name) {
                Some((shape, scope)) => Shaped {
                    value,
                    shape,
                    scope,
                }
                .serialize(serializer),
                None => Err(unfit::<S>()),
            },
            Shape::Opaque(_) | Shape::Any => Err(unfit::<S>()),
        }
    }
}

/// The value was checked, so this is not met; it is an error and no panic because shapes come from peers.
fn unfit<S: Serializer>() -> S::Error {
    ser::Error::custom("the value is not of its shape")
}

/// Reads an integer, also from a string of digits.
fn integer<T: TryFrom<i128>, S: Serializer>(value: &Value) -> Result<T, S::Error> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
        .or_else(|| value.as_str()?.parse().ok())
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(unfit::<S>)
}
