//! Gathered calls: calls that were made one after the other of one method of one object, in one frame; and the results of
//! such in one frame.
//!
//! Nobody decides to gather. A call that is made while the one before it still waits to be written, and differs from it in
//! its arguments alone, is added to its frame.

use std::cell::RefCell;

use bytes::{BufMut, Bytes, BytesMut};

use super::call::{Call, OutgoingCall};
use super::reader::words;
use crate::body::Body;
use crate::error::{DecodeError, SendError};
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind, LENGTH_FIELD};
use crate::id::CallId;

/// What stands before each call but the first, and before each result: an id and a length.
const MEMBER: usize = 8;
/// In the aux of the header: the calls have no replies.
const ONEWAY: u8 = 1;
/// Arguments that are longer, in bytes, are not gathered: their frame costs little beside them.
const LONGEST: usize = 4 << 10;
/// A frame that is longer, in bytes, gathers no more: others are waiting, and whoever takes it can begin with it while the
/// next one is made.
const FULL: usize = 32 << 10;

/// A frame has no more calls or replies than this: as many as fit into a full one. Each takes more memory than the few bytes
/// that it may have on the wire.
const MOST: usize = FULL / MEMBER;

/// Calls of one method of one object, or oneways, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatheredCalls {
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
    /// Nothing comes back, and all ids are 0.
    pub oneway: bool,
    /// The calls. Never empty.
    pub calls: Vec<Gathered>,
}

/// A call among others that were gathered, or its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// The caller's slot.
    pub id: CallId,
    /// The arguments or the result.
    pub body: Body,
}

impl Gathered {
    /// Keeps the memory of a list of calls or replies that arrived, for another one on this thread.
    pub fn recycle(mut list: Vec<Self>) {
        if list.capacity() <= KEPT {
            list.clear();
            let _ = LISTS.try_with(|lists| {
                let mut lists = lists.borrow_mut();
                if lists.len() < LISTS_KEPT {
                    lists.push(list);
                }
            });
        }
    }

    /// How many bytes of credit the call costs: as many as if it had a frame of its own.
    #[inline]
    pub(crate) fn cost(&self) -> u32 {
        (Call::BARE - LENGTH_FIELD + self.body.len()) as u32
    }
}

impl GatheredCalls {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let mut calls = self.calls.iter();
        let start = out.len();
        let kind = match self.oneway {
            true => Kind::Oneway,
            false => Kind::Call,
        };
        let outgoing = |body| OutgoingCall {
            target: self.target,
            method_index: self.method_index,
            method_hash: self.method_hash,
            shape: self.shape,
            codec: self.codec,
            extensions: super::Extensions::NONE,
            table: &[],
            body,
            attachments: &[],
        };
        if let Some(first) = calls.next() {
            outgoing(&first.body).encode_bare(kind, first.id.index(), 0, out);
            gather_first(out, start, self.oneway);
        }
        for call in calls {
            append(out, start, call.id.index(), &call.body);
        }
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_flags(0)?;
        let oneway = match header.aux {
            0 => false,
            ONEWAY => true,
            _ => return Err(DecodeError::Reserved("the header")),
        };
        let mut members = Members::new(frame);
        let [id, target, method_hash, shape, last] = members.words("the calls")?;
        let (method_index, length) = (last as u16, last >> 16);
        let mut calls = list();
        calls.push(members.take(id, length)?);
        members.take_all(&mut calls)?;
        if oneway && calls.iter().any(|call| call.id.index() != 0) {
            return Err(DecodeError::Reserved("the id of a oneway"));
        }
        Ok(Self {
            target,
            method_hash,
            shape,
            method_index,
            codec: header.codec,
            oneway,
            calls,
        })
    }
}

/// Reads a frame of things that were gathered.
struct Members<'a> {
    frame: &'a Bytes,
    /// What was not read.
    left: &'a [u8],
}

impl<'a> Members<'a> {
    fn new(frame: &'a Bytes) -> Self {
        let left = frame.get(HEADER_LENGTH..).unwrap_or_default();
        Self { frame, left }
    }

    #[inline]
    fn words<const N: usize>(&mut self, what: &'static str) -> Result<[u32; N], DecodeError> {
        let words = words(self.left).ok_or(DecodeError::Truncated(what))?;
        self.left = &self.left[4 * N..];
        Ok(words)
    }

    /// Takes all that are left.
    fn take_all(mut self, list: &mut Vec<Gathered>) -> Result<(), DecodeError> {
        while !self.left.is_empty() {
            if list.len() == MOST {
                return Err(DecodeError::TooMany {
                    what: "calls or replies in one frame",
                    count: MOST + 1,
                    limit: MOST,
                });
            }
            let [id, length] = self.words("the head of what was gathered")?;
            list.push(self.take(id, length)?);
        }
        Ok(())
    }

    #[inline]
    fn take(&mut self, id: u32, length: u32) -> Result<Gathered, DecodeError> {
        let (body, left) = self
            .left
            .split_at_checked(length as usize)
            .ok_or(DecodeError::Truncated("what was gathered"))?;
        self.left = left;
        Ok(Gathered {
            id: CallId::new(id),
            body: Body::part(self.frame, body),
        })
    }
}

/// Lists of what was gathered that are longer are not kept.
const KEPT: usize = 1024;
/// So many lists are kept: about as many as there are frames in a read.
const LISTS_KEPT: usize = 8;

thread_local! {
    static LISTS: RefCell<Vec<Vec<Gathered>>> = const { RefCell::new(Vec::new()) };
}

/// An empty list, with the memory of one that was [recycled](Gathered::recycle).
fn list() -> Vec<Gathered> {
    let kept = LISTS.try_with(|lists| lists.borrow_mut().pop());
    kept.ok().flatten().unwrap_or_default()
}

/// Adds a call that is nothing but numbers and a body to the frame that begins at `start` and ends with the buffer, if it
/// may be and there is room. Returns how many bytes it took.
#[inline]
pub(crate) fn gather(
    call: &OutgoingCall<'_>,
    kind: Kind,
    id: u32,
    out: &mut BytesMut,
    start: usize,
    limit: usize,
) -> Option<usize> {
    let added = MEMBER + call.body.len();
    let written = out.len() - start;
    let room = out.capacity() - out.len();
    let fits = call.body.len() <= LONGEST && added <= room && written + added <= limit.min(FULL);
    if !fits {
        return None;
    }
    let [_, header, _, target, method_hash, shape, last] = words(&out[start..])?;
    let [known, _, codec, aux] = header.to_le_bytes();
    let oneway = kind == Kind::Oneway;
    let is_same = target == call.target
        && method_hash == call.method_hash
        && shape == call.shape
        && last as u16 == call.method_index
        && codec == call.codec;
    let is_first = known == kind.code();
    let belongs = is_first || known == Kind::GatheredCalls.code() && (aux == ONEWAY) == oneway;
    if !is_same || !belongs || is_first && !gather_first(out, start, oneway) {
        return None;
    }
    append(out, start, id, call.body);
    Some(added)
}

/// Makes the frame of a call at the end of the buffer one that others can be added to. Its last number has room for the
/// length of the body.
fn gather_first(out: &mut BytesMut, start: usize, oneway: bool) -> bool {
    let length = out.len() - start - Call::BARE;
    let Ok(length) = u16::try_from(length) else {
        return false;
    };
    let aux = if oneway { ONEWAY } else { 0 };
    out[start + LENGTH_FIELD] = Kind::GatheredCalls.code();
    out[start + HEADER_LENGTH - 1] = aux;
    out[start + Call::BARE - 2..start + Call::BARE].copy_from_slice(&length.to_le_bytes());
    true
}

/// Adds to a frame of things that were gathered, which begins at `start` and ends with the buffer.
fn append(out: &mut BytesMut, start: usize, id: u32, body: &[u8]) {
    put_member(out, id, body);
    let length = (out.len() - start - LENGTH_FIELD) as u32;
    out[start..start + LENGTH_FIELD].copy_from_slice(&length.to_le_bytes());
}

/// Writes a call behind the first one, or a result.
#[inline]
fn put_member(out: &mut BytesMut, id: u32, body: &[u8]) {
    let head = [id, body.len() as u32];
    out.put_slice(head.map(u32::to_le_bytes).as_flattened());
    out.put_slice(body);
}

/// Results that are to be sent together: what calls returned that ended well, and with nothing but a value.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingReplies<'a> {
    /// What the results are encoded with.
    pub codec: u8,
    /// The calls, 4096 at most, and the length of the result of each in the body.
    pub calls: &'a [(CallId, u32)],
    /// The results one after the other.
    pub body: &'a [u8],
}

impl OutgoingReplies<'_> {
    /// Checks that they are not too many for one frame.
    pub(crate) fn check(&self) -> Result<(), SendError> {
        match self.calls.len() {
            0..=MOST => Ok(()),
            count => Err(SendError::TooMany {
                what: "replies in one frame",
                count,
                limit: MOST,
            }),
        }
    }

    /// How long the frame is.
    pub(crate) fn frame_length(&self) -> usize {
        HEADER_LENGTH + MEMBER * self.calls.len() + self.body.len()
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::begin(out, Kind::GatheredReplies, 0, self.codec, 0);
        let mut body = self.body;
        for (id, length) in self.calls {
            let (result, rest) = body.split_at((*length as usize).min(body.len()));
            body = rest;
            put_member(out, id.index(), result);
        }
        frame.end(out, 0);
    }
}

/// What calls returned that ended well, and with nothing but a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatheredReplies {
    /// What the results are encoded with.
    pub codec: u8,
    /// The calls and their results. Never empty.
    pub replies: Vec<Gathered>,
}

impl GatheredReplies {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::begin(out, Kind::GatheredReplies, 0, self.codec, 0);
        for Gathered { id, body } in &self.replies {
            put_member(out, id.index(), body);
        }
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        if header.flags != 0 || header.aux != 0 {
            return Err(DecodeError::Reserved("the header"));
        }
        let members = Members::new(frame);
        let mut replies = list();
        members.take_all(&mut replies)?;
        match replies.is_empty() {
            true => Err(DecodeError::Truncated("the replies")),
            false => Ok(Self {
                codec: header.codec,
                replies,
            }),
        }
    }
}
