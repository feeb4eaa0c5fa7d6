//! Large byte strings that are read to memory of their own, so that nobody has to move them out of a buffer.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::{Connection, Event};
use crate::error::{ConnectionError, DecodeError};
use crate::frame::{Header, Kind};
use crate::message::{Call, Reply, only_attachment};
use crate::time::Time;

impl Connection {
    /// Returns where the attachment stands in the frame that begins with what [`handle_bytes`](Self::handle_bytes) left, if
    /// it is a call, a oneway or a reply with exactly one, and all that stands before it has come. So it can be read to
    /// memory of its own, for [`take_apart_of`](Self::take_apart_of).
    ///
    /// Its length is the other side's word, as that of the whole frame is.
    pub fn attachment(input: &[u8]) -> Option<Range<usize>> {
        let header = Header::peek(input, u32::MAX).ok()??;
        let fixed = match header.kind {
            Kind::Call | Kind::Oneway => Call::BARE,
            Kind::Reply => Reply::BARE,
            _ => return None,
        };
        let (body, length) = only_attachment(input.get(fixed..)?, header.flags)?;
        let end = header.frame_length();
        let start = end.checked_sub(length)?;
        (fixed + body <= start && start <= input.len()).then_some(start..end)
    }

    /// Takes a frame whose [`attachment`](Self::attachment) was read apart, and all that stands before it to `input`, over
    /// the connection of this number. Else it is as [`take_event_of`](Self::take_event_of).
    ///
    /// # Errors
    ///
    /// As [`handle_bytes`](Self::handle_bytes), and if `input` and the attachment are not one frame.
    pub fn take_apart_of(
        &mut self,
        link: u32,
        now: Time,
        input: &mut BytesMut,
        attachment: Bytes,
    ) -> Result<Option<Event>, ConnectionError> {
        if self.is_old(link) || !self.is_open() {
            input.clear();
            return Ok(self.poll_event());
        }
        self.session.heard(now);
        let result = self.handle_apart(input, attachment);
        let result = result.map(|()| self.events.pop_front());
        self.conclude(now, input, result)
    }

    fn handle_apart(
        &mut self,
        input: &mut BytesMut,
        attachment: Bytes,
    ) -> Result<(), ConnectionError> {
        let limit = self.given_credit.grants().max_message;
        let header = Header::peek(input, limit)?.ok_or(DecodeError::Truncated("the header"))?;
        let frame = input.split().freeze();
        if frame.len() + attachment.len() != header.frame_length() {
            return Err(DecodeError::Truncated("the attachments").into());
        }
        self.frame_begun = None;
        self.session.receive(header.frame_length());
        self.check_turn(header.kind)?;
        let (grants, apart) = (self.given_credit.grants(), Some(attachment));
        match header.kind {
            Kind::Call => {
                self.handle_call(Call::decode(header, frame, apart, grants)?, header.length)
            }
            Kind::Oneway => {
                self.handle_oneway(Call::decode(header, frame, apart, grants)?, header.length)
            }
            Kind::Reply => self.handle_reply(Reply::decode(header, frame, apart, grants)?),
            _ => Err(DecodeError::Truncated("the attachments").into()),
        }
    }
}
