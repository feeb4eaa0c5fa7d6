//! The guard around the accesses by which a visitor reads sequences, maps and enums.

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::visitor::{Entering, GuardedVisitor};
use super::{GuardError, GuardedSeed};
use crate::codec::Meter;
use crate::codec::budget::Allotment;

/// A sequence whose elements are charged.
pub(super) struct GuardedSeq<'m, 'g, A> {
    pub(super) inner: A,
    pub(super) meter: &'m Meter,
    pub(super) charged: bool,
    pub(super) allotment: &'g Allotment<'m>,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for GuardedSeq<'_, '_, A> {
    type Error = GuardError<A::Error>;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Self::Error> {
        let seed = GuardedSeed {
            inner: seed,
            meter: self.meter,
        };
        let element = self
            .inner
            .next_element_seed(seed)
            .map_err(GuardError::Codec)?;
        // The end of the sequence is not charged, so that exactly the budget's number fits.
        if self.charged && element.is_some() {
            self.meter.charge(size_of::<S::Value>())?;
        }
        Ok(element)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.allotment.bound(self.inner.size_hint()?))
    }
}

/// A map whose entries are charged.
pub(super) struct GuardedMap<'m, 'g, A> {
    pub(super) inner: A,
    pub(super) meter: &'m Meter,
    pub(super) charged: bool,
    pub(super) allotment: &'g Allotment<'m>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for GuardedMap<'_, '_, A> {
    type Error = GuardError<A::Error>;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Self::Error> {
        let seed = GuardedSeed {
            inner: seed,
            meter: self.meter,
        };
        let key = self.inner.next_key_seed(seed).map_err(GuardError::Codec)?;
        if self.charged && key.is_some() {
            self.meter.charge(0)?;
        }
        Ok(key)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Self::Error> {
        let seed = GuardedSeed {
            inner: seed,
            meter: self.meter,
        };
        self.inner.next_value_seed(seed).map_err(GuardError::Codec)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.allotment.bound(self.inner.size_hint()?))
    }
}

/// An enum, before its variant is known.
pub(super) struct GuardedEnum<'m, A> {
    pub(super) inner: A,
    pub(super) meter: &'m Meter,
}

impl<'de, 'm, A: EnumAccess<'de>> EnumAccess<'de> for GuardedEnum<'m, A> {
    type Error = GuardError<A::Error>;
    type Variant = GuardedVariant<'m, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), Self::Error> {
        let seed = GuardedSeed {
            inner: seed,
            meter: self.meter,
        };
        let (value, variant) = self.inner.variant_seed(seed).map_err(GuardError::Codec)?;
        Ok((
            value,
            GuardedVariant {
                inner: variant,
                meter: self.meter,
            },
        ))
    }
}

/// The content of an enum's variant.
pub(super) struct GuardedVariant<'m, A> {
    inner: A,
    meter: &'m Meter,
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for GuardedVariant<'_, A> {
    type Error = GuardError<A::Error>;

    #[inline]
    fn unit_variant(self) -> Result<(), Self::Error> {
        self.inner.unit_variant().map_err(GuardError::Codec)
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, Self::Error> {
        let seed = GuardedSeed {
            inner: seed,
            meter: self.meter,
        };
        self.inner
            .newtype_variant_seed(seed)
            .map_err(GuardError::Codec)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = GuardedVisitor::new(visitor, self.meter, Entering::Variant);
        self.inner
            .tuple_variant(len, visitor)
            .map_err(GuardError::Codec)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = GuardedVisitor::new(visitor, self.meter, Entering::Variant);
        self.inner
            .struct_variant(fields, visitor)
            .map_err(GuardError::Codec)
    }
}
