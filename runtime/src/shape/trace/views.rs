//! Joining the two views of a type: what binary codecs see, and what people see.

use crate::shape::{Content, Field, Shape, Variant};

/// Joins two views; where they differ stands a [`Shape::Readable`].
pub(super) fn join(binary: Shape, text: Shape) -> Shape {
    if binary == text {
        return binary;
    }
    match (binary, text) {
        (Shape::Option(binary), Shape::Option(text)) => Shape::Option(boxed(*binary, *text)),
        (Shape::Seq(binary), Shape::Seq(text)) => Shape::Seq(boxed(*binary, *text)),
        (Shape::Map(binary_key, binary), Shape::Map(text_key, text)) => {
            Shape::Map(boxed(*binary_key, *text_key), boxed(*binary, *text))
        }
        (Shape::Tuple(binary), Shape::Tuple(text)) if binary.len() == text.len() => {
            Shape::Tuple(all(binary, text, join))
        }
        (
            Shape::Newtype {
                name,
                shape: binary,
            },
            Shape::Newtype { shape: text, .. },
        ) => Shape::Newtype {
            name,
            shape: boxed(*binary, *text),
        },
        (
            Shape::TupleStruct {
                name,
                fields: binary,
            },
            Shape::TupleStruct { fields: text, .. },
        ) if binary.len() == text.len() => Shape::TupleStruct {
            name,
            fields: all(binary, text, join),
        },
        (
            Shape::Struct {
                name,
                fields: binary,
            },
            Shape::Struct { fields: text, .. },
        ) if same_fields(&binary, &text) => Shape::Struct {
            name,
            fields: all(binary, text, join_fields),
        },
        (
            Shape::Enum {
                name,
                variants: binary,
            },
            Shape::Enum { variants: text, .. },
        ) if same_variants(&binary, &text) => Shape::Enum {
            name,
            variants: all(binary, text, join_variants),
        },
        (binary, text) => Shape::Readable {
            binary: Box::new(binary),
            text: Box::new(text),
        },
    }
}

fn boxed(binary: Shape, text: Shape) -> Box<Shape> {
    Box::new(join(binary, text))
}

fn all<T>(binary: Vec<T>, text: Vec<T>, join: impl Fn(T, T) -> T) -> Vec<T> {
    binary
        .into_iter()
        .zip(text)
        .map(|(binary, text)| join(binary, text))
        .collect()
}

fn join_fields(binary: Field, text: Field) -> Field {
    Field {
        shape: join(binary.shape, text.shape),
        ..binary
    }
}

fn join_variants(binary: Variant, text: Variant) -> Variant {
    let content = match (binary.content, text.content) {
        (Content::Newtype(binary), Content::Newtype(text)) => Content::Newtype(join(binary, text)),
        (Content::Tuple(binary), Content::Tuple(text)) => Content::Tuple(all(binary, text, join)),
        (Content::Struct(binary), Content::Struct(text)) => {
            Content::Struct(all(binary, text, join_fields))
        }
        (binary, _) => binary,
    };
    Variant {
        name: binary.name,
        content,
    }
}

fn same_fields(binary: &[Field], text: &[Field]) -> bool {
    binary.len() == text.len()
        && binary
            .iter()
            .zip(text)
            .all(|(binary, text)| binary.name == text.name)
}

fn same_variants(binary: &[Variant], text: &[Variant]) -> bool {
    binary.len() == text.len()
        && binary.iter().zip(text).all(|(binary, text)| {
            binary.name == text.name
                && match (&binary.content, &text.content) {
                    (Content::Unit, Content::Unit) | (Content::Newtype(_), Content::Newtype(_)) => {
                        true
                    }
                    (Content::Tuple(binary), Content::Tuple(text)) => binary.len() == text.len(),
                    (Content::Struct(binary), Content::Struct(text)) => same_fields(binary, text),
                    _ => false,
                }
        })
}
