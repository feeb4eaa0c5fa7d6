//! Groups of calls: sent under one lock, answered to one waker.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use farref_proto::{BatchMode, CallId, FaultKind, IncomingReply, Seldom, SendError};

use super::inbox::Garbage;
use super::refusals::send_fault;
use super::sending::overloaded;
use super::{Session, Ticket};
use crate::Outcome;
use crate::context::Annotations;
use crate::dispatch::RawReply;
use crate::error::{Fault, Result};
use crate::far::{OnewayMode, ReadyCall};
use crate::transferred::Transferred;

/// The groups that wait for answers.
#[derive(Default)]
pub(super) struct Groups {
    slots: Vec<Option<Group>>,
    free: Vec<usize>,
}

struct Group {
    /// Who waits for the last of the answers.
    waker: Waker,
    missing: usize,
    members: Vec<Member>,
}

enum Member {
    Asked(CallId),
    Answered(IncomingReply, Seldom<Transferred>),
    Failed(Fault),
    /// It is not answered.
    Oneway,
}

/// Where the answer to a call of a group belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    group: usize,
    member: usize,
}

/// What came of a call of a group.
pub(crate) enum Answer {
    Reply(Result<RawReply>, Annotations),
    /// It was sent, and is not answered.
    Sent,
}

impl Groups {
    fn insert(&mut self, group: Group) -> usize {
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
            Some(Some(group)) => {
                group.end(seat.member, Member::Answered(reply, transferred), garbage);
            }
            _ => garbage.transferred.extend(transferred),
        }
    }

    /// Ends all groups with the session.
    pub(super) fn fail(&mut self, garbage: &mut Garbage, mut fault: impl FnMut(CallId) -> Fault) {
        for group in self.slots.iter_mut().flatten() {
            for index in 0..group.members.len() {
                if let Member::Asked(call) = group.members[index] {
                    group.end(index, Member::Failed(fault(call)), garbage);
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
        self.missing -= 1;
        if self.missing == 0 {
            garbage.wakers.push(self.waker.clone());
        }
    }

    fn calls(&self) -> impl Iterator<Item = CallId> {
        self.members.iter().filter_map(|member| match member {
            Member::Asked(call) => Some(*call),
            _ => None,
        })
    }
}

/// What became of an attempt to send a group.
pub(crate) enum GroupSent {
    /// There is no room; the caller is woken when it is its turn.
    Queued,
    /// The calls in front were sent; how many of them is how many answers there will be.
    Sent {
        waiting: WaitingGroup,
        /// The call behind them that could not be sent, and why: it was left out, and in a batch that stops the others
        /// behind it, too.
        refused: Option<Fault>,
    },
}

/// A group that was sent, until its answers are taken. Dropped before, it gives all its calls up.
pub(crate) struct WaitingGroup {
    session: Arc<Session>,
    group: Option<usize>,
    sent: usize,
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
        Poll::Ready(members.into_iter().map(|it| self.answer(it)).collect())
    }

    fn answer(&self, member: Member) -> Answer {
        match member {
            Member::Answered(mut reply, transferred) => {
                let annotations = reply
                    .extensions
                    .take()
                    .map(|extensions| extensions.annotations)
                    .unwrap_or_default();
                Answer::Reply(self.session.raw_reply(reply, transferred), annotations)
            }
            Member::Failed(fault) => Answer::Reply(Err(fault), Annotations::new()),
            Member::Oneway => Answer::Sent,
            Member::Asked(_) => {
                let fault = Fault::new(
                    FaultKind::Internal,
                    Outcome::Unknown,
                    "the call is forgotten",
                );
                Answer::Reply(Err(fault), Annotations::new())
            }
        }
    }

    /// Gives some of the calls up; the others go on.
    pub(crate) fn give_up(&self, fault: &Fault, is_given_up: impl Fn(usize) -> bool) {
        let mut garbage = Garbage::default();
        let mut guard = self.session.lock();
        let state = &mut *guard;
        if let Some(index) = self.group
            && let Some(Some(group)) = state.questions.groups.slots.get_mut(index)
        {
            for member in 0..group.members.len() {
                if let Member::Asked(call) = group.members[member]
                    && is_given_up(member)
                {
                    group.end(member, Member::Failed(fault.clone()), &mut garbage);
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

impl Session {
    /// Sends as many of these calls as there is room for, as one batch, or queues for room.
    ///
    /// # Errors
    ///
    /// Why the session takes no calls.
    pub(crate) fn send_group(
        self: &Arc<Self>,
        mode: BatchMode,
        calls: &[ReadyCall<'_>],
        ticket: &mut Ticket,
        cx: &Context<'_>,
    ) -> Result<GroupSent> {
        let Some(first) = calls.first() else {
            return Ok(self.sent_group(None, 0, None));
        };
        let is_oneway = first.oneway != OnewayMode::Answered;
        let is_nested = first.extras.depth() > 0;
        let depth = first.depth();
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(fault) = &state.closed {
            return Err(fault.clone().with_outcome(Outcome::NotStarted));
        }
        let may_send = state.questions.may_send(depth, ticket);
        if !may_send || state.connection.room(depth) == 0 {
            if is_oneway && is_nested && state.connection.is_established() {
                let next = state.questions.dequeue(depth, ticket);
                drop(guard);
                next.into_iter().for_each(Waker::wake);
                return Ok(self.sent_group(None, 0, Some(overloaded())));
            }
            state.questions.queue(depth, ticket, cx.waker());
            return Ok(GroupSent::Queued);
        }
        // A single call needs no frames around it.
        if calls.len() > 1 {
            let most = state.connection.room(depth);
            let count = u32::try_from(calls.len()).unwrap_or(u32::MAX).min(most);
            match state.connection.begin_batch(mode, count) {
                Ok(()) => {}
                Err(SendError::NotEstablished) => {
                    state.questions.queue(depth, ticket, cx.waker());
                    return Ok(GroupSent::Queued);
                }
                Err(error) => return Err(send_fault(&error)),
            }
        }
        let mut garbage = None;
        let mut members = Vec::with_capacity(calls.len().min(1024));
        let mut refused = None;
        let group = state.questions.groups.next();
        for call in calls {
            match self.append(state, call, false, &mut garbage) {
                Ok(Some(id)) => {
                    let seat = Seat {
                        group,
                        member: members.len(),
                    };
                    state.questions.expect_in_group(id, seat);
                    members.push(Member::Asked(id));
                }
                Ok(None) => members.push(Member::Oneway),
                // What is left waits for the answers of these.
                Err(SendError::NoCredit | SendError::NotEstablished) if !members.is_empty() => {
                    break;
                }
                Err(SendError::NoCredit) if call.oneway != OnewayMode::Answered && is_nested => {
                    refused = Some(overloaded());
                    break;
                }
                Err(SendError::NoCredit | SendError::NotEstablished) => break,
                Err(error) => {
                    refused = Some(send_fault(&error));
                    break;
                }
            }
        }
        state.connection.end_batch();
        let sent = members.len();
        if sent == 0 && refused.is_none() {
            // There was room for a call of the group's depth, but not for this one.
            state.questions.queue(depth, ticket, cx.waker());
            Self::unlock_and_write(guard);
            drop(garbage);
            return Ok(GroupSent::Queued);
        }
        let missing = members
            .iter()
            .filter(|member| matches!(member, Member::Asked(_)))
            .count();
        let group = (missing > 0).then(|| {
            state.questions.groups.insert(Group {
                waker: cx.waker().clone(),
                missing,
                members,
            })
        });
        let next = state.questions.dequeue(depth, ticket);
        if state.questions.is_alone() {
            self.unlock_and_write_now(guard);
        } else {
            Self::unlock_and_write(guard);
        }
        drop(garbage);
        next.into_iter().for_each(Waker::wake);
        Ok(self.sent_group(group, sent, refused))
    }

    fn sent_group(
        self: &Arc<Self>,
        group: Option<usize>,
        sent: usize,
        refused: Option<Fault>,
    ) -> GroupSent {
        let waiting = WaitingGroup {
            session: Arc::clone(self),
            group,
            sent,
        };
        GroupSent::Sent { waiting, refused }
    }
}

impl Groups {
    /// Where the next group goes.
    fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.slots.len())
    }
}
