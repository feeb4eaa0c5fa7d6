//! Serving runs: calls to one method of one object that came in one frame, be it since they are of a batch or since they
//! were gathered. As long as none of them waits, they are called one after the other in a loop, and what they return goes
//! into one frame.

mod arrived;
mod results;

use std::sync::Arc;
use std::task::{Context, Poll};

use farref_proto::features;

pub(crate) use self::arrived::ArrivedRun;
use self::arrived::Calls;
pub(super) use self::results::Results;
use super::Session;
use super::answering::{AnswerKind, Finished};
use super::batches::Cancelling;
use super::ending::ServedTogether;
use super::slowness::Watch;
use crate::codec::Codec;
use crate::context::{CallName, Scope};
use crate::dispatch::{Incoming, Reply};
use crate::error::Result;
use crate::held::Held;
use crate::panics;
use crate::serve::Handler;
use crate::spans::ServedSpan;

/// The clock is looked at once for so many calls, as long as they do not take long.
const LOOKS_EVERY: usize = 16;

/// Whether a call has returned nothing but a short value.
fn is_plain(scope: &Scope, result: &Result<Reply>) -> bool {
    result.as_ref().is_ok_and(|reply| {
        reply.is_plain() && reply.body.len() <= Results::LONGEST && scope.notes.get().is_none()
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

/// When the clock is to be looked at: after the first call, and ever more seldom while the calls are quick.
struct Looks {
    every: usize,
    left: usize,
}

impl Looks {
    fn new() -> Self {
        Looks { every: 1, left: 1 }
    }

    /// Counts a call, and looks at the clock when it is time. Returns whether those that have ended should not wait for
    /// those to come.
    #[inline]
    fn took_long(&mut self, watch: &mut Option<&mut Watch>, call: CallName) -> bool {
        self.left -= 1;
        self.left == 0 && self.look(watch.as_deref_mut(), call)
    }

    fn look(&mut self, watch: Option<&mut Watch>, call: CallName) -> bool {
        let took_long = watch.is_some_and(|watch| watch.took_long_together(call));
        self.every = match took_long {
            true => 1,
            false => (2 * self.every).min(LOOKS_EVERY),
        };
        self.left = self.every;
        took_long
    }
}

/// How far the calls of a run were served.
pub(super) enum RunServed {
    /// To the end, or to one that is to be served as those that stand alone.
    UpTo,
    /// To this one, which failed.
    Failed(CallName),
    /// To this one, which waits.
    Waits(Handler, AnswerKind),
}

impl Session {
    /// Whether both sides take runs.
    pub(crate) fn takes_runs(&self) -> bool {
        let peer = self.peer.get();
        peer.is_some_and(|peer| peer.knows(features::RUNS))
    }

    /// Serves the calls of a run up to the first that fails or waits. What it answers may be left to be written.
    pub(super) fn serve_run(
        self: &Arc<Self>,
        run: &mut ArrivedRun,
        cancelling: Option<&Cancelling>,
        served: &mut ServedTogether,
        finished: &mut Finished,
        mut watch: Option<&mut Watch>,
        cx: &mut Context<'_>,
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
        let mut results = std::mem::take(&mut finished.results);
        let mut looks = Looks::new();
        let mut ended = RunServed::UpTo;
        while run.len() > 0 {
            if cancelling.is_some_and(|cancelling| cancelling.is_cancelled(Some(run.id()))) {
                run.is_one_by_one = true;
                break;
            }
            let scope = Scope::served_next(finished.scope.take(), self, name, |scope| {
                scope.target = Some(run.call.target);
                scope.span = ServedSpan::begin(name.0, name.1, self.peer_address(), None);
            });
            scope.meter.begin();
            let mut incoming = Incoming {
                scope: Arc::clone(&scope),
                codec,
                budget: self.node.budget,
                body: run.common_body(),
                range: 0..0,
                attachments: Held::default(),
                transferred: Held::default(),
            };
            if !run.next_into(&mut incoming) {
                break;
            }
            let mut took_long = false;
            let returned = {
                let _entered = scope.enter();
                loop {
                    let reply = results.next();
                    let returned =
                        panics::contain(|| exported.serve_at_once(index, &incoming, reply));
                    // Nobody has seen the scope of this call, so it is as good as new for the next one.
                    let is_the_next_alike = matches!(returned, Ok(Some(Ok(()))))
                        && is_untouched(&scope)
                        && results.is_next_plain()
                        && finished.is_empty()
                        && cancelling.is_none()
                        && !results.is_full();
                    if !is_the_next_alike {
                        break returned;
                    }
                    took_long = looks.took_long(&mut watch, name);
                    let kind = run.kind();
                    if took_long || !run.next_into(&mut incoming) {
                        break returned;
                    }
                    results.take_next(kind);
                }
            };
            let returned = match returned {
                Ok(Some(Ok(()))) => Some(Ok(results.split_next())),
                Ok(Some(Err(fault))) => Some(Err(fault)),
                Ok(None) => None,
                Err(panic) => Some(Err(panics::report(&name, &*panic, false))),
            };
            let (result, scope) = match returned {
                Some(result) => {
                    drop(incoming);
                    (result, scope)
                }
                None => {
                    incoming.stand_alone();
                    let mut handler = Handler {
                        future: exported.serve(index, incoming),
                        scope,
                        flags: method.flags,
                    };
                    let Poll::Ready(result) = handler.poll(cx) else {
                        run.is_one_by_one = true;
                        ended = RunServed::Waits(handler, run.kind());
                        break;
                    };
                    let Handler { future, scope, .. } = handler;
                    // It holds the scope, too.
                    drop(future);
                    (result, scope)
                }
            };
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
                Ok(reply) if is_plain => results.take(kind, reply),
                result => finished.push(kind, &scope, result),
            }
            finished.scope = Scope::kept(scope);
            if has_failed {
                ended = RunServed::Failed(name);
                break;
            }
            took_long = took_long || looks.took_long(&mut watch, name);
            if took_long || results.is_full() || finished.is_full() {
                self.append_results(run, codec, &mut results, served);
                self.append_answers(finished, served);
                self.unlock_and_write_now(self.lock());
            }
        }
        self.append_results(run, codec, &mut results, served);
        self.append_answers(finished, served);
        finished.results = results;
        ended
    }

    /// Serves calls that were gathered. What it answers may be left to be written.
    pub(super) fn serve_gathered(
        self: &Arc<Self>,
        mut run: ArrivedRun,
        served: &mut ServedTogether,
        finished: &mut Finished,
        watch: &mut Watch,
        cx: &mut Context<'_>,
    ) {
        loop {
            let call = match self.serve_run(&mut run, None, served, finished, Some(watch), cx) {
                RunServed::Failed(_) => continue,
                RunServed::Waits(handler, kind) => {
                    self.serve_handler(handler, kind, served, finished, cx)
                }
                RunServed::UpTo => match run.next() {
                    Some((arrived, _)) => self.serve(arrived, served, finished, cx),
                    None => break,
                },
            };
            if watch.took_long(call) || finished.is_full() {
                self.answer_all(finished, served, cx);
            }
        }
        run.recycle();
    }

    /// Answers calls of a run that have returned. Does not write that yet.
    fn append_results(
        &self,
        run: &ArrivedRun,
        codec: Codec,
        results: &mut Results,
        served: &mut ServedTogether,
    ) {
        let count = results.count();
        if count == 0 {
            return;
        }
        let mut state = self.lock();
        let sent = match state.closed {
            None => results.answer(run, codec, &mut state.connection),
            Some(_) => Ok(()),
        };
        if run.len() == 0 && matches!(run.calls, Calls::Batched { .. }) {
            state.answers.remove(run.id());
        }
        drop(state);
        if let Err(error) = sent {
            tracing::warn!(%error, "results could not be sent");
        }
        results.clear();
        served.end(count);
    }
}
