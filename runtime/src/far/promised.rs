//! Calls on what was promised, and calls whose result is a promise.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};

use super::{FarCall, State, already_sent};
use crate::Outcome;
use crate::call::deadline_exceeded;
use crate::codec::Codec;
use crate::error::Result;
use crate::promise::{Defaults, Seeing, Way};
use crate::remote::{Bound, FarReference, Turn};
use crate::session::Ticket;

impl FarCall {
    /// Begins a call on what was promised.
    pub(super) fn call_promised(
        &mut self,
        reference: Arc<FarReference>,
        turn: Option<Turn>,
    ) -> Result<State> {
        let Some(promised) = reference.promise() else {
            return Err(already_sent());
        };
        match promised.way(turn.is_some())? {
            Way::Wait => {
                let turn = Box::pin(Arc::clone(&reference).promised_turn());
                Ok(State::Promised(reference, turn))
            }
            Way::Answer(bound) => Ok(State::Queued {
                bound,
                ticket: Ticket::none(),
                _turn: turn,
            }),
            Way::Direct(remote) => {
                self.remote = remote;
                let mut state = self.begin()?;
                if let State::Queued { _turn, .. } = &mut state
                    && _turn.is_none()
                {
                    *_turn = turn;
                }
                Ok(state)
            }
        }
    }

    /// What holds for calls on the result of this one.
    pub(crate) fn defaults(&self, interface: u32) -> Defaults {
        Defaults {
            interface,
            codec: self
                .encoded
                .as_ref()
                .map_or(Codec::Postcard, |encoded| encoded.codec),
            timeout: self.remote.timeout(),
        }
    }

    /// Sends the call, whose answer the peer is to keep, when there is room. Returns the answer's place, and what is to see
    /// the end of the call; nothing if it is made in this process instead: it is to be polled then.
    pub(crate) async fn send_keeping(&mut self) -> Result<Option<(Arc<Bound>, Seeing)>> {
        if self.find().await?.is_none() {
            return Ok(None);
        }
        let deadline = self.extras.deadline;
        let mut timer = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        let sent = poll_fn(|cx| {
            let State::Queued { bound, ticket, .. } = &mut self.state else {
                return Poll::Ready(Err(already_sent()));
            };
            let Some(encoded) = &self.encoded else {
                return Poll::Ready(Err(already_sent()));
            };
            let call = super::ReadyCall {
                target: bound.target(),
                encoded,
                oneway: self.oneway,
                extras: &self.extras,
            };
            match bound.session.send_keeping(&call, ticket, cx) {
                Ok(None) => {}
                Ok(Some(kept)) => return Poll::Ready(Ok(kept)),
                Err(fault) => return Poll::Ready(Err(fault)),
            }
            match &mut timer {
                None => Poll::Pending,
                Some(timer) => {
                    ready!(timer.as_mut().poll(cx));
                    Poll::Ready(Err(deadline_exceeded(Outcome::NotStarted)))
                }
            }
        });
        let kept = sent.await?;
        let intercepted = self.intercepted.take();
        let seeing = Seeing {
            intercepted: intercepted.map(|info| (self.remote.interceptors(), info)),
            observed: std::mem::take(&mut self.observed),
            named: match &self.state {
                State::Queued { bound, .. } if self.remote.is_named() => {
                    Some((self.remote.clone(), Arc::downgrade(bound)))
                }
                _ => None,
            },
        };
        self.end();
        self.forget_encoded();
        Ok(Some((kept, seeing)))
    }
}
