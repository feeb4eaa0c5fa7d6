//! The calls that this side made and that are not answered.

use crate::error::Violation;
use crate::id::{CallId, ImportId};

/// A call that waits for its reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// The pool that its credit came from.
    pub(crate) depth: u16,
    /// The bytes that it cost.
    pub(crate) bytes: u32,
    /// Where its frame ends in this side's stream.
    pub(crate) end: u64,
    /// What it binds, if it is a bind.
    pub(crate) alias: Option<ImportId>,
    /// Whether the answer is kept at the other side.
    pub(crate) is_kept: bool,
    /// Whether it stands for the calls of a run.
    pub(crate) is_run: bool,
    /// How many calls it stands for.
    pub(crate) calls: u32,
    /// How many of them have no reply yet.
    pub(crate) left: u32,
    /// A cancel is to be sent.
    cancel_due: bool,
    /// A finish is to be sent.
    finish_due: bool,
}

impl Question {
    pub(crate) fn new(depth: u16, bytes: u32, end: u64, alias: Option<ImportId>) -> Self {
        Self {
            depth,
            bytes,
            end,
            alias,
            is_kept: false,
            is_run: false,
            calls: 1,
            left: 1,
            cancel_due: false,
            finish_due: false,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Free {
        next: Option<u32>,
    },
    Asked(Question),
    /// Answered, and the answer is kept.
    Kept {
        finish_due: bool,
    },
}

/// Slots of calls. A free slot is used again before the table grows, so its ids are dense.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    slots: Vec<Slot>,
    free: Option<u32>,
    asked: usize,
    /// Calls whose cancel is to be sent. May name some that were answered meanwhile.
    cancels: Vec<u32>,
    /// Calls whose finish is to be sent.
    finishes: Vec<u32>,
    kept: usize,
}

impl Questions {
    /// Returns the id that the next call will have.
    pub(crate) fn next_id(&self) -> CallId {
        CallId::new(self.free.unwrap_or(self.slots.len() as u32))
    }

    /// Puts a call into the slot of [`next_id`](Self::next_id).
    pub(crate) fn ask(&mut self, question: Question) -> CallId {
        self.asked += 1;
        self.kept += usize::from(question.is_kept);
        let slot = Slot::Asked(question);
        match self.free {
            Some(index) => {
                let free = std::mem::replace(&mut self.slots[index as usize], slot);
                self.free = match free {
                    Slot::Free { next } => next,
                    Slot::Asked(_) | Slot::Kept { .. } => None,
                };
                CallId::new(index)
            }
            None => {
                self.slots.push(slot);
                CallId::new(self.slots.len() as u32 - 1)
            }
        }
    }

    /// Takes the call whose reply came out of its slot; of a run, once the last of its calls is answered.
    pub(crate) fn answered(&mut self, id: u32) -> Result<Question, Violation> {
        self.answered_many(id, 1)
    }

    /// The same of the next `count` calls of a run.
    pub(crate) fn answered_many(&mut self, id: u32, count: u32) -> Result<Question, Violation> {
        match self.slots.get_mut(id as usize) {
            Some(slot @ Slot::Asked(_)) => {
                let Slot::Asked(question) = slot else {
                    return Err(Violation::UnknownReply(id));
                };
                let left = question.left.checked_sub(count);
                question.left = left.ok_or(Violation::UnknownReply(id))?;
                let question = *question;
                if question.left > 0 {
                    return Ok(question);
                }
                self.asked -= 1;
                if question.is_kept {
                    let finish_due = question.finish_due;
                    *slot = Slot::Kept { finish_due };
                } else {
                    *slot = Slot::Free { next: self.free };
                    self.free = Some(id);
                }
                Ok(question)
            }
            _ => Err(Violation::UnknownReply(id)),
        }
    }

    /// Returns the open call of this id.
    pub(crate) fn find(&self, id: CallId) -> Option<&Question> {
        match self.slots.get(id.index() as usize) {
            Some(Slot::Asked(question)) => Some(question),
            _ => None,
        }
    }

    /// Notes that the reply is not needed any more.
    pub(crate) fn cancel(&mut self, id: CallId) {
        if let Some(Slot::Asked(question)) = self.slots.get_mut(id.index() as usize)
            && !question.cancel_due
        {
            question.cancel_due = true;
            self.cancels.push(id.index());
        }
    }

    /// Tells whether cancels are to be sent.
    pub(crate) fn has_cancels(&self) -> bool {
        !self.cancels.is_empty()
    }

    /// Returns the calls to cancel, which is sent at once.
    ///
    /// A call that was answered meanwhile is left out: its slot may hold another call, which nobody gave up.
    pub(crate) fn take_cancels(&mut self) -> Vec<u32> {
        let mut cancels = std::mem::take(&mut self.cancels);
        cancels.retain(|id| match self.slots.get_mut(*id as usize) {
            Some(Slot::Asked(question)) => std::mem::take(&mut question.cancel_due),
            _ => false,
        });
        cancels
    }

    /// Notes that an answer is not needed as a target any more.
    pub(crate) fn finish(&mut self, id: CallId) {
        let due = match self.slots.get_mut(id.index() as usize) {
            Some(Slot::Asked(question)) if question.is_kept => &mut question.finish_due,
            Some(Slot::Kept { finish_due }) => finish_due,
            _ => return,
        };
        if !std::mem::replace(due, true) {
            self.finishes.push(id.index());
        }
    }

    /// Tells whether finishes are to be sent.
    pub(crate) fn has_finishes(&self) -> bool {
        !self.finishes.is_empty()
    }

    /// Returns the answers to be given up, which is sent at once. Those that have come are free again: whatever uses
    /// their ids comes behind it.
    pub(crate) fn take_finishes(&mut self) -> Vec<u32> {
        let finishes = std::mem::take(&mut self.finishes);
        for id in &finishes {
            match self.slots.get_mut(*id as usize) {
                Some(Slot::Asked(question)) => question.is_kept = false,
                Some(slot @ Slot::Kept { .. }) => {
                    *slot = Slot::Free { next: self.free };
                    self.free = Some(*id);
                }
                Some(Slot::Free { .. }) | None => {}
            }
            self.kept -= 1;
        }
        finishes
    }

    /// Returns how many answers are kept at the other side, or will be.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// Returns how many calls wait for a reply.
    pub(crate) fn len(&self) -> usize {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question::new(0, 1, 0, None)
    }

    #[test]
    fn a_cancel_does_not_reach_the_next_call_of_its_slot() {
        let mut questions = Questions::default();
        let id = questions.ask(question());
        questions.cancel(id);
        questions.answered(id.index()).expect("it was asked");
        assert_eq!(questions.ask(question()), id);
        assert_eq!(questions.take_cancels(), [] as [u32; 0]);
        questions.cancel(id);
        questions.cancel(id);
        assert_eq!(questions.take_cancels(), [id.index()]);
    }

    #[test]
    fn ids_are_dense() {
        let mut questions = Questions::default();
        let ids: Vec<_> = (0..4).map(|_| questions.ask(question()).index()).collect();
        assert_eq!(ids, [0, 1, 2, 3]);
        questions.answered(1).expect("it was asked");
        questions.answered(2).expect("it was asked");
        assert_eq!(
            questions.answered(2).err(),
            Some(Violation::UnknownReply(2))
        );
        assert_eq!(questions.next_id(), CallId::new(2));
        assert_eq!(questions.ask(question()), CallId::new(2));
        assert_eq!(questions.ask(question()), CallId::new(1));
        assert_eq!(questions.ask(question()), CallId::new(4));
        assert_eq!(questions.len(), 5);
    }
}
