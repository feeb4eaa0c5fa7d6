//! Sending a group of calls of a batch, and waiting for its answers.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

use super::driver::{Driver, Open};
use crate::Outcome;
use crate::call::deadline_exceeded;
use crate::error::{Fault, Result};
use crate::session::{Answer, GroupCall, GroupSent, Session, Ticket, WaitingGroup};

impl Driver<'_> {
    /// Sends calls as one group when there is room. Returns who waits for the answers, and why the call behind those that
    /// were sent could not be.
    pub(super) async fn send_group(
        &mut self,
        session: &Arc<Session>,
        group: Range<usize>,
    ) -> Result<(WaitingGroup, Option<Fault>)> {
        let (depth, deadline) = match &self.open[group.start] {
            Open::Run(run) => {
                let extras = &self.runs[*run].extras;
                (extras.depth(), extras.deadline)
            }
            _ => match self.far(group.start) {
                Some(far) => (far.room_depth(), far.deadline()),
                None => (0, None),
            },
        };
        let mut place = Place {
            session,
            depth,
            ticket: Ticket::none(),
        };
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            // `Send` is asked of the members, and nothing else.
            let this = &mut *self;
            let calls = this.group_calls(group.clone());
            match session.send_group(this.mode, &calls, &mut place.ticket, cx) {
                Ok(GroupSent::Queued) => {}
                Ok(GroupSent::Sent { waiting, refused }) => {
                    return Poll::Ready(Ok((waiting, refused)));
                }
                Err(fault) => return Poll::Ready(Err(fault)),
            }
            let Some(deadline) = deadline else {
                return Poll::Pending;
            };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            ready!(timer.as_mut().poll(cx));
            Poll::Ready(Err(deadline_exceeded(Outcome::NotStarted)))
        })
        .await
    }

    /// The calls of a group as they are sent.
    fn group_calls(&self, group: Range<usize>) -> Vec<GroupCall<'_>> {
        let mut calls = Vec::new();
        let mut number = group.start;
        while number < group.end {
            let (call, end) = match &self.open[number] {
                Open::Run(run) => {
                    let end = self.end_of_run(number);
                    let ready = self.runs[*run].ready(number..end);
                    (ready.map(GroupCall::Run), end)
                }
                _ => {
                    let ready = self.ready(number);
                    (ready.map(GroupCall::One), number + 1)
                }
            };
            let Some(call) = call else {
                break;
            };
            calls.push(call);
            number = end;
        }
        calls
    }
}

/// A place in the queue for room, given up when it is dropped.
struct Place<'a> {
    session: &'a Session,
    depth: u16,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let ticket = std::mem::replace(&mut self.ticket, Ticket::none());
        if ticket != Ticket::none() {
            self.session.leave_queue(self.depth, ticket);
        }
    }
}

/// Waits for the answers. A call whose deadline passes is given up, and the others go on. The deadlines are told by the
/// numbers of their calls.
pub(super) async fn wait(
    waiting: &mut WaitingGroup,
    deadlines: Vec<(usize, Instant)>,
) -> Vec<Answer> {
    let earliest = |after: Option<Instant>| {
        let all = deadlines.iter().map(|(_, deadline)| *deadline);
        all.filter(|deadline| after.is_none_or(|after| *deadline > after))
            .min()
    };
    let mut deadline = earliest(None);
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(answers) = waiting.poll(cx) {
                return Poll::Ready(answers);
            }
            let Some(instant) = deadline else {
                return Poll::Pending;
            };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(instant)));
            ready!(timer.as_mut().poll(cx));
            waiting.give_up(&deadline_exceeded(Outcome::Unknown), |call| {
                let place = deadlines.binary_search_by_key(&call, |(call, _)| *call);
                place.is_ok_and(|place| deadlines[place].1 <= instant)
            });
            deadline = earliest(Some(instant));
            if let Some(later) = deadline {
                timer.as_mut().reset(later);
            }
        }
    })
    .await
}
