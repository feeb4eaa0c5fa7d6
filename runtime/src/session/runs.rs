//! Serving runs: calls of a batch to one method of one object. As long as the method never waits, they are called one
//! after the other in a loop, and what they return goes into one frame.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use farref_proto::{IncomingCall, OutgoingResults, Seldom, features};

use super::batches::Cancelling;
use super::ending::ServedTogether;
use super::inbox::Arrived;
use super::serving::{AnswerKind, Finished, Watch};
use super::{IncomingCallId, Session};
use crate::codec::Codec;
use crate::context::{CallName, Scope};
use crate::dispatch::{Incoming, Reply, buffer};
use crate::error::Result;
use crate::held::Held;
use crate::object::Export;
use crate::panics;
use crate::serve::Handler;
use crate::spans::ServedSpan;

/// A frame of results has about so many bytes at most.
const FULL: usize = 32 << 10;
/// A result that is longer, in bytes, is sent by itself.
const LONGEST: usize = 4 << 10;
/// The clock is looked at once for so many calls.
const LOOKS_EVERY: usize = 16;

/// A run that arrived, as far as its calls have not begun.
pub(super) struct ArrivedRun {
    /// What its calls have in common. The body holds the arguments of all.
    call: IncomingCall,
    target: Result<Arc<Export>>,
    lengths: Vec<u32>,
    /// How many of them have begun.
    begun: usize,
    /// Where the arguments of the next call begin.
    start: usize,
    /// Its calls are served as those that stand alone.
    is_one_by_one: bool,
}

impl ArrivedRun {
    pub(super) fn new(arrived: Arrived, lengths: Vec<u32>) -> Self {
        ArrivedRun {
            call: arrived.call,
            target: arrived.target,
            lengths,
            begun: 0,
            start: 0,
            is_one_by_one: false,
        }
    }

    /// How many calls have not begun.
    pub(super) fn len(&self) -> usize {
        self.lengths.len() - self.begun
    }

    pub(super) fn id(&self) -> IncomingCallId {
        self.call.id
    }

    /// Takes the arguments of the next call.
    fn next_arguments(&mut self) -> Option<Range<usize>> {
        let length = *self.lengths.get(self.begun)? as usize;
        let start = self.start;
        self.begun += 1;
        self.start += length;
        Some(start..self.start)
    }

    /// Takes the next call, to be served as one that stands alone, but for its answer.
    pub(super) fn next(&mut self) -> Option<(Arrived, AnswerKind)> {
        let arguments = self.next_arguments()?;
        let common = &self.call;
        let call = IncomingCall {
            id: common.id,
            target: common.target,
            method_hash: common.method_hash,
            shape: common.shape,
            method_index: common.method_index,
            codec: common.codec,
            pipelined: false,
            keep_answer: false,
            ordered: false,
            extensions: common.extensions.clone(),
            table: Seldom::new(),
            body: common.body.slice(arguments),
            attachments: Seldom::<Bytes>::new(),
        };
        let arrived = Arrived {
            call,
            target: self.target.clone(),
            transferred: Seldom::new(),
            receipt: None,
        };
        Some((arrived, self.kind()))
    }

    /// The answer of the call that was taken last.
    fn kind(&self) -> AnswerKind {
        AnswerKind::OfRun {
            run: self.call.id,
            is_last: self.len() == 0,
        }
    }
}

/// What calls of a run have returned that were not answered yet.
#[derive(Default)]
struct Results {
    lengths: Vec<u32>,
    body: Vec<u8>,
}

impl Results {
    fn is_full(&self) -> bool {
        self.body.len() + 4 * self.lengths.len() >= FULL
    }

    /// Takes what a call has returned.
    fn take(&mut self, reply: Reply) {
        self.lengths.push(reply.body.len() as u32);
        self.body.extend_from_slice(&reply.body);
        buffer::give(reply.body);
    }
}

/// Whether a call has returned nothing but a short value.
fn is_plain(scope: &Scope, result: &Result<Reply>) -> bool {
    result.as_ref().is_ok_and(|reply| {
        !reply.is_error
            && reply.attachments.is_empty()
            && reply.transferred.is_empty()
            && reply.body.len() <= LONGEST
            && scope.notes.get().is_none()
    })
}

/// Whether nobody but who serves a call holds its scope, and nothing was noted there.
fn is_untouched(scope: &Arc<Scope>) -> bool {
    /// Whoever serves the call, the call as its handler sees it, and the place of the current scope.
    const HOLDERS: usize = 3;
    // What is counted or traced has a scope of its own.
    !cfg!(any(feature = "metrics", feature = "tracing"))
        && Arc::strong_count(scope) == HOLDERS
        && scope.chain.get().is_none()
        && scope.notes.get().is_none()
}

/// How far the calls of a run were served.
pub(super) enum RunServed {
    /// To the end, or to one that is to be served as those that stand alone.
    UpTo,
    /// To this one, which failed.
    Failed(CallName),
    /// To this one, which may wait.
    Waits(Handler, AnswerKind),
}

impl Session {
    /// Whether both sides take runs.
    pub(crate) fn takes_runs(&self) -> bool {
        let peer = self.peer.get();
        peer.is_some_and(|peer| peer.knows(features::RUNS))
    }

    /// Serves the calls of a run up to the first that fails or waits.
    pub(super) fn serve_run(
        self: &Arc<Self>,
        run: &mut ArrivedRun,
        cancelling: Option<&Cancelling>,
        served: &mut ServedTogether,
        finished: &mut Finished,
        mut watch: Option<&mut Watch>,
    ) -> RunServed {
        if run.is_one_by_one {
            return RunServed::UpTo;
        }
        let target = run.target.clone();
        let Some((exported, method, codec)) = self.plain_method(&run.call, &target) else {
            run.is_one_by_one = true;
            return RunServed::UpTo;
        };
        let index = usize::from(run.call.method_index);
        let name = CallName(exported.interface.name, method.name);
        let mut results = Results::default();
        let mut ended = RunServed::UpTo;
        while run.len() > 0 {
            if cancelling.is_some_and(|cancelling| cancelling.is_cancelled(Some(run.id()))) {
                run.is_one_by_one = true;
                break;
            }
            let Some(arguments) = run.next_arguments() else {
                break;
            };
            let scope = Scope::served_next(finished.scope.take(), self, name, |scope| {
                scope.target = Some(run.call.target);
                scope.span = ServedSpan::begin(name.0, name.1, self.peer_address(), None);
            });
            scope.meter.begin();
            let mut incoming = Incoming {
                scope: Arc::clone(&scope),
                codec,
                budget: self.node.budget,
                body: run.call.body.slice(arguments),
                attachments: Held::default(),
                transferred: Held::default(),
            };
            let returned = {
                let _entered = scope.enter();
                loop {
                    match panics::contain(|| exported.serve_at_once(index, &incoming)) {
                        // Nobody has seen the scope of this call, so it is as good as new for the next one.
                        Ok(Some(result))
                            if is_untouched(&scope)
                                && is_plain(&scope, &result)
                                && finished.is_empty()
                                && cancelling.is_none()
                                && !results.is_full()
                                && !run.len().is_multiple_of(LOOKS_EVERY) =>
                        {
                            let Some(arguments) = run.next_arguments() else {
                                break Ok(Some(result));
                            };
                            result.into_iter().for_each(|reply| results.take(reply));
                            incoming.body = run.call.body.slice(arguments);
                        }
                        returned => break returned,
                    }
                }
            };
            let result = match returned {
                Ok(Some(result)) => result,
                Ok(None) => {
                    run.is_one_by_one = true;
                    let handler = Handler {
                        future: exported.serve(index, incoming),
                        scope,
                        flags: method.flags,
                    };
                    ended = RunServed::Waits(handler, run.kind());
                    break;
                }
                Err(panic) => Err(panics::report(&name, &*panic, false)),
            };
            drop(incoming);
            let kind = run.kind();
            self.report(&kind, &scope, &result);
            // What is answered one by one, and what is answered together, goes in the order of the calls.
            let has_failed = result.as_ref().map_or(true, |reply| reply.is_error);
            let is_plain = is_plain(&scope, &result);
            match is_plain {
                true => self.append_answers(finished, served),
                false => self.append_results(run, codec, &mut results, served),
            }
            match result {
                Ok(reply) if is_plain => results.take(reply),
                result => finished.push(kind, &scope, result),
            }
            finished.scope = Scope::kept(scope);
            if has_failed {
                ended = RunServed::Failed(name);
                break;
            }
            let looks = run.len().is_multiple_of(LOOKS_EVERY);
            let took_long = match watch.as_deref_mut() {
                Some(watch) if looks => watch.took_long_together(name),
                _ => false,
            };
            if took_long || results.is_full() || finished.is_full() {
                self.append_results(run, codec, &mut results, served);
                self.append_answers(finished, served);
                self.unlock_and_write_now(self.lock());
            }
        }
        self.append_results(run, codec, &mut results, served);
        self.append_answers(finished, served);
        self.unlock_and_write_now(self.lock());
        ended
    }

    /// Answers calls of a run that have returned. Does not write that yet.
    fn append_results(
        &self,
        run: &ArrivedRun,
        codec: Codec,
        results: &mut Results,
        served: &mut ServedTogether,
    ) {
        let count = results.lengths.len();
        if count == 0 {
            return;
        }
        let mut state = self.lock();
        let sent = match state.closed {
            None => state.connection.reply_run(
                run.id(),
                &OutgoingResults {
                    codec: codec.id(),
                    lengths: &results.lengths,
                    body: &results.body,
                },
            ),
            Some(_) => Ok(()),
        };
        if run.len() == 0 {
            state.answers.remove(run.id());
        }
        drop(state);
        if let Err(error) = sent {
            tracing::warn!(%error, "results could not be sent");
        }
        results.lengths.clear();
        results.body.clear();
        served.end(count);
    }
}
