//! What one message may cost its receiver, and the meter that keeps count.

use std::cell::Cell;

use serde::de;

/// How deep and how large one decoded message may be, whatever its codec.
///
/// A few bytes can claim to hold billions of elements or millions of levels; the length of the message bounds
/// neither. The defaults suit ordinary data; a daemon that expects deeper or larger values raises them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// The deepest nesting allowed: each struct, sequence, map, tuple, enum, newtype and present `Option`
    /// inside another counts one. By default 64.
    pub depth: u32,
    /// The largest number of sequence elements and map entries in one message, all collections together. By
    /// default 1 000 000. Elements of one byte in memory count a sixteenth, so that byte arrays which travel
    /// as sequences are bounded by the message's length instead.
    pub elements: u64,
}

impl Budget {
    /// The depth allowed by default: no honest type comes near it, and it fits the smallest thread's stack.
    pub const DEFAULT_DEPTH: u32 = 64;
    /// The number of elements allowed by default: a quarter of the largest default message.
    pub const DEFAULT_ELEMENTS: u64 = 1_000_000;

    /// Makes the default budget.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            depth: Self::DEFAULT_DEPTH,
            elements: Self::DEFAULT_ELEMENTS,
        }
    }

    /// Sets the deepest nesting allowed.
    #[must_use]
    pub const fn with_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Sets the largest number of elements allowed.
    #[must_use]
    pub const fn with_elements(mut self, elements: u64) -> Self {
        self.elements = elements;
        self
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// Elements are counted in sixteenths, so that one-byte elements can cost less than one.
const UNITS_PER_ELEMENT: u64 = 16;

/// Nested collections together may reserve one element for so many bytes of the frame. Three frames' worth of
/// memory is then enough for elements of up to 768 bytes.
const FRAME_BYTES_PER_RESERVED: usize = 256;

/// The most entries that a map reserves at once. Hash tables reserve up to 2.3 times what is asked for, so serde's
/// own bound of 1 MiB would not hold; beyond this many, growing by doubling costs little.
pub(crate) const LARGEST_MAP_RESERVE: usize = 1024;

/// The most elements that a sequence reserves at once; it may be a hash set.
pub(crate) const LARGEST_SEQUENCE_RESERVE: usize = 8192;

/// Which limit of the budget was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exceeded {
    Depth,
    Elements,
}

/// Keeps count while one message is decoded.
///
/// It is shared by all the wrappers on the way down, hence the cells.
pub(crate) struct Meter {
    budget: Budget,
    depth: Cell<u32>,
    units: Cell<u64>,
    frame: usize,
    outermost_open: Cell<bool>,
    reservable: Cell<usize>,
    exceeded: Cell<Option<Exceeded>>,
}

/// What one collection may reserve: asked of the meter once, and given back when the collection is complete, because its
/// elements then are really there.
pub(crate) struct Allotment<'m> {
    meter: &'m Meter,
    largest: usize,
    grant: Cell<Option<Grant>>,
}

impl<'m> Allotment<'m> {
    /// Makes the allotment of a collection that reserves `largest` elements at most.
    #[inline]
    pub(crate) const fn new(meter: &'m Meter, largest: usize) -> Self {
        Self {
            meter,
            largest,
            grant: Cell::new(None),
        }
    }

    /// Decides how many of the elements that the collection claims to hold may be reserved at once.
    pub(crate) fn bound(&self, claimed: usize) -> usize {
        let claimed = claimed.min(self.largest);
        let granted = self.grant.get().unwrap_or_else(|| {
            let granted = self.meter.grant(claimed);
            self.grant.set(Some(granted));
            granted
        });
        claimed.min(granted.elements())
    }
}

impl Drop for Allotment<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(grant) = self.grant.get() {
            self.meter.refund(grant);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Grant {
    /// The first open collection may reserve an element for each byte of the frame; serde's own collections
    /// stop at 1 MiB by themselves.
    Outermost(usize),
    /// Collections inside it share a small pool: an attacker nests many, and none need ever be filled.
    Nested(usize),
}

impl Grant {
    /// Returns how many elements may be reserved.
    const fn elements(self) -> usize {
        match self {
            Self::Outermost(elements) | Self::Nested(elements) => elements,
        }
    }
}

impl Meter {
    /// Makes a meter for a message of `frame` bytes.
    #[inline]
    pub(crate) const fn new(budget: &Budget, frame: usize) -> Self {
        Self {
            budget: *budget,
            depth: Cell::new(budget.depth),
            units: Cell::new(budget.elements.saturating_mul(UNITS_PER_ELEMENT)),
            frame,
            outermost_open: Cell::new(false),
            reservable: Cell::new(frame / FRAME_BYTES_PER_RESERVED),
            exceeded: Cell::new(None),
        }
    }

    /// Goes one level down.
    #[inline]
    pub(crate) fn enter<E: de::Error>(&self) -> Result<(), E> {
        match self.depth.get().checked_sub(1) {
            Some(left) => {
                self.depth.set(left);
                Ok(())
            }
            None => Err(self.exceed(Exceeded::Depth)),
        }
    }

    /// Comes back up from a level that [`enter`](Self::enter) allowed.
    #[inline]
    pub(crate) fn leave(&self) {
        self.depth.set(self.depth.get() + 1);
    }

    /// Charges one element of `size` bytes in memory.
    #[inline]
    pub(crate) fn charge<E: de::Error>(&self, size: usize) -> Result<(), E> {
        let cost = if size == 1 { 1 } else { UNITS_PER_ELEMENT };
        match self.units.get().checked_sub(cost) {
            Some(left) => {
                self.units.set(left);
                Ok(())
            }
            None => Err(self.exceed(Exceeded::Elements)),
        }
    }

    fn grant(&self, claimed: usize) -> Grant {
        if self.outermost_open.replace(true) {
            let reservable = self.reservable.get();
            let granted = claimed.min(reservable);
            self.reservable.set(reservable - granted);
            Grant::Nested(granted)
        } else {
            Grant::Outermost(claimed.min(self.frame))
        }
    }

    fn refund(&self, grant: Grant) {
        match grant {
            Grant::Outermost(_) => self.outermost_open.set(false),
            Grant::Nested(elements) => self.reservable.set(self.reservable.get() + elements),
        }
    }

    /// Returns the error for the limit that was passed, if one was.
    pub(crate) fn exceeded(&self) -> Option<super::CodecError> {
        let (what, limit) = match self.exceeded.get()? {
            Exceeded::Depth => ("levels of nesting", u64::from(self.budget.depth)),
            Exceeded::Elements => ("elements", self.budget.elements),
        };
        Some(super::CodecError::Budget { what, limit })
    }

    #[cold]
    fn exceed<E: de::Error>(&self, limit: Exceeded) -> E {
        self.exceeded.set(Some(limit));
        E::custom("the message is over its budget")
    }
}
