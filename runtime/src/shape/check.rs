//! Whether a JSON value is one that a type would accept.

use serde_json::{Number, Value};

use super::scope::Scope;
use super::{Content, Field, Mismatch, Shape, Variant};

/// The deepest value that is looked into: serde_json's own limit.
const MAX_DEPTH: u32 = 128;

/// The most characters of a value that an error quotes.
const LONGEST_QUOTE: usize = 60;

/// Checks that a JSON value is of a shape, before it is sent to anybody.
///
/// It is stricter than serde in one point: a field that the type does not have is refused, since it is most likely
/// a misspelt one.
///
/// # Errors
///
/// A [`Mismatch`] names the first part that does not fit.
pub fn check_json(value: &Value, shape: &Shape) -> Result<(), Mismatch> {
    Checker {
        target: Target::Json,
        depth: 0,
    }
    .value(value, shape, &Scope::ROOT)
}

/// Checks that a JSON value can be written as postcard by its shape alone.
pub(super) fn check_for_postcard(value: &Value, shape: &Shape) -> Result<(), Mismatch> {
    Checker {
        target: Target::Postcard,
        depth: 0,
    }
    .value(value, shape, &Scope::ROOT)
}

/// What becomes of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// It is sent as it is, and the type itself reads it.
    Json,
    /// It is transcoded: nothing may be missing, and only the binary form is known.
    Postcard,
}

struct Checker {
    target: Target,
    depth: u32,
}

impl Checker {
    fn value(&mut self, value: &Value, shape: &Shape, scope: &Scope<'_>) -> Result<(), Mismatch> {
        if self.depth >= MAX_DEPTH {
            return Err(Mismatch::new(
                format_args!("at most {MAX_DEPTH} levels of nesting"),
                "more",
            ));
        }
        self.depth += 1;
        let result = self.nested(value, shape, scope);
        self.depth -= 1;
        result
    }

    fn nested(&mut self, value: &Value, shape: &Shape, scope: &Scope<'_>) -> Result<(), Mismatch> {
        let fits = match (shape, value) {
            (Shape::Newtype { shape: inner, .. }, _) => {
                return self.value(value, inner, &scope.inside(shape));
            }
            (Shape::Named(name), _) => {
                return match scope.resolve(name) {
                    Some((meant, scope)) => self.value(value, meant, scope),
                    None => Err(Mismatch::new(
                        format_args!("`{name}`, which is not described"),
                        quote(value),
                    )),
                };
            }
            (Shape::Readable { binary, text }, _) => {
                let form = if self.target == Target::Json {
                    text
                } else {
                    binary
                };
                return self.value(value, form, scope);
            }
            (Shape::Any | Shape::Opaque(_), _) => self.target == Target::Json,
            (Shape::Option(_), Value::Null) => true,
            (Shape::Option(inner), _) => return self.value(value, inner, scope),
            (Shape::Seq(inner), Value::Array(elements)) => {
                return elements
                    .iter()
                    .enumerate()
                    .try_for_each(|(index, element)| {
                        self.value(element, inner, scope)
                            .map_err(|mismatch| mismatch.at_index(index))
                    });
            }
            (Shape::Bytes, Value::Array(elements)) => elements
                .iter()
                .all(|element| integer_fits(element, &Shape::U8)),
            (Shape::Map(key, inner), Value::Object(entries)) => {
                return entries.iter().try_for_each(|(name, entry)| {
                    let key_value = key_value(name, key, scope).ok_or_else(|| {
                        Mismatch::new(format_args!("{key} as a key"), format_args!("{name:?}"))
                    })?;
                    self.value(&key_value, key, scope)?;
                    self.value(entry, inner, scope)
                        .map_err(|mismatch| mismatch.in_field(name))
                });
            }
            (Shape::Tuple(parts), Value::Array(elements)) => {
                return self.tuple(value, elements, parts, scope);
            }
            (Shape::TupleStruct { fields, .. }, Value::Array(elements)) => {
                return self.tuple(value, elements, fields, &scope.inside(shape));
            }
            (Shape::Struct { fields, .. }, Value::Object(_)) => {
                return self.fields(value, fields, &scope.inside(shape));
            }
            (Shape::Enum { variants, .. }, Value::String(_) | Value::Object(_)) => {
                return self.variant(value, variants, &scope.inside(shape));
            }
            (Shape::U128, Value::String(digits)) => {
                self.target == Target::Postcard && digits.parse::<u128>().is_ok()
            }
            (Shape::I128, Value::String(digits)) => {
                self.target == Target::Postcard && digits.parse::<i128>().is_ok()
            }
            (Shape::Unit, _) => value.is_null(),
            (Shape::Bool, _) => value.is_boolean(),
            (Shape::F32 | Shape::F64, _) => value.is_number(),
            (Shape::Char, Value::String(text)) => text.chars().count() == 1,
            (Shape::String, _) => value.is_string(),
            (Shape::Reference { .. } | Shape::Stream(_), _) => integer_fits(value, &Shape::U32),
            _ => integer_fits(value, shape),
        };
        if fits {
            Ok(())
        } else if matches!(shape, Shape::Any | Shape::Opaque(_)) {
            Err(Mismatch::new(
                "a type whose postcard form is known; the peer would need the json codec",
                shape,
            ))
        } else {
            Err(Mismatch::new(shape, quote(value)))
        }
    }

    fn tuple(
        &mut self,
        value: &Value,
        elements: &[Value],
        parts: &[Shape],
        scope: &Scope<'_>,
    ) -> Result<(), Mismatch> {
        if elements.len() != parts.len() {
            return Err(Mismatch::new(
                format_args!("an array of {}", parts.len()),
                quote(value),
            ));
        }
        elements
            .iter()
            .zip(parts)
            .enumerate()
            .try_for_each(|(index, (element, part))| {
                self.value(element, part, scope)
                    .map_err(|mismatch| mismatch.at_index(index))
            })
    }

    fn fields(
        &mut self,
        value: &Value,
        fields: &[Field],
        scope: &Scope<'_>,
    ) -> Result<(), Mismatch> {
        let Value::Object(entries) = value else {
            return Err(Mismatch::new("an object", quote(value)));
        };
        for field in fields {
            match entries.get(&field.name) {
                Some(entry) => {
                    self.value(entry, &field.shape, scope)
                        .map_err(|mismatch| mismatch.in_field(&field.name))?;
                }
                None if self.may_be_absent(field) => {}
                None => {
                    return Err(Mismatch::new(&field.shape, "no such field").in_field(&field.name));
                }
            }
        }
        match entries
            .keys()
            .find(|name| !fields.iter().any(|field| field.name == **name))
        {
            Some(unknown) => Err(Mismatch::new(
                one_of("field", fields.iter().map(|field| &field.name)),
                format_args!("the field `{unknown}`"),
            )),
            None => Ok(()),
        }
    }

    /// A default can be filled in by the type itself only; nothing can be by anybody.
    fn may_be_absent(&self, field: &Field) -> bool {
        match self.target {
            Target::Json => field.has_default,
            Target::Postcard => matches!(field.shape, Shape::Option(_)),
        }
    }

    fn variant(
        &mut self,
        value: &Value,
        variants: &[Variant],
        scope: &Scope<'_>,
    ) -> Result<(), Mismatch> {
        let unknown = || {
            Mismatch::new(
                one_of("variant", variants.iter().map(|variant| &variant.name)),
                quote(value),
            )
        };
        let (name, entry) = tagged(value).ok_or_else(unknown)?;
        let variant = variants
            .iter()
            .find(|variant| variant.name == name)
            .ok_or_else(unknown)?;
        let fits = match (&variant.content, entry) {
            (Content::Unit, None | Some(Value::Null)) => Ok(()),
            (Content::Newtype(inner), Some(entry)) => self.value(entry, inner, scope),
            (Content::Tuple(parts), Some(entry @ Value::Array(elements))) => {
                self.tuple(entry, elements, parts, scope)
            }
            (Content::Struct(fields), Some(entry)) => self.fields(entry, fields, scope),
            (content, _) => return Err(Mismatch::new(content, quote(value))),
        };
        fits.map_err(|mismatch| mismatch.in_field(name))
    }
}

/// Splits an enum's value into the variant's name and its content.
pub(super) fn tagged(value: &Value) -> Option<(&str, Option<&Value>)> {
    match value {
        Value::String(name) => Some((name, None)),
        Value::Object(entries) if entries.len() == 1 => entries
            .iter()
            .next()
            .map(|(name, entry)| (name.as_str(), Some(entry))),
        _ => None,
    }
}

/// Returns the value that a key of an object stands for; `None` if no key can be of this shape.
pub(super) fn key_value(key: &str, shape: &Shape, scope: &Scope<'_>) -> Option<Value> {
    match shape {
        Shape::String | Shape::Char | Shape::Enum { .. } | Shape::Any | Shape::Opaque(_) => {
            Some(key.into())
        }
        Shape::Bool => key.parse::<bool>().ok().map(Value::from),
        Shape::Newtype { shape: inner, .. } => key_value(key, inner, &scope.inside(shape)),
        Shape::Readable { text, .. } => key_value(key, text, scope),
        // A key is finite, so what encloses a key cannot be meant by it unless there is a way around.
        Shape::Named(_) => Some(key.into()),
        shape if is_integer(shape) => key.parse::<Number>().ok().map(Value::Number),
        _ => None,
    }
}

const fn is_integer(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::I8
            | Shape::I16
            | Shape::I32
            | Shape::I64
            | Shape::I128
            | Shape::U8
            | Shape::U16
            | Shape::U32
            | Shape::U64
            | Shape::U128
    )
}

/// Tells whether a value is an integer in the range of an integer's shape.
fn integer_fits(value: &Value, shape: &Shape) -> bool {
    let Some(number) = value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
    else {
        return false;
    };
    match shape {
        Shape::I8 => i8::try_from(number).is_ok(),
        Shape::I16 => i16::try_from(number).is_ok(),
        Shape::I32 => i32::try_from(number).is_ok(),
        Shape::I64 => i64::try_from(number).is_ok(),
        Shape::I128 => true,
        Shape::U8 => u8::try_from(number).is_ok(),
        Shape::U16 => u16::try_from(number).is_ok(),
        Shape::U32 => u32::try_from(number).is_ok(),
        Shape::U64 => u64::try_from(number).is_ok(),
        Shape::U128 => u128::try_from(number).is_ok(),
        _ => false,
    }
}

/// Lists what there is: "the field `a`", "one of the fields `a`, `b`".
fn one_of<'n>(what: &str, names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => format!("no {what}"),
        [only] => format!("the {what} {only}"),
        _ => format!("one of the {what}s {}", names.join(", ")),
    }
}

/// Quotes a value, shortened, for an error.
fn quote(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
