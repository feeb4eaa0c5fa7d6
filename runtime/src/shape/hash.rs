//! The number by which peers compare shapes: FNV-1a, 32 bits, over a canonical form.
//!
//! The form is one tag byte for each shape, then its parts in order; texts and counts carry their length as four
//! little-endian bytes. A newtype is its field, a tuple struct is a tuple, and a recursive reference is the number
//! of containers between it and what it means. The Fowler-Noll-Vo hash is described in RFC 9923.

use super::scope::Scope;
use super::{Content, Field, Shape};

const OFFSET_BASIS: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

/// Hashes a shape; never 0.
pub(super) fn hash(shape: &Shape) -> u32 {
    let mut hasher = Hasher(OFFSET_BASIS);
    hasher.shape(shape, &Scope::ROOT);
    hasher.0.max(1)
}

struct Hasher(u32);

impl Hasher {
    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(PRIME);
    }

    fn number(&mut self, number: u32) {
        for byte in number.to_le_bytes() {
            self.byte(byte);
        }
    }

    fn count(&mut self, count: usize) {
        self.number(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        for byte in text.bytes() {
            self.byte(byte);
        }
    }

    fn shapes(&mut self, shapes: &[Shape], scope: &Scope<'_>) {
        self.count(shapes.len());
        for shape in shapes {
            self.shape(shape, scope);
        }
    }

    fn fields(&mut self, fields: &[Field], scope: &Scope<'_>) {
        self.count(fields.len());
        for field in fields {
            self.text(&field.name);
            self.shape(&field.shape, scope);
        }
    }

    fn shape(&mut self, shape: &Shape, scope: &Scope<'_>) {
        match shape {
            // Forms that look like another on the wire have no tag of their own.
            Shape::Newtype { shape: inner, .. } => return self.shape(inner, &scope.inside(shape)),
            Shape::Readable { binary, .. } => return self.shape(binary, scope),
            _ => self.byte(tag(shape)),
        }
        match shape {
            Shape::Option(inner) | Shape::Seq(inner) | Shape::Stream(inner) => {
                self.shape(inner, scope)
            }
            Shape::Map(key, value) => {
                self.shape(key, scope);
                self.shape(value, scope);
            }
            Shape::Tuple(parts) => self.shapes(parts, scope),
            Shape::TupleStruct { fields, .. } => self.shapes(fields, &scope.inside(shape)),
            Shape::Struct { fields, .. } => self.fields(fields, &scope.inside(shape)),
            Shape::Enum { variants, .. } => {
                let scope = scope.inside(shape);
                self.count(variants.len());
                for variant in variants {
                    self.text(&variant.name);
                    match &variant.content {
                        Content::Unit => self.byte(0),
                        Content::Newtype(inner) => {
                            self.byte(1);
                            self.shape(inner, &scope);
                        }
                        Content::Tuple(parts) => {
                            self.byte(2);
                            self.shapes(parts, &scope);
                        }
                        Content::Struct(fields) => {
                            self.byte(3);
                            self.fields(fields, &scope);
                        }
                    }
                }
            }
            Shape::Reference { interface: name } | Shape::Opaque(name) => self.text(name),
            Shape::Named(name) => self.number(scope.distance(name).unwrap_or(u32::MAX)),
            _ => {}
        }
    }
}

/// Returns the byte that stands for each kind of shape; these are part of the wire and never change.
const fn tag(shape: &Shape) -> u8 {
    match shape {
        Shape::Unit => 1,
        Shape::Bool => 2,
        Shape::I8 => 3,
        Shape::I16 => 4,
        Shape::I32 => 5,
        Shape::I64 => 6,
        Shape::I128 => 7,
        Shape::U8 => 8,
        Shape::U16 => 9,
        Shape::U32 => 10,
        Shape::U64 => 11,
        Shape::U128 => 12,
        Shape::F32 => 13,
        Shape::F64 => 14,
        Shape::Char => 15,
        Shape::String => 16,
        Shape::Bytes => 17,
        Shape::Option(_) => 18,
        Shape::Seq(_) => 19,
        Shape::Map(..) => 20,
        Shape::Tuple(_) | Shape::TupleStruct { .. } => 21,
        Shape::Struct { .. } => 22,
        Shape::Enum { .. } => 23,
        Shape::Reference { .. } => 24,
        Shape::Named(_) => 25,
        Shape::Opaque(_) => 26,
        Shape::Any => 27,
        Shape::Stream(_) => 28,
        Shape::Newtype { .. } | Shape::Readable { .. } => 0,
    }
}
