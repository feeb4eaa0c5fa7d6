//! Reading the parts of arrays, objects and enums.

use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

use super::deserializer::JsonDeserializer;
use super::key::KeyDeserializer;
use crate::codec::failure::Failure;

/// Whether the parts of a value are charged: not where the type says how many there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    Charged,
    Fixed,
}

/// The parts of an array or an object.
pub(super) struct Access<'a, 'de, 'm> {
    deserializer: &'a mut JsonDeserializer<'de, 'm>,
    first: bool,
    parts: Parts,
}

impl<'a, 'de, 'm> Access<'a, 'de, 'm> {
    pub(super) fn new(deserializer: &'a mut JsonDeserializer<'de, 'm>, parts: Parts) -> Self {
        Self {
            deserializer,
            first: true,
            parts,
        }
    }

    fn step(&mut self, end: u8) -> Result<bool, Failure> {
        self.deserializer.reader.step(&mut self.first, end)
    }

    /// Charges a part of so many bytes in memory.
    fn charge(&self, size: usize) -> Result<(), Failure> {
        match self.parts {
            Parts::Charged => self.deserializer.reader.meter.charge(size),
            Parts::Fixed => Ok(()),
        }
    }
}

impl<'de> SeqAccess<'de> for Access<'_, 'de, '_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !self.step(b']')? {
            return Ok(None);
        }
        let element = seed.deserialize(&mut *self.deserializer)?;
        self.charge(size_of::<S::Value>())?;
        Ok(Some(element))
    }
}

impl<'de> MapAccess<'de> for Access<'_, 'de, '_> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !self.step(b'}')? {
            return Ok(None);
        }
        let key = seed.deserialize(KeyDeserializer(&mut *self.deserializer))?;
        self.charge(0)?;
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        self.deserializer.reader.mark(b':')?;
        seed.deserialize(&mut *self.deserializer)
    }
}

/// A variant: its name alone, or the one entry of an object.
pub(super) struct Variant<'a, 'de, 'm> {
    pub(super) deserializer: &'a mut JsonDeserializer<'de, 'm>,
    pub(super) has_content: bool,
}

impl Variant<'_, '_, '_> {
    fn with_content(&self, expected: &str) -> Result<(), Failure> {
        match self.has_content {
            true => Ok(()),
            false => Err(Failure::invalid_type(Unexpected::UnitVariant, &expected)),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let variant = seed.deserialize(KeyDeserializer(&mut *self.deserializer))?;
        if self.has_content {
            self.deserializer.reader.mark(b':')?;
        }
        Ok((variant, self))
    }
}

/// The content of a variant, which is on the level of its enum.
impl<'de> VariantAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match self.has_content {
            true => serde::Deserialize::deserialize(self.deserializer),
            false => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        self.with_content("newtype variant")?;
        seed.deserialize(self.deserializer)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.with_content("tuple variant")?;
        self.deserializer.elements(visitor, Parts::Fixed)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.with_content("struct variant")?;
        self.deserializer.fields(visitor)
    }
}
