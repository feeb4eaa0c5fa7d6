//! Calls whose answers the peer keeps as the targets of other calls.

use std::sync::Arc;
use std::task::{Context, Waker};

use farref_proto::{CallId, IncomingReply, Seldom, SendError};

use super::inbox::Garbage;
use super::questions::Asker;
use super::refusals::send_fault;
use super::{Session, Ticket};
use crate::Outcome;
use crate::error::Result;
use crate::far::ReadyCall;
use crate::promise;
use crate::remote::{Bound, Remote};
use crate::transferred::Transferred;

impl Session {
    /// Sends a call whose answer the peer is to keep, if there is room, and returns the answer's place. Else queues for
    /// room, and returns nothing.
    pub(crate) fn send_keeping(
        self: &Arc<Self>,
        call: &ReadyCall<'_>,
        ticket: &mut Ticket,
        cx: &Context<'_>,
    ) -> Result<Option<Arc<Bound>>> {
        let depth = call.depth();
        let mut garbage = None;
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(fault) = &state.closed {
            return Err(fault.clone().with_outcome(Outcome::NotStarted));
        }
        let appended = match state.queues.may_send(depth, ticket) {
            true => self.append(state, call, true, &mut garbage),
            false => Err(SendError::NoCredit),
        };
        let sent = match appended {
            Ok(Some(id)) => {
                let bound = Bound::promised(Arc::clone(self), id);
                let asker = Asker::Promise(Arc::downgrade(&bound));
                state.questions.expect(id, asker);
                Ok(Some(bound))
            }
            Ok(None) | Err(SendError::NoCredit | SendError::NotEstablished) => {
                state.queues.queue(depth, ticket, cx.waker());
                Ok(None)
            }
            Err(error) => Err(send_fault(&error)),
        };
        let next = match &sent {
            Ok(None) => None,
            _ => state.leave_queue(depth, ticket),
        };
        Self::unlock_and_write(guard);
        drop::<Option<Box<Garbage>>>(garbage);
        next.into_iter().for_each(Waker::wake);
        sent
    }

    /// Gives the place of an answer back. A call that is not answered yet is cancelled: nobody wants its result.
    pub(crate) fn release_answer(&self, call: CallId) {
        self.let_go(|state| {
            if state.questions.forget_promise(call) {
                state.connection.cancel(call);
            }
            state.connection.finish(call);
        });
    }

    /// What a call returned, for those who wait for the object; references beside it are given back.
    pub(super) fn promised(
        &self,
        bound: &Bound,
        reply: IncomingReply,
        transferred: Seldom<Transferred>,
    ) -> Result<Remote> {
        let reply = self.raw_reply(reply, transferred);
        if let (Err(fault), Some(answer)) = (&reply, bound.kept_answer()) {
            answer.failed(fault);
        }
        promise::returned(reply)
    }
}
