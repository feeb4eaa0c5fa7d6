//! The small messages that stand outside the session's stream.

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::Reader;
use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind};
use crate::time::Time;

/// Says how far the sender received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Bytes of session frames, counted from the session's start.
    pub received: u64,
}

impl Ack {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::Ack);
        out.put_u64_le(self.received);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let received = reader.u64("the received offset")?;
        reader.finish()?;
        Ok(Self { received })
    }
}

/// Says that the sender lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// The sender's clock, when it said this.
    pub clock: Time,
    /// How far it received.
    pub received: u64,
}

impl Beat {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::Beat);
        out.put_u64_le(self.clock.as_micros());
        out.put_u64_le(self.received);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let clock = Time::from_micros(reader.u64("the clock")?);
        let received = reader.u64("the received offset")?;
        reader.finish()?;
        Ok(Self { clock, received })
    }
}
