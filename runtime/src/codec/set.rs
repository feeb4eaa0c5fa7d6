//! A set of codecs, as peers offer and accept them.

use std::fmt;
use std::str::FromStr;

use super::{Codec, CodecError};

/// A set of [`Codec`]s.
///
/// The default holds every codec that this build can use. The text form names them with commas between.
///
/// # Examples
///
/// ```
/// use farref::{Codec, CodecSet};
///
/// let set: CodecSet = "postcard,json".parse()?;
/// assert!(set.contains(Codec::Json));
/// assert_eq!(set.to_string(), "postcard,json");
/// # Ok::<(), farref::CodecError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodecSet(u32);

impl CodecSet {
    /// The set that holds no codec.
    pub const EMPTY: Self = Self(0);

    /// Makes a set from bits, codec `c` being bit `1 << c.id()`; bits of unknown codecs are dropped.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        let mut known = 0;
        let mut index = 0;
        while index < Codec::ALL.len() {
            known |= 1 << Codec::ALL[index].id();
            index += 1;
        }
        Self(bits & known)
    }

    /// Returns the bits, codec `c` being bit `1 << c.id()`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Tells whether the set holds this codec.
    #[must_use]
    pub const fn contains(self, codec: Codec) -> bool {
        self.0 & (1 << codec.id()) != 0
    }

    /// Tells whether the set holds no codec.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a codec and tells whether it was new.
    pub const fn insert(&mut self, codec: Codec) -> bool {
        let new = !self.contains(codec);
        self.0 |= 1 << codec.id();
        new
    }

    /// Removes a codec and tells whether it was there.
    pub const fn remove(&mut self, codec: Codec) -> bool {
        let present = self.contains(codec);
        self.0 &= !(1 << codec.id());
        present
    }

    /// Returns the codecs that both sets hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Lists the codecs in the set, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Codec> {
        Codec::ALL
            .into_iter()
            .filter(move |codec| self.contains(*codec))
    }
}

impl Default for CodecSet {
    fn default() -> Self {
        Codec::available()
    }
}

impl From<u32> for CodecSet {
    fn from(bits: u32) -> Self {
        Self::from_bits(bits)
    }
}

impl From<CodecSet> for u32 {
    fn from(set: CodecSet) -> Self {
        set.bits()
    }
}

impl From<Codec> for CodecSet {
    fn from(codec: Codec) -> Self {
        Self(1 << codec.id())
    }
}

impl FromIterator<Codec> for CodecSet {
    fn from_iter<I: IntoIterator<Item = Codec>>(codecs: I) -> Self {
        let mut set = Self::EMPTY;
        set.extend(codecs);
        set
    }
}

impl Extend<Codec> for CodecSet {
    fn extend<I: IntoIterator<Item = Codec>>(&mut self, codecs: I) {
        for codec in codecs {
            self.insert(codec);
        }
    }
}

impl fmt::Display for CodecSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, codec) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(codec.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for CodecSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromStr for CodecSet {
    type Err = CodecError;

    /// Parses names with commas between; spaces around a name are allowed, and empty text is the empty set.
    ///
    /// # Errors
    ///
    /// [`CodecError::UnknownName`] names the first part that is no codec.
    fn from_str(text: &str) -> Result<Self, CodecError> {
        if text.trim().is_empty() {
            return Ok(Self::EMPTY);
        }
        text.split(',')
            .map(|name| name.trim().parse::<Codec>())
            .collect()
    }
}
