//! Making the calls of a batch: in groups as large as can be, each on one session.

mod answers;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use farref_proto::BatchMode;
use tokio::time::Instant;

use super::Added;
use super::early;
use super::grouping::wait;
use super::results::Tables;
use super::runs::Run;
use crate::call::early::EarlyCalls;
use crate::call::member::{Member, skipped};
use crate::context::{CallName, after};
use crate::error::{Fault, Result};
use crate::far::{FarCall, Found, ReadyCall};

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
    calls: Added<'a>,
    options: Options,
) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
    Box::pin(async move {
        let runs = calls.early.into_runs();
        let mut driver = Driver {
            members: calls.members,
            results: calls.results,
            mode: options.mode,
            oneway: options.oneway,
            open: Vec::new(),
            early: runs.len(),
            runs,
            failed: None,
            fault: None,
        };
        driver.run(options).await;
        driver.fault.map_or(Ok(()), Err)
    })
}

pub(super) struct Driver<'a> {
    /// None for those that were encoded early, as long as they are of their run.
    members: Vec<Option<Box<dyn Member + 'a>>>,
    /// Where their results go.
    results: Tables,
    /// How far each of the members has come.
    pub(super) open: Vec<Open>,
    pub(super) runs: Vec<Run>,
    /// How many of the runs, in front, are of calls that were encoded early.
    early: usize,
    pub(super) mode: BatchMode,
    /// Whether none of the calls is answered.
    oneway: bool,
    /// The call that stopped the batch.
    failed: Option<CallName>,
    /// The first fault.
    fault: Option<Fault>,
}

/// How far a call has come.
#[derive(Debug)]
pub(super) enum Open {
    /// To be made in this process, without a byte being encoded.
    Near,
    /// Encoded.
    Far,
    /// Encoded, as one of the calls of this run.
    Run(usize),
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
                let fault = skipped(self.name(next), failed);
                self.settle(next, Err(fault));
                continue;
            }
            match &self.open[next] {
                Open::Failed(fault) => {
                    let fault = fault.clone();
                    self.settle(next, Err(fault));
                }
                Open::Near => {
                    if let Some(member) = &mut self.members[next] {
                        let results = &self.results;
                        let ended = poll_fn(|cx| member.poll_near(cx, results)).await;
                        self.ended(next, ended);
                    }
                }
                Open::Run(_) => self.call_group(next).await,
                Open::Far => match self.far(next) {
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
        let run_key = |members: &[Option<Box<dyn Member + '_>>], number: usize| {
            let member = members.get(number).filter(|_| !options.oneway)?;
            member.as_ref()?.run_key()
        };
        let mut before = None;
        let mut next = run_key(&self.members, 0);
        while self.open.len() < self.members.len() {
            let number = self.open.len();
            if let Some(run) = early::run_of(&self.runs[..self.early], number) {
                let end = self.runs[run].end();
                self.open.resize_with(end, || Open::Run(run));
                next = run_key(&self.members, end);
                before = None;
                continue;
            }
            let key = std::mem::replace(&mut next, run_key(&self.members, number + 1));
            let continues = key.is_some() && key == before;
            let joined = match key {
                // A call that stands alone among others is none the better for being a run.
                Some(key) if continues || next == Some(key) => {
                    self.join_run(number, continues, deadline)
                }
                _ => None,
            };
            let open = match (joined, &mut self.members[number]) {
                (Some(open), _) => open,
                (None, Some(member)) => begin(&mut **member, options.oneway, deadline),
                (None, None) => Open::Ended,
            };
            before = key.filter(|_| matches!(open, Open::Run(_)));
            self.open.push(open);
        }
        self.begin_early(deadline);
        for (member, open) in self.members.iter_mut().zip(&mut self.open) {
            if matches!(open, Open::Far)
                && let Some(far) = member.as_mut().and_then(|member| member.far())
                && far.must_prepare()
                && let Err(fault) = far.prepare().await
            {
                *open = Open::Failed(fault);
            }
        }
    }

    /// Begins the calls that were encoded when they were added.
    fn begin_early(&mut self, deadline: Option<Instant>) {
        for run in 0..self.early {
            self.runs[run].begin(deadline);
            if self.oneway || self.runs[run].is_intercepted() {
                let calls = self.runs[run].first..self.runs[run].end();
                calls.for_each(|number| self.leave_run(number));
            }
        }
    }

    /// Encodes a call into the run of the one before it, or into a new one. Returns how far it has come then; nothing if it
    /// is to be begun by itself.
    fn join_run(
        &mut self,
        number: usize,
        continues: bool,
        deadline: Option<Instant>,
    ) -> Option<Open> {
        let member = self.members[number].as_mut()?;
        if !continues {
            let mut run = member.start_run(number)?;
            run.begin(deadline);
            self.runs.push(run);
        }
        let run = self.runs.last_mut()?;
        let open = match member.join_run(run) {
            Ok(true) => return Some(Open::Run(self.runs.len() - 1)),
            Ok(false) => Open::Far,
            Err(fault) => Open::Failed(fault),
        };
        if run.is_empty() {
            self.runs.pop();
        }
        Some(open)
    }

    /// Has a call of a run go on by itself.
    fn leave_run(&mut self, number: usize) {
        let Open::Run(run) = self.open[number] else {
            return;
        };
        let run = &self.runs[run];
        if self.members[number].is_none() {
            self.members[number] = run.alone(number, self.oneway);
        }
        if let Some(member) = &mut self.members[number] {
            self.open[number] = begin(&mut **member, false, run.extras.deadline);
        }
    }

    /// The same of a call that failed, and may have to be made again.
    fn fail_in_run(&mut self, number: usize, fault: &Fault) {
        if let Open::Run(run) = self.open[number] {
            self.runs[run].failed(fault);
            self.leave_run(number);
        }
    }

    /// Finds where a call can be sent now, and maybe others with it. If it ends instead, or goes another way, that is done.
    async fn find(&mut self, first: usize) -> Option<Found> {
        if let Open::Run(run) = self.open[first] {
            let found = self.runs[run].find();
            if found.is_none() {
                let end = self.end_of_run(first);
                (first..end).for_each(|number| self.leave_run(number));
            }
            return found;
        }
        let far = self.far(first)?;
        match far.find().await {
            Ok(Some(found)) => Some(found),
            Ok(None) => {
                let reply = poll_fn(|cx| far.poll(cx)).await;
                self.settle(first, reply);
                None
            }
            Err(fault) => {
                self.conclude(first, Err(fault)).await;
                None
            }
        }
    }

    /// The first call behind this one that is not of its run.
    pub(super) fn end_of_run(&self, number: usize) -> usize {
        end_of_run(&self.open, number)
    }

    /// Sends the call, and as many of those behind it as go together with it, and takes their answers. Those that are
    /// to be made again stay open.
    async fn call_group(&mut self, first: usize) {
        let Some(found) = self.find(first).await else {
            return;
        };
        let mut end = self.end_of_run(first).max(first + 1);
        while end < self.open.len() {
            let joins = match &self.open[end] {
                Open::Far => self.far(end).is_some_and(|far| far.join(&found)),
                Open::Run(run) => self.runs[*run].join(&found),
                _ => false,
            };
            if !joins {
                break;
            }
            end = self.end_of_run(end).max(end + 1);
        }
        let sent = self.send_group(found.session(), first..end).await;
        let (mut waiting, refused) = match sent {
            Ok(sent) => sent,
            Err(fault) => {
                self.reopen(first + 1..end);
                self.fail_in_run(first, &fault);
                return self.conclude(first, Err(fault)).await;
            }
        };
        if let Some(far) = self.far(first) {
            far.give_turn();
        }
        let sent = first + waiting.sent();
        self.reopen(sent..end);
        if let Some(fault) = refused
            && sent < end
        {
            self.open[sent] = Open::Failed(fault);
        }
        let mut deadlines = Vec::new();
        let mut number = first;
        while number < sent {
            let (deadline, end) = match &self.open[number] {
                Open::Run(run) => {
                    let end = self.end_of_run(number).min(sent);
                    (self.runs[*run].extras.deadline, end)
                }
                _ => {
                    let far = self.members[number].as_mut();
                    let deadline = far.and_then(|member| member.far()).and_then(|far| {
                        far.oneway_is_sent();
                        far.deadline()
                    });
                    (deadline, number + 1)
                }
            };
            if let Some(deadline) = deadline {
                deadlines.extend((number..end).map(|number| (number - first, deadline)));
            }
            number = end;
        }
        let answers = wait(&mut waiting, deadlines).await;
        self.take_answers(first, answers).await;
    }

    /// The call by frames, if it is begun by itself.
    pub(super) fn far(&mut self, number: usize) -> Option<&mut FarCall> {
        self.members[number].as_mut()?.far()
    }

    /// The call as it is sent by itself.
    pub(super) fn ready(&self, number: usize) -> Option<ReadyCall<'_>> {
        self.members[number].as_ref()?.group_call()
    }

    /// The calls of a run that was encoded early, and which of them this is.
    fn early_calls(&self, number: usize) -> Option<(&dyn EarlyCalls, usize)> {
        let run = &self.runs[early::run_of(&self.runs[..self.early], number)?];
        Some((run.calls()?, number - run.first))
    }

    fn name(&self, number: usize) -> CallName {
        match &self.members[number] {
            Some(member) => member.name(),
            None => self
                .early_calls(number)
                .map_or(CallName("", ""), |(calls, _)| calls.name()),
        }
    }
}

/// Begins a call that is not one of a run.
fn begin(member: &mut dyn Member, oneway: bool, deadline: Option<Instant>) -> Open {
    match member.begin(oneway, deadline) {
        Ok(()) if member.far().is_some() => Open::Far,
        Ok(()) => Open::Near,
        Err(fault) => Open::Failed(fault),
    }
}

/// The first call behind this one that is not of its run.
fn end_of_run(open: &[Open], number: usize) -> usize {
    let Open::Run(run) = open[number] else {
        return number;
    };
    let behind = open[number..].iter();
    number
        + behind
            .take_while(|open| matches!(open, Open::Run(other) if *other == run))
            .count()
}
