//! Runs: calls of a batch to one method of one object, which have one id and one frame.
//!
//! A run is charged as so many calls, and its credit comes back with the last of their replies. These come in the order of
//! the calls: a Reply is for the next one, a ReplyRun for the next ones.

use super::outgoing::{charge, check_sections, check_size, end_frame, estimate};
use super::refusing::depth_of;
use super::{BatchedCall, Connection, Event, IncomingResults, features};
use crate::calls::Question;
use crate::error::{ConnectionError, SendError, Violation};
use crate::frame::{Kind, LENGTH_FIELD};
use crate::id::CallId;
use crate::message::{Call, CallRun, OutgoingResults, OutgoingRun, ReplyRun};

impl Connection {
    /// Tells whether both sides take runs, which is known once the handshake is done.
    pub fn takes_runs(&self) -> bool {
        let peer = self.peer.as_ref();
        peer.is_some_and(|peer| peer.knows(features::RUNS))
    }

    /// Makes the calls of a run, as a part of the batch that was begun. Their replies come as events, all with the id that
    /// is returned; it is taken until the last of them.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); [`SendError::NoCredit`] if there is no room for all of them, and [`SendError::TooMany`] if
    /// the batch has none or the other side takes no runs. The run should not be empty.
    pub fn call_run(&mut self, run: &OutgoingRun<'_>) -> Result<CallId, SendError> {
        let depth = self.check_call(run.extensions.depth())?;
        let calls = u32::try_from(run.lengths.len()).unwrap_or(u32::MAX);
        let room = match self.takes_runs() {
            true => self.batch_room(),
            false => 0,
        };
        if calls > room {
            return Err(SendError::TooMany {
                what: "calls in one run",
                count: run.lengths.len(),
                limit: room as usize,
            });
        }
        if !self.is_agreed_codec(run.codec) {
            return Err(SendError::UnsupportedCodec(run.codec));
        }
        if self.own_credit.room(depth) < calls {
            self.own_credit.await_room(depth);
            return Err(SendError::NoCredit);
        }
        let sections = run.sections();
        let grants = *self.own_credit.grants();
        check_sections(&grants, &sections)?;
        let id = self.questions.next_id();
        let lengths = 4 * run.lengths.len();
        let out = self.session.buffer(estimate(&sections) + lengths);
        let frame = run.encode(id.index(), out);
        let frame_length = end_frame(frame, out, &sections, &grants)?;
        self.session.append(frame_length, &[]);
        self.count_many_batched(calls);
        let bytes = charge(frame_length);
        self.own_credit.spend_on_run(depth, calls, bytes);
        let mut question = Question::new(depth, bytes, self.session.appended(), None);
        question.is_run = true;
        question.calls = calls;
        question.left = calls;
        Ok(self.questions.ask(question))
    }

    /// Answers the next calls of a run, which have returned well. [`reply`](Self::reply) answers the next one, however it
    /// ended.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply), and [`SendError::Unknown`] if there are not so many calls without a reply.
    pub fn reply_run(
        &mut self,
        run: CallId,
        results: &OutgoingResults<'_>,
    ) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        let count = u32::try_from(results.lengths.len()).unwrap_or(u32::MAX);
        if !self.answers.is_open(run) || count > self.answers.left(run) {
            return Err(SendError::Unknown("call"));
        }
        let frame_length = results.frame_length();
        check_size(frame_length - LENGTH_FIELD, self.own_credit.grants())?;
        results.encode(run.index(), self.session.buffer(frame_length));
        self.session.append(frame_length, &[]);
        self.answers
            .answer_many(run, count, self.session.appended());
        Ok(())
    }

    pub(super) fn handle_call_run(
        &mut self,
        run: CallRun,
        bytes: u32,
    ) -> Result<(), ConnectionError> {
        if !self.takes_runs() {
            return Err(Violation::OutOfTurn(Kind::CallRun.code()).into());
        }
        // A frame has no more calls than a quarter of its bytes.
        let calls = run.lengths.len() as u32;
        self.check_run(calls)?;
        let pool = self.charge(depth_of(&run.sections), calls, bytes)?;
        let id = self.open(run.id, pool, bytes, calls, false)?;
        self.answers.set_run(id);
        let refusal = self.refusal_of(&run.sections, run.codec);
        let call = Call {
            id: run.id,
            target: run.target,
            method_hash: run.method_hash,
            shape: run.shape,
            method_index: run.method_index,
            codec: run.codec,
            pipelined: false,
            keep_answer: false,
            batched: true,
            ordered: false,
            sections: run.sections,
        };
        let call = self.accept_call(id, call)?;
        self.keep_batched(BatchedCall {
            call,
            receipt: None,
            run: Some(run.lengths),
            refusal: refusal.map(Box::new),
        });
        Ok(())
    }

    pub(super) fn handle_reply_run(&mut self, reply: ReplyRun) -> Result<(), ConnectionError> {
        let count = u32::try_from(reply.lengths.len()).unwrap_or(u32::MAX);
        let question = self.questions.answered_many(reply.id, count)?;
        // Whoever made a call or a bind does not look for the results of a run.
        if !question.is_run {
            return Err(Violation::UnknownReply(reply.id).into());
        }
        self.take_answer(&question);
        self.events.push_back(Event::Results(IncomingResults {
            call: CallId::new(reply.id),
            more: question.left > 0,
            codec: reply.codec,
            lengths: reply.lengths,
            body: reply.body.into(),
        }));
        self.tell_of_answer(&question);
        Ok(())
    }
}
