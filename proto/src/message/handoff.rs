//! Hand-off: a reference is passed on to a third process, which then talks to the owner itself.

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::Reader;
use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind};
use crate::id::InstanceId;

/// The receiver is to give its object to whoever shows the grant. Answered by a reply without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provide {
    /// The caller's slot.
    pub id: u32,
    /// The object, which the sender imported.
    pub target: u32,
    /// The grant: random, and shown to nobody else.
    pub grant: [u8; 16],
    /// The process that will claim it.
    pub recipient: InstanceId,
    /// For how long it may be claimed, in milliseconds.
    pub lifetime_ms: u32,
}

impl Provide {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::Provide);
        out.put_u32_le(self.id);
        out.put_u32_le(self.target);
        out.put_slice(&self.grant);
        out.put_slice(self.recipient.as_bytes());
        out.put_u32_le(self.lifetime_ms);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let provide = Self {
            id: reader.u32("the call id")?,
            target: reader.u32("the target")?,
            grant: reader.array("the grant")?,
            recipient: InstanceId::from_bytes(reader.array("the recipient")?),
            lifetime_ms: reader.u32("the lifetime")?,
        };
        reader.finish()?;
        Ok(provide)
    }
}

/// Asks for what a third process promised. Answered as a bind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The caller's slot.
    pub id: u32,
    /// The number that the object is to have, chosen by the caller as in a bind.
    pub alias: u32,
    /// The grant.
    pub grant: [u8; 16],
    /// The process that promised it.
    pub provider: InstanceId,
}

impl Claim {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::Claim);
        out.put_u32_le(self.id);
        out.put_u32_le(self.alias);
        out.put_slice(&self.grant);
        out.put_slice(self.provider.as_bytes());
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let claim = Self {
            id: reader.u32("the call id")?,
            alias: reader.u32("the alias")?,
            grant: reader.array("the grant")?,
            provider: InstanceId::from_bytes(reader.array("the provider")?),
        };
        reader.finish()?;
        Ok(claim)
    }
}

/// Tells the provider that the claim succeeded, so that it need not keep its own reference for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The grant.
    pub grant: [u8; 16],
}

impl Claimed {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::Claimed);
        out.put_slice(&self.grant);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let grant = reader.array("the grant")?;
        reader.finish()?;
        Ok(Self { grant })
    }
}
