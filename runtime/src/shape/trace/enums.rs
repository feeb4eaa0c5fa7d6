//! Enums: which variant to make in a pass.

use std::collections::HashSet;

use serde::de::value::U32Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use super::access::{PartsAccess, trace_slot};
use super::error::TraceError;
use super::node::{Key, Node, merge_all, unknown};
use super::state::State;
use super::structs;

/// What is known of an enum.
#[derive(Debug)]
pub(super) struct EnumState {
    variants: Vec<VariantState>,
    /// A variant of which a value was made.
    base: Option<usize>,
    /// Which variant to visit next when all were seen but not all that is inside.
    turn: usize,
}

#[derive(Debug)]
struct VariantState {
    name: &'static str,
    content: ContentNode,
    explored: bool,
    resists: bool,
}

/// What is known of a variant's content; named fields stand in the state, under the variant's key.
#[derive(Debug, Default)]
pub(super) enum ContentNode {
    #[default]
    Unknown,
    Unit,
    Newtype(Node),
    Tuple(Vec<Node>),
    Struct,
}

impl ContentNode {
    fn merge(&mut self, later: Self) {
        match (self, later) {
            (_, Self::Unknown) => {}
            (Self::Newtype(known), Self::Newtype(later)) => known.merge(later),
            (Self::Tuple(known), Self::Tuple(later)) if known.len() == later.len() => {
                merge_all(known, later)
            }
            (known, later) => *known = later,
        }
    }
}

impl EnumState {
    pub(super) fn new(names: &'static [&'static str]) -> Self {
        let variant = |&name| VariantState {
            name,
            content: ContentNode::Unknown,
            explored: false,
            resists: false,
        };
        Self {
            variants: names.iter().map(variant).collect(),
            base: None,
            turn: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.variants.len()
    }

    pub(super) fn name(&self, index: usize) -> &'static str {
        self.variants[index].name
    }

    pub(super) fn content(&self, index: usize) -> &ContentNode {
        &self.variants[index].content
    }

    pub(super) fn is_explored(&self, index: usize) -> bool {
        self.variants[index].explored
    }

    /// Chooses a variant that ends a recursion: one that worked, or one that is not being made already.
    fn smallest(&self, is_open: impl Fn(usize) -> bool) -> Option<usize> {
        let fit = |index: &usize| !self.variants[*index].resists && !is_open(*index);
        self.base.or_else(|| (0..self.len()).find(fit))
    }
}

/// Shows an enum one of its variants.
pub(super) fn visit<'de, V: Visitor<'de>>(
    state: &mut State,
    key: Key,
    (name, names): (&'static str, &'static [&'static str]),
    sample: usize,
    visitor: V,
) -> Result<V::Value, TraceError> {
    let minimal = state.is_minimal();
    let Some(index) = choose(state, key, (name, names), minimal) else {
        return Err(TraceError::Resists);
    };

    let mut content = ContentNode::Unknown;
    let repeated = state.enter((key.0, Some(index)));
    let result = visitor.visit_enum(OneVariant {
        state,
        key,
        index,
        name: names[index],
        content: &mut content,
        sample,
    });
    state.leave(repeated);

    let Some(known) = state.enum_mut(key, name, names) else {
        return Err(TraceError::Refused);
    };
    let variant = &mut known.variants[index];
    if !minimal {
        variant.content.merge(content);
    }
    match result {
        Ok(value) => {
            let explored = minimal || std::mem::replace(&mut variant.explored, true);
            known.base.get_or_insert(index);
            if !explored {
                state.note_progress();
            }
            Ok(value)
        }
        Err(TraceError::Again) => Err(TraceError::Again),
        // No value of this variant can be made: take another from now on, but come back to look inside.
        Err(_) => {
            let first = !std::mem::replace(&mut variant.resists, true);
            variant.explored |= !minimal;
            if first {
                state.note_progress();
            }
            let all = known_to_resist(state, key, (name, names));
            Err(if all && !first {
                TraceError::Resists
            } else {
                TraceError::Again
            })
        }
    }
}

fn known_to_resist(
    state: &mut State,
    key: Key,
    (name, names): (&'static str, &'static [&'static str]),
) -> bool {
    state
        .enum_mut(key, name, names)
        .is_some_and(|known| known.variants.iter().all(|variant| variant.resists))
}

fn choose(
    state: &mut State,
    key: Key,
    (name, names): (&'static str, &'static [&'static str]),
    minimal: bool,
) -> Option<usize> {
    let known = state.enum_mut(key, name, names)?;
    if !minimal {
        if let Some(index) = (0..known.len()).find(|index| !known.is_explored(*index)) {
            return Some(index);
        }
        let (count, turn) = (known.len(), known.turn);
        known.turn = turn.wrapping_add(1);
        let incomplete: Vec<usize> = (0..count)
            .filter(|index| !state.is_variant_complete(&key, *index, &mut HashSet::from([key])))
            .collect();
        if !incomplete.is_empty() {
            return Some(incomplete[turn % incomplete.len()]);
        }
    }
    let known = match state.container(&key).map(|container| &container.body) {
        Some(super::state::Body::Enum(known)) => known,
        _ => return None,
    };
    known
        .smallest(|index| state.is_open(&(key.0, Some(index))))
        // All variants resist, or none ends the recursion: any shows that.
        .or_else(|| (!minimal && known.len() > 0).then_some(0))
}

/// An enum that has turned out to be one variant.
struct OneVariant<'t> {
    state: &'t mut State,
    key: Key,
    index: usize,
    name: &'static str,
    content: &'t mut ContentNode,
    sample: usize,
}

impl<'de> EnumAccess<'de> for OneVariant<'_> {
    type Error = TraceError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), TraceError> {
        let index = u32::try_from(self.index).unwrap_or(u32::MAX);
        let index: U32Deserializer<TraceError> = index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for OneVariant<'_> {
    type Error = TraceError;

    fn unit_variant(self) -> Result<(), TraceError> {
        *self.content = ContentNode::Unit;
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, TraceError> {
        let mut node = Node::Unknown;
        let result = trace_slot(self.state, &mut node, seed, self.sample);
        *self.content = ContentNode::Newtype(node);
        result
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let mut nodes = unknown(len);
        let result = visitor.visit_seq(PartsAccess {
            state: self.state,
            nodes: &mut nodes,
            shown: &mut 0,
            sample: self.sample,
        });
        *self.content = ContentNode::Tuple(nodes);
        result
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        *self.content = ContentNode::Struct;
        let key = (self.key.0, Some(self.index));
        structs::visit(self.state, key, (self.name, fields), self.sample, visitor)
    }
}
