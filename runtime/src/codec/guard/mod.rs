//! The budget guard: wraps any serde deserializer, and everything that it hands out.
//!
//! A deserializer drives a visitor, which drives an access object, which hands a seed to a deserializer again;
//! the guard wraps each of the four, so that no level escapes it. Every level costs a check and a counter; the
//! wrappers themselves inline away.

mod access;
mod error;
mod visitor;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Visitor};

pub(crate) use self::error::GuardError;
use self::visitor::{Entering, GuardedVisitor};
use super::Meter;

/// A deserializer whose every level is charged to a meter.
pub(crate) struct Guarded<'m, D> {
    inner: D,
    meter: &'m Meter,
}

impl<'m, D> Guarded<'m, D> {
    /// Wraps a deserializer.
    #[inline]
    pub(crate) const fn new(inner: D, meter: &'m Meter) -> Self {
        Self { inner, meter }
    }
}

/// A seed that wraps the deserializer it is given.
struct GuardedSeed<'m, S> {
    inner: S,
    meter: &'m Meter,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for GuardedSeed<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner
            .deserialize(Guarded::new(deserializer, self.meter))
            .map_err(|error| error.lower())
    }
}

/// Forwards the methods that take nothing but a visitor.
macro_rules! forward {
    ($($method:ident: $entering:ident),* $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let visitor = GuardedVisitor::new(visitor, self.meter, Entering::$entering);
            self.inner.$method(visitor).map_err(GuardError::Codec)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guarded<'_, D> {
    type Error = GuardError<D::Error>;

    forward! {
        deserialize_any: Collection, deserialize_ignored_any: Collection, deserialize_identifier: Fixed,
        deserialize_bool: Fixed, deserialize_char: Fixed,
        deserialize_i8: Fixed, deserialize_i16: Fixed, deserialize_i32: Fixed, deserialize_i64: Fixed,
        deserialize_i128: Fixed,
        deserialize_u8: Fixed, deserialize_u16: Fixed, deserialize_u32: Fixed, deserialize_u64: Fixed,
        deserialize_u128: Fixed,
        deserialize_f32: Fixed, deserialize_f64: Fixed,
        deserialize_str: Collection, deserialize_string: Collection,
        deserialize_bytes: Collection, deserialize_byte_buf: Collection,
        deserialize_option: Fixed, deserialize_unit: Fixed,
        deserialize_seq: Collection, deserialize_map: Collection,
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = GuardedVisitor::new(visitor, self.meter, Entering::Fixed);
        self.inner
            .deserialize_unit_struct(name, visitor)
            .map_err(GuardError::Codec)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = GuardedVisitor::new(visitor, self.meter, Entering::Fixed);
        self.inner
            .deserialize_newtype_struct(name, visitor)
            .map_err(GuardError::Codec)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = GuardedVisitor::new(visitor, self.meter, Entering::Fixed);
        self.inner
            .deserialize_tuple(len, visitor)
            .map_err(GuardError::Codec)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = GuardedVisitor::new(visitor, self.meter, Entering::Fixed);
        self.inner
            .deserialize_tuple_struct(name, len, visitor)
            .map_err(GuardError::Codec)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = GuardedVisitor::new(visitor, self.meter, Entering::Fixed);
        self.inner
            .deserialize_struct(name, fields, visitor)
            .map_err(GuardError::Codec)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = GuardedVisitor::new(visitor, self.meter, Entering::Fixed);
        self.inner
            .deserialize_enum(name, variants, visitor)
            .map_err(GuardError::Codec)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}
