//! Runs: calls of a batch to one method of one object in one frame, and their results in one frame.

use bytes::{BufMut, Bytes, BytesMut};

use super::extensions::Extensions;
use super::reader::Reader;
use super::sections::{EXTENSIONS, Sections, SectionsView};
use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind};
use crate::limits::Grants;

/// A run that is to be sent: calls that differ in their arguments alone.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRun<'a> {
    /// The object, of the other side's.
    pub target: u32,
    /// The method's place in the caller's descriptor.
    pub method_index: u16,
    /// The [`fnv1a32`](crate::fnv1a32) hash of the method's wire name, with its interface's before it.
    pub method_hash: u32,
    /// The hash of the shapes of arguments and results; 0 if they are not to be compared.
    pub shape: u32,
    /// What the arguments are encoded with, and the replies will be.
    pub codec: u8,
    /// What else travels with each of the calls.
    pub extensions: &'a Extensions,
    /// The length of the arguments of each call in the body.
    pub lengths: &'a [u32],
    /// The arguments, those of one call after those of the other.
    pub body: &'a [u8],
}

impl<'a> OutgoingRun<'a> {
    pub(crate) fn sections(&self) -> SectionsView<'a> {
        SectionsView {
            extensions: self.extensions,
            table: &[],
            body: self.body,
            attachments: &[],
        }
    }

    /// Writes the whole frame but for its end.
    pub(crate) fn encode(&self, id: u32, out: &mut BytesMut) -> FrameWriter {
        let sections = self.sections();
        let header = [Kind::CallRun.code(), sections.flags(), self.codec, 0];
        let frame = FrameWriter::with_words(
            out,
            [
                0,
                u32::from_le_bytes(header),
                id,
                self.target,
                self.method_hash,
                self.shape,
                self.method_index.into(),
                self.lengths.len() as u32,
            ],
        );
        put_lengths(out, self.lengths);
        sections.encode(out);
        frame
    }
}

/// Calls of a batch to one method of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRun {
    /// The caller's slot, one for all of them.
    pub id: u32,
    /// The object.
    pub target: u32,
    /// The hash of the method's name.
    pub method_hash: u32,
    /// The hash of the method's shapes.
    pub shape: u32,
    /// The method's place in the caller's descriptor.
    pub method_index: u16,
    /// What the arguments are encoded with.
    pub codec: u8,
    /// The length of the arguments of each call in the body. Never empty.
    pub lengths: Vec<u32>,
    /// The arguments, and the extensions of each of the calls. There are no other parts.
    pub sections: Sections,
}

impl CallRun {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let sections = self.sections.view();
        let run = OutgoingRun {
            target: self.target,
            method_index: self.method_index,
            method_hash: self.method_hash,
            shape: self.shape,
            codec: self.codec,
            extensions: sections.extensions,
            lengths: &self.lengths,
            body: sections.body,
        };
        run.encode(self.id, out).end(out, 0);
    }

    pub(crate) fn decode(
        header: Header,
        frame: Bytes,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        header.require_flags(EXTENSIONS)?;
        if header.aux != 0 {
            return Err(DecodeError::Reserved("the header"));
        }
        let mut reader = Reader::taking(frame, HEADER_LENGTH);
        let [id, target, method_hash, shape, index, count] = reader.words("the calls")?;
        let method_index = u16::try_from(index).map_err(|_| DecodeError::Reserved("the calls"))?;
        let lengths = read_lengths(&mut reader, count)?;
        let sections = Sections::decode(reader, header.flags, grants)?;
        check_lengths(&lengths, sections.body.len())?;
        Ok(Self {
            id,
            target,
            method_hash,
            shape,
            method_index,
            codec: header.codec,
            lengths,
            sections,
        })
    }
}

/// Results of a run that are to be sent: what its next calls returned, each of which returned well and nothing but a
/// value.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingResults<'a> {
    /// What the results are encoded with.
    pub codec: u8,
    /// The length of each result in the body.
    pub lengths: &'a [u32],
    /// The results one after the other.
    pub body: &'a [u8],
}

impl OutgoingResults<'_> {
    /// How long the frame is.
    pub(crate) fn frame_length(&self) -> usize {
        HEADER_LENGTH + 8 + 4 * self.lengths.len() + self.body.len()
    }

    pub(crate) fn encode(&self, id: u32, out: &mut BytesMut) {
        let header = [Kind::ReplyRun.code(), 0, self.codec, 0];
        let count = self.lengths.len() as u32;
        let words = [0, u32::from_le_bytes(header), id, count];
        let frame = FrameWriter::with_words(out, words);
        put_lengths(out, self.lengths);
        out.put_slice(self.body);
        frame.end(out, 0);
    }
}

/// What the next calls of a run returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyRun {
    /// The caller's slot.
    pub id: u32,
    /// What the results are encoded with.
    pub codec: u8,
    /// The length of each result in the body. Never empty.
    pub lengths: Vec<u32>,
    /// The results one after the other.
    pub body: Bytes,
}

impl ReplyRun {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let results = OutgoingResults {
            codec: self.codec,
            lengths: &self.lengths,
            body: &self.body,
        };
        results.encode(self.id, out);
    }

    pub(crate) fn decode(header: Header, frame: Bytes) -> Result<Self, DecodeError> {
        if header.flags != 0 || header.aux != 0 {
            return Err(DecodeError::Reserved("the header"));
        }
        let mut reader = Reader::taking(frame, HEADER_LENGTH);
        let [id, count] = reader.words("the results")?;
        let lengths = read_lengths(&mut reader, count)?;
        let body = reader.rest();
        check_lengths(&lengths, body.len())?;
        Ok(Self {
            id,
            codec: header.codec,
            lengths,
            body,
        })
    }
}

fn put_lengths(out: &mut BytesMut, lengths: &[u32]) {
    for lengths in lengths.chunks(64) {
        let mut bytes = [[0; 4]; 64];
        for (place, length) in bytes.iter_mut().zip(lengths) {
            *place = length.to_le_bytes();
        }
        out.put_slice(bytes[..lengths.len()].as_flattened());
    }
}

fn read_lengths(reader: &mut Reader, count: u32) -> Result<Vec<u32>, DecodeError> {
    let count = count as usize;
    if count == 0 {
        return Err(DecodeError::BadValue {
            field: "the calls of a run",
            value: 0,
        });
    }
    if count > reader.left() / 4 {
        return Err(DecodeError::Truncated("the lengths of a run"));
    }
    let (lengths, _) = reader
        .raw(4 * count, "the lengths of a run")?
        .as_chunks::<4>();
    Ok(lengths.iter().copied().map(u32::from_le_bytes).collect())
}

/// Checks that the parts are as long as the whole.
fn check_lengths(lengths: &[u32], body: usize) -> Result<(), DecodeError> {
    let total: u64 = lengths.iter().copied().map(u64::from).sum();
    match total == body as u64 {
        true => Ok(()),
        false => Err(DecodeError::BadValue {
            field: "the lengths of a run",
            value: total,
        }),
    }
}
