//! Streams: what the application asks of them, and what their frames do.

use bytes::BytesMut;

use super::outgoing::{check_sections, end_frame, estimate};
use super::{Connection, Event, IncomingItems, StreamEnding};
use crate::error::{ConnectionError, SendError, Violation};
use crate::id::{InstanceId, StreamNumber};
use crate::message::{
    EntryKind, FaultMessage, OutgoingItems, ReplyStatus, Sections, StreamCancel, StreamCredit,
    StreamEnd, StreamError, StreamItems, TableEntry,
};
use crate::streams::{Received, StreamCost, Unsendable};

/// Set in the number of a stream that the receiver of the message chose.
pub(super) const CHOSEN_BY_RECEIVER: u32 = 1 << 31;

/// Returns the number of a stream that the sender of a message chose.
fn chosen_by_sender(stream: u32) -> Result<u32, Violation> {
    match stream & CHOSEN_BY_RECEIVER {
        0 => Ok(stream),
        _ => Err(Violation::UnknownStream(stream)),
    }
}

/// Returns the number of a stream that the receiver of a message chose.
fn chosen_by_receiver(stream: u32) -> Result<u32, Violation> {
    match stream & CHOSEN_BY_RECEIVER {
        0 => Err(Violation::UnknownStream(stream)),
        _ => Ok(stream & !CHOSEN_BY_RECEIVER),
    }
}

impl Connection {
    /// Opens a stream that this side produces, and returns the entry that gives it to the other side. It has no credit
    /// until the other side gives some.
    ///
    /// # Errors
    ///
    /// [`SendError::TooManyStreams`], or [`SendError::NotEstablished`] if there may be room for it after the handshake.
    pub fn open_stream(&mut self) -> Result<(StreamNumber, TableEntry), SendError> {
        let limit = self.limits.streams.min(self.own_credit.grants().references);
        match self.produced.open(limit) {
            Some(number) => Ok((
                StreamNumber::new(number),
                TableEntry {
                    kind: EntryKind::StreamOut,
                    id: number,
                    object: 0,
                    interface: 0,
                    owner: InstanceId::from_bytes([0; 16]),
                },
            )),
            None if self.is_established() || self.limits.streams == 0 => {
                Err(SendError::TooManyStreams { limit })
            }
            None => Err(SendError::NotEstablished),
        }
    }

    /// Takes a stream back whose entry was not sent, for instance since the message could not be encoded.
    pub fn unopen_stream(&mut self, stream: StreamNumber) {
        self.produced.forget(stream.index());
    }

    /// Returns how many items of a stream may be sent now, and how many bytes before the item that may overdraw them. If
    /// either is 0, for want of credit or because too much is kept that the other side has not acknowledged,
    /// [`Event::StreamCredit`] tells when it is not.
    ///
    /// # Errors
    ///
    /// [`SendError::Unknown`] if the stream has ended or its consumer wants no more, [`SendError::Closed`].
    pub fn stream_room(&mut self, stream: StreamNumber) -> Result<(u64, u64), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        let room = if self.keeps_too_much() {
            self.keeps_waiting = true;
            self.produced.wait(stream.index()).map(|()| (0, 0))
        } else {
            self.produced.room(stream.index())
        };
        room.map_err(|_| SendError::Unknown("stream"))
    }

    /// Sends items of a stream.
    ///
    /// # Errors
    ///
    /// [`SendError::NoCredit`] if not all of them may be sent now: try again after [`Event::StreamCredit`]. Every other
    /// error is final, and after [`SendError::TooLarge`] or [`SendError::TooMany`] the stream should be failed. The
    /// exports in the table are the caller's to take back.
    pub fn send_items(
        &mut self,
        stream: StreamNumber,
        items: &OutgoingItems<'_>,
    ) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        if !self.is_agreed_codec(items.codec) {
            return Err(SendError::UnsupportedCodec(items.codec));
        }
        let sections = items.sections();
        let grants = *self.own_credit.grants();
        check_sections(&grants, &sections)?;
        let cost = StreamCost::of(items.lengths, items.attachments);
        self.produced
            .spend(stream.index(), cost)
            .map_err(|error| match error {
                Unsendable::NoCredit => SendError::NoCredit,
                Unsendable::Ended => SendError::Unknown("stream"),
            })?;
        let lengths = 4 * items.lengths.len();
        let out = self.session.buffer(estimate(&sections) + lengths);
        let frame = items.encode(stream.index(), out);
        let frame_length = end_frame(frame, out, &sections, &grants)?;
        self.session.append(frame_length, items.attachments);
        Ok(())
    }

    /// Ends a stream that this side produces, also one whose consumer wants no more. Does nothing if it has ended.
    pub fn end_stream(&mut self, stream: StreamNumber) {
        if self.is_closed() {
            return;
        }
        if let Some(items) = self.produced.end(stream.index()) {
            let end = StreamEnd {
                stream: stream.index(),
                items,
            };
            self.write_frame(20, |out| end.encode(out));
        }
    }

    /// Ends a stream that this side produces with a fault, which always fits. Does nothing if it has ended.
    pub fn fail_stream(&mut self, stream: StreamNumber, fault: &FaultMessage) {
        if self.is_closed() || !self.produced.is_unended(stream.index()) {
            return;
        }
        self.produced.end(stream.index());
        let mut body = BytesMut::new();
        fault.encode(&mut body);
        let error = StreamError {
            stream: stream.index(),
            status: ReplyStatus::Fault,
            codec: 0,
            sections: Sections {
                body: body.freeze(),
                ..Sections::default()
            },
        };
        self.write_frame(24 + error.sections.body.len(), |out| error.encode(out));
    }

    /// Allows the producer of a stream so many more items and bytes. Does nothing once the stream has ended.
    pub fn grant_stream(&mut self, stream: StreamNumber, items: u32, bytes: u64) {
        self.consumed.grant(stream.index(), items, bytes);
    }

    /// Wants no more of a stream that this side consumes, and that has not ended.
    pub fn cancel_stream(&mut self, stream: StreamNumber) {
        self.consumed.cancel(stream.index());
    }

    /// Returns how many bytes wait to be transmitted. Producers of streams should wait while there are many.
    pub fn unsent(&self) -> usize {
        self.session.waiting()
    }

    pub(super) fn handle_items(&mut self, items: StreamItems) -> Result<(), ConnectionError> {
        let number = chosen_by_sender(items.stream)?;
        let StreamItems {
            codec,
            lengths,
            sections,
            ..
        } = items;
        let Sections {
            mut extensions,
            table,
            body,
            attachments,
            ..
        } = sections;
        let cost = StreamCost::of(&lengths, &attachments);
        let received = self.consumed.received(number, cost)?;
        let table = self.take_table(&table, &mut extensions)?;
        match received {
            Received::Wanted => self.events.push_back(Event::StreamItems(IncomingItems {
                stream: StreamNumber::new(number),
                codec,
                lengths,
                table,
                body,
                attachments: attachments.into(),
            })),
            Received::Unwanted => self.give_back(&table),
        }
        Ok(())
    }

    pub(super) fn handle_stream_end(&mut self, end: StreamEnd) -> Result<(), ConnectionError> {
        self.stream_ended(end.stream, Some(end.items), StreamEnding::Complete)
    }

    pub(super) fn handle_stream_error(
        &mut self,
        error: StreamError,
    ) -> Result<(), ConnectionError> {
        let StreamError {
            stream,
            status,
            codec,
            sections,
        } = error;
        // Nothing is opened or granted by the end of a stream.
        let table = self.take_table(&sections.table, &mut None)?;
        self.give_back(&table);
        let ending = StreamEnding::Failed {
            status,
            codec,
            body: sections.body,
        };
        self.stream_ended(stream, None, ending)
    }

    fn stream_ended(
        &mut self,
        stream: u32,
        items: Option<u64>,
        ending: StreamEnding,
    ) -> Result<(), ConnectionError> {
        let number = chosen_by_sender(stream)?;
        if self.consumed.ended(number, items)? == Received::Wanted {
            let event = Event::StreamEnded(StreamNumber::new(number), ending);
            self.events.push_back(event);
        }
        Ok(())
    }

    pub(super) fn handle_stream_credit(
        &mut self,
        credit: StreamCredit,
    ) -> Result<(), ConnectionError> {
        let number = chosen_by_receiver(credit.stream)?;
        #[cfg(feature = "sabotage")]
        if self.link > 0 && self.has(crate::Sabotage::LosesStreamCredit) {
            return Ok(());
        }
        if self.produced.credited(number, credit.items, credit.bytes)? {
            self.events
                .push_back(Event::StreamCredit(StreamNumber::new(number)));
        }
        Ok(())
    }

    pub(super) fn handle_stream_cancel(
        &mut self,
        cancel: StreamCancel,
    ) -> Result<(), ConnectionError> {
        let number = chosen_by_receiver(cancel.stream)?;
        if self.produced.cancelled(number)? {
            self.events
                .push_back(Event::StreamCancelled(StreamNumber::new(number)));
        }
        Ok(())
    }
}
