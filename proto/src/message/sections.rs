//! The parts that calls, replies and stream items have in common: extensions, the table of references, the body and
//! the attachments.

use bytes::{BufMut, Bytes, BytesMut};

use super::extensions::Extensions;
use super::reader::Reader;
use crate::error::DecodeError;
use crate::id::InstanceId;
use crate::limits::Grants;

/// The frame has extensions.
pub(crate) const EXTENSIONS: u8 = 1 << 0;
/// The frame has a table.
pub(crate) const TABLE: u8 = 1 << 1;
/// The frame has attachments.
pub(crate) const ATTACHMENTS: u8 = 1 << 2;
/// Any of these parts.
pub(crate) const ALL_SECTIONS: u8 = EXTENSIONS | TABLE | ATTACHMENTS;

/// Bytes of one entry of the table.
pub const ENTRY_LENGTH: usize = 36;

/// A reference or a stream that travels with a message. The values in its body hold indexes into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TableEntry {
    /// What the entry is, and so how to read the rest.
    pub kind: EntryKind,
    /// The reference, seen from the sender for [`EntryKind::Export`] and from the receiver for [`EntryKind::Home`].
    pub id: u32,
    /// The owner's number for the object.
    pub object: u64,
    /// The [`fnv1a32`](crate::fnv1a32) hash of the interface's wire name.
    pub interface: u32,
    /// The process that owns the object. Two references are equal if owner and object are.
    pub owner: InstanceId,
}

/// What an entry of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum EntryKind {
    /// An object of the sender. The entry is a new grant, which is counted.
    Export = 1,
    /// An object of the receiver, which comes home.
    Home = 2,
    /// An object that is no more.
    Dead = 3,
    /// An object of a third side, which the receiver may ask for.
    Introduced = 4,
    /// A stream from the sender of the message to its receiver.
    StreamOut = 5,
    /// A stream from the receiver of the message to its sender.
    StreamIn = 6,
    /// What a call will return that is not answered yet.
    Promise = 7,
}

impl EntryKind {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Export,
            2 => Self::Home,
            3 => Self::Dead,
            4 => Self::Introduced,
            5 => Self::StreamOut,
            6 => Self::StreamIn,
            7 => Self::Promise,
            _ => return None,
        })
    }
}

impl TableEntry {
    /// An object that is no more, or never was.
    pub const DEAD: Self = Self {
        kind: EntryKind::Dead,
        id: 0,
        object: 0,
        interface: 0,
        owner: InstanceId::from_bytes([0; 16]),
    };

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.kind as u8);
        out.put_slice(&[0; 3]);
        out.put_u32_le(self.id);
        out.put_u64_le(self.object);
        out.put_u32_le(self.interface);
        out.put_slice(self.owner.as_bytes());
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let code = reader.u8("the table")?;
        let Some(kind) = EntryKind::from_code(code) else {
            return Err(DecodeError::BadValue {
                field: "the kind of a table's entry",
                value: code.into(),
            });
        };
        if reader.array::<3>("the table")? != [0; 3] {
            return Err(DecodeError::Reserved("the table"));
        }
        Ok(Self {
            kind,
            id: reader.u32("the table")?,
            object: reader.u64("the table")?,
            interface: reader.u32("the table")?,
            owner: InstanceId::from_bytes(reader.array("the table")?),
        })
    }
}

/// The common parts, as they arrived. The byte strings share the frame's memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sections {
    /// The extensions, if there are any.
    pub extensions: Option<Box<Extensions>>,
    /// An extension that must be understood and is not.
    pub unknown_extension: Option<u8>,
    /// The references and streams.
    pub table: Vec<TableEntry>,
    /// What the codec made.
    pub body: Bytes,
    /// The byte strings that travel outside the codec.
    pub attachments: Vec<Bytes>,
}

/// The common parts, as they are about to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SectionsView<'a> {
    pub(crate) extensions: &'a Extensions,
    pub(crate) table: &'a [TableEntry],
    pub(crate) body: &'a [u8],
    pub(crate) attachments: &'a [Bytes],
}

impl SectionsView<'_> {
    /// Tells whether there is nothing but a body.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.table.is_empty() && self.attachments.is_empty() && self.extensions.is_empty()
    }

    /// Returns the flags that tell which parts there are.
    pub(crate) fn flags(&self) -> u8 {
        let mut flags = 0;
        if !self.extensions.is_empty() {
            flags |= EXTENSIONS;
        }
        if !self.table.is_empty() {
            flags |= TABLE;
        }
        if !self.attachments.is_empty() {
            flags |= ATTACHMENTS;
        }
        flags
    }

    /// Returns how many bytes the attachments take behind the frame's other parts.
    pub(crate) fn attachment_bytes(&self) -> usize {
        self.attachments.iter().map(Bytes::len).sum()
    }

    /// Returns a number of bytes that the parts take at least.
    pub(crate) fn least_bytes(&self) -> usize {
        self.body.len() + self.attachment_bytes() + self.table.len() * ENTRY_LENGTH
    }

    /// Writes all but the attachments' bytes, which follow.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        if !self.extensions.is_empty() {
            self.extensions.encode(out);
        }
        if !self.table.is_empty() {
            out.put_u16_le(self.table.len() as u16);
            self.table.iter().for_each(|entry| entry.encode(out));
        }
        if !self.attachments.is_empty() {
            out.put_u16_le(self.attachments.len() as u16);
            self.attachments
                .iter()
                .for_each(|bytes| out.put_u32_le(bytes.len() as u32));
        }
        out.put_slice(self.body);
    }
}

impl Sections {
    /// Returns the parts as they are sent.
    pub(crate) fn view(&self) -> SectionsView<'_> {
        SectionsView {
            extensions: self.extensions.as_deref().unwrap_or(Extensions::NONE),
            table: &self.table,
            body: &self.body,
            attachments: &self.attachments,
        }
    }

    /// Reads the parts that `flags` tell of; the body takes what is left.
    #[inline]
    pub(crate) fn decode(reader: Reader, flags: u8, grants: &Grants) -> Result<Self, DecodeError> {
        if flags & ALL_SECTIONS == 0 {
            return Ok(Self {
                body: reader.rest(),
                ..Self::default()
            });
        }
        Self::decode_parts(reader, flags, None, grants)
    }

    /// The same, of a frame whose only attachment was read `apart`, if there is such a thing.
    pub(crate) fn decode_with(
        reader: Reader,
        flags: u8,
        apart: Option<Bytes>,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        match apart {
            None => Self::decode(reader, flags, grants),
            apart => Self::decode_parts(reader, flags, apart, grants),
        }
    }

    fn decode_parts(
        mut reader: Reader,
        flags: u8,
        apart: Option<Bytes>,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        let mut sections = Self::default();
        if flags & EXTENSIONS != 0 {
            let (extensions, unknown) = Extensions::decode(&mut reader, grants)?;
            sections.extensions = Some(Box::new(extensions));
            sections.unknown_extension = unknown;
        }
        if flags & TABLE != 0 {
            sections.table = decode_table(&mut reader, grants)?;
        }
        if flags & ATTACHMENTS == 0 {
            if apart.is_some() {
                return Err(DecodeError::Truncated("the attachments"));
            }
            sections.body = reader.rest();
            return Ok(sections);
        }
        let lengths = decode_attachment_lengths(&mut reader, grants)?;
        if let Some(attachment) = apart {
            if lengths.len() != 4 || length_of(&lengths) != attachment.len() {
                return Err(DecodeError::Truncated("the attachments"));
            }
            sections.body = reader.rest();
            sections.attachments = vec![attachment];
            return Ok(sections);
        }
        let total = lengths
            .chunks_exact(4)
            .try_fold(0usize, |sum, length| sum.checked_add(length_of(length)));
        let body = total.and_then(|total| reader.left().checked_sub(total));
        let body = body.ok_or(DecodeError::Truncated("the attachments"))?;
        sections.body = reader.bytes(body, "the body")?;
        sections.attachments = lengths
            .chunks_exact(4)
            .map(|length| reader.bytes(length_of(length), "the attachments"))
            .collect::<Result<_, _>>()?;
        Ok(sections)
    }
}

fn decode_table(reader: &mut Reader, grants: &Grants) -> Result<Vec<TableEntry>, DecodeError> {
    let count = usize::from(reader.u16("the table")?);
    let limit = usize::from(grants.max_references);
    if count > limit {
        return Err(DecodeError::TooMany {
            what: "references",
            count,
            limit,
        });
    }
    if count * ENTRY_LENGTH > reader.left() {
        return Err(DecodeError::Truncated("the table"));
    }
    (0..count).map(|_| TableEntry::decode(reader)).collect()
}

/// Returns the lengths as they are in the frame, four bytes each.
fn decode_attachment_lengths(reader: &mut Reader, grants: &Grants) -> Result<Bytes, DecodeError> {
    let count = usize::from(reader.u16("the attachments")?);
    let limit = usize::from(grants.max_attachments);
    if count > limit {
        return Err(DecodeError::TooMany {
            what: "attachments",
            count,
            limit,
        });
    }
    reader.bytes(count * 4, "the attachments")
}

fn length_of(bytes: &[u8]) -> usize {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

/// Finds the only attachment of a frame by these flags, of which `content` is what came so far of its parts. Returns where
/// the body begins, and the attachment's length; `None` if that cannot be said yet, or there is not exactly one.
pub(crate) fn only_attachment(content: &[u8], flags: u8) -> Option<(usize, usize)> {
    let number = |at: usize| {
        let bytes = content.get(at..)?.first_chunk()?;
        Some(usize::from(u16::from_le_bytes(*bytes)))
    };
    if flags & ATTACHMENTS == 0 {
        return None;
    }
    let mut at = 0;
    if flags & EXTENSIONS != 0 {
        at += 2 + number(at)?;
    }
    if flags & TABLE != 0 {
        at += 2 + number(at)? * ENTRY_LENGTH;
    }
    if number(at)? != 1 {
        return None;
    }
    let length = content.get(at + 2..)?.get(..4)?;
    Some((at + 6, length_of(length)))
}
