//! What the passes over one type have learnt so far.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use super::enums::{ContentNode, EnumState};
use super::node::{Key, Node, merge_all};
use super::samples;
use super::structs::StructState;

/// A struct or enum that was met.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: &'static str,
    pub(super) body: Body,
}

/// What is known of it.
#[derive(Debug)]
pub(super) enum Body {
    Newtype(Node),
    Tuple(Vec<Node>),
    Struct(StructState),
    Enum(EnumState),
}

/// The tracer's memory.
#[derive(Debug)]
pub(super) struct State {
    containers: HashMap<Key, Container>,
    /// The containers that are being made, outermost first; for enums also the variant.
    stack: Vec<Key>,
    /// How many containers on the stack repeat others; above zero, values are made as small as they can be.
    repeats: usize,
    /// Which sample a type is to be offered.
    samples: HashMap<&'static str, usize>,
    /// Types that refused every sample.
    resisting: HashSet<&'static str>,
    /// Options and maps that can only be made empty, and what they would hold.
    empty: HashMap<&'static str, Node>,
    progress: bool,
    human_readable: bool,
    asked_for_view: Cell<bool>,
}

impl State {
    pub(super) fn new(human_readable: bool) -> Self {
        Self {
            containers: HashMap::new(),
            stack: Vec::new(),
            repeats: 0,
            samples: HashMap::new(),
            resisting: HashSet::new(),
            empty: HashMap::new(),
            progress: false,
            human_readable,
            asked_for_view: Cell::new(false),
        }
    }

    pub(super) fn begin_pass(&mut self) {
        self.stack.clear();
        self.repeats = 0;
        self.progress = false;
    }

    pub(super) const fn note_progress(&mut self) {
        self.progress = true;
    }

    pub(super) const fn made_progress(&self) -> bool {
        self.progress
    }

    /// Answers whether this is the view for people, and remembers the question.
    pub(super) fn view(&self) -> bool {
        self.asked_for_view.set(true);
        self.human_readable
    }

    pub(super) const fn was_asked_for_view(&self) -> bool {
        self.asked_for_view.get()
    }

    /// Puts a container on the stack, and tells whether it is there already.
    pub(super) fn enter(&mut self, key: Key) -> bool {
        let repeated = self.stack.contains(&key);
        self.repeats += usize::from(repeated);
        self.stack.push(key);
        repeated
    }

    /// Takes off what [`enter`](Self::enter) put on.
    pub(super) fn leave(&mut self, repeated: bool) {
        self.repeats -= usize::from(repeated);
        self.stack.pop();
    }

    pub(super) fn is_open(&self, key: &Key) -> bool {
        self.stack.contains(key)
    }

    /// Tells whether values are to be as small as they can be; what is seen then is not noted.
    pub(super) const fn is_minimal(&self) -> bool {
        self.repeats > 0
    }

    /// Returns the sample that a type is to be offered.
    pub(super) fn sample(&self, type_name: &'static str) -> usize {
        self.samples.get(type_name).copied().unwrap_or(0)
    }

    /// Notes that a type refused its sample.
    pub(super) fn refuse(&mut self, type_name: &'static str) {
        let sample = self.samples.entry(type_name).or_default();
        *sample += 1;
        if *sample >= samples::COUNT {
            self.resisting.insert(type_name);
        }
        self.progress = true;
    }

    pub(super) fn resists(&self, type_name: &'static str) -> bool {
        self.resisting.contains(type_name)
    }

    /// Notes that an option or a map can only be made empty.
    pub(super) fn keep_empty(&mut self, type_name: &'static str, node: Node) {
        self.empty.insert(type_name, node);
        self.progress = true;
    }

    pub(super) fn kept_empty(&self, type_name: &'static str) -> Option<&Node> {
        self.empty.get(type_name)
    }

    pub(super) fn container(&self, key: &Key) -> Option<&Container> {
        self.containers.get(key)
    }

    /// Notes the field of a newtype struct.
    pub(super) fn merge_newtype(&mut self, key: Key, name: &'static str, field: Node) {
        let container = self.containers.entry(key).or_insert(Container {
            name,
            body: Body::Newtype(Node::Unknown),
        });
        if let Body::Newtype(known) = &mut container.body {
            known.merge(field);
        }
    }

    /// Notes the fields of a tuple struct.
    pub(super) fn merge_tuple(&mut self, key: Key, name: &'static str, fields: Vec<Node>) {
        let container = self.containers.entry(key).or_insert_with(|| Container {
            name,
            body: Body::Tuple(super::node::unknown(fields.len())),
        });
        if let Body::Tuple(known) = &mut container.body {
            merge_all(known, fields);
        }
    }

    /// Returns what is known of a struct, noting that there is one; `None` if the key is something else's.
    pub(super) fn struct_mut(
        &mut self,
        key: Key,
        name: &'static str,
        names: &'static [&'static str],
    ) -> Option<&mut StructState> {
        let fresh = || Container {
            name,
            body: Body::Struct(StructState::new(names)),
        };
        match &mut self.containers.entry(key).or_insert_with(fresh).body {
            Body::Struct(known) => Some(known),
            _ => None,
        }
    }

    /// Returns what is known of an enum, noting that there is one; `None` if the key is something else's.
    pub(super) fn enum_mut(
        &mut self,
        key: Key,
        name: &'static str,
        names: &'static [&'static str],
    ) -> Option<&mut EnumState> {
        let fresh = || Container {
            name,
            body: Body::Enum(EnumState::new(names)),
        };
        match &mut self.containers.entry(key).or_insert_with(fresh).body {
            Body::Enum(known) => Some(known),
            _ => None,
        }
    }

    /// Tells whether everything that can be reached from a node is known.
    pub(super) fn is_complete(&self, node: &Node) -> bool {
        self.is_complete_beyond(node, &mut HashSet::new())
    }

    pub(super) fn is_complete_beyond(&self, node: &Node, seen: &mut HashSet<Key>) -> bool {
        match node {
            Node::Unknown => false,
            Node::Leaf(_) => true,
            Node::Option(inner) | Node::Seq(inner) | Node::Stream(inner) => {
                self.is_complete_beyond(inner, seen)
            }
            Node::Map(key, value) => {
                self.is_complete_beyond(key, seen) && self.is_complete_beyond(value, seen)
            }
            Node::Tuple(parts) => parts.iter().all(|part| self.is_complete_beyond(part, seen)),
            Node::Container(key) => !seen.insert(*key) || self.is_container_complete(key, seen),
        }
    }

    pub(super) fn is_container_complete(&self, key: &Key, seen: &mut HashSet<Key>) -> bool {
        match self.container(key).map(|container| &container.body) {
            None => false,
            Some(Body::Newtype(field)) => self.is_complete_beyond(field, seen),
            Some(Body::Tuple(fields)) => fields
                .iter()
                .all(|field| self.is_complete_beyond(field, seen)),
            Some(Body::Struct(known)) => {
                known.is_settled()
                    && known
                        .nodes()
                        .all(|field| self.is_complete_beyond(field, seen))
            }
            Some(Body::Enum(known)) => (0..known.len()).all(|index| {
                known.is_explored(index) && self.is_variant_complete(key, index, seen)
            }),
        }
    }

    /// Tells whether everything that can be reached from a variant is known.
    pub(super) fn is_variant_complete(
        &self,
        key: &Key,
        index: usize,
        seen: &mut HashSet<Key>,
    ) -> bool {
        match self.container(key).map(|container| &container.body) {
            Some(Body::Enum(known)) => match known.content(index) {
                ContentNode::Unknown => false,
                ContentNode::Unit => true,
                ContentNode::Newtype(node) => self.is_complete_beyond(node, seen),
                ContentNode::Tuple(parts) => {
                    parts.iter().all(|part| self.is_complete_beyond(part, seen))
                }
                ContentNode::Struct => self.is_container_complete(&(key.0, Some(index)), seen),
            },
            _ => false,
        }
    }
}
