//! Reading the parts of collections, structs and enums.

use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::deserializer::PostcardDeserializer;
use crate::codec::budget::Allotment;
use crate::codec::failure::Failure;

/// The elements of a sequence or the entries of a map: as many as the sender says, and each is charged.
pub(super) struct Elements<'a, 'de, 'm> {
    pub(super) deserializer: &'a mut PostcardDeserializer<'de, 'm>,
    pub(super) left: usize,
    pub(super) allotment: &'a Allotment<'m>,
}

impl Elements<'_, '_, '_> {
    /// How many of those that are left may be reserved; nothing is said of more than there are bytes.
    #[inline]
    fn reservable(&self) -> Option<usize> {
        (self.left <= self.deserializer.rest.len()).then(|| self.allotment.bound(self.left))
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de, '_> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !step(&mut self.left) {
            return Ok(None);
        }
        let element = seed.deserialize(&mut *self.deserializer)?;
        self.deserializer.meter.charge(size_of::<S::Value>())?;
        Ok(Some(element))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.reservable()
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de, '_> {
    type Error = Failure;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !step(&mut self.left) {
            return Ok(None);
        }
        let key = seed.deserialize(&mut *self.deserializer)?;
        self.deserializer.meter.charge(0)?;
        Ok(Some(key))
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        seed.deserialize(&mut *self.deserializer)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.reservable()
    }
}

/// The parts of a tuple or a struct: as many as the type has.
pub(super) struct Parts<'a, 'de, 'm> {
    pub(super) deserializer: &'a mut PostcardDeserializer<'de, 'm>,
    pub(super) left: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de, '_> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !step(&mut self.left) {
            return Ok(None);
        }
        seed.deserialize(&mut *self.deserializer).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> EnumAccess<'de> for &mut PostcardDeserializer<'de, '_> {
    type Error = Failure;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let index: U32Deserializer<Failure> = (self.varint::<32>()? as u32).into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

/// The content of a variant, which is on the level of its enum.
impl<'de> VariantAccess<'de> for &mut PostcardDeserializer<'de, '_> {
    type Error = Failure;

    #[inline]
    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        seed.deserialize(self)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_seq(Parts {
            deserializer: self,
            left: length,
        })
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.tuple_variant(fields.len(), visitor)
    }
}

/// Counts one of those that are left. Returns whether there was one.
#[inline]
fn step(left: &mut usize) -> bool {
    match left.checked_sub(1) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}
