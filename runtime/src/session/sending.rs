//! Sending calls and asking for names: at once if there is room, else in the order in which they came.

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Poll};

use farref_proto::{
    CallFlags, CallId, Chain, Connection, Extensions, FaultKind, ImportId, OutgoingCall, SendError,
    TableEntry,
};

use super::inbox::Garbage;
use super::refusals::send_fault;
use super::{Question, SendState, Session, State, Ticket};
use crate::Outcome;
use crate::context::Scope;
use crate::error::{Fault, Result};
use crate::far::{Extras, OnewayMode, ReadyCall};
use crate::remote::Bound;

/// A place in the queue for room of those who are in no chain, given up when it is dropped.
struct Place<'a> {
    session: &'a Session,
    ticket: Ticket,
}

impl<'a> Place<'a> {
    fn of(session: &'a Session) -> Self {
        Place {
            session,
            ticket: Ticket::none(),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let ticket = std::mem::replace(&mut self.ticket, Ticket::none());
        self.session.leave_queue(0, ticket);
    }
}

impl Session {
    /// Sends a call if there is room, or queues for room.
    pub(crate) fn send(
        &self,
        call: &ReadyCall<'_>,
        ticket: &mut Ticket,
        cx: &Context<'_>,
    ) -> Result<SendState> {
        // Whoever serves a call must not wait for a oneway: two sides could wait for each other.
        let must_not_wait = call.oneway != OnewayMode::Answered && call.extras.depth() > 0;
        let depth = call.depth();
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(fault) = &state.closed {
            return Err(fault.clone().with_outcome(Outcome::NotStarted));
        }
        if !state.queues.may_send(depth, ticket) {
            if must_not_wait && state.connection.is_established() {
                return Err(overloaded());
            }
            state.queues.queue(depth, ticket, cx.waker());
            return Ok(SendState::Queued);
        }
        let mut garbage = None;
        let outcome = match self.append(state, call, false, &mut garbage) {
            Ok(Some(id)) => Ok(SendState::Sent(state.questions.ask(id, cx.waker()))),
            Ok(None) => Ok(SendState::Oneway),
            Err(SendError::NoCredit) if must_not_wait => Err(overloaded()),
            Err(SendError::NoCredit | SendError::NotEstablished) => Ok(SendState::Queued),
            Err(error) => Err(send_fault(&error)),
        };
        let next = match outcome {
            Ok(SendState::Queued) => {
                state.queues.queue(depth, ticket, cx.waker());
                None
            }
            _ => state.leave_queue(depth, ticket),
        };
        let is_alone = matches!(outcome, Ok(SendState::Sent(_))) && state.questions.at_most_one();
        self.unlock_and_write_call(guard, is_alone);
        drop::<Option<Box<Garbage>>>(garbage);
        if let Some(waker) = next {
            waker.wake();
        }
        outcome
    }

    /// Appends a call for which there may be room. What fails has transferred nothing. There is garbage only of calls that
    /// transfer something, which few do.
    #[inline]
    pub(super) fn append(
        &self,
        state: &mut State,
        call: &ReadyCall<'_>,
        keep_answer: bool,
        garbage: &mut Option<Box<Garbage>>,
    ) -> std::result::Result<Option<CallId>, SendError> {
        let ReadyCall {
            target,
            encoded,
            oneway,
            extras,
        } = *call;
        // A oneway starts a chain of its own.
        let chain = extras
            .scope
            .as_ref()
            .filter(|_| oneway == OnewayMode::Answered);
        let extensions = &*self.extensions(extras, chain);
        let flags = CallFlags {
            pipelined: target.pipelined,
            keep_answer,
        };
        let send = |connection: &mut Connection, extensions: &Extensions, table: &[TableEntry]| {
            let outgoing = OutgoingCall {
                target: target.id,
                method_index: encoded.key.index,
                method_hash: encoded.key.hash,
                shape: encoded.key.shape,
                codec: encoded.codec.id(),
                extensions,
                table,
                body: &encoded.body,
                attachments: &encoded.attachments,
            };
            let is_ordered = oneway == OnewayMode::Ordered;
            match oneway {
                OnewayMode::Answered => connection.call_with(&outgoing, flags).map(Some),
                OnewayMode::Plain | OnewayMode::Ordered => connection
                    .oneway_with(&outgoing, is_ordered, flags)
                    .map(|()| None),
            }
        };
        state.send_with_table(
            (&encoded.transferred, encoded.codec),
            extensions,
            self,
            || garbage.get_or_insert_default(),
            send,
        )
    }

    /// What is said beside the arguments of a call, which is of this chain.
    #[inline]
    pub(super) fn extensions(
        &self,
        extras: &Extras,
        chain: Option<&Arc<Scope>>,
    ) -> Cow<'static, Extensions> {
        if extras.is_plain() && chain.is_none() {
            return Cow::Borrowed(Extensions::NONE);
        }
        Cow::Owned(Extensions {
            deadline: extras.deadline.map(|deadline| self.time(deadline)),
            chain: chain.map(|scope| Chain {
                id: scope.chain(),
                depth: extras.depth(),
            }),
            trace: extras.trace.to_proto(),
            annotations: extras.annotations.clone(),
            ..Extensions::default()
        })
    }

    /// Gives a place in the queue for room up.
    pub(crate) fn leave_queue(&self, depth: u16, mut ticket: Ticket) {
        let next = self.lock().leave_queue(depth, &mut ticket);
        if let Some(waker) = next {
            waker.wake();
        }
    }

    /// Asks the peer for the object of this name. Waits for room to ask, not for the answer.
    pub(crate) async fn bind(self: &Arc<Self>, name: &str, interface: u32) -> Result<Arc<Bound>> {
        self.ask_for(interface, |connection| connection.bind(name, interface))
            .await
    }

    /// Asks the peer for an object, by whatever `ask` sends. Waits for room to ask, not for the answer.
    pub(super) async fn ask_for(
        self: &Arc<Self>,
        interface: u32,
        mut ask: impl FnMut(&mut Connection) -> Result<(CallId, ImportId), SendError>,
    ) -> Result<Arc<Bound>> {
        let asked = self.with_room(|state| {
            let (call, import) = ask(&mut state.connection)?;
            let bound = Bound::asked(Arc::clone(self), import, interface);
            state.questions.ask_for(call, Arc::downgrade(&bound));
            Ok(bound)
        });
        asked.await
    }

    /// Waits for room for something that is in no chain of calls, and does it.
    pub(super) async fn with_room<R>(
        &self,
        mut send: impl FnMut(&mut State) -> Result<R, SendError>,
    ) -> Result<R> {
        let mut place = Place::of(self);
        let sent = std::future::poll_fn(|cx| {
            let mut guard = self.lock();
            let state = &mut *guard;
            if let Some(fault) = &state.closed {
                return Poll::Ready(Err(fault.clone().with_outcome(Outcome::NotStarted)));
            }
            let sent = match state.queues.may_send(0, &place.ticket) {
                true => send(state),
                false => Err(SendError::NoCredit),
            };
            match sent {
                Ok(sent) => {
                    let next = state.leave_queue(0, &mut place.ticket);
                    Self::unlock_and_write(guard);
                    if let Some(waker) = next {
                        waker.wake();
                    }
                    Poll::Ready(Ok(sent))
                }
                Err(SendError::NoCredit | SendError::NotEstablished) => {
                    state.queues.queue(0, &mut place.ticket, cx.waker());
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(send_fault(&error))),
            }
        });
        sent.await
    }

    /// Forgets a call whose caller gave up, and asks the peer to cancel it.
    pub(crate) fn abandon(&self, question: Question) {
        let mut garbage = Garbage::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(call) = state.questions.abandon(question, &mut garbage) {
            state.connection.cancel(call);
            Self::unlock_and_write(guard);
        } else {
            drop(guard);
        }
        drop(garbage);
    }
}

pub(super) fn overloaded() -> Fault {
    Fault::not_started(
        FaultKind::Overloaded,
        "the peer has as many unfinished oneways as it takes, and a handler must not wait for them; call it instead, or \
         send it later",
    )
}
