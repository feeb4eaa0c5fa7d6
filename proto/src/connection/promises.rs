//! Kept answers: what a call returns may be the target of other calls before, and after, it has been returned.
//!
//! The id of a call whose answer is kept stays taken until its reply has come *and* its maker has said finish.

use super::{Connection, Event};
use crate::error::{ConnectionError, SendError, Violation};
use crate::id::CallId;
use crate::message::{Finish, KEEP_ANSWER, PIPELINED};

/// What is asked for a call beside its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallFlags {
    /// The target is the id of a call of this side whose answer is kept: what it returns, or will.
    pub pipelined: bool,
    /// The answer is kept, as the target of other calls, until [`Connection::finish`].
    pub keep_answer: bool,
}

impl CallFlags {
    pub(super) fn bits(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        bit(self.pipelined, PIPELINED) | bit(self.keep_answer, KEEP_ANSWER)
    }
}

impl Connection {
    /// Says that the answer of a call is not needed as a target any more. Calls that were made on it before go on. Does
    /// nothing if the answer is not kept.
    pub fn finish(&mut self, call: CallId) {
        self.questions.finish(call);
    }

    /// Checks that another answer may be kept at the other side.
    pub(super) fn check_keeping(&mut self, depth: u16) -> Result<(), SendError> {
        let limit = self.own_credit.grants().calls;
        if self.questions.kept() < limit as usize {
            return Ok(());
        }
        Err(self.defer(depth, SendError::TooManyKept { limit }))
    }

    /// Checks that another answer may be kept for the other side.
    pub(super) fn check_kept(&self) -> Result<(), Violation> {
        let limit = self.given_credit.grants().calls;
        if self.answers.kept() < limit as usize {
            Ok(())
        } else {
            Err(Violation::TooManyKept(limit))
        }
    }

    pub(super) fn handle_finish(&mut self, finish: &Finish) -> Result<(), ConnectionError> {
        for id in &finish.calls {
            if !self.answers.finish(*id) {
                return Err(Violation::UnknownFinish(*id).into());
            }
            self.events.push_back(Event::Finished(CallId::new(*id)));
        }
        Ok(())
    }
}
