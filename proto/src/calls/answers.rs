//! The calls that the other side made and that this side owes an answer.

use crate::error::Violation;
use crate::id::CallId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The caller may use the id.
    Idle,
    /// The handler runs, or will.
    Open,
    /// The handler runs, and the caller gave it up.
    Cancelled,
    /// The reply was sent, and the caller may still name the answer.
    Kept,
    /// The reply waits to be sent; the caller cannot know of it, and so cannot use the id.
    Answered,
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    state: State,
    depth: u16,
    bytes: u32,
    /// How many calls it stands for.
    calls: u32,
    /// How many of them have no reply yet.
    left: u32,
    /// Where the last reply ends in this side's stream, once it is written.
    end: u64,
    /// The answer is to be kept until its caller says finish.
    is_kept: bool,
    /// It stands for the calls of a run.
    is_run: bool,
}

/// A call that has been answered and whose credit goes back with its reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed {
    /// The pool.
    pub(crate) depth: u16,
    /// What it cost.
    pub(crate) bytes: u32,
    /// How many calls it stood for.
    pub(crate) calls: u32,
}

/// Slots of calls, as the caller numbers them.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    slots: Vec<Answer>,
    open: usize,
    answered: Vec<u32>,
    kept: usize,
}

impl Answers {
    /// Opens the call that arrived, or so many calls of a run. Their credit has been charged, which bounds the table: a caller
    /// uses a new id only when all lower ones are taken. Returns also where the reply to the call before ends that had this
    /// id: the caller has received it.
    pub(crate) fn open(
        &mut self,
        id: u32,
        depth: u16,
        bytes: u32,
        calls: u32,
        is_kept: bool,
    ) -> Result<(CallId, u64), Violation> {
        let mut answer = Answer {
            state: State::Open,
            depth,
            bytes,
            calls,
            left: calls,
            end: 0,
            is_kept,
            is_run: false,
        };
        if id as usize == self.slots.len() {
            self.slots.push(answer);
        } else {
            let slot = self
                .slots
                .get_mut(id as usize)
                .ok_or(Violation::CallIdOutOfSequence(id))?;
            if slot.state != State::Idle {
                return Err(Violation::CallIdInUse(id));
            }
            std::mem::swap(slot, &mut answer);
        }
        self.open += 1;
        self.kept += usize::from(is_kept);
        Ok((CallId::new(id), answer.end))
    }

    /// Returns how many calls of this id have no reply yet.
    pub(crate) fn left(&self, id: CallId) -> u32 {
        let slot = self.slots.get(id.index() as usize);
        slot.map_or(0, |slot| slot.left)
    }

    /// Tells whether the call is open.
    pub(crate) fn is_open(&self, id: CallId) -> bool {
        let slot = self.slots.get(id.index() as usize);
        slot.is_some_and(|slot| matches!(slot.state, State::Open | State::Cancelled))
    }

    /// Notes that an open call stands for those of a run.
    pub(crate) fn set_run(&mut self, id: CallId) {
        if let Some(slot) = self.slots.get_mut(id.index() as usize) {
            slot.is_run = true;
        }
    }

    /// Tells whether the call is open, and none of a run.
    pub(crate) fn is_single(&self, id: CallId) -> bool {
        let slot = self.slots.get(id.index() as usize);
        self.is_open(id) && slot.is_some_and(|slot| !slot.is_run)
    }

    /// Notes that the caller gave the call up. Returns whether that is news about an open call.
    pub(crate) fn cancel(&mut self, id: u32) -> bool {
        match self.slots.get_mut(id as usize) {
            Some(slot) if slot.state == State::Open => {
                slot.state = State::Cancelled;
                true
            }
            // The reply is on its way: a legal race.
            _ => false,
        }
    }

    /// Notes that the reply of an open call, or of the next one of a run, has been written, up to the offset `end`.
    pub(crate) fn answer(&mut self, id: CallId, end: u64) {
        self.answer_many(id, 1, end);
    }

    /// Notes that the replies of the next `count` calls of a run have been written, of which there are so many.
    pub(crate) fn answer_many(&mut self, id: CallId, count: u32, end: u64) {
        if let Some(slot) = self.slots.get_mut(id.index() as usize) {
            slot.left -= count;
            if slot.left > 0 {
                return;
            }
            slot.state = State::Answered;
            slot.end = end;
            self.open -= 1;
            self.answered.push(id.index());
        }
    }

    /// Frees the slots of the calls whose replies go out now, and tells what each cost.
    ///
    /// Not before: a peer that does not read its replies cannot make more calls than it was granted.
    pub(crate) fn free_answered(&mut self, mut each: impl FnMut(Closed)) {
        for id in self.answered.drain(..) {
            if let Some(slot) = self.slots.get_mut(id as usize) {
                slot.state = if slot.is_kept {
                    State::Kept
                } else {
                    State::Idle
                };
                each(Closed {
                    depth: slot.depth,
                    bytes: slot.bytes,
                    calls: slot.calls,
                });
            }
        }
    }

    /// Notes that an answer is not needed as a target any more. Returns whether it was kept.
    pub(crate) fn finish(&mut self, id: u32) -> bool {
        let Some(slot) = self.slots.get_mut(id as usize).filter(|slot| slot.is_kept) else {
            return false;
        };
        slot.is_kept = false;
        if slot.state == State::Kept {
            slot.state = State::Idle;
        }
        self.kept -= 1;
        true
    }

    /// Returns how many answers are kept, or will be.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// Returns how many calls have no reply yet.
    pub(crate) fn len(&self) -> usize {
        self.open
    }
}
