//! What may travel with a call or a reply, and costs nothing when it does not.

use bytes::{BufMut, Bytes, BytesMut};

use super::hello::MANDATORY;
use super::reader::{Reader, cut, put_option};
use crate::error::DecodeError;
use crate::id::{ChainId, InstanceId};
use crate::limits::Grants;
use crate::time::Time;

const DEADLINE: u8 = 1;
const CHAIN: u8 = 2;
const TRACE: u8 = 3;
const ANNOTATIONS: u8 = 4;
const INTRODUCTIONS: u8 = 5;

/// Bytes that frame an annotation's key and value.
const ANNOTATION_FRAMING: usize = 4;

/// Bytes that an annotation counts beside its key and its value: about what it takes in memory, so that many empty ones
/// do not take more than they are charged for.
const ANNOTATION_OVERHEAD: usize = 64;

/// Introductions that one message may carry.
pub const MAX_INTRODUCTIONS: usize = 64;

/// Bytes of the longest address in an introduction.
const MAX_ADDRESS: usize = 255;

/// Bytes of the longest trace state.
const MAX_TRACE_STATE: usize = 512;

/// What travels with a call or a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// When the call is of no more use. On this side's clock; on the sender's in a [`Message`](super::Message).
    pub deadline: Option<Time>,
    /// The chain of calls that this one belongs to. A call without one begins a chain when it needs it.
    pub chain: Option<Chain>,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
    /// Whatever else the application wants to say, in its order. Keys may come more than once.
    pub annotations: Vec<(String, Bytes)>,
    /// Where the objects of third processes may be claimed that the table introduces; at most [`MAX_INTRODUCTIONS`].
    pub introductions: Vec<Introduction>,
}

/// Where to claim an object of a third process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The place of its entry in the table.
    pub index: u16,
    /// What to show there: random, and known to nobody else.
    pub grant: [u8; 16],
    /// The process to claim it from.
    pub holder: InstanceId,
    /// Where that process is reached, as a URI. A longer one than 255 bytes is not sent.
    pub address: String,
}

/// A place in a chain of nested calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The chain.
    pub id: ChainId,
    /// How many calls wait for this one: 0 for the first.
    pub depth: u16,
}

/// A place in a trace, as the W3C's Trace Context has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span in it that made the call.
    pub span_id: [u8; 8],
    /// Bit 0: the trace is recorded.
    pub flags: u8,
    /// What vendors add. Longer ones than 512 bytes are not sent.
    pub state: String,
}

impl Extensions {
    /// None at all.
    pub const NONE: &'static Self = &Self {
        deadline: None,
        chain: None,
        trace: None,
        annotations: Vec::new(),
        introductions: Vec::new(),
    };

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.deadline.is_none()
            && self.chain.is_none()
            && self.trace.is_none()
            && self.annotations.is_empty()
            && self.introductions.is_empty()
    }

    /// Returns how many calls wait for this one.
    pub fn depth(&self) -> u16 {
        self.chain.as_ref().map_or(0, |chain| chain.depth)
    }

    /// Returns how many bytes of annotations there are, as the limits count them.
    pub(crate) fn annotation_bytes(&self) -> usize {
        self.annotations
            .iter()
            .map(|(key, value)| ANNOTATION_OVERHEAD + key.len() + value.len())
            .sum()
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let start = out.len();
        out.put_u16_le(0);
        if let Some(deadline) = self.deadline {
            put_option(out, DEADLINE, &deadline.as_micros().to_le_bytes());
        }
        if let Some(chain) = &self.chain {
            out.put_u8(CHAIN);
            out.put_u16_le(18);
            out.put_slice(chain.id.as_bytes());
            out.put_u16_le(chain.depth);
        }
        if let Some(trace) = &self.trace {
            let state = if trace.state.len() > MAX_TRACE_STATE {
                ""
            } else {
                &trace.state
            };
            out.put_u8(TRACE);
            out.put_u16_le(25 + state.len() as u16);
            out.put_slice(&trace.trace_id);
            out.put_slice(&trace.span_id);
            out.put_u8(trace.flags);
            out.put_slice(state.as_bytes());
        }
        if !self.annotations.is_empty() {
            out.put_u8(ANNOTATIONS);
            let framing = ANNOTATION_OVERHEAD - ANNOTATION_FRAMING;
            let bytes = self.annotation_bytes() - framing * self.annotations.len();
            out.put_u16_le((2 + bytes) as u16);
            out.put_u16_le(self.annotations.len() as u16);
            for (key, value) in &self.annotations {
                let key = cut(key, usize::from(u16::MAX));
                out.put_u16_le(key.len() as u16);
                out.put_slice(key.as_bytes());
                out.put_u16_le(value.len() as u16);
                out.put_slice(value);
            }
        }
        if !self.introductions.is_empty() {
            self.encode_introductions(out);
        }
        let length = (out.len() - start - 2) as u16;
        out[start..start + 2].copy_from_slice(&length.to_le_bytes());
    }

    fn encode_introductions(&self, out: &mut BytesMut) {
        let introductions = &self.introductions[..self.introductions.len().min(MAX_INTRODUCTIONS)];
        out.put_u8(INTRODUCTIONS);
        let length_at = out.len();
        out.put_u16_le(0);
        out.put_u16_le(introductions.len() as u16);
        for introduction in introductions {
            let address = match introduction.address.len() {
                0..=MAX_ADDRESS => introduction.address.as_str(),
                _ => "",
            };
            out.put_u16_le(introduction.index);
            out.put_slice(&introduction.grant);
            out.put_slice(introduction.holder.as_bytes());
            out.put_u16_le(address.len() as u16);
            out.put_slice(address.as_bytes());
        }
        let length = (out.len() - length_at - 2) as u16;
        out[length_at..length_at + 2].copy_from_slice(&length.to_le_bytes());
    }

    /// Reads the block. The second value is a tag that must be understood and is not, which fails this message alone.
    pub(crate) fn decode(
        reader: &mut Reader,
        grants: &Grants,
    ) -> Result<(Self, Option<u8>), DecodeError> {
        let length = usize::from(reader.u16("the extensions")?);
        let block = reader.bytes(length, "the extensions")?;
        let mut reader = Reader::new(&block, 0);
        let mut extensions = Self::default();
        let mut unknown = None;
        let mut last_tag = 0;
        while reader.left() > 0 {
            let tag = reader.u8("an extension's tag")?;
            if tag <= last_tag {
                return Err(DecodeError::BadValue {
                    field: "an extension's tag",
                    value: tag.into(),
                });
            }
            last_tag = tag;
            let length = usize::from(reader.u16("an extension's length")?);
            let field = reader.bytes(length, "an extension")?;
            let mut field = Reader::new(&field, 0);
            match tag {
                DEADLINE => {
                    extensions.deadline = Some(Time::from_micros(field.u64("the deadline")?));
                    field.finish()?;
                }
                CHAIN => {
                    let id = ChainId::from_bytes(field.array("the chain")?);
                    extensions.chain = Some(Chain {
                        id,
                        depth: field.u16("the chain")?,
                    });
                    field.finish()?;
                }
                TRACE => extensions.trace = TraceContext::decode(field),
                ANNOTATIONS => extensions.annotations = decode_annotations(field, grants)?,
                INTRODUCTIONS => extensions.introductions = decode_introductions(field)?,
                tag if tag >= MANDATORY => unknown = Some(tag),
                _ => {}
            }
        }
        Ok((extensions, unknown))
    }
}

impl TraceContext {
    /// Reads what travels for others to see, and must not fail a call: `None` if it is not as it should be.
    fn decode(mut field: Reader) -> Option<Self> {
        let trace_id = field.array("the trace").ok()?;
        let span_id = field.array("the trace").ok()?;
        let flags = field.u8("the trace").ok()?;
        let state = field.raw(field.left(), "the trace").ok()?;
        if state.len() > MAX_TRACE_STATE {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            flags,
            state: std::str::from_utf8(state).ok()?.to_owned(),
        })
    }
}

fn decode_introductions(mut field: Reader) -> Result<Vec<Introduction>, DecodeError> {
    let count = usize::from(field.u16("the introductions")?);
    if count > MAX_INTRODUCTIONS {
        return Err(DecodeError::TooMany {
            what: "introductions",
            count,
            limit: MAX_INTRODUCTIONS,
        });
    }
    let mut introductions = Vec::new();
    for _ in 0..count {
        introductions.push(Introduction {
            index: field.u16("an introduction")?,
            grant: field.array("an introduction")?,
            holder: InstanceId::from_bytes(field.array("an introduction")?),
            address: field.text(MAX_ADDRESS, "an introduction")?.to_owned(),
        });
    }
    field.finish()?;
    Ok(introductions)
}

fn decode_annotations(
    mut field: Reader,
    grants: &Grants,
) -> Result<Vec<(String, Bytes)>, DecodeError> {
    let limit = grants.max_annotations as usize;
    let count = usize::from(field.u16("the annotations")?);
    let bytes = field.left() + count * (ANNOTATION_OVERHEAD - ANNOTATION_FRAMING);
    if bytes > limit {
        return Err(DecodeError::TooMany {
            what: "bytes of annotations",
            count: bytes,
            limit,
        });
    }
    let mut annotations = Vec::new();
    for _ in 0..count {
        let key = field
            .text(usize::from(u16::MAX), "an annotation's key")?
            .to_owned();
        let length = usize::from(field.u16("an annotation")?);
        annotations.push((key, field.bytes(length, "an annotation")?));
    }
    field.finish()?;
    Ok(annotations)
}
