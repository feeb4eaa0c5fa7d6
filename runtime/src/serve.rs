//! Running a handler: polled once in place, moved to a task if it stays pending, always answered.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use farref_proto::FaultKind;
use tokio::time::Sleep;

use crate::Outcome;
use crate::call::deadline_exceeded;
use crate::context::{CallName, Scope};
use crate::descriptor::MethodFlags;
use crate::dispatch::{HandlerFuture, Reply};
use crate::error::{Fault, Result};
use crate::panics;

/// Where the result of a handler goes.
pub(crate) trait Answer: Send + 'static {
    /// Takes the result. Called exactly once for each call.
    fn answer(self, scope: &Scope, result: Result<Reply>);
}

/// A handler that runs. Whatever happens to it, its caller is answered: dropping it answers `Cancelled`.
pub(crate) struct Running<A: Answer> {
    future: HandlerFuture,
    scope: Arc<Scope>,
    flags: MethodFlags,
    timer: Option<Pin<Box<Sleep>>>,
    answer: Option<A>,
    started: bool,
}

impl<A: Answer> Running<A> {
    pub(crate) fn new(
        future: HandlerFuture,
        scope: Arc<Scope>,
        flags: MethodFlags,
        answer: A,
    ) -> Self {
        Running {
            future,
            scope,
            flags,
            timer: None,
            answer: Some(answer),
            started: false,
        }
    }

    /// Polls the handler for the first time, in place. Most handlers end here, and cost no task.
    ///
    /// Nothing is registered to wake it: if it is pending, it must be polled again.
    pub(crate) fn poll_in_place(&mut self) -> Poll<Result<Reply>> {
        // Whatever many handlers in a row consume of the reader's own budget must not make one falsely pending.
        let poll = std::future::poll_fn(|cx| self.poll_handler(cx));
        std::pin::pin!(tokio::task::unconstrained(poll))
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Answers with what [`poll_in_place`](Running::poll_in_place) gave.
    pub(crate) fn answer(mut self, result: Result<Reply>) {
        if let Some(answer) = self.answer.take() {
            answer.answer(&self.scope, result);
        }
    }

    /// Ends the handler and gives the way of its result away, with the scope that nothing of the handler holds any more.
    pub(crate) fn into_answer(mut self) -> Option<(A, Arc<Scope>)> {
        let answer = self.answer.take()?;
        Some((answer, Arc::clone(&self.scope)))
    }

    /// Where the result goes, while it is not there yet.
    pub(crate) fn answer_to(&self) -> Option<&A> {
        self.answer.as_ref()
    }

    /// The same, to be noted in.
    pub(crate) fn answer_to_mut(&mut self) -> Option<&mut A> {
        self.answer.as_mut()
    }

    /// The scope in which it runs.
    pub(crate) fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    pub(crate) fn call_name(&self) -> CallName {
        self.scope.call_name()
    }

    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        self.started = true;
        let polled = {
            let _entered = self.scope.enter();
            panics::contain(|| self.future.as_mut().poll(cx))
        };
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => {
                return Poll::Ready(Err(panics::report(
                    &self.scope.call_name(),
                    &*panic,
                    self.flags.callback,
                )));
            }
        };
        if self.flags.callback {
            report_callback(&self.scope, &result);
        }
        Poll::Ready(result)
    }
}

/// Says at home, where somebody can mend it, that a callback failed.
fn report_callback(scope: &Scope, result: &Result<Reply>) {
    let call = scope.call_name();
    match result {
        Ok(reply) if reply.is_error => tracing::error!(%call, "a callback returned an error"),
        Ok(_) => {}
        Err(fault) => tracing::error!(%call, %fault, "a callback failed"),
    }
}

impl<A: Answer> Future for Running<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let result = match this.poll_handler(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                let Some(deadline) = this
                    .scope
                    .deadline
                    .filter(|_| !this.flags.runs_to_its_end())
                else {
                    return Poll::Pending;
                };
                let timer = this
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                std::task::ready!(timer.as_mut().poll(cx));
                Err(deadline_exceeded(Outcome::Unknown))
            }
        };
        if let Some(answer) = this.answer.take() {
            answer.answer(&this.scope, result);
        }
        Poll::Ready(())
    }
}

impl<A: Answer> Unpin for Running<A> {}

impl<A: Answer> Drop for Running<A> {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        // The handler goes first: its objects and locks are free before its caller hears of it.
        let future = std::mem::replace(&mut self.future, Box::pin(std::future::pending()));
        let dropped = {
            let _entered = self.scope.enter();
            panics::contain(|| drop(future))
        };
        if let Err(panic) = dropped {
            panics::report(&self.scope.call_name(), &*panic, self.flags.callback);
        }
        let outcome = if self.started {
            Outcome::Unknown
        } else {
            Outcome::NotStarted
        };
        let message = format!("`{}` was cancelled before it ended", self.scope.call_name());
        answer.answer(
            &self.scope,
            Err(Fault::new(FaultKind::Cancelled, outcome, message)),
        );
    }
}

impl<A: Answer> fmt::Debug for Running<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("call", &format_args!("{}", self.scope.call_name()))
            .finish_non_exhaustive()
    }
}
