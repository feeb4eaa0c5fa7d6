//! Shapes in words, for error messages and `describe`.

use std::fmt;

use super::{Content, Shape};

/// Displays the shape as a noun with its article: `a string`, `a sequence of u8`, `a struct Track`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("nothing"),
            Self::Option(inner) => write!(f, "{inner} or nothing"),
            Self::Readable { text, .. } => text.fmt(f),
            Self::Newtype { shape, .. } => shape.fmt(f),
            Self::I8 | Self::I16 | Self::I32 | Self::I64 | Self::I128 => {
                write!(f, "an {}", Bare(self))
            }
            Self::Enum { .. } | Self::Any => write!(f, "an {}", Bare(self)),
            other => write!(f, "a {}", Bare(other)),
        }
    }
}

/// A shape in words without the article.
struct Bare<'s>(&'s Shape);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Shape::Unit => f.write_str("nothing"),
            Shape::Bool => f.write_str("bool"),
            Shape::I8 => f.write_str("i8"),
            Shape::I16 => f.write_str("i16"),
            Shape::I32 => f.write_str("i32"),
            Shape::I64 => f.write_str("i64"),
            Shape::I128 => f.write_str("i128"),
            Shape::U8 => f.write_str("u8"),
            Shape::U16 => f.write_str("u16"),
            Shape::U32 => f.write_str("u32"),
            Shape::U64 => f.write_str("u64"),
            Shape::U128 => f.write_str("u128"),
            Shape::F32 => f.write_str("f32"),
            Shape::F64 => f.write_str("f64"),
            Shape::Char => f.write_str("char"),
            Shape::String => f.write_str("string"),
            Shape::Bytes => f.write_str("byte string"),
            Shape::Option(inner) => write!(f, "optional {}", Bare(inner)),
            Shape::Seq(inner) => write!(f, "sequence of {}", Bare(inner)),
            Shape::Map(key, value) => write!(f, "map from {} to {}", Bare(key), Bare(value)),
            Shape::Tuple(parts) => write!(f, "tuple of {}", parts.len()),
            Shape::Newtype { shape, .. } => Bare(shape).fmt(f),
            Shape::TupleStruct { name, .. } | Shape::Struct { name, .. } => {
                write!(f, "struct {name}")
            }
            Shape::Enum { name, .. } => write!(f, "enum {name}"),
            Shape::Reference { interface } => write!(f, "reference to a {interface}"),
            Shape::Readable { text, .. } => Bare(text).fmt(f),
            Shape::Named(name) => f.write_str(name),
            Shape::Opaque(name) => write!(f, "value of the type {name}"),
            Shape::Any => f.write_str("arbitrary value"),
            Shape::Stream(items) => write!(f, "stream of {}", Bare(items)),
        }
    }
}

/// Displays what a variant holds as a noun with its article.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("a variant without content"),
            Self::Newtype(inner) => write!(f, "a variant with {inner}"),
            Self::Tuple(parts) => write!(f, "a variant with {} values", parts.len()),
            Self::Struct(fields) => write!(f, "a variant with {} named fields", fields.len()),
        }
    }
}
