//! The guard around a visitor: charges each level, and wraps what the level is read through.

use std::fmt;

use serde::Deserializer;
use serde::de::{EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::access::{GuardedEnum, GuardedMap, GuardedSeq};
use super::{GuardError, Guarded};
use crate::codec::Meter;
use crate::codec::budget::{Allotment, LARGEST_MAP_RESERVE, LARGEST_SEQUENCE_RESERVE};

/// What the visitor is about to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entering {
    /// A collection, whose length the sender chooses: its elements are charged.
    Collection,
    /// Something whose length the type fixes: its parts are not charged.
    Fixed,
    /// The content of an enum's variant, whose level is charged already.
    Variant,
}

/// A visitor that charges the levels it is shown.
pub(super) struct GuardedVisitor<'m, V> {
    inner: V,
    meter: &'m Meter,
    entering: Entering,
}

impl<'m, V> GuardedVisitor<'m, V> {
    #[inline]
    pub(super) const fn new(inner: V, meter: &'m Meter, entering: Entering) -> Self {
        Self {
            inner,
            meter,
            entering,
        }
    }

    /// Runs `visit` one level down.
    #[inline]
    fn nested<T, E, F>(self, visit: F) -> Result<T, E>
    where
        E: Error,
        F: FnOnce(V, &'m Meter) -> Result<T, GuardError<E>>,
    {
        let Self {
            inner,
            meter,
            entering,
        } = self;
        if entering == Entering::Variant {
            return visit(inner, meter).map_err(|error| error.lower());
        }
        meter.enter()?;
        let result = visit(inner, meter);
        meter.leave();
        result.map_err(|error| error.lower())
    }
}

/// Forwards the visits that show one value without parts.
macro_rules! forward {
    ($($method:ident($kind:ty)),* $(,)?) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.inner.$method(value).map_err(|error: GuardError<E>| error.lower())
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for GuardedVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    forward! {
        visit_bool(bool), visit_char(char),
        visit_i8(i8), visit_i16(i16), visit_i32(i32), visit_i64(i64), visit_i128(i128),
        visit_u8(u8), visit_u16(u16), visit_u32(u32), visit_u64(u64), visit_u128(u128),
        visit_f32(f32), visit_f64(f64),
        visit_str(&str), visit_borrowed_str(&'de str), visit_string(String),
        visit_bytes(&[u8]), visit_borrowed_bytes(&'de [u8]), visit_byte_buf(Vec<u8>),
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner
            .visit_none()
            .map_err(|error: GuardError<E>| error.lower())
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner
            .visit_unit()
            .map_err(|error: GuardError<E>| error.lower())
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.nested(|inner, meter| inner.visit_some(Guarded::new(deserializer, meter)))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<V::Value, D::Error> {
        self.nested(|inner, meter| inner.visit_newtype_struct(Guarded::new(deserializer, meter)))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let charged = self.entering == Entering::Collection;
        let allotment = Allotment::new(self.meter, LARGEST_SEQUENCE_RESERVE);
        self.nested(|inner, meter| {
            inner.visit_seq(GuardedSeq {
                inner: access,
                meter,
                charged,
                allotment: &allotment,
            })
        })
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let charged = self.entering == Entering::Collection;
        let allotment = Allotment::new(self.meter, LARGEST_MAP_RESERVE);
        self.nested(|inner, meter| {
            inner.visit_map(GuardedMap {
                inner: access,
                meter,
                charged,
                allotment: &allotment,
            })
        })
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.nested(|inner, meter| {
            inner.visit_enum(GuardedEnum {
                inner: access,
                meter,
            })
        })
    }
}
