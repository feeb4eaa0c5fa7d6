//! Making the calls of a batch: in groups as large as can be, each on one session.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use farref_proto::BatchMode;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::call::deadline_exceeded;
use crate::call::member::{Ended, Member, skipped};
use crate::context::{CallName, after};
use crate::dispatch::RawReply;
use crate::error::{Fault, Result};
use crate::far::ReadyCall;
use crate::session::{Answer, GroupSent, Session, Ticket, WaitingGroup};
use crate::{FaultKind, Outcome};

/// What is asked of a batch as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    mode: BatchMode,
    oneway: bool,
    pub(super) timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mode: BatchMode::Stop,
            oneway: false,
            timeout: None,
        }
    }
}

impl Options {
    pub(super) fn go_on(&mut self) {
        self.mode = BatchMode::GoOn;
    }

    pub(super) fn oneway(self) -> Self {
        Options {
            oneway: true,
            ..self
        }
    }
}

/// Makes the calls. Fails with the first fault among them.
pub(super) fn send<'a>(
    members: Vec<Box<dyn Member + 'a>>,
    options: Options,
) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
    Box::pin(async move {
        let mut driver = Driver {
            members,
            mode: options.mode,
            oneway: options.oneway,
            open: Vec::new(),
            failed: None,
            fault: None,
        };
        driver.run(options).await;
        driver.fault.map_or(Ok(()), Err)
    })
}

struct Driver<'a> {
    members: Vec<Box<dyn Member + 'a>>,
    /// How far each of the members has come.
    open: Vec<Open>,
    mode: BatchMode,
    /// Whether none of the calls is answered.
    oneway: bool,
    /// The call that stopped the batch.
    failed: Option<CallName>,
    /// The first fault.
    fault: Option<Fault>,
}

/// How far a call has come.
#[derive(Debug)]
enum Open {
    /// To be made in this process, without a byte being encoded.
    Near,
    /// Encoded.
    Far,
    /// It cannot be made, which counts when it has its turn.
    Failed(Fault),
    Ended,
}

impl Driver<'_> {
    async fn run(&mut self, options: Options) {
        self.begin(options).await;
        let mut next = 0;
        while next < self.open.len() {
            if matches!(self.open[next], Open::Ended) {
                next += 1;
                continue;
            }
            if let Some(failed) = self.failed {
                let fault = skipped(self.members[next].name(), failed);
                self.settle(next, Err(fault));
                continue;
            }
            match &self.open[next] {
                Open::Failed(fault) => {
                    let fault = fault.clone();
                    self.settle(next, Err(fault));
                }
                Open::Near => {
                    let member = &mut self.members[next];
                    let ended = poll_fn(|cx| member.poll_near(cx)).await;
                    self.ended(next, ended);
                }
                Open::Far => match self.members[next].far() {
                    Some(far) if far.stays_here() => {
                        let reply = poll_fn(|cx| far.poll(cx)).await;
                        match reply {
                            Ok(_) if self.oneway => self.sent(next),
                            reply => self.settle(next, reply),
                        }
                    }
                    _ => self.call_group(next).await,
                },
                Open::Ended => {}
            }
        }
    }

    /// Encodes what is to be sent, and does what may take its time before it is.
    async fn begin(&mut self, options: Options) {
        let deadline = options.timeout.and_then(after);
        self.open.reserve_exact(self.members.len());
        for member in &mut self.members {
            self.open
                .push(match member.begin(options.oneway, deadline) {
                    Ok(()) if member.far().is_some() => Open::Far,
                    Ok(()) => Open::Near,
                    Err(fault) => Open::Failed(fault),
                });
        }
        for (member, open) in self.members.iter_mut().zip(&mut self.open) {
            if let Some(far) = member.far()
                && far.must_prepare()
                && let Err(fault) = far.prepare().await
            {
                *open = Open::Failed(fault);
            }
        }
    }

    /// Sends the call, and as many of those behind it as go together with it, and takes their answers. Those that are
    /// to be made again stay open.
    async fn call_group(&mut self, first: usize) {
        let Some(far) = self.members[first].far() else {
            return;
        };
        let found = match far.find().await {
            Ok(Some(found)) => found,
            Ok(None) => {
                let reply = poll_fn(|cx| far.poll(cx)).await;
                return self.settle(first, reply);
            }
            Err(fault) => return self.conclude(first, Err(fault)).await,
        };
        let behind = self.members[first + 1..].iter_mut();
        let mut end = first + 1;
        for (member, open) in behind.zip(&self.open[first + 1..]) {
            let joins = match (open, member.far()) {
                (Open::Far, Some(far)) => far.join(&found),
                _ => false,
            };
            if !joins {
                break;
            }
            end += 1;
        }
        let group = first..end;
        let sent = send_group(found.session(), self.mode, &mut self.members[group]).await;
        let (mut waiting, refused) = match sent {
            Ok(sent) => sent,
            Err(fault) => {
                self.reopen(first + 1..end);
                return self.conclude(first, Err(fault)).await;
            }
        };
        if let Some(far) = self.members[first].far() {
            far.give_turn();
        }
        let sent = first + waiting.sent();
        self.reopen(sent..end);
        if let Some(fault) = refused
            && sent < end
        {
            self.open[sent] = Open::Failed(fault);
        }
        for member in &mut self.members[first..sent] {
            if let Some(far) = member.far() {
                far.oneway_is_sent();
            }
        }
        let answers = wait(&mut waiting, &mut self.members[first..sent]).await;
        let mut is_reopened = false;
        for (index, answer) in (first..sent).zip(answers) {
            match answer {
                Answer::Sent => self.sent(index),
                Answer::Reply(Err(fault), _)
                    if fault.kind() == FaultKind::Skipped && is_reopened =>
                {
                    // What it was skipped for is made again, and it comes after that.
                    self.reopen(index..index + 1);
                }
                Answer::Reply(reply, annotations) => {
                    if let Some(far) = self.members[index].far() {
                        far.note(annotations);
                    }
                    match reply {
                        Ok(reply) => self.answered(index, Ok(reply)),
                        refused => self.conclude(index, refused).await,
                    }
                    is_reopened |= !matches!(self.open[index], Open::Ended);
                }
            }
        }
    }

    /// Has calls made again that were not sent.
    fn reopen(&mut self, calls: std::ops::Range<usize>) {
        for member in &mut self.members[calls] {
            if let Some(far) = member.far() {
                far.was_not_sent();
            }
        }
    }

    /// Ends an attempt. The call stays open if it is to be made again.
    async fn conclude(&mut self, index: usize, reply: Result<RawReply>) {
        let member = &mut self.members[index];
        if self.failed.is_none()
            && let Err(fault) = &reply
            && let Some(comparing) = member.compare(fault)
        {
            let encoded = comparing.await.and_then(|()| member.encode_by_name());
            match encoded {
                Ok(()) => return,
                Err(fault) => return self.settle(index, Err(fault)),
            }
        }
        self.answered(index, reply);
    }

    /// Takes an answer that does not ask for other types. The call stays open if it is to be made again.
    fn answered(&mut self, index: usize, reply: Result<RawReply>) {
        let reply = match self.members[index].far() {
            Some(far) if self.failed.is_none() => far.answered(reply),
            Some(far) => {
                far.is_over(&reply);
                Some(reply)
            }
            None => Some(reply),
        };
        if let Some(reply) = reply {
            self.settle(index, reply);
        }
    }

    fn settle(&mut self, index: usize, reply: Result<RawReply>) {
        let ended = self.members[index].settle(reply);
        self.ended(index, ended);
    }

    /// Ends a call that is not answered. One whose method never is returns nothing; of the others nobody asks.
    fn sent(&mut self, index: usize) {
        if self.oneway {
            self.members[index].sent();
            self.open[index] = Open::Ended;
        } else {
            self.settle(index, Ok(RawReply::empty()));
        }
    }

    fn ended(&mut self, index: usize, ended: Ended) {
        self.open[index] = Open::Ended;
        let Err(fault) = ended else {
            return;
        };
        if self.fault.is_none() {
            self.fault = fault;
        }
        if self.mode == BatchMode::Stop && self.failed.is_none() {
            self.failed = Some(self.members[index].name());
        }
    }
}

/// Sends calls as one group when there is room. Returns who waits for the answers, and why the call behind those that
/// were sent could not be.
async fn send_group(
    session: &Arc<Session>,
    mode: BatchMode,
    members: &mut [Box<dyn Member + '_>],
) -> Result<(WaitingGroup, Option<Fault>)> {
    let first = members.first_mut().and_then(|member| member.far());
    let (depth, deadline) = first.map_or((0, None), |far| (far.room_depth(), far.deadline()));
    let mut place = Place {
        session,
        depth,
        ticket: Ticket::none(),
    };
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        // `Send` is asked of the members, and nothing else.
        let members = &mut *members;
        let calls: Vec<ReadyCall<'_>> = members
            .iter()
            .map_while(|member| member.group_call())
            .collect();
        match session.send_group(mode, &calls, &mut place.ticket, cx) {
            Ok(GroupSent::Queued) => {}
            Ok(GroupSent::Sent { waiting, refused }) => return Poll::Ready(Ok((waiting, refused))),
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

/// Waits for the answers. A call whose deadline passes is given up, and the others go on.
async fn wait(waiting: &mut WaitingGroup, members: &mut [Box<dyn Member + '_>]) -> Vec<Answer> {
    let deadlines: Vec<Option<Instant>> = members
        .iter_mut()
        .map(|member| member.far().and_then(|far| far.deadline()))
        .collect();
    let mut deadline = deadlines.iter().flatten().min().copied();
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
            waiting.give_up(&deadline_exceeded(Outcome::Unknown), |index| {
                deadlines[index].is_some_and(|deadline| deadline <= instant)
            });
            let later = deadlines.iter().flatten().filter(|later| **later > instant);
            deadline = later.min().copied();
            if let Some(later) = deadline {
                timer.as_mut().reset(later);
            }
        }
    })
    .await
}
