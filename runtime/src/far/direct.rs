//! The short way of a call: sent at its first poll, and answered. Whatever else there may be is left to [`FarCall`].
//!
//! [`FarCall`]: super::FarCall

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::{CallOptions, Encoded, Extras, FarCall, Label, OnewayMode, ReadyCall};
use crate::codec::Codec;
use crate::context::Scope;
use crate::descriptor::Method;
use crate::dispatch::RawReply;
use crate::error::{Fault, Result};
use crate::observed::Observed;
use crate::proxy::ProxyOptions;
use crate::remote::{Bound, Remote};
use crate::session::{Question, SendState, Ticket};

/// A call that was sent and is not answered yet. Dropping it cancels it.
pub(crate) struct Sent {
    bound: Arc<Bound>,
    /// Taken when the call is answered.
    question: Option<Question>,
    observed: Observed,
}

/// What a call's first poll makes of it.
pub(crate) enum Begun {
    Sent(Sent),
    /// Sent, and not to be answered.
    Oneway,
    /// There is no room; the session knows who is to be woken when it is its turn.
    Queued(Box<FarCall>),
    /// It is not as simple as that.
    Far(Box<FarCall>),
}

/// A call that is to be made by frames, before it is known which way it takes.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) interface: &'static str,
    pub(crate) method: &'static Method,
    pub(crate) proxy_options: Option<&'a ProxyOptions>,
    pub(crate) oneway: OnewayMode,
    pub(crate) deadline: Option<Instant>,
}

impl Plan<'_> {
    /// Sends the call at once, if nothing stands in the way. Without a context it is not sent yet.
    pub(crate) fn begin(
        self,
        encoded: Encoded,
        options: Option<&mut CallOptions>,
        cx: Option<&Context<'_>>,
    ) -> Begun {
        let is_plain = options.is_none()
            && self.proxy_options.is_none()
            && self.deadline.is_none()
            && !self.method.flags.idempotent;
        let bound = match self.remote {
            // Calls on a promise note there how they went.
            Remote::Far(reference)
                if is_plain && reference.promise().is_none() && !self.remote.is_intercepted() =>
            {
                reference.ready().ok().flatten()
            }
            _ => None,
        };
        let (Some(bound), Some(cx)) = (bound, cx) else {
            return Begun::Far(self.far_call(encoded, options));
        };
        let mut observed = Observed::default();
        let names = || (self.interface.into(), self.method.name.into());
        let extras = Extras {
            scope: Scope::current(),
            trace: observed.begin(names),
            ..Extras::default()
        };
        observed.is_for(&bound.session);
        let mut ticket = Ticket::none();
        let call = ReadyCall {
            target: bound.target(),
            encoded: &encoded,
            oneway: self.oneway,
            extras: &extras,
        };
        match bound.session.send(&call, &mut ticket, cx) {
            Ok(SendState::Sent(question)) => {
                encoded.recycle();
                let question = Some(question);
                Begun::Sent(Sent {
                    bound,
                    question,
                    observed,
                })
            }
            Ok(SendState::Oneway) => {
                encoded.recycle();
                observed.ended(Ok(false));
                Begun::Oneway
            }
            Ok(SendState::Queued) => {
                let mut call = self.far_call(encoded, options);
                call.wait_for_room(bound, ticket, observed);
                Begun::Queued(call)
            }
            // The long way finds out whether anything can be done about it.
            Err(_) => {
                let mut call = self.far_call(encoded, options);
                call.observed = observed;
                Begun::Far(call)
            }
        }
    }

    /// How the arguments are to be encoded.
    pub(crate) fn codec(&self) -> Codec {
        self.proxy_options
            .and_then(|options| options.codec)
            .unwrap_or_else(|| self.remote.codec())
    }

    /// The call with all that may come of it.
    pub(crate) fn far_call(
        self,
        encoded: Encoded,
        options: Option<&mut CallOptions>,
    ) -> Box<FarCall> {
        let is_idempotent = self.method.flags.idempotent;
        let retries = match self.proxy_options {
            Some(options) if options.retry_all || is_idempotent => options.max_retries,
            None if is_idempotent => None,
            _ => Some(0),
        };
        let label = Label::Static {
            interface: self.interface,
            method: self.method.name,
        };
        let mut call = Box::new(FarCall::new(
            self.remote.clone(),
            label,
            encoded,
            self.oneway,
            self.deadline,
            retries,
            options,
        ));
        call.keep_arguments(false);
        if let Some(timeout) = self.proxy_options.and_then(|said| said.attempt_timeout) {
            call.attempts_take(timeout);
        }
        call
    }
}

impl Sent {
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<RawReply>> {
        let Some(question) = &self.question else {
            return Poll::Ready(Err(super::already_sent()));
        };
        let reply = ready!(self.bound.session.poll_reply(question, cx));
        self.question = None;
        self.observed
            .ended(reply.as_ref().map(|reply| reply.is_error));
        Poll::Ready(reply)
    }

    /// Takes note of how the call, which was for this object, failed.
    #[cold]
    pub(crate) fn failed(&self, remote: &Remote, fault: &Fault) {
        remote.failed(&self.bound, fault);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(question) = self.question.take() {
            self.bound.session.abandon(question);
        }
    }
}
