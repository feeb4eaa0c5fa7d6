//! Streams: items one way, credit the other.
//!
//! A stream is opened by an entry of a table. The side that sent the table chose the number; bit 31 of a number in
//! these messages is clear when the sender of the message chose it, and set when its receiver did.

use bytes::{BufMut, Bytes, BytesMut};

use super::call::{ReplyStatus, end_with_attachments};
use super::extensions::Extensions;
use super::reader::Reader;
use super::sections::{ALL_SECTIONS, Sections, SectionsView, TableEntry};
use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind};
use crate::limits::Grants;

/// Some items of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamItems {
    /// The stream.
    pub stream: u32,
    /// What the items are encoded with.
    pub codec: u8,
    /// Where each item ends in the body: the lengths of the items, whose sum is the body's length.
    pub lengths: Vec<u32>,
    /// The items one after the other, and what travels with them.
    pub sections: Sections,
}

/// Some items of a stream that are about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingItems<'a> {
    /// What the items are encoded with.
    pub codec: u8,
    /// What travels beside them: introductions.
    pub extensions: &'a Extensions,
    /// The length of each item in the body.
    pub lengths: &'a [u32],
    /// The references and streams in the items.
    pub table: &'a [TableEntry],
    /// The items one after the other.
    pub body: &'a [u8],
    /// The byte strings in them.
    pub attachments: &'a [Bytes],
}

impl<'a> OutgoingItems<'a> {
    pub(crate) fn sections(&self) -> SectionsView<'a> {
        SectionsView {
            extensions: self.extensions,
            table: self.table,
            body: self.body,
            attachments: self.attachments,
        }
    }

    /// Writes all but the attachments' bytes.
    pub(crate) fn encode(&self, stream: u32, out: &mut BytesMut) -> FrameWriter {
        let sections = self.sections();
        let frame = FrameWriter::begin(out, Kind::StreamItems, sections.flags(), self.codec, 0);
        out.put_u32_le(stream);
        out.put_u32_le(self.lengths.len() as u32);
        for lengths in self.lengths.chunks(64) {
            let mut bytes = [[0; 4]; 64];
            for (place, length) in bytes.iter_mut().zip(lengths) {
                *place = length.to_le_bytes();
            }
            out.put_slice(bytes[..lengths.len()].as_flattened());
        }
        sections.encode(out);
        frame
    }
}

impl StreamItems {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let items = OutgoingItems {
            codec: self.codec,
            extensions: self
                .sections
                .extensions
                .as_deref()
                .unwrap_or(Extensions::NONE),
            lengths: &self.lengths,
            table: &self.sections.table,
            body: &self.sections.body,
            attachments: &self.sections.attachments,
        };
        let frame = items.encode(self.stream, out);
        end_with_attachments(frame, items.attachments, out);
    }

    pub(crate) fn decode(
        header: Header,
        frame: &Bytes,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        header.require_flags(ALL_SECTIONS)?;
        if header.aux != 0 {
            return Err(DecodeError::Reserved("the header"));
        }
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let stream = reader.u32("the stream")?;
        let count = reader.u32("the items")? as usize;
        if count > reader.left() / 4 {
            return Err(DecodeError::Truncated("the items"));
        }
        let (lengths, _) = reader.raw(4 * count, "the items")?.as_chunks::<4>();
        let lengths: Vec<u32> = lengths.iter().copied().map(u32::from_le_bytes).collect();
        let sections = Sections::decode(reader, header.flags, grants)?;
        if let Some(tag) = sections.unknown_extension {
            // Nobody could be told that the items were not understood.
            return Err(DecodeError::BadValue {
                field: "an extension of items",
                value: tag.into(),
            });
        }
        let total: u64 = lengths.iter().copied().map(u64::from).sum();
        if total != sections.body.len() as u64 {
            return Err(DecodeError::BadValue {
                field: "the items' lengths",
                value: total,
            });
        }
        Ok(Self {
            stream,
            codec: header.codec,
            lengths,
            sections,
        })
    }
}

/// More items may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCredit {
    /// The stream.
    pub stream: u32,
    /// So many more items.
    pub items: u32,
    /// So many more bytes; each item counts 32 at least.
    pub bytes: u64,
}

impl StreamCredit {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::StreamCredit);
        out.put_u32_le(self.stream);
        out.put_u32_le(self.items);
        out.put_u64_le(self.bytes);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let stream = reader.u32("the stream")?;
        let items = reader.u32("the credit")?;
        let bytes = reader.u64("the credit")?;
        reader.finish()?;
        Ok(Self {
            stream,
            items,
            bytes,
        })
    }
}

/// The stream ends as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamEnd {
    /// The stream.
    pub stream: u32,
    /// How many items it had.
    pub items: u64,
}

impl StreamEnd {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::StreamEnd);
        out.put_u32_le(self.stream);
        out.put_u64_le(self.items);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let stream = reader.u32("the stream")?;
        let items = reader.u64("the items")?;
        reader.finish()?;
        Ok(Self { stream, items })
    }
}

/// The stream ends with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// The stream.
    pub stream: u32,
    /// [`ReplyStatus::Error`] or [`ReplyStatus::Fault`].
    pub status: ReplyStatus,
    /// What the body is encoded with.
    pub codec: u8,
    /// The error, and what travels with it.
    pub sections: Sections,
}

impl StreamError {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let view = self.sections.view();
        let frame = FrameWriter::begin(
            out,
            Kind::StreamError,
            view.flags(),
            self.codec,
            self.status as u8,
        );
        out.put_u32_le(self.stream);
        view.encode(out);
        end_with_attachments(frame, view.attachments, out);
    }

    pub(crate) fn decode(
        header: Header,
        frame: &Bytes,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        header.require_flags(ALL_SECTIONS)?;
        let status = match ReplyStatus::from_code(header.aux)? {
            ReplyStatus::Ok => {
                return Err(DecodeError::BadValue {
                    field: "the status",
                    value: 0,
                });
            }
            status => status,
        };
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let stream = reader.u32("the stream")?;
        let sections = Sections::decode(reader, header.flags, grants)?;
        Ok(Self {
            stream,
            status,
            codec: header.codec,
            sections,
        })
    }
}

/// No more items are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCancel {
    /// The stream.
    pub stream: u32,
}

impl StreamCancel {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::StreamCancel);
        out.put_u32_le(self.stream);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let stream = reader.u32("the stream")?;
        reader.finish()?;
        Ok(Self { stream })
    }
}
