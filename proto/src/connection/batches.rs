//! Batches: calls that travel as one group and run one after the other.
//!
//! The frames of a batch follow each other without any other session frame between them, so there is at most one open
//! batch in each direction, and what arrives of it is kept here until it is whole: a batch of which a part is lost has
//! not begun.

use super::{Connection, Event, IncomingCall, OnewayReceipt};
use crate::error::{ConnectionError, SendError, Violation};
use crate::frame::Kind;
use crate::message::{BatchBegin, BatchEnd, BatchMode, FaultMessage};

/// The batch that this side is sending.
#[derive(Debug)]
pub(super) struct BatchOut {
    number: u32,
    /// How many calls more it may have.
    left: u32,
}

/// The batch of the other side that is not complete.
#[derive(Debug)]
pub(super) struct BatchIn {
    number: u32,
    mode: BatchMode,
    /// How many calls more it may have.
    left: u32,
    calls: Vec<BatchedCall>,
}

/// A whole batch that arrived.
#[derive(Debug)]
pub struct IncomingBatch {
    /// What follows an error.
    pub mode: BatchMode,
    /// The calls, in order. Never empty.
    pub calls: Vec<BatchedCall>,
}

/// A call or a oneway of a batch.
#[derive(Debug)]
pub struct BatchedCall {
    /// The call. One that is refused has given its references back.
    pub call: IncomingCall,
    /// For a oneway: what to give back when its handler has ended.
    pub receipt: Option<OnewayReceipt>,
    /// If this is a run, how long the arguments are of each of its calls, whose sum is the length of the body. It has as
    /// many replies, in this order, all to its id.
    pub run: Option<Vec<u32>>,
    /// Why the call cannot be served, if so. It must be answered with this when its turn comes; each call of a run.
    pub refusal: Option<Box<FaultMessage>>,
}

impl BatchIn {
    /// Counts calls that arrived.
    fn count(&mut self, calls: u32) -> Result<(), Violation> {
        let left = self.left.checked_sub(calls);
        self.left = left.ok_or(Violation::BadBatch("more calls than it announced"))?;
        Ok(())
    }
}

impl Connection {
    /// Returns how many calls of this depth may be sent now, if they are small. If none,
    /// [`Event::CreditAvailable`] tells when there is room.
    pub fn room(&mut self, depth: u16) -> u32 {
        if self.keeps_too_much() {
            self.keeps_waiting = true;
            self.own_credit.await_room(depth);
            return 0;
        }
        self.own_credit.room(depth)
    }

    /// Begins a batch: what is sent by [`call`](Self::call) and [`oneway`](Self::oneway) until
    /// [`end_batch`](Self::end_batch) belongs to it, `calls` at most. Nothing else may be asked of the connection in
    /// between.
    ///
    /// # Errors
    ///
    /// [`SendError::TooMany`] if there may not be so many calls in a batch, and as [`call`](Self::call).
    pub fn begin_batch(&mut self, mode: BatchMode, calls: u32) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        if !self.may_send_session_frames() {
            return Err(SendError::NotEstablished);
        }
        let limit = self.own_credit.grants().batch_calls();
        if calls > limit {
            return Err(SendError::TooMany {
                what: "calls in one batch",
                count: calls as usize,
                limit: limit as usize,
            });
        }
        let number = self.batches_sent;
        self.batches_sent = number.wrapping_add(1);
        self.batch_out = Some(BatchOut {
            number,
            left: calls,
        });
        let begin = BatchBegin {
            batch: number,
            mode,
            calls,
        };
        self.write_frame(16, |out| begin.encode(out));
        Ok(())
    }

    /// Ends the batch that was begun. Does nothing if none was.
    pub fn end_batch(&mut self) {
        if let Some(batch) = self.batch_out.take() {
            let end = BatchEnd {
                batch: batch.number,
            };
            self.write_frame(12, |out| end.encode(out));
        }
    }

    /// Tells whether what is sent now belongs to a batch, and whether that has room for it.
    pub(super) fn is_batching(&self) -> Result<bool, SendError> {
        match &self.batch_out {
            None => Ok(false),
            Some(batch) if batch.left > 0 => Ok(true),
            Some(_) => Err(SendError::TooMany {
                what: "calls beyond those of the batch",
                count: 1,
                limit: 0,
            }),
        }
    }

    /// Counts a call that was sent.
    pub(super) fn count_batched(&mut self) {
        self.count_many_batched(1);
    }

    /// Counts so many calls that were sent, for which the batch has room.
    pub(super) fn count_many_batched(&mut self, calls: u32) {
        if let Some(batch) = &mut self.batch_out {
            batch.left -= calls;
        }
    }

    /// Returns how many calls more the batch may have that was begun.
    pub fn batch_room(&self) -> u32 {
        self.batch_out.as_ref().map_or(0, |batch| batch.left)
    }

    /// Checks that this frame may come between the frames of the batch that is open.
    pub(super) fn check_turn(&self, kind: Kind) -> Result<(), Violation> {
        let belongs = matches!(
            kind,
            Kind::Call | Kind::Oneway | Kind::CallRun | Kind::BatchEnd
        );
        if self.batch_in.is_some() && !belongs && !kind.is_link() {
            return Err(Violation::OutOfTurn(kind.code()));
        }
        Ok(())
    }

    pub(super) fn handle_batch_begin(&mut self, begin: BatchBegin) -> Result<(), ConnectionError> {
        if begin.calls > self.given_credit.grants().batch_calls() {
            return Err(Violation::BatchTooLong(begin.calls).into());
        }
        self.batch_in = Some(BatchIn {
            number: begin.batch,
            mode: begin.mode,
            left: begin.calls,
            calls: Vec::new(),
        });
        Ok(())
    }

    /// Checks that a call belongs to the open batch, if there is one, and that there is one if it says so.
    pub(super) fn check_batched(&mut self, is_batched: bool) -> Result<(), Violation> {
        match &mut self.batch_in {
            None if is_batched => Err(Violation::BadBatch("a call of no batch")),
            None => Ok(()),
            Some(_) if !is_batched => Err(Violation::BadBatch("another call within it")),
            Some(batch) => batch.count(1),
        }
    }

    /// Checks that so many calls in one message belong to the open batch.
    pub(super) fn check_run(&mut self, calls: u32) -> Result<(), Violation> {
        match &mut self.batch_in {
            None => Err(Violation::BadBatch("a run of no batch")),
            Some(batch) => batch.count(calls),
        }
    }

    /// Keeps a call of the open batch.
    pub(super) fn keep_batched(&mut self, call: BatchedCall) {
        if let Some(batch) = &mut self.batch_in {
            batch.calls.push(call);
        }
    }

    pub(super) fn handle_batch_end(&mut self, end: BatchEnd) -> Result<(), ConnectionError> {
        match self.batch_in.take() {
            Some(batch) if batch.number == end.batch => {
                if !batch.calls.is_empty() {
                    self.events.push_back(Event::Batch(IncomingBatch {
                        mode: batch.mode,
                        calls: batch.calls,
                    }));
                }
                Ok(())
            }
            Some(_) => Err(Violation::BadBatch("the end of another").into()),
            None => Err(Violation::BadBatch("an end without a beginning").into()),
        }
    }
}
