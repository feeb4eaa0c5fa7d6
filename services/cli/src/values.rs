//! Arguments as they are written on a command line.

use farref::{MethodInfo, Shape};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The arguments of a method as a [`DynProxy`](farref::DynProxy) takes them.
///
/// One JSON object or array is taken for all of them, unless the method has one argument that is one itself.
pub(crate) fn arguments(method: &MethodInfo, texts: &[String]) -> Result<Value, Failure> {
    if let [text] = texts
        && let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
        && is_all(method, &value)
    {
        return Ok(value);
    }
    let named: Option<Vec<_>> = texts.iter().map(|text| named(method, text)).collect();
    match named {
        Some(named) if !named.is_empty() => {
            let mut all = Map::new();
            for (name, text) in named {
                let shape = shape_of(method, name);
                if all
                    .insert(name.to_owned(), value(name, text, shape)?)
                    .is_some()
                {
                    return Err(Failure::usage(format!(
                        "the argument `{name}` is given twice"
                    )));
                }
            }
            Ok(all.into())
        }
        _ => {
            let mut all = Vec::with_capacity(texts.len());
            for (place, text) in texts.iter().enumerate() {
                let argument = method.arguments.get(place);
                let name = argument.map_or("", |argument| &argument.name);
                all.push(value(name, text, argument.map(|argument| &argument.shape))?);
            }
            Ok(all.into())
        }
    }
}

/// Whether a JSON value holds all arguments, and is not itself the only one.
fn is_all(method: &MethodInfo, value: &Value) -> bool {
    let [only] = method.arguments.as_slice() else {
        return true;
    };
    match value {
        Value::Object(fields) => fields.len() == 1 && fields.contains_key(&only.name),
        Value::Array(values) => values.len() == 1 && !takes_array(&only.shape),
        _ => false,
    }
}

fn takes_array(shape: &Shape) -> bool {
    match shape {
        Shape::Seq(_) | Shape::Tuple(_) | Shape::TupleStruct { .. } | Shape::Bytes | Shape::Any => {
            true
        }
        Shape::Option(inner) | Shape::Newtype { shape: inner, .. } => takes_array(inner),
        Shape::Readable { text, .. } => takes_array(text),
        _ => false,
    }
}

/// `NAME=VALUE`, if the method has an argument of that name.
fn named<'t>(method: &MethodInfo, text: &'t str) -> Option<(&'t str, &'t str)> {
    let (name, value) = text.split_once('=')?;
    shape_of(method, name)?;
    Some((name, value))
}

fn shape_of<'m>(method: &'m MethodInfo, name: &str) -> Option<&'m Shape> {
    let argument = method
        .arguments
        .iter()
        .find(|argument| argument.name == name)?;
    Some(&argument.shape)
}

/// One value: JSON, or text as it is where text is expected.
pub(crate) fn value(name: &str, text: &str, shape: Option<&Shape>) -> Result<Value, Failure> {
    let json = serde_json::from_str(text);
    match json {
        Ok(value) if value_fits(&value, shape) => Ok(value),
        _ if shape.is_some_and(takes_text) => Ok(text.into()),
        Ok(value) => Ok(value),
        Err(error) => Err(Failure::usage(match shape {
            Some(shape) => format!("`{name}` is {shape}, and `{text}` is no JSON: {error}"),
            None => format!("`{text}` is no JSON: {error}"),
        })
        .with_hint("`farref describe TARGET METHOD` shows what it takes")),
    }
}

/// Whether JSON that could be read is meant as such: `42` is a text where a text is expected.
fn value_fits(value: &Value, shape: Option<&Shape>) -> bool {
    match shape {
        Some(shape) if takes_text(shape) => {
            value.is_string() || (value.is_null() && matches!(shape, Shape::Option(_)))
        }
        _ => true,
    }
}

/// Whether a value of this shape may be written as bare text.
fn takes_text(shape: &Shape) -> bool {
    match shape {
        Shape::String | Shape::Char => true,
        Shape::Option(inner) | Shape::Newtype { shape: inner, .. } => takes_text(inner),
        Shape::Readable { text, .. } => takes_text(text),
        // The variants that hold nothing are written by their names.
        Shape::Enum { variants, .. } => variants
            .iter()
            .all(|variant| matches!(variant.content, farref::shape::Content::Unit)),
        _ => false,
    }
}
