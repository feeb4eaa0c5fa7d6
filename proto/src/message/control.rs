//! Lists of small things: cancels, credit, releases, revoked references.
//!
//! Their senders only count while the network is busy, and write what was counted when there is room.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind};

/// Entries of the longest list that is sent in one frame; it fits into the smallest message that a side accepts.
pub(crate) const LIST_LENGTH: usize = 4096;

/// Something that has its own length in lists.
trait Entry: Sized {
    const LENGTH: usize;
    fn put(&self, out: &mut BytesMut);
    fn take(bytes: &mut &[u8]) -> Self;
}

impl Entry for u32 {
    const LENGTH: usize = 4;

    fn put(&self, out: &mut BytesMut) {
        out.put_u32_le(*self);
    }

    fn take(bytes: &mut &[u8]) -> Self {
        bytes.get_u32_le()
    }
}

/// Credit that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditEntry {
    /// Of the calls at this depth.
    pub depth: u16,
    /// So many oneways.
    pub calls: u32,
    /// So many bytes.
    pub bytes: u64,
}

impl Entry for CreditEntry {
    const LENGTH: usize = 14;

    fn put(&self, out: &mut BytesMut) {
        out.put_u16_le(self.depth);
        out.put_u32_le(self.calls);
        out.put_u64_le(self.bytes);
    }

    fn take(bytes: &mut &[u8]) -> Self {
        Self {
            depth: bytes.get_u16_le(),
            calls: bytes.get_u32_le(),
            bytes: bytes.get_u64_le(),
        }
    }
}

/// A reference that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseEntry {
    /// The reference, as it is put into targets.
    pub id: u32,
    /// So many of the grants that were received.
    pub count: u32,
}

impl Entry for ReleaseEntry {
    const LENGTH: usize = 8;

    fn put(&self, out: &mut BytesMut) {
        out.put_u32_le(self.id);
        out.put_u32_le(self.count);
    }

    fn take(bytes: &mut &[u8]) -> Self {
        Self {
            id: bytes.get_u32_le(),
            count: bytes.get_u32_le(),
        }
    }
}

fn encode_list<E: Entry>(kind: Kind, entries: &[E], out: &mut BytesMut) {
    let frame = FrameWriter::plain(out, kind);
    for entry in entries {
        entry.put(out);
    }
    frame.end(out, 0);
}

fn decode_list<E: Entry>(header: Header, frame: &Bytes) -> Result<Vec<E>, DecodeError> {
    header.require_plain()?;
    let mut bytes = frame
        .get(HEADER_LENGTH..)
        .ok_or(DecodeError::Truncated("the header"))?;
    if bytes.is_empty() || bytes.len() % E::LENGTH != 0 {
        return Err(DecodeError::BadValue {
            field: "a list's length",
            value: bytes.len() as u64,
        });
    }
    let mut entries = Vec::with_capacity(bytes.len() / E::LENGTH);
    while !bytes.is_empty() {
        entries.push(E::take(&mut bytes));
    }
    Ok(entries)
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident { $(#[$field_doc:meta])* $field:ident: $entry:ty })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $(#[$field_doc])*
            pub $field: Vec<$entry>,
        }

        impl $name {
            pub(crate) fn encode(&self, out: &mut BytesMut) {
                encode_list(Kind::$name, &self.$field, out);
            }

            pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
                Ok(Self { $field: decode_list(header, frame)? })
            }
        }
    )*};
}

lists! {
    /// Replies are not needed any more; they come all the same, once the handlers have ended.
    Cancel {
        /// Ids of calls.
        calls: u32
    }
    /// Credit spent on oneways comes back.
    Credit {
        /// One entry for each depth.
        entries: CreditEntry
    }
    /// References are given back.
    Release {
        /// One entry for each reference.
        entries: ReleaseEntry
    }
    /// Objects were ended by their owner.
    Revoked {
        /// The owner's exports.
        exports: u32
    }
    /// Kept answers may go.
    Finish {
        /// Ids of calls.
        calls: u32
    }
}
