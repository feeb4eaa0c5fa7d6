//! Sending groups of calls, under one lock.

use std::sync::Arc;
use std::task::{Context, Waker};

use farref_proto::{BatchMode, OutgoingRun, SendError};

use super::groups::{Group, Member, RunAnswers, Seat, WaitingGroup};
use super::refusals::send_fault;
use super::sending::overloaded;
use super::{Session, State, Ticket};
use crate::Outcome;
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::far::{Extras, MethodKey, OnewayMode, ReadyCall};
use crate::remote::CallTarget;

/// A frame of a run has no more calls than this, and no more bytes of arguments: others may come between, and whoever
/// takes it can begin with it while the next one is made.
const RUN_CALLS: usize = 512;
const RUN_BYTES: usize = 32 << 10;

/// What is sent of a group: a call, or several that differ in their arguments alone.
pub(crate) enum GroupCall<'a> {
    One(ReadyCall<'a>),
    Run(ReadyRun<'a>),
}

impl GroupCall<'_> {
    fn depth(&self) -> u16 {
        match self {
            GroupCall::One(call) => call.depth(),
            GroupCall::Run(run) => run.extras.depth(),
        }
    }

    fn extras(&self) -> &Extras {
        match self {
            GroupCall::One(call) => call.extras,
            GroupCall::Run(run) => run.extras,
        }
    }

    fn is_answered(&self) -> bool {
        match self {
            GroupCall::One(call) => call.oneway == OnewayMode::Answered,
            GroupCall::Run(_) => true,
        }
    }

    /// How many calls it stands for.
    fn count(&self) -> usize {
        match self {
            GroupCall::One(_) => 1,
            GroupCall::Run(run) => run.lengths.len(),
        }
    }
}

/// Calls that are ready to be sent as a run.
#[derive(Clone, Copy)]
pub(crate) struct ReadyRun<'a> {
    pub(crate) target: CallTarget,
    pub(crate) key: MethodKey,
    pub(crate) codec: Codec,
    pub(crate) extras: &'a Extras,
    /// How long the arguments of each are.
    pub(crate) lengths: &'a [u32],
    /// The arguments, and what may be behind them.
    pub(crate) body: &'a [u8],
}

impl<'a> ReadyRun<'a> {
    /// Takes the calls off that go into the next frame: `room` at most, which is not 0.
    fn next_frame(&mut self, room: usize) -> ReadyRun<'a> {
        let mut bytes = 0;
        let fitting = self.lengths.iter().take(room.min(RUN_CALLS));
        let count = fitting.take_while(|length| {
            let fits = bytes < RUN_BYTES;
            bytes += if fits { **length as usize } else { 0 };
            fits
        });
        let count = count.count();
        let mut frame = *self;
        (frame.lengths, self.lengths) = self.lengths.split_at(count);
        (frame.body, self.body) = self.body.split_at(bytes);
        frame
    }
}

/// What became of an attempt to send a group.
pub(crate) enum GroupSent {
    /// There is no room; the caller is woken when it is its turn.
    Queued,
    /// The calls in front were sent.
    Sent {
        waiting: WaitingGroup,
        /// The call behind them that could not be sent, and why: it was left out, and in a batch that stops the others
        /// behind it, too.
        refused: Option<Fault>,
    },
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
        calls: &[GroupCall<'_>],
        ticket: &mut Ticket,
        cx: &Context<'_>,
    ) -> Result<GroupSent> {
        let Some(first) = calls.first() else {
            return Ok(self.sent_group(None, 0, None));
        };
        let is_oneway = !first.is_answered();
        let is_nested = first.extras().depth() > 0;
        let depth = first.depth();
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(fault) = &state.closed {
            return Err(fault.clone().with_outcome(Outcome::NotStarted));
        }
        let may_send = state.queues.may_send(depth, ticket);
        if !may_send || state.connection.room(depth) == 0 {
            if is_oneway && is_nested && state.connection.is_established() {
                let next = state.leave_queue(depth, ticket);
                drop(guard);
                next.into_iter().for_each(Waker::wake);
                return Ok(self.sent_group(None, 0, Some(overloaded())));
            }
            state.queues.queue(depth, ticket, cx.waker());
            return Ok(GroupSent::Queued);
        }
        // A single call needs no frames around it.
        let count = calls.iter().map(GroupCall::count).sum::<usize>();
        let is_single = matches!(calls, [GroupCall::One(_)]);
        if !is_single {
            let most = state.connection.room(depth);
            let count = u32::try_from(count).unwrap_or(u32::MAX).min(most);
            match state.connection.begin_batch(mode, count) {
                Ok(()) => {}
                Err(SendError::NotEstablished) => {
                    state.queues.queue(depth, ticket, cx.waker());
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
            let is_answered = call.is_answered();
            let appended = match call {
                GroupCall::One(call) => self.append(state, call, false, &mut garbage).map(|id| {
                    let member = id.map_or(Member::Oneway, Member::Asked);
                    push_member(state, group, &mut members, member);
                }),
                GroupCall::Run(run) => self.append_run(state, *run, group, &mut members),
            };
            match appended {
                Ok(()) => {}
                // What is left waits for the answers of these.
                Err(SendError::NoCredit | SendError::NotEstablished) if !members.is_empty() => {
                    break;
                }
                Err(SendError::NoCredit) if !is_answered && is_nested => {
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
        let sent = members.iter().map(Member::count).sum();
        if sent == 0 && refused.is_none() {
            // There was room for a call of the group's depth, but not for this one.
            state.queues.queue(depth, ticket, cx.waker());
            Self::unlock_and_write(guard);
            drop(garbage);
            return Ok(GroupSent::Queued);
        }
        let missing = members
            .iter()
            .filter(|member| member.asked().is_some())
            .count();
        let group = (missing > 0).then(|| {
            state.questions.groups.insert(Group {
                waker: cx.waker().clone(),
                missing,
                members,
            })
        });
        let next = state.leave_queue(depth, ticket);
        if state.questions.is_alone() {
            self.unlock_and_write_now(guard);
        } else {
            Self::unlock_and_write(guard);
        }
        drop(garbage);
        next.into_iter().for_each(Waker::wake);
        Ok(self.sent_group(group, sent, refused))
    }

    /// Appends as many calls of a run as there is room for.
    ///
    /// # Errors
    ///
    /// Why the one behind those could not be.
    fn append_run(
        &self,
        state: &mut State,
        mut run: ReadyRun<'_>,
        group: usize,
        members: &mut Vec<Member>,
    ) -> std::result::Result<(), SendError> {
        let extensions = self.extensions(run.extras, run.extras.scope.as_ref());
        while !run.lengths.is_empty() {
            let room = state.connection.room(run.extras.depth());
            let room = room.min(state.connection.batch_room());
            if room == 0 {
                return Err(SendError::NoCredit);
            }
            let frame = run.next_frame(room as usize);
            let call = state.connection.call_run(&OutgoingRun {
                target: run.target.id,
                method_index: run.key.index,
                method_hash: run.key.hash,
                shape: run.key.shape,
                codec: run.codec.id(),
                extensions: &extensions,
                lengths: frame.lengths,
                body: frame.body,
            })?;
            let answers = RunAnswers::of(call, frame.lengths.len());
            push_member(state, group, members, Member::Run(answers));
        }
        Ok(())
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

/// Adds what was sent to the group, and notes where its answer belongs.
fn push_member(state: &mut State, group: usize, members: &mut Vec<Member>, member: Member) {
    if let Some(call) = member.asked() {
        let member = members.len();
        state
            .questions
            .expect_in_group(call, Seat { group, member });
    }
    members.push(member);
}
