//! Running a handler: polled once in place, moved to a task if it stays pending, always answered.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use farref_proto::FaultKind;
use tokio::time::Sleep;

use crate::Outcome;
use crate::call::deadline_exceeded;
use crate::context::Scope;
use crate::descriptor::MethodFlags;
use crate::dispatch::{HandlerFuture, Reply};
use crate::error::{Fault, Result};
use crate::panics;

/// Where the result of a handler goes.
pub(crate) trait Answer: Send + 'static {
    /// Takes the result. Called exactly once for each call.
    fn answer(self, scope: &Scope, result: Result<Reply>);
}

/// A handler, apart from where its result goes.
pub(crate) struct Handler {
    pub(crate) future: HandlerFuture,
    pub(crate) scope: Arc<Scope>,
    pub(crate) flags: MethodFlags,
}

impl Handler {
    /// Polls the handler, in its scope.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        let polled = {
            let _entered = self.scope.enter();
            panics::contain(|| self.future.as_mut().poll(cx))
        };
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => Err(self.report(&*panic)),
        };
        if self.flags.callback {
            report_callback(&self.scope, &result);
        }
        Poll::Ready(result)
    }

    fn report(&self, panic: &(dyn Any + Send)) -> Fault {
        panics::report(&self.scope.call_name(), panic, self.flags.callback)
    }
}

/// A handler that runs. Whatever happens to it, its caller is answered: dropping it answers `Cancelled`.
pub(crate) struct Running<A: Answer> {
    handler: Handler,
    timer: Option<Pin<Box<Sleep>>>,
    answer: Option<A>,
    started: bool,
}

impl<A: Answer> Running<A> {
    /// A handler that was not polled yet.
    pub(crate) fn new(handler: Handler, answer: A) -> Self {
        Running {
            handler,
            timer: None,
            answer: Some(answer),
            started: false,
        }
    }

    /// A handler that was polled in place and is pending.
    pub(crate) fn begun(handler: Handler, answer: A) -> Self {
        let mut running = Running::new(handler, answer);
        running.started = true;
        running
    }

    /// Polls the handler until it ends or its deadline passes.
    pub(crate) fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        if let Poll::Ready(result) = self.poll_handler(cx) {
            return Poll::Ready(result);
        }
        let handler = &self.handler;
        let Some(deadline) = handler
            .scope
            .deadline
            .filter(|_| !handler.flags.runs_to_its_end())
        else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        std::task::ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(deadline_exceeded(Outcome::Unknown)))
    }

    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        self.started = true;
        self.handler.poll(cx)
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

    /// Answers with what [`poll_in_place`](Running::poll_in_place) or [`poll_result`](Running::poll_result) gave.
    pub(crate) fn answer(mut self, result: Result<Reply>) {
        if let Some(answer) = self.answer.take() {
            answer.answer(&self.handler.scope, result);
        }
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
        let result = std::task::ready!(this.poll_result(cx));
        if let Some(answer) = this.answer.take() {
            answer.answer(&this.handler.scope, result);
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
        let handler = &mut self.handler;
        let future = std::mem::replace(&mut handler.future, Box::pin(std::future::pending()));
        let dropped = {
            let _entered = handler.scope.enter();
            panics::contain(|| drop(future))
        };
        if let Err(panic) = dropped {
            handler.report(&*panic);
        }
        let scope = &self.handler.scope;
        let outcome = if self.started {
            Outcome::Unknown
        } else {
            Outcome::NotStarted
        };
        let message = format!("`{}` was cancelled before it ended", scope.call_name());
        answer.answer(
            scope,
            Err(Fault::new(FaultKind::Cancelled, outcome, message)),
        );
    }
}

impl<A: Answer> fmt::Debug for Running<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("call", &format_args!("{}", self.handler.scope.call_name()))
            .finish_non_exhaustive()
    }
}
