//! Calls, oneways, binds and replies.

use bytes::{BufMut, Bytes, BytesMut};

use super::extensions::Extensions;
use super::reader::{Reader, put_text, words};
use super::sections::{ALL_SECTIONS, EXTENSIONS, Sections, SectionsView, TableEntry};
use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind, LENGTH_FIELD};
use crate::limits::Grants;

/// The target is the answer of a call that is not answered yet.
pub(crate) const PIPELINED: u8 = 1 << 3;
/// The answer is kept, as the target of other calls, until a finish.
pub(crate) const KEEP_ANSWER: u8 = 1 << 4;
pub(crate) use crate::frame::BATCHED;
/// The oneway keeps its order with the other calls to its object.
pub(crate) const ORDERED: u8 = 1 << 6;

/// Bytes of the longest name of an object.
pub(crate) const MAX_OBJECT_NAME: usize = 1024;

/// A call or a oneway that is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingCall<'a> {
    /// The object, of the other side's: an import, an alias, or [`DAEMON_TARGET`](crate::DAEMON_TARGET).
    pub target: u32,
    /// The method's place in the caller's descriptor.
    pub method_index: u16,
    /// The [`fnv1a32`](crate::fnv1a32) hash of the method's wire name, with its interface's before it.
    pub method_hash: u32,
    /// The hash of the shapes of arguments and results; 0 if they are not to be compared.
    pub shape: u32,
    /// What the body is encoded with, and the reply will be.
    pub codec: u8,
    /// What else travels with the call. Its chain tells how deep the call is.
    pub extensions: &'a Extensions,
    /// The references that the body points into.
    pub table: &'a [TableEntry],
    /// The arguments.
    pub body: &'a [u8],
    /// The byte strings among them.
    pub attachments: &'a [Bytes],
}

impl<'a> OutgoingCall<'a> {
    pub(crate) fn sections(&self) -> SectionsView<'a> {
        SectionsView {
            extensions: self.extensions,
            table: self.table,
            body: self.body,
            attachments: self.attachments,
        }
    }

    /// Returns how long the frame is if it has no other parts than a body, as most have.
    #[inline]
    pub(crate) fn bare_length(&self) -> Option<usize> {
        self.sections()
            .is_bare()
            .then_some(Call::BARE + self.body.len())
    }

    /// The numbers that the frame begins with, the first of which is its length.
    #[inline]
    fn words(&self, kind: Kind, id: u32, flags: u8, frame_length: usize) -> [u32; 7] {
        [
            length_field(frame_length),
            u32::from_le_bytes([kind.code(), flags, self.codec, 0]),
            id,
            self.target,
            self.method_hash,
            self.shape,
            self.method_index.into(),
        ]
    }

    /// Writes a frame that has no other parts than a body.
    #[inline]
    pub(crate) fn encode_bare(&self, kind: Kind, id: u32, flags: u8, out: &mut BytesMut) {
        let words = self.words(kind, id, flags, Call::BARE + self.body.len());
        out.put_slice(words.map(u32::to_le_bytes).as_flattened());
        out.put_slice(self.body);
    }

    /// Writes all but the attachments' bytes.
    pub(crate) fn encode(&self, kind: Kind, id: u32, flags: u8, out: &mut BytesMut) -> FrameWriter {
        let sections = self.sections();
        let words = self.words(kind, id, flags | sections.flags(), 0);
        let frame = FrameWriter::with_words(out, words);
        sections.encode(out);
        frame
    }
}

/// A call or a oneway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The caller's slot; 0 for a oneway.
    pub id: u32,
    /// The object.
    pub target: u32,
    /// The hash of the method's name.
    pub method_hash: u32,
    /// The hash of the method's shapes.
    pub shape: u32,
    /// The method's place in the caller's descriptor.
    pub method_index: u16,
    /// What the body is encoded with.
    pub codec: u8,
    /// The target is the answer of the call of this id.
    pub pipelined: bool,
    /// The answer is kept until a finish.
    pub keep_answer: bool,
    /// The call is one of a batch.
    pub batched: bool,
    /// The oneway keeps its order with the other calls to its object.
    pub ordered: bool,
    /// Arguments and the rest.
    pub sections: Sections,
}

impl Call {
    fn view(&self) -> OutgoingCall<'_> {
        let sections = self.sections.view();
        OutgoingCall {
            target: self.target,
            method_index: self.method_index,
            method_hash: self.method_hash,
            shape: self.shape,
            codec: self.codec,
            extensions: sections.extensions,
            table: sections.table,
            body: sections.body,
            attachments: sections.attachments,
        }
    }

    pub(crate) fn encode(&self, kind: Kind, out: &mut BytesMut) {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(self.pipelined, PIPELINED)
            | flag(self.keep_answer, KEEP_ANSWER)
            | flag(self.batched, BATCHED)
            | flag(self.ordered, ORDERED);
        let frame = self.view().encode(kind, self.id, flags, out);
        end_with_attachments(frame, &self.sections.attachments, out);
    }

    /// Where the body begins if there are no other parts.
    pub(crate) const BARE: usize = HEADER_LENGTH + 20;

    /// Reads the numbers of a call without other parts than a body: id, target, the method's hash, the shape and the
    /// method's index, which has 16 bits.
    #[inline]
    pub(crate) fn bare(header: Header, frame: &[u8]) -> Result<[u32; 5], DecodeError> {
        if header.aux != 0 {
            return Err(DecodeError::Reserved("the header"));
        }
        let words: [u32; 5] =
            words(&frame[HEADER_LENGTH..]).ok_or(DecodeError::Truncated("the call"))?;
        let [id, .., index] = words;
        if header.kind == Kind::Oneway && id != 0 {
            return Err(DecodeError::Reserved("the call id"));
        }
        if index > u16::MAX.into() {
            return Err(DecodeError::Reserved("the call"));
        }
        Ok(words)
    }

    /// Reads the frame, of which the only attachment may have been read `apart`.
    pub(crate) fn decode(
        header: Header,
        frame: Bytes,
        apart: Option<Bytes>,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        let oneway = header.kind == Kind::Oneway;
        let known = if oneway {
            PIPELINED | BATCHED | ORDERED
        } else {
            PIPELINED | KEEP_ANSWER | BATCHED
        };
        header.require_flags(ALL_SECTIONS | known)?;
        if header.aux != 0 {
            return Err(DecodeError::Reserved("the header"));
        }
        let mut reader = Reader::taking(frame, HEADER_LENGTH);
        let [id, target, method_hash, shape, index] = reader.words("the call")?;
        if oneway && id != 0 {
            return Err(DecodeError::Reserved("the call id"));
        }
        let method_index = u16::try_from(index).map_err(|_| DecodeError::Reserved("the call"))?;
        let sections = Sections::decode_with(reader, header.flags, apart, grants)?;
        Ok(Self {
            id,
            target,
            method_hash,
            shape,
            method_index,
            codec: header.codec,
            pipelined: header.flags & PIPELINED != 0,
            keep_answer: header.flags & KEEP_ANSWER != 0,
            batched: header.flags & BATCHED != 0,
            ordered: header.flags & ORDERED != 0,
            sections,
        })
    }
}

/// What stands before a frame of this length.
#[inline]
fn length_field(frame_length: usize) -> u32 {
    u32::try_from(frame_length.saturating_sub(LENGTH_FIELD)).unwrap_or(u32::MAX)
}

/// Ends a frame with its attachments in the same buffer.
pub(crate) fn end_with_attachments(frame: FrameWriter, attachments: &[Bytes], out: &mut BytesMut) {
    attachments.iter().for_each(|bytes| out.put_slice(bytes));
    frame.end(out, 0);
}

/// Gives a number to an object that is known by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The caller's slot.
    pub id: u32,
    /// The number, chosen by the caller; [`ALIAS_BIT`](crate::ALIAS_BIT) is set.
    pub alias: u32,
    /// The hash of the interface's wire name.
    pub interface: u32,
    /// The object's name; cut to 1024 bytes.
    pub name: String,
    /// What else travels with it.
    pub extensions: Option<Box<Extensions>>,
    /// An extension that must be understood and is not.
    pub unknown_extension: Option<u8>,
}

impl Bind {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let extensions = self.extensions.as_deref().unwrap_or(Extensions::NONE);
        let flags = if extensions.is_empty() { 0 } else { EXTENSIONS };
        let frame = FrameWriter::begin(out, Kind::Bind, flags, 0, 0);
        out.put_u32_le(self.id);
        out.put_u32_le(self.alias);
        out.put_u32_le(self.interface);
        put_text(out, &self.name, MAX_OBJECT_NAME);
        if !extensions.is_empty() {
            extensions.encode(out);
        }
        frame.end(out, 0);
    }

    pub(crate) fn decode(
        header: Header,
        frame: &Bytes,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        header.require_flags(EXTENSIONS)?;
        if header.codec != 0 || header.aux != 0 {
            return Err(DecodeError::Reserved("the header"));
        }
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let id = reader.u32("the call id")?;
        let alias = reader.u32("the alias")?;
        let interface = reader.u32("the interface")?;
        let name = reader.text(MAX_OBJECT_NAME, "the name")?.to_owned();
        let mut extensions = None;
        let mut unknown_extension = None;
        if header.flags & EXTENSIONS != 0 {
            let (found, unknown) = Extensions::decode(&mut reader, grants)?;
            extensions = Some(Box::new(found));
            unknown_extension = unknown;
        }
        reader.finish()?;
        Ok(Self {
            id,
            alias,
            interface,
            name,
            extensions,
            unknown_extension,
        })
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReplyStatus {
    /// The method returned. The body is its result.
    Ok = 0,
    /// The method returned an error of its own type. The body is that.
    Error = 1,
    /// Anything else. The body is a [`FaultMessage`](super::FaultMessage), whatever the codec.
    Fault = 2,
}

impl ReplyStatus {
    pub(crate) fn from_code(code: u8) -> Result<Self, DecodeError> {
        match code {
            0 => Ok(Self::Ok),
            1 => Ok(Self::Error),
            2 => Ok(Self::Fault),
            code => Err(DecodeError::BadValue {
                field: "the status",
                value: code.into(),
            }),
        }
    }
}

/// A reply that is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingReply<'a> {
    /// How the call ended.
    pub status: ReplyStatus,
    /// What the body is encoded with: the codec of the call, or 0 for a fault.
    pub codec: u8,
    /// What else travels with it.
    pub extensions: &'a Extensions,
    /// The references that the body points into.
    pub table: &'a [TableEntry],
    /// The result, the error, or the fault.
    pub body: &'a [u8],
    /// The byte strings in it.
    pub attachments: &'a [Bytes],
}

impl<'a> OutgoingReply<'a> {
    pub(crate) fn sections(&self) -> SectionsView<'a> {
        SectionsView {
            extensions: self.extensions,
            table: self.table,
            body: self.body,
            attachments: self.attachments,
        }
    }

    /// Returns how long the frame is if it has no other parts than a body, as most have.
    #[inline]
    pub(crate) fn bare_length(&self) -> Option<usize> {
        self.sections()
            .is_bare()
            .then_some(Reply::BARE + self.body.len())
    }

    /// The numbers that the frame begins with, the first of which is its length.
    #[inline]
    fn words(&self, id: u32, flags: u8, frame_length: usize) -> [u32; 3] {
        let header = [Kind::Reply.code(), flags, self.codec, self.status as u8];
        [length_field(frame_length), u32::from_le_bytes(header), id]
    }

    /// Writes a frame that has no other parts than a body.
    #[inline]
    pub(crate) fn encode_bare(&self, id: u32, out: &mut BytesMut) {
        let words = self.words(id, 0, Reply::BARE + self.body.len());
        out.put_slice(words.map(u32::to_le_bytes).as_flattened());
        out.put_slice(self.body);
    }

    /// Writes all but the attachments' bytes.
    pub(crate) fn encode(&self, id: u32, out: &mut BytesMut) -> FrameWriter {
        let sections = self.sections();
        let frame = FrameWriter::with_words(out, self.words(id, sections.flags(), 0));
        sections.encode(out);
        frame
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The caller's slot.
    pub id: u32,
    /// How the call ended.
    pub status: ReplyStatus,
    /// What the body is encoded with.
    pub codec: u8,
    /// The result and the rest.
    pub sections: Sections,
}

impl Reply {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let sections = self.sections.view();
        let reply = OutgoingReply {
            status: self.status,
            codec: self.codec,
            extensions: sections.extensions,
            table: sections.table,
            body: sections.body,
            attachments: sections.attachments,
        };
        let frame = reply.encode(self.id, out);
        end_with_attachments(frame, &self.sections.attachments, out);
    }

    /// Where the body begins if there are no other parts.
    pub(crate) const BARE: usize = HEADER_LENGTH + 4;

    /// Reads the id and the status of a reply without other parts than a body.
    #[inline]
    pub(crate) fn bare(header: Header, frame: &[u8]) -> Result<(u32, ReplyStatus), DecodeError> {
        let status = ReplyStatus::from_code(header.aux)?;
        let [id] = words(&frame[HEADER_LENGTH..]).ok_or(DecodeError::Truncated("the call id"))?;
        Ok((id, status))
    }

    /// Reads the frame, of which the only attachment may have been read `apart`.
    pub(crate) fn decode(
        header: Header,
        frame: Bytes,
        apart: Option<Bytes>,
        grants: &Grants,
    ) -> Result<Self, DecodeError> {
        header.require_flags(ALL_SECTIONS)?;
        let status = ReplyStatus::from_code(header.aux)?;
        let mut reader = Reader::taking(frame, HEADER_LENGTH);
        let id = reader.u32("the call id")?;
        let sections = Sections::decode_with(reader, header.flags, apart, grants)?;
        Ok(Self {
            id,
            status,
            codec: header.codec,
            sections,
        })
    }
}
