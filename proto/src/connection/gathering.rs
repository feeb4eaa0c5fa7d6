//! Gathering: calls that differ from the one before in their arguments alone share its frame, and so may their replies.
//!
//! In the books each of them is a call like others, with an id and at the price of a frame of its own, so that neither
//! side has to know whether another one is gathered.

use super::outgoing::check_size;
use super::{Connection, Event, IncomingCalls, IncomingReplies, OnewayReceipt, features};
use crate::error::{ConnectionError, SendError, Violation};
use crate::frame::{Kind, LENGTH_FIELD};
use crate::id::{CallId, ExportId};
use crate::message::{
    Gathered, GatheredCalls, GatheredReplies, OutgoingCall, OutgoingReplies, gather,
};

impl Connection {
    /// Tells whether both sides take gathered calls, which is known once the handshake is done.
    #[inline]
    fn gathers(&self) -> bool {
        let peer = self.peer.as_ref();
        peer.is_some_and(|peer| peer.knows(features::GATHERED))
    }

    /// Adds a call that is nothing but numbers and a body to the frame before it, if that may be. Returns whether it was.
    #[inline]
    pub(super) fn gather(&mut self, call: &OutgoingCall<'_>, kind: Kind, id: CallId) -> bool {
        let limit = LENGTH_FIELD + self.own_credit.grants().max_message as usize;
        self.gathers()
            && self
                .session
                .gather(|out, start| gather(call, kind, id.index(), out, start, limit))
    }

    /// Answers several calls together, which have returned well and nothing but values.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply); none of them is answered then. [`SendError::Unknown`] also for a call of a run, and if the
    /// other side takes no such replies.
    pub fn reply_gathered(&mut self, replies: &OutgoingReplies<'_>) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        let mut calls = replies.calls.iter();
        let are_open = calls.all(|(id, _)| self.answers.is_single(*id));
        if replies.calls.is_empty() || !self.gathers() || !are_open {
            return Err(SendError::Unknown("call"));
        }
        replies.check()?;
        let frame_length = replies.frame_length();
        check_size(frame_length - LENGTH_FIELD, self.own_credit.grants())?;
        replies.encode(self.session.buffer(frame_length));
        self.session.append(frame_length, &[]);
        let end = self.session.appended();
        for (id, _) in replies.calls {
            self.answers.answer(*id, end);
        }
        Ok(())
    }

    pub(super) fn handle_gathered_calls(
        &mut self,
        gathered: GatheredCalls,
    ) -> Result<(), ConnectionError> {
        if !self.gathers() {
            return Err(Violation::OutOfTurn(Kind::GatheredCalls.code()).into());
        }
        for call in &gathered.calls {
            let bytes = call.cost();
            self.given_credit.charge(0, 1, bytes)?;
            if !gathered.oneway {
                self.open(call.id.index(), 0, bytes, 1, false)?;
            }
        }
        let Some(fault) = self.refusal_of_bare(gathered.codec) else {
            self.events.push_back(Event::Calls(IncomingCalls {
                target: ExportId::new(gathered.target),
                method_hash: gathered.method_hash,
                shape: gathered.shape,
                method_index: gathered.method_index,
                codec: gathered.codec,
                oneway: gathered.oneway,
                calls: gathered.calls,
            }));
            return Ok(());
        };
        for call in &gathered.calls {
            match gathered.oneway {
                true => self.drop_oneway(OnewayReceipt::of_gathered(call), &fault),
                false => self.refuse_with(call.id, &fault),
            }
        }
        Ok(())
    }

    pub(super) fn handle_gathered_replies(
        &mut self,
        gathered: GatheredReplies,
    ) -> Result<(), ConnectionError> {
        for reply in &gathered.replies {
            let id = reply.id.index();
            let question = self.questions.answered(id)?;
            // Whoever asked for a name, or made a run, looks for other answers.
            if question.alias.is_some() || question.is_run {
                return Err(Violation::UnknownReply(id).into());
            }
            self.take_answer(&question);
            self.tell_of_answer(&question);
        }
        // Whoever waits for room asks again when the answers were taken.
        self.events.push_front(Event::Replies(IncomingReplies {
            codec: gathered.codec,
            replies: gathered.replies,
        }));
        Ok(())
    }
}

impl OnewayReceipt {
    /// The receipt of a oneway that was gathered.
    pub fn of_gathered(call: &Gathered) -> Self {
        Self::of_one(0, call.cost())
    }
}
