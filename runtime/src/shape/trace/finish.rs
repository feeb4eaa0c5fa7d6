//! From what the passes learnt to a shape.

use super::enums::ContentNode;
use super::node::{Key, Node};
use super::state::{Body, State};
use super::structs::StructState;
use crate::shape::{Content, Field, Shape, Variant};

/// The most parts of one shape. Types that share parts many times over would grow without bound; what is beyond is
/// known by name only.
const MAX_PARTS: usize = 20_000;

/// Makes the shape of the node at the root; `name` is the Rust type's.
pub(super) fn finish(state: &State, root: &Node, name: &'static str) -> Shape {
    let mut finisher = Finisher {
        state,
        open: Vec::new(),
        parts: 0,
    };
    match root {
        // Not even what the type asks for is known.
        Node::Unknown => Shape::Opaque(name.to_owned()),
        root => finisher.shape(root),
    }
}

struct Finisher<'t> {
    state: &'t State,
    /// The containers around the current node, and the names under which inner ones mean them.
    open: Vec<(Key, String)>,
    parts: usize,
}

impl Finisher<'_> {
    fn shape(&mut self, node: &Node) -> Shape {
        self.parts += 1;
        match node {
            Node::Unknown => Shape::Opaque("?".to_owned()),
            Node::Leaf(shape) => shape.clone(),
            Node::Option(inner) => Shape::Option(Box::new(self.shape(inner))),
            Node::Seq(inner) => Shape::Seq(Box::new(self.shape(inner))),
            Node::Stream(inner) => Shape::Stream(Box::new(self.shape(inner))),
            Node::Map(key, value) => {
                Shape::Map(Box::new(self.shape(key)), Box::new(self.shape(value)))
            }
            Node::Tuple(parts) => Shape::Tuple(self.shapes(parts)),
            Node::Container(key) => self.container(*key),
        }
    }

    fn shapes(&mut self, nodes: &[Node]) -> Vec<Shape> {
        nodes.iter().map(|node| self.shape(node)).collect()
    }

    fn container(&mut self, key: Key) -> Shape {
        if let Some((_, name)) = self.open.iter().find(|(open, _)| *open == key) {
            return Shape::Named(name.clone());
        }
        let state = self.state;
        let Some(container) = state.container(&key).filter(|_| self.parts < MAX_PARTS) else {
            return Shape::Opaque(key.0.to_owned());
        };
        let name = self.distinct_name(container.name);
        self.open.push((key, name.clone()));
        let shape = match &container.body {
            Body::Newtype(field) => Shape::Newtype {
                name,
                shape: Box::new(self.shape(field)),
            },
            Body::Tuple(fields) => Shape::TupleStruct {
                name,
                fields: self.shapes(fields),
            },
            Body::Struct(known) => Shape::Struct {
                name,
                fields: self.fields(known),
            },
            Body::Enum(known) => {
                let variants = (0..known.len()).map(|index| Variant {
                    name: known.name(index).to_owned(),
                    content: self.content(key, index, known.content(index)),
                });
                Shape::Enum {
                    name,
                    variants: variants.collect(),
                }
            }
        };
        self.open.pop();
        shape
    }

    fn fields(&mut self, known: &StructState) -> Vec<Field> {
        known
            .fields()
            .map(|(name, node, has_default)| Field {
                name: name.to_owned(),
                shape: self.shape(node),
                has_default,
            })
            .collect()
    }

    fn content(&mut self, key: Key, index: usize, content: &ContentNode) -> Content {
        let state = self.state;
        match content {
            ContentNode::Unknown => Content::Newtype(Shape::Opaque("?".to_owned())),
            ContentNode::Unit => Content::Unit,
            ContentNode::Newtype(node) => Content::Newtype(self.shape(node)),
            ContentNode::Tuple(parts) => Content::Tuple(self.shapes(parts)),
            ContentNode::Struct => match state
                .container(&(key.0, Some(index)))
                .map(|container| &container.body)
            {
                Some(Body::Struct(known)) => Content::Struct(self.fields(known)),
                _ => Content::Newtype(Shape::Opaque("?".to_owned())),
            },
        }
    }

    /// Returns the name, with a number if another container around here has it already.
    fn distinct_name(&self, name: &str) -> String {
        let taken = |candidate: &str| self.open.iter().any(|(_, open)| open == candidate);
        let mut candidate = name.to_owned();
        let mut number = 2;
        while taken(&candidate) {
            candidate = format!("{name}#{number}");
            number += 1;
        }
        candidate
    }
}
