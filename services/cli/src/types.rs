//! Types as people read them: what they are, and what is inside.

use farref::shape::{Content, Field, Shape};

use crate::output::{DIM, NAME, paint};

/// How deep types inside types are shown.
const MAX_DEPTH: usize = 6;

/// A line for a value, and one for each that is inside it.
pub(crate) fn lines(name: &str, shape: &Shape) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", paint(NAME, name), said(shape))];
    add_parts(shape, 1, &mut lines);
    lines
}

/// A shape in words; an enum whose variants hold nothing is what it may be.
fn said(shape: &Shape) -> String {
    match shape {
        Shape::Enum { name, variants }
            if variants
                .iter()
                .all(|variant| variant.content == Content::Unit) =>
        {
            let names: Vec<_> = variants
                .iter()
                .map(|variant| variant.name.as_str())
                .collect();
            format!("an enum {name}: {}", names.join(", "))
        }
        shape => shape.to_string(),
    }
}

fn add_parts(shape: &Shape, depth: usize, lines: &mut Vec<String>) {
    if depth > MAX_DEPTH {
        return;
    }
    match shape {
        Shape::Option(inner)
        | Shape::Seq(inner)
        | Shape::Stream(inner)
        | Shape::Newtype { shape: inner, .. }
        | Shape::Readable { text: inner, .. } => add_parts(inner, depth, lines),
        Shape::Map(key, value) => {
            add_parts(key, depth, lines);
            add_parts(value, depth, lines);
        }
        Shape::Tuple(parts) | Shape::TupleStruct { fields: parts, .. } => {
            add_nameless(parts, depth, lines);
        }
        Shape::Struct { fields, .. } => add_fields(fields, depth, lines),
        Shape::Enum { variants, .. } => {
            let is_plain = |content: &Content| *content == Content::Unit;
            if variants.iter().all(|variant| is_plain(&variant.content)) {
                return;
            }
            for variant in variants {
                let name = &variant.name;
                match &variant.content {
                    Content::Newtype(inner) => add(name, "", inner, depth, lines),
                    Content::Tuple(parts) => {
                        lines.push(indented(depth, &paint(NAME, name)));
                        add_nameless(parts, depth + 1, lines);
                    }
                    Content::Struct(fields) => {
                        lines.push(indented(depth, &paint(NAME, name)));
                        add_fields(fields, depth + 1, lines);
                    }
                    _ => lines.push(indented(depth, &paint(NAME, name))),
                }
            }
        }
        _ => {}
    }
}

fn add_fields(fields: &[Field], depth: usize, lines: &mut Vec<String>) {
    for field in fields {
        let remark = match (field.has_default, &field.shape) {
            // That it may be left out is what an option says already.
            (true, Shape::Option(_)) | (false, _) => "",
            (true, _) => "  may be left out",
        };
        add(&field.name, remark, &field.shape, depth, lines);
    }
}

fn add_nameless(parts: &[Shape], depth: usize, lines: &mut Vec<String>) {
    for (place, part) in parts.iter().enumerate() {
        add(&place.to_string(), "", part, depth, lines);
    }
}

fn add(name: &str, remark: &str, shape: &Shape, depth: usize, lines: &mut Vec<String>) {
    let remark = match remark {
        "" => String::new(),
        remark => paint(DIM, remark),
    };
    let line = format!("{}: {}{remark}", paint(NAME, name), said(shape));
    lines.push(indented(depth, &line));
    add_parts(shape, depth + 1, lines);
}

fn indented(depth: usize, line: &str) -> String {
    "  ".repeat(depth) + line
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Outer {
        colour: Colour,
        #[serde(default)]
        inner: Vec<Inner>,
        more: Option<BTreeMap<String, (u8, bool)>>,
    }

    #[derive(Deserialize)]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape counts")]
    enum Inner {
        Nothing,
        One(f32),
        Named { text: String, next: Box<Inner> },
    }

    #[test]
    fn what_is_inside_is_shown_beneath() {
        let lines = lines("outer", &Shape::of::<Outer>());
        let plain: Vec<_> = lines
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        assert_eq!(
            plain,
            [
                "outer: a struct Outer",
                "  colour: an enum Colour: Red, Green",
                "  inner: a sequence of enum Inner  may be left out",
                "    Nothing",
                "    One: a f32",
                "    Named",
                "      text: a string",
                "      next: a Inner",
                "  more: a map from string to tuple of 2 or nothing",
                "    0: a u8",
                "    1: a bool",
            ]
        );
    }
}
