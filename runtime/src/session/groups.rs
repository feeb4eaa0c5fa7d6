//! Groups of calls that were sent: answered to one waker.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use farref_proto::{Body, CallId, FaultKind, IncomingReply, IncomingResults, Seldom};

use super::Session;
use super::inbox::Garbage;
use crate::Outcome;
use crate::codec::{Budget, Codec};
use crate::context::Annotations;
use crate::dispatch::RawReply;
use crate::error::{Fault, Result};
use crate::transferred::Transferred;

/// The groups that wait for answers.
#[derive(Default)]
pub(super) struct Groups {
    slots: Vec<Option<Group>>,
    free: Vec<usize>,
}

pub(super) struct Group {
    /// Who waits for the last of the answers.
    pub(super) waker: Waker,
    pub(super) missing: usize,
    pub(super) members: Vec<Member>,
}

pub(super) enum Member {
    Asked(CallId),
    Answered(IncomingReply, Seldom<Transferred>),
    Failed(Fault),
    /// It is not answered.
    Oneway,
    Run(RunAnswers),
}

/// What came of the calls of a run, in their order.
pub(super) struct RunAnswers {
    call: CallId,
    count: usize,
    parts: Vec<RunPart>,
    /// Whether calls behind those have no answer yet.
    is_open: bool,
    /// Why they will get none.
    failed: Option<Fault>,
}

pub(super) enum RunPart {
    Results(IncomingResults),
    Reply(IncomingReply, Seldom<Transferred>),
}

impl RunAnswers {
    /// Those of a run of so many calls that was sent.
    pub(super) fn of(call: CallId, count: usize) -> Self {
        RunAnswers {
            call,
            count,
            parts: Vec::new(),
            is_open: true,
            failed: None,
        }
    }
}

impl Member {
    /// The call to which an answer is missing.
    pub(super) fn asked(&self) -> Option<CallId> {
        match self {
            Member::Asked(call) => Some(*call),
            Member::Run(run) if run.is_open => Some(run.call),
            _ => None,
        }
    }

    /// How many calls it stands for.
    pub(super) fn count(&self) -> usize {
        match self {
            Member::Run(run) => run.count,
            _ => 1,
        }
    }
}

/// Where the answer to a call of a group belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) group: usize,
    pub(super) member: usize,
}

/// What calls of a run have returned, one behind the other.
pub(crate) struct Results {
    pub(crate) codec: Codec,
    pub(crate) budget: Budget,
    /// How long each result is.
    pub(crate) lengths: Vec<u32>,
    pub(crate) body: Body,
}

impl Results {
    /// All of them, to be turned to one after the other.
    pub(crate) fn reply(&self) -> RawReply {
        RawReply::value(self.codec, self.budget, self.body.clone())
    }
}

/// What came of a call of a group.
pub(crate) enum Answer {
    Reply(Result<RawReply>, Annotations),
    /// It was sent, and is not answered.
    Sent,
    /// So many calls have returned well, and nothing but a value each.
    Results(Results),
    /// None of so many calls was answered.
    Failed(usize, Fault),
}

impl Groups {
    pub(super) fn insert(&mut self, group: Group) -> usize {
        match self.free.pop() {
            Some(index) => {
                self.slots[index] = Some(group);
                index
            }
            None => {
                self.slots.push(Some(group));
                self.slots.len() - 1
            }
        }
    }

    fn remove(&mut self, index: usize) -> Option<Group> {
        let group = self.slots.get_mut(index)?.take()?;
        self.free.push(index);
        Some(group)
    }

    /// How many groups wait.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes an answer. Whoever waits for the group is woken by the last one.
    pub(super) fn answer(
        &mut self,
        seat: Seat,
        reply: IncomingReply,
        transferred: Seldom<Transferred>,
        garbage: &mut Garbage,
    ) {
        match self.slots.get_mut(seat.group) {
            Some(Some(group)) => match group.members.get_mut(seat.member) {
                Some(Member::Run(run)) => {
                    let more = reply.more;
                    run.parts.push(RunPart::Reply(reply, transferred));
                    group.end_run(seat.member, more, garbage);
                }
                _ => group.end(seat.member, Member::Answered(reply, transferred), garbage),
            },
            _ => garbage.transferred.extend(transferred),
        }
    }

    /// Takes results of a run.
    pub(super) fn results(&mut self, seat: Seat, results: IncomingResults, garbage: &mut Garbage) {
        if let Some(Some(group)) = self.slots.get_mut(seat.group)
            && let Some(Member::Run(run)) = group.members.get_mut(seat.member)
        {
            let more = results.more;
            run.parts.push(RunPart::Results(results));
            group.end_run(seat.member, more, garbage);
        }
    }

    /// Ends all groups with the session.
    pub(super) fn fail(&mut self, garbage: &mut Garbage, mut fault: impl FnMut(CallId) -> Fault) {
        for group in self.slots.iter_mut().flatten() {
            for index in 0..group.members.len() {
                if let Some(call) = group.members[index].asked() {
                    group.fail(index, fault(call), garbage);
                }
            }
        }
    }
}

impl Group {
    fn end(&mut self, index: usize, how: Member, garbage: &mut Garbage) {
        let Some(member @ Member::Asked(_)) = self.members.get_mut(index) else {
            return;
        };
        *member = how;
        self.ended(garbage);
    }

    /// Notes that answers to calls of a run have come, and whether there will be others.
    fn end_run(&mut self, index: usize, more: bool, garbage: &mut Garbage) {
        let Some(Member::Run(run)) = self.members.get_mut(index) else {
            return;
        };
        if run.is_open && !more {
            run.is_open = false;
            self.ended(garbage);
        }
    }

    /// Ends a member that will get no answer, or no other one.
    fn fail(&mut self, index: usize, fault: Fault, garbage: &mut Garbage) {
        match self.members.get_mut(index) {
            Some(Member::Run(run)) if run.is_open => {
                run.failed = Some(fault);
                self.end_run(index, false, garbage);
            }
            _ => self.end(index, Member::Failed(fault), garbage),
        }
    }

    fn ended(&mut self, garbage: &mut Garbage) {
        self.missing -= 1;
        if self.missing == 0 {
            garbage.wakers.push(self.waker.clone());
        }
    }

    fn calls(&self) -> impl Iterator<Item = CallId> {
        self.members.iter().filter_map(Member::asked)
    }
}

/// A group that was sent, until its answers are taken. Dropped before, it gives all its calls up.
pub(crate) struct WaitingGroup {
    pub(super) session: Arc<Session>,
    pub(super) group: Option<usize>,
    pub(super) sent: usize,
}

impl WaitingGroup {
    /// How many calls were sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent
    }

    /// Waits until all are answered.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Vec<Answer>> {
        let Some(index) = self.group else {
            return Poll::Ready((0..self.sent).map(|_| Answer::Sent).collect());
        };
        let mut state = self.session.lock();
        let groups = &mut state.questions.groups;
        if let Some(Some(group)) = groups.slots.get_mut(index)
            && group.missing > 0
        {
            group.waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        self.group = None;
        let group = groups.remove(index);
        drop(state);
        let members = group.map(|group| group.members).unwrap_or_default();
        let mut answers = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Member::Answered(reply, transferred) => {
                    answers.push(self.reply(reply, transferred));
                }
                Member::Failed(fault) => answers.push(Answer::Failed(1, fault)),
                Member::Oneway => answers.push(Answer::Sent),
                Member::Asked(_) => answers.push(Answer::Failed(1, forgotten())),
                Member::Run(run) => self.run_answers(run, &mut answers),
            }
        }
        Poll::Ready(answers)
    }

    fn run_answers(&self, run: RunAnswers, answers: &mut Vec<Answer>) {
        let mut left = run.count;
        for part in run.parts {
            match part {
                RunPart::Results(results) => {
                    left = left.saturating_sub(results.lengths.len());
                    answers.push(match self.session.reply_codec(results.codec) {
                        Ok(codec) => Answer::Results(Results {
                            codec,
                            budget: self.session.node.budget,
                            lengths: results.lengths,
                            body: results.body,
                        }),
                        Err(fault) => Answer::Failed(results.lengths.len(), fault),
                    });
                }
                RunPart::Reply(reply, transferred) => {
                    left = left.saturating_sub(1);
                    answers.push(self.reply(reply, transferred));
                }
            }
        }
        if left > 0 {
            let fault = run.failed.unwrap_or_else(forgotten);
            answers.push(Answer::Failed(left, fault));
        }
    }

    fn reply(&self, mut reply: IncomingReply, transferred: Seldom<Transferred>) -> Answer {
        let annotations = reply
            .extensions
            .take()
            .map(|extensions| extensions.annotations)
            .unwrap_or_default();
        Answer::Reply(self.session.raw_reply(reply, transferred), annotations)
    }

    /// Gives some of the calls up; the others go on. Of a run it is asked whether the first is given up.
    pub(crate) fn give_up(&self, fault: &Fault, is_given_up: impl Fn(usize) -> bool) {
        let mut garbage = Garbage::default();
        let mut guard = self.session.lock();
        let state = &mut *guard;
        if let Some(index) = self.group
            && let Some(Some(group)) = state.questions.groups.slots.get_mut(index)
        {
            let mut first = 0;
            for member in 0..group.members.len() {
                let number = first;
                first += group.members[member].count();
                if let Some(call) = group.members[member].asked()
                    && is_given_up(number)
                {
                    group.fail(member, fault.clone(), &mut garbage);
                    state.connection.cancel(call);
                    state.questions.by_call[call.index() as usize] =
                        super::questions::Asker::Nobody;
                }
            }
        }
        Session::unlock_and_write(guard);
        garbage.wake();
    }
}

impl Drop for WaitingGroup {
    fn drop(&mut self) {
        let Some(index) = self.group else {
            return;
        };
        let mut guard = self.session.lock();
        let state = &mut *guard;
        let group = state.questions.groups.remove(index);
        for call in group.iter().flat_map(Group::calls) {
            state.connection.cancel(call);
            state.questions.by_call[call.index() as usize] = super::questions::Asker::Nobody;
        }
        Session::unlock_and_write(guard);
        // What was answered is dropped without the lock.
        drop(group);
    }
}

fn forgotten() -> Fault {
    Fault::new(
        FaultKind::Internal,
        Outcome::Unknown,
        "the call is forgotten",
    )
}

impl Groups {
    /// Where the next group goes.
    pub(super) fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.slots.len())
    }
}
