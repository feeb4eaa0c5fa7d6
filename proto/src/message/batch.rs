//! Batches: several calls that are answered together.

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::Reader;
use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind};

/// The calls that follow, up to the end, are one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBegin {
    /// The batch, numbered by its sender.
    pub batch: u32,
    /// What follows an error.
    pub mode: BatchMode,
    /// How many calls there are.
    pub calls: u32,
}

/// What follows an error in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BatchMode {
    /// The calls behind it are not started.
    Stop = 0,
    /// The calls behind it run.
    GoOn = 1,
}

impl BatchBegin {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::begin(out, Kind::BatchBegin, 0, 0, self.mode as u8);
        out.put_u32_le(self.batch);
        out.put_u32_le(self.calls);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        let mode = match header.aux {
            0 => BatchMode::Stop,
            1 => BatchMode::GoOn,
            mode => {
                return Err(DecodeError::BadValue {
                    field: "the batch's mode",
                    value: mode.into(),
                });
            }
        };
        Header { aux: 0, ..header }.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let batch = reader.u32("the batch")?;
        let calls = reader.u32("the batch")?;
        reader.finish()?;
        Ok(Self { batch, mode, calls })
    }
}

/// The batch is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchEnd {
    /// The batch.
    pub batch: u32,
}

impl BatchEnd {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::BatchEnd);
        out.put_u32_le(self.batch);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let batch = reader.u32("the batch")?;
        reader.finish()?;
        Ok(Self { batch })
    }
}
