//! Taking the answers to the calls of a batch: what each returned goes to its place, and what may be made again stays open.

use farref_proto::BatchMode;

use super::{Driver, Open};
use crate::FaultKind;
use crate::call::member::Ended;
use crate::dispatch::RawReply;
use crate::error::Result;
use crate::session::{Answer, Results};

impl Driver<'_> {
    /// Takes the answers to the calls from this one on. Those that are to be made again stay open.
    pub(super) async fn take_answers(&mut self, first: usize, answers: Vec<Answer>) {
        let mut number = first;
        let mut is_reopened = false;
        for answer in answers {
            match answer {
                Answer::Sent => {
                    self.sent(number);
                    number += 1;
                }
                Answer::Results(results) => number = self.take_results(number, &results),
                Answer::Reply(reply, annotations) => {
                    if let Some(far) = self.far(number) {
                        far.note(annotations);
                    }
                    self.take_reply(number, reply, &mut is_reopened).await;
                    number += 1;
                }
                Answer::Failed(count, fault) => {
                    for _ in 0..count {
                        let reply = Err(fault.clone());
                        self.take_reply(number, reply, &mut is_reopened).await;
                        number += 1;
                    }
                }
            }
        }
    }

    /// Takes what calls of a run have returned, from this one on. Returns the one behind them.
    fn take_results(&mut self, first: usize, results: &Results) -> usize {
        let end = first + results.lengths.len();
        self.has_agreed(first);
        let failed = match &self.members[first] {
            Some(member) => member.settle_run(results, &self.results),
            None => match self.early_calls(first) {
                Some((calls, call)) => calls.settle_run(call, results, &self.results),
                None => Vec::new(),
            },
        };
        self.open[first..end].fill_with(|| Open::Ended);
        for (behind, ended) in failed {
            self.ended(first + behind, ended);
        }
        end
    }

    /// Takes note, for the next batch, that a call of a run was not refused for its types.
    fn has_agreed(&self, number: usize) {
        if let Open::Run(run) = self.open[number] {
            self.runs[run].has_agreed();
        }
    }

    async fn take_reply(&mut self, number: usize, reply: Result<RawReply>, is_reopened: &mut bool) {
        match reply {
            Err(fault) if fault.kind() == FaultKind::Skipped && *is_reopened => {
                // What it was skipped for is made again, and it comes after that.
                self.reopen(number..number + 1);
                return;
            }
            Ok(reply) => {
                self.has_agreed(number);
                self.answered(number, Ok(reply));
            }
            Err(fault) => {
                if fault.kind() != FaultKind::Skipped {
                    self.fail_in_run(number, &fault);
                }
                self.conclude(number, Err(fault)).await;
            }
        }
        *is_reopened |= !matches!(self.open[number], Open::Ended);
    }

    /// Has calls made again that were not sent.
    pub(super) fn reopen(&mut self, calls: std::ops::Range<usize>) {
        for member in self.members[calls].iter_mut().flatten() {
            if let Some(far) = member.far() {
                far.was_not_sent();
            }
        }
    }

    /// Ends an attempt. The call stays open if it is to be made again.
    pub(super) async fn conclude(&mut self, index: usize, reply: Result<RawReply>) {
        if self.failed.is_none()
            && let Err(fault) = &reply
            && let Some(member) = &mut self.members[index]
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
        let has_failed = self.failed.is_some();
        let reply = match self.far(index) {
            Some(far) if !has_failed => far.answered(reply),
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

    pub(super) fn settle(&mut self, index: usize, reply: Result<RawReply>) {
        let ended = match &mut self.members[index] {
            Some(member) => member.settle(reply, &self.results),
            None => match self.early_calls(index) {
                Some((calls, call)) => calls.settle(call, reply, &self.results),
                None => reply.map(drop).map_err(Some),
            },
        };
        self.ended(index, ended);
    }

    /// Ends a call that is not answered. One whose method never is returns nothing; of the others nobody asks.
    pub(super) fn sent(&mut self, index: usize) {
        if self.oneway {
            if let Some(member) = &mut self.members[index] {
                member.sent();
            }
            self.open[index] = Open::Ended;
        } else {
            self.settle(index, Ok(RawReply::empty()));
        }
    }

    pub(super) fn ended(&mut self, index: usize, ended: Ended) {
        self.open[index] = Open::Ended;
        let Err(fault) = ended else {
            return;
        };
        if self.fault.is_none() {
            self.fault = fault;
        }
        if self.mode == BatchMode::Stop && self.failed.is_none() {
            self.failed = Some(self.name(index));
        }
    }
}
