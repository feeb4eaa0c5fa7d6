//! What a visitor reads its parts from while it is traced.

use std::any::type_name;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::deserializer::Tracer;
use super::error::TraceError;
use super::node::Node;
use super::state::State;
use crate::shape::Shape;

/// Traces a part whose Rust type is known: where samples are chosen, and where it ends if a type refuses them all.
pub(super) fn trace_slot<'de, S: DeserializeSeed<'de>>(
    state: &mut State,
    out: &mut Node,
    seed: S,
    inherited_sample: usize,
) -> Result<S::Value, TraceError> {
    let type_name = type_name::<S::Value>();
    if state.resists(type_name) {
        *out = Node::Leaf(Shape::Opaque(type_name.to_owned()));
        return Err(TraceError::Resists);
    }
    // A type that is made from another by a check is offered other samples of that one.
    let sample = state.sample(type_name).max(inherited_sample);
    match seed.deserialize(Tracer { state, out, sample }) {
        Err(TraceError::Refused | TraceError::MissingField(_) | TraceError::DuplicateField(_)) => {
            state.refuse(type_name);
            Err(TraceError::Again)
        }
        other => other,
    }
}

/// The parts of a tuple or, in postcard's view, of a struct.
pub(super) struct PartsAccess<'t> {
    pub(super) state: &'t mut State,
    pub(super) nodes: &'t mut [Node],
    /// How many parts were shown.
    pub(super) shown: &'t mut usize,
    pub(super) sample: usize,
}

impl<'de> SeqAccess<'de> for PartsAccess<'_> {
    type Error = TraceError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        let Some(node) = self.nodes.get_mut(*self.shown) else {
            return Ok(None);
        };
        *self.shown += 1;
        trace_slot(self.state, node, seed, self.sample).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.nodes.len() - *self.shown)
    }
}

/// Some fields of a struct, by name.
pub(super) struct FieldsAccess<'t> {
    pub(super) state: &'t mut State,
    pub(super) names: &'t [&'static str],
    /// Which fields to show, as positions in `names`.
    pub(super) order: &'t [usize],
    pub(super) nodes: &'t mut [Node],
    /// How many fields were shown.
    pub(super) shown: &'t mut usize,
    pub(super) sample: usize,
}

impl<'de> MapAccess<'de> for FieldsAccess<'_> {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        let Some(&index) = self.order.get(*self.shown) else {
            return Ok(None);
        };
        *self.shown += 1;
        seed.deserialize(BorrowedStrDeserializer::new(self.names[index]))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, TraceError> {
        let current = self
            .shown
            .checked_sub(1)
            .and_then(|last| self.order.get(last));
        let node = current
            .and_then(|index| self.nodes.get_mut(*index))
            .ok_or(TraceError::Refused)?;
        trace_slot(self.state, node, seed, self.sample)
    }
}

/// The elements of a sequence: one, or none where the value is to be small.
pub(super) struct ElementsAccess<'t> {
    pub(super) state: &'t mut State,
    pub(super) node: &'t mut Node,
    pub(super) left: usize,
    pub(super) sample: usize,
}

impl<'de> SeqAccess<'de> for ElementsAccess<'_> {
    type Error = TraceError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match trace_slot(self.state, self.node, seed, self.sample) {
            // A sequence of what cannot be made is empty.
            Err(TraceError::Resists) => Ok(None),
            other => other.map(Some),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The entries of a map: one, or none where the value is to be small.
pub(super) struct EntriesAccess<'t> {
    pub(super) state: &'t mut State,
    pub(super) key: &'t mut Node,
    pub(super) value: &'t mut Node,
    pub(super) left: usize,
    pub(super) sample: usize,
}

impl<'de> MapAccess<'de> for EntriesAccess<'_> {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match trace_slot(self.state, self.key, seed, self.sample) {
            Err(TraceError::Resists) => Ok(None),
            other => other.map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, TraceError> {
        trace_slot(self.state, self.value, seed, self.sample)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
