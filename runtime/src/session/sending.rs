//! Sending calls and asking for names: at once if there is room, else in the order in which they came.

use std::sync::Arc;
use std::task::{Context, Poll};

use farref_proto::{
    CallFlags, CallId, Chain, Connection, Extensions, FaultKind, ImportId, OutgoingCall, SendError,
};

use super::handing_off::Introducing;
use super::inbox::Garbage;
use super::refusals::send_fault;
use super::{Question, SendState, Session, Ticket};
use crate::Outcome;
use crate::error::{Fault, Result};
use crate::far::{Encoded, Extras, OnewayMode};
use crate::remote::{Bound, CallTarget};

/// A place in the queue for room of those who ask for names, given up when it is dropped.
pub(super) struct Place<'a> {
    session: &'a Session,
    pub(super) ticket: Ticket,
}

impl<'a> Place<'a> {
    pub(super) fn of(session: &'a Session) -> Self {
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
        target: CallTarget,
        encoded: &Encoded,
        oneway: OnewayMode,
        extras: &Extras,
        ticket: &mut Ticket,
        cx: &Context<'_>,
    ) -> Result<SendState> {
        let is_nested = extras.depth() > 0;
        let is_oneway = oneway != OnewayMode::Answered;
        let depth = if is_oneway { 0 } else { extras.depth() };
        let chain = extras.scope.as_ref().filter(|_| !is_oneway);
        let made;
        let extensions = if extras.is_plain() && chain.is_none() {
            Extensions::NONE
        } else {
            made = Extensions {
                deadline: extras.deadline.map(|deadline| self.time(deadline)),
                // A oneway starts a chain of its own.
                chain: chain.map(|scope| Chain {
                    id: scope.chain(),
                    depth,
                }),
                annotations: extras.annotations.clone(),
                ..Extensions::default()
            };
            &made
        };
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(fault) = &state.closed {
            return Err(fault.clone().with_outcome(Outcome::NotStarted));
        }
        if !state.questions.may_send(depth, ticket) {
            if is_oneway && is_nested && state.connection.is_established() {
                return Err(overloaded());
            }
            state.questions.queue(depth, ticket, cx.waker());
            return Ok(SendState::Queued);
        }
        // Few calls transfer anything, and few fail.
        let mut garbage = None;
        let mut introducing = Introducing::default();
        let transferred = match encoded.transferred.as_slice() {
            [] => Ok(Vec::new()),
            transferred => state.transfer(
                transferred,
                encoded.codec,
                self,
                &mut introducing,
                garbage.get_or_insert_default(),
            ),
        };
        let introduced = introducing.extensions(extensions);
        let extensions = introduced.as_ref().unwrap_or(extensions);
        let table = transferred.as_deref().unwrap_or_default();
        let call = OutgoingCall {
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
        let flags = CallFlags {
            pipelined: target.pipelined,
            keep_answer: false,
        };
        let sent = match (&transferred, oneway) {
            (Err(error), _) => Err(error.clone()),
            (Ok(_), OnewayMode::Answered) => state.connection.call_with(&call, flags).map(Some),
            (Ok(_), OnewayMode::Plain) => state
                .connection
                .oneway_with(&call, false, flags)
                .map(|()| None),
            (Ok(_), OnewayMode::Ordered) => state
                .connection
                .oneway_with(&call, true, flags)
                .map(|()| None),
        };
        let outcome = match sent {
            Ok(Some(id)) => Ok(SendState::Sent(state.questions.ask(id, cx.waker()))),
            Ok(None) => Ok(SendState::Oneway),
            // Whoever serves a call must not wait for a oneway: two sides could wait for each other.
            Err(SendError::NoCredit) if is_oneway && is_nested => Err(overloaded()),
            Err(SendError::NoCredit | SendError::NotEstablished) => Ok(SendState::Queued),
            Err(error) => Err(send_fault(&error)),
        };
        let mut next = None;
        match outcome {
            Ok(SendState::Queued) => {
                state.take_back(table, garbage.get_or_insert_default());
                state.questions.queue(depth, ticket, cx.waker());
            }
            Ok(_) => next = state.questions.dequeue(depth, ticket),
            Err(_) => {
                state.take_back(table, garbage.get_or_insert_default());
                next = state.questions.dequeue(depth, ticket);
            }
        }
        let is_sent = matches!(outcome, Ok(SendState::Sent(_) | SendState::Oneway));
        if let Some(garbage) = &mut garbage {
            introducing.end(is_sent, garbage);
        }
        match outcome {
            // A caller who is alone need not wait for the task that writes.
            Ok(SendState::Sent(_)) if state.questions.at_most_one() => {
                self.unlock_and_write_now(guard);
            }
            _ => Self::unlock_and_write(guard),
        }
        drop::<Option<Garbage>>(garbage);
        if let Some(waker) = next {
            waker.wake();
        }
        outcome
    }

    /// Gives a place in the queue for room up.
    pub(crate) fn leave_queue(&self, depth: u16, mut ticket: Ticket) {
        let next = self.lock().questions.dequeue(depth, &mut ticket);
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
        let mut place = Place::of(self);
        let asked = std::future::poll_fn(|cx| {
            let mut guard = self.lock();
            let state = &mut *guard;
            if let Some(fault) = &state.closed {
                return Poll::Ready(Err(fault.clone().with_outcome(Outcome::NotStarted)));
            }
            let asked = if state.questions.may_send(0, &place.ticket) {
                ask(&mut state.connection)
            } else {
                Err(SendError::NoCredit)
            };
            match asked {
                Ok((call, import)) => {
                    let bound = Bound::asked(Arc::clone(self), import, interface);
                    state.questions.ask_for(call, Arc::downgrade(&bound));
                    let next = state.questions.dequeue(0, &mut place.ticket);
                    Self::unlock_and_write(guard);
                    if let Some(waker) = next {
                        waker.wake();
                    }
                    Poll::Ready(Ok(bound))
                }
                Err(SendError::NoCredit | SendError::NotEstablished) => {
                    state.questions.queue(0, &mut place.ticket, cx.waker());
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(send_fault(&error))),
            }
        });
        asked.await
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
