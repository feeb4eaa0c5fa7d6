//! The deserializer that has nothing but samples, and notes what it is asked for.

use std::any::type_name;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, U32Deserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use super::access::{ElementsAccess, EntriesAccess, PartsAccess};
use super::error::TraceError;
use super::node::{Node, unknown};
use super::state::State;
use super::{REFERENCE_PREFIX, enums, samples, structs};
use crate::shape::Shape;
use crate::stream::STREAM;

/// The newtype by which `serde_json::value::RawValue` asks for JSON as it stands.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Answers with samples and notes what was asked for in `out`.
pub(super) struct Tracer<'t> {
    pub(super) state: &'t mut State,
    pub(super) out: &'t mut Node,
    pub(super) sample: usize,
}

/// Answers for a type without parts.
macro_rules! leaves {
    ($($method:ident => $shape:ident, $visit:ident($sample:expr);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
            *self.out = Node::Leaf(Shape::$shape);
            let sample: fn(usize) -> _ = $sample;
            visitor.$visit(sample(self.sample))
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = TraceError;

    leaves! {
        deserialize_bool => Bool, visit_bool(|sample| sample > 0);
        deserialize_i8 => I8, visit_i8(|sample| samples::number(sample) as i8);
        deserialize_i16 => I16, visit_i16(|sample| samples::number(sample).into());
        deserialize_i32 => I32, visit_i32(|sample| samples::number(sample).into());
        deserialize_i64 => I64, visit_i64(|sample| samples::number(sample).into());
        deserialize_i128 => I128, visit_i128(|sample| samples::number(sample).into());
        deserialize_u8 => U8, visit_u8(samples::number);
        deserialize_u16 => U16, visit_u16(|sample| samples::number(sample).into());
        deserialize_u32 => U32, visit_u32(|sample| samples::number(sample).into());
        deserialize_u64 => U64, visit_u64(|sample| samples::number(sample).into());
        deserialize_u128 => U128, visit_u128(|sample| samples::number(sample).into());
        deserialize_f32 => F32, visit_f32(|sample| samples::number(sample).into());
        deserialize_f64 => F64, visit_f64(|sample| samples::number(sample).into());
        deserialize_char => Char, visit_char(samples::character);
        deserialize_str => String, visit_borrowed_str(samples::text);
        deserialize_string => String, visit_borrowed_str(samples::text);
        deserialize_identifier => String, visit_borrowed_str(samples::text);
        deserialize_bytes => Bytes, visit_borrowed_bytes(samples::bytes);
        deserialize_byte_buf => Bytes, visit_borrowed_bytes(samples::bytes);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        *self.out = Node::Leaf(Shape::Any);
        match self.sample {
            0 => visitor.visit_unit(),
            1 => visitor.visit_bool(false),
            2 => visitor.visit_u64(1),
            3 => visitor.visit_borrowed_str(""),
            4 => visitor.visit_f64(1.0),
            sample => visitor.visit_borrowed_str(samples::text(sample)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        *self.out = Node::Leaf(Shape::Any);
        visitor.visit_unit()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        *self.out = Node::Leaf(Shape::Unit);
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let Self { state, out, sample } = self;
        let option = type_name::<V::Value>();
        if let Some(known) = state.kept_empty(option) {
            *out = known.clone();
            return visitor.visit_none();
        }
        if state.is_minimal() {
            return visitor.visit_none();
        }
        let mut inner = Node::Unknown;
        let result = visitor.visit_some(Tracer {
            state,
            out: &mut inner,
            sample,
        });
        let result = match result {
            Err(TraceError::Resists) => {
                if state.is_complete(&inner) {
                    state.keep_empty(option, Node::Option(Box::new(inner.clone())));
                }
                Err(TraceError::Again)
            }
            Err(TraceError::Refused) if sample + 1 >= samples::COUNT => {
                inner = Node::Leaf(Shape::Opaque(content_of(option).to_owned()));
                state.keep_empty(option, Node::Option(Box::new(inner.clone())));
                Err(TraceError::Again)
            }
            other => other,
        };
        *out = Node::Option(Box::new(inner));
        result
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        if let Some(interface) = name.strip_prefix(REFERENCE_PREFIX) {
            *self.out = Node::Leaf(Shape::Reference {
                interface: interface.to_owned(),
            });
            let index: U32Deserializer<TraceError> = 0_u32.into_deserializer();
            return visitor.visit_newtype_struct(index);
        }
        if name == STREAM {
            let mut items = Node::Unknown;
            // Enough is known of the items; a stream may well be one of its own items' parts.
            let result = if self.state.is_minimal() {
                visitor.visit_unit()
            } else {
                visitor.visit_newtype_struct(Tracer {
                    state: &mut *self.state,
                    out: &mut items,
                    sample: self.sample,
                })
            };
            *self.out = Node::Stream(Box::new(items));
            return result;
        }
        if name == RAW_VALUE {
            *self.out = Node::Leaf(Shape::Any);
            let entry = (
                BorrowedStrDeserializer::new(RAW_VALUE),
                BorrowedStrDeserializer::new("null"),
            );
            return visitor.visit_map(MapDeserializer::new(std::iter::once(entry)));
        }
        let Self { state, out, sample } = self;
        let key = (type_name::<V::Value>(), None);
        *out = Node::Container(key);
        let mut field = Node::Unknown;
        let repeated = state.enter(key);
        let result = visitor.visit_newtype_struct(Tracer {
            state,
            out: &mut field,
            sample,
        });
        if !state.is_minimal() {
            state.merge_newtype(key, name, field);
        }
        state.leave(repeated);
        result
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let Self { state, out, sample } = self;
        let left = usize::from(!state.is_minimal());
        let mut element = Node::Unknown;
        let result = visitor.visit_seq(ElementsAccess {
            state,
            node: &mut element,
            left,
            sample,
        });
        *out = Node::Seq(Box::new(element));
        result
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let Self { state, out, sample } = self;
        let map = type_name::<V::Value>();
        let known = state.kept_empty(map).cloned();
        let left = usize::from(known.is_none() && !state.is_minimal());
        let (mut key, mut value) = (Node::Unknown, Node::Unknown);
        let access = EntriesAccess {
            state,
            key: &mut key,
            value: &mut value,
            left,
            sample,
        };
        let mut result = visitor.visit_map(access);
        let seen = Node::Map(Box::new(key), Box::new(value));
        if matches!(result, Err(TraceError::Resists)) {
            if state.is_complete(&seen) {
                state.keep_empty(map, seen.clone());
            }
            result = Err(TraceError::Again);
        }
        *out = known.unwrap_or(seen);
        result
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let Self { state, out, sample } = self;
        let mut nodes = unknown(len);
        let result = visitor.visit_seq(PartsAccess {
            state,
            nodes: &mut nodes,
            shown: &mut 0,
            sample,
        });
        *out = Node::Tuple(nodes);
        result
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let Self { state, out, sample } = self;
        let key = (type_name::<V::Value>(), None);
        *out = Node::Container(key);
        let mut nodes = unknown(len);
        let repeated = state.enter(key);
        let result = visitor.visit_seq(PartsAccess {
            state,
            nodes: &mut nodes,
            shown: &mut 0,
            sample,
        });
        if !state.is_minimal() {
            state.merge_tuple(key, name, nodes);
        }
        state.leave(repeated);
        result
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let Self { state, out, sample } = self;
        let key = (type_name::<V::Value>(), None);
        *out = Node::Container(key);
        let repeated = state.enter(key);
        let result = structs::visit(state, key, (name, fields), sample, visitor);
        state.leave(repeated);
        result
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let Self { state, out, sample } = self;
        let key = (type_name::<V::Value>(), None);
        *out = Node::Container(key);
        let repeated = state.enter(key);
        let result = enums::visit(state, key, (name, variants), sample, visitor);
        state.leave(repeated);
        result
    }

    fn is_human_readable(&self) -> bool {
        self.state.view()
    }
}

/// Returns the name of the type inside an option's name.
fn content_of(option: &'static str) -> &'static str {
    option
        .strip_prefix("core::option::Option<")
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(option)
}
