//! Structs with named fields, and variants with named fields.
//!
//! In postcard a struct is a sequence of its fields, so it is shown one first. Whatever a sequence cannot tell is
//! learnt by showing maps instead: which of its names are aliases (two names of one field are a duplicate), which
//! fields have defaults (those that may be left out), and the fields beside one that resists.

use serde::de::Visitor;

use super::access::{FieldsAccess, PartsAccess};
use super::error::TraceError;
use super::node::{Key, Node, unknown};
use super::state::State;

/// What is known of a struct.
#[derive(Debug)]
pub(super) struct StructState {
    fields: Vec<FieldState>,
    /// How many fields the struct read from a sequence.
    length: Option<usize>,
    /// Sequences do not work: a field resists, or the type reads maps only.
    map_only: bool,
    /// All names were shown at once and none was a duplicate.
    aliases_known: bool,
    visits: usize,
}

/// What is known of a name in the struct's list.
#[derive(Debug)]
struct FieldState {
    name: &'static str,
    node: Node,
    is_alias: bool,
    required: Option<bool>,
    resists: bool,
}

/// How the struct is shown its fields.
enum Plan {
    Sequence,
    /// These fields by name, all of them.
    All(Vec<usize>),
    /// These fields by name, to see whether the others have defaults.
    Probe(Vec<usize>),
}

impl StructState {
    pub(super) fn new(names: &'static [&'static str]) -> Self {
        let field = |&name| FieldState {
            name,
            node: Node::Unknown,
            is_alias: false,
            required: None,
            resists: false,
        };
        Self {
            fields: names.iter().map(field).collect(),
            length: None,
            map_only: false,
            aliases_known: false,
            visits: 0,
        }
    }

    /// Lists name, node and "has a default" of each field.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &Node, bool)> {
        self.active().map(|(_, field)| {
            let has_default = field
                .required
                .map_or(matches!(field.node, Node::Option(_)), |required| !required);
            (field.name, &field.node, has_default)
        })
    }

    /// Lists the nodes of all fields.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.active().map(|(_, field)| &field.node)
    }

    /// Tells whether only the fields themselves may have something left to learn.
    pub(super) fn is_settled(&self) -> bool {
        (self.map_only || self.length.is_some()) && !self.needs_aliases() && !self.needs_probe()
    }

    fn active(&self) -> impl Iterator<Item = (usize, &FieldState)> {
        self.fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !field.is_alias)
    }

    fn resists(&self) -> bool {
        self.active().any(|(_, field)| field.resists)
    }

    /// Tells whether the list has more names than the struct has fields.
    fn needs_aliases(&self) -> bool {
        !self.aliases_known
            && (self.map_only || self.length.is_some_and(|length| length < self.fields.len()))
    }

    /// A struct that cannot be made does not tell its defaults either.
    fn needs_probe(&self) -> bool {
        !self.resists() && self.active().any(|(_, field)| field.required.is_none())
    }

    fn plan(&mut self, minimal: bool) -> Plan {
        self.visits += 1;
        if self.length.is_none() && !self.map_only {
            return Plan::Sequence;
        }
        if self.needs_aliases() || self.resists() {
            return Plan::All(self.all());
        }
        if self.needs_probe() && !minimal {
            let known = |(index, field): (usize, &FieldState)| {
                (field.required == Some(true)).then_some(index)
            };
            return Plan::Probe(self.active().filter_map(known).collect());
        }
        // A struct without aliases is read from a sequence, as postcard will; with them, a sequence works as well.
        if self.map_only {
            Plan::All(self.all())
        } else {
            Plan::Sequence
        }
    }

    /// Lists all fields, those that resist last and in turns: what follows one that fails is not seen.
    fn all(&self) -> Vec<usize> {
        let (mut resisting, mut all): (Vec<_>, Vec<_>) = self
            .active()
            .map(|(index, _)| index)
            .partition(|index| self.fields[*index].resists);
        if !resisting.is_empty() {
            let turn = self.visits % resisting.len();
            resisting.rotate_left(turn);
        }
        all.append(&mut resisting);
        all
    }

    /// Notes that the name at `index` is one more name of the field called `canonical`.
    fn note_alias(&mut self, index: usize, canonical: &'static str) {
        self.fields[index].is_alias = true;
        // The names of one field stand side by side.
        if let Some(field) = self.fields[..index]
            .iter_mut()
            .rev()
            .find(|field| !field.is_alias)
        {
            field.name = canonical;
        }
    }

    fn merge(&mut self, nodes: Vec<Node>) {
        for (field, node) in self.fields.iter_mut().zip(nodes) {
            field.node.merge(node);
        }
    }

    /// Merges what was read from a sequence, whose elements are the fields without their aliases.
    fn merge_sequence(&mut self, nodes: Vec<Node>) {
        let fields = self.fields.iter_mut().filter(|field| !field.is_alias);
        for (field, node) in fields.zip(nodes) {
            field.node.merge(node);
        }
    }

    /// Learns from how a visit ended; tells whether it was something new that asks for another pass.
    fn learn(&mut self, plan: &Plan, ended: Result<(), &TraceError>, shown: usize) -> bool {
        match (plan, ended) {
            (Plan::Sequence, Ok(())) => {
                self.length = Some(shown);
                false
            }
            (Plan::Sequence, Err(TraceError::Again)) => false,
            (Plan::Sequence, Err(_)) => !std::mem::replace(&mut self.map_only, true),
            (Plan::All(_), Ok(())) => {
                self.aliases_known = true;
                false
            }
            (Plan::All(order), Err(error)) => {
                let Some(&last) = shown.checked_sub(1).and_then(|last| order.get(last)) else {
                    return false;
                };
                match error {
                    TraceError::DuplicateField(canonical) => {
                        self.note_alias(last, canonical);
                        true
                    }
                    TraceError::Resists => {
                        let known = std::mem::replace(&mut self.fields[last].resists, true);
                        self.aliases_known |= known;
                        !known
                    }
                    _ => false,
                }
            }
            (Plan::Probe(_), Ok(())) => {
                for field in &mut self.fields {
                    field.required.get_or_insert(false);
                }
                false
            }
            (Plan::Probe(_), Err(TraceError::Again)) => false,
            (Plan::Probe(_), Err(TraceError::MissingField(name))) => {
                let missing =
                    |field: &&mut FieldState| field.name == *name && field.required.is_none();
                match self.fields.iter_mut().find(missing) {
                    Some(field) => field.required = Some(true),
                    None => self.require_all(),
                }
                true
            }
            (Plan::Probe(_), Err(_)) => {
                self.require_all();
                true
            }
        }
    }

    /// Takes every field for required that is not known to have a default.
    fn require_all(&mut self) {
        for field in &mut self.fields {
            field.required.get_or_insert(true);
        }
    }
}

/// Shows a struct its fields.
pub(super) fn visit<'de, V: Visitor<'de>>(
    state: &mut State,
    key: Key,
    (name, names): (&'static str, &'static [&'static str]),
    sample: usize,
    visitor: V,
) -> Result<V::Value, TraceError> {
    let minimal = state.is_minimal();
    let Some(known) = state.struct_mut(key, name, names) else {
        return Err(TraceError::Refused);
    };
    let plan = known.plan(minimal);
    let shown_names: Vec<&'static str> = known.fields.iter().map(|field| field.name).collect();
    let mut nodes = unknown(names.len());
    let mut shown = 0;
    let result = match &plan {
        Plan::Sequence => visitor.visit_seq(PartsAccess {
            state,
            nodes: &mut nodes,
            shown: &mut shown,
            sample,
        }),
        Plan::All(order) | Plan::Probe(order) => visitor.visit_map(FieldsAccess {
            state,
            names: &shown_names,
            order,
            nodes: &mut nodes,
            shown: &mut shown,
            sample,
        }),
    };
    let Some(known) = state.struct_mut(key, name, names) else {
        return Err(TraceError::Refused);
    };
    let again = known.learn(&plan, result.as_ref().map(|_| ()), shown);
    if !minimal {
        match plan {
            // Until aliases are known, positions mean nothing.
            Plan::Sequence if known.needs_aliases() || known.length.is_none() => {}
            Plan::Sequence => known.merge_sequence(nodes),
            Plan::All(_) | Plan::Probe(_) => known.merge(nodes),
        }
    }
    if again {
        state.note_progress();
        return Err(TraceError::Again);
    }
    result
}
