//! What is known of a shape while it is traced.

use crate::shape::Shape;

/// Names a struct, an enum, or a variant with named fields: the Rust type, and the variant's position.
pub(super) type Key = (&'static str, Option<usize>);

/// A shape that may still have unknown parts; structs and enums stand in the state, under their keys.
#[derive(Clone, Debug, Default)]
pub(super) enum Node {
    #[default]
    Unknown,
    Leaf(Shape),
    Option(Box<Node>),
    Seq(Box<Node>),
    Stream(Box<Node>),
    Map(Box<Node>, Box<Node>),
    Tuple(Vec<Node>),
    Container(Key),
}

impl Node {
    /// Takes over what another pass learnt.
    pub(super) fn merge(&mut self, later: Self) {
        match (self, later) {
            (_, Self::Unknown) => {}
            (Self::Option(known), Self::Option(later))
            | (Self::Seq(known), Self::Seq(later))
            | (Self::Stream(known), Self::Stream(later)) => known.merge(*later),
            (Self::Map(key, value), Self::Map(later_key, later_value)) => {
                key.merge(*later_key);
                value.merge(*later_value);
            }
            (Self::Tuple(known), Self::Tuple(later)) if known.len() == later.len() => {
                merge_all(known, later)
            }
            (known, later) => *known = later,
        }
    }
}

/// Merges part by part.
pub(super) fn merge_all(known: &mut [Node], later: Vec<Node>) {
    for (known, later) in known.iter_mut().zip(later) {
        known.merge(later);
    }
}

/// Makes so many unknown nodes.
pub(super) fn unknown(count: usize) -> Vec<Node> {
    vec![Node::Unknown; count]
}
