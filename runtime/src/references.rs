//! Proxies and streams inside values: how they leave and enter a frame.
//!
//! A frame carries, outside the codec, a table of what it transfers. While arguments or results are encoded, a
//! thread-local scope collects the proxies and streams that come by, and each is written as its index into that table.
//! While they are decoded, another scope holds the table. So this works in every codec, an encoding that fails has
//! exported nothing, and a forged number names nothing.

use std::cell::{Cell, RefCell};
use std::fmt;

use farref_proto::Seldom;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::proxy::Proxy;
use crate::remote::Remote;
use crate::shape;
use crate::transferred::Transferred;
use crate::{FaultKind, Outcome};

crate::sync::thread_local! {
    /// One more than the index of the next entry of the frame that is being encoded; zero if none is. Looked at for each
    /// call and each item of a stream, so it is a word, apart from the entries, which few have.
    static NEXT: Cell<usize> = const { Cell::new(0) };
    /// The entries of the frames that are being encoded, those of the innermost last.
    static OUTGOING: RefCell<Vec<Transferred>> = const { RefCell::new(Vec::new()) };
    static INCOMING: RefCell<Option<Vec<Transferred>>> = const { RefCell::new(None) };
}

/// Encoding a frame, also within the encoding of another. Takes everything back when it is dropped, which it is only by a
/// panic.
struct Collecting {
    outer: usize,
    /// What stood in [`NEXT`] at the beginning.
    first: usize,
}

impl Collecting {
    /// Begins with a table that will be added to one that has so many entries.
    #[inline]
    fn begin(before: usize) -> Self {
        let first = before + 1;
        let outer = NEXT.with(|next| next.replace(first));
        Collecting { outer, first }
    }

    /// Returns the entries, and goes on with the outer frame.
    #[inline]
    fn end(self) -> Vec<Transferred> {
        let table = self.take();
        std::mem::forget(self);
        table
    }

    #[inline]
    fn take(&self) -> Vec<Transferred> {
        match NEXT.with(|next| next.replace(self.outer)) - self.first {
            0 => Vec::new(),
            count => take_last(count),
        }
    }
}

#[cold]
fn take_last(count: usize) -> Vec<Transferred> {
    OUTGOING.with(|entries| {
        let mut entries = entries.borrow_mut();
        let kept = entries.len() - count;
        entries.split_off(kept)
    })
}

impl Drop for Collecting {
    fn drop(&mut self) {
        // Dropping a reference may be the application's code.
        drop(self.take());
    }
}

/// Decoding a frame, also within the decoding of another.
struct Resolving(Option<Vec<Transferred>>);

impl Resolving {
    fn begin(table: Vec<Transferred>) -> Self {
        Resolving(INCOMING.with(|incoming| incoming.replace(Some(table))))
    }

    fn end(self) -> Vec<Transferred> {
        INCOMING.with(RefCell::take).unwrap_or_default()
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        let left = INCOMING.with(|incoming| incoming.replace(self.0.take()));
        drop(left);
    }
}

/// Whether a frame is being encoded, so that a reference can be written.
pub(crate) fn is_collecting() -> bool {
    NEXT.with(Cell::get) != 0
}

/// Runs `encode` and returns, beside its result, what it wrote indexes of.
#[inline]
pub(crate) fn collect<R>(encode: impl FnOnce() -> R) -> (R, Seldom<Transferred>) {
    let collecting = Collecting::begin(0);
    let result = encode();
    (result, collecting.end().into())
}

/// Runs `encode` and adds what it wrote indexes of to the table, which stays as it is if that panics.
#[inline]
pub(crate) fn collect_into<R>(table: &mut Vec<Transferred>, encode: impl FnOnce() -> R) -> R {
    let collecting = Collecting::begin(table.len());
    let result = encode();
    let added = collecting.end();
    if !added.is_empty() {
        table.extend(added);
    }
    result
}

/// Adds an entry to the table of the frame that is being encoded, and returns its index.
pub(crate) fn write<E: serde::ser::Error>(
    what: &str,
    instead: &str,
    entry: Transferred,
) -> Result<u32, E> {
    let next = NEXT.with(Cell::get);
    let index = next
        .checked_sub(1)
        .and_then(|index| u32::try_from(index).ok());
    if index.is_some() {
        OUTGOING.with(|entries| entries.borrow_mut().push(entry));
        NEXT.with(|at| at.set(next + 1));
    }
    index.ok_or_else(|| {
        E::custom(format!(
            "{what} can only be written as part of a call's arguments or result; {instead}"
        ))
    })
}

/// Takes the entry of this index from the table of the frame that is being decoded.
pub(crate) fn read<E: serde::de::Error>(what: &str, index: u32) -> Result<Transferred, E> {
    let entry = INCOMING.with(|table| {
        let table = table.borrow();
        table.as_ref()?.get(usize::try_from(index).ok()?).cloned()
    });
    entry.ok_or_else(|| E::custom(format!("the message transfers no {what} of number {index}")))
}

/// Runs `decode` with `table` at hand, from which it takes references by their indexes.
#[inline]
pub(crate) fn resolve<R>(table: &mut Seldom<Transferred>, decode: impl FnOnce() -> R) -> R {
    if table.is_empty() {
        return decode();
    }
    let resolving = Resolving::begin(table.take());
    let result = decode();
    *table = resolving.end().into();
    result
}

/// Writes a proxy as an index into the table of the frame that is being encoded.
pub fn serialize_proxy<P: Proxy, S: Serializer>(
    proxy: &P,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let remote = crate::proxy::to_remote(proxy);
    let entry = Transferred::Reference(remote);
    let index = write::<S::Error>("a proxy", "keep its URI instead", entry)?;
    serializer.serialize_newtype_struct(P::DESCRIPTOR.reference_name, &index)
}

/// Reads a proxy: takes it from the table of the frame that is being decoded.
pub fn deserialize_proxy<'de, P: Proxy, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<P, D::Error> {
    let descriptor = P::DESCRIPTOR;
    let remote = deserialize_remote(descriptor.reference_name, descriptor.name, deserializer)?;
    if shape::is_tracing() {
        return Ok(P::from_remote(remote));
    }
    crate::proxy::from_remote(remote).map_err(D::Error::custom)
}

fn deserialize_remote<'de, D: Deserializer<'de>>(
    name: &'static str,
    interface: &'static str,
    deserializer: D,
) -> Result<Remote, D::Error> {
    let index = deserializer.deserialize_newtype_struct(name, IndexVisitor(interface))?;
    if shape::is_tracing() {
        return Ok(Remote::Dead(Fault::new(
            FaultKind::Misuse,
            Outcome::NotStarted,
            "this proxy only stands in for another",
        )));
    }
    match read::<D::Error>("reference", index)? {
        Transferred::Reference(remote) => Ok(remote),
        Transferred::Stream(_) => Err(D::Error::custom(format!(
            "number {index} of what the message transfers is a stream and no reference"
        ))),
    }
}

/// A reference to an object of whatever interface, in a value that the runtime itself sends.
#[derive(Clone, Debug)]
pub(crate) struct Reference(pub(crate) Remote);

impl Reference {
    const NAME: &'static str = "$farref.proxy:farref.Any";
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = Transferred::Reference(self.0.clone());
        let index = write::<S::Error>("a reference", "it means nothing elsewhere", entry)?;
        serializer.serialize_newtype_struct(Self::NAME, &index)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_remote(Self::NAME, "farref.Any", deserializer).map(Reference)
    }
}

/// Reads the index of a proxy of this interface.
struct IndexVisitor(&'static str);

impl<'de> Visitor<'de> for IndexVisitor {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a reference to a `{}`", self.0)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<u32, D::Error> {
        u32::deserialize(deserializer)
    }

    fn visit_u64<E: serde::de::Error>(self, index: u64) -> Result<u32, E> {
        index_of("reference", index)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<u32, A::Error> {
        sequence
            .next_element()?
            .ok_or_else(|| A::Error::invalid_length(0, &self))
    }
}

/// The index that a number stands for, where a codec has one kind of number alone.
pub(crate) fn index_of<E: serde::de::Error>(what: &str, number: u64) -> Result<u32, E> {
    u32::try_from(number).map_err(|_| {
        E::custom(format!(
            "the message transfers no {what} of number {number}"
        ))
    })
}
