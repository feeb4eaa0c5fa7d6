//! Calls that are sent as one group: each is brought to where it could be sent, and is sent with the others.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::{Binding, Encoded, Extras, FarCall, OnewayMode, State, already_sent};
use crate::Outcome;
use crate::call::deadline_exceeded;
use crate::context::{Annotations, Scope, earlier};
use crate::dispatch::RawReply;
use crate::error::{Fault, Result};
use crate::object::ExportKind;
use crate::promise::Way;
use crate::remote::{Bound, CallTarget, FarReference, Remote};
use crate::session::{Session, Ticket};

/// A call that is ready to be sent.
pub(crate) struct ReadyCall<'a> {
    pub(crate) target: CallTarget,
    pub(crate) encoded: &'a Encoded,
    pub(crate) oneway: OnewayMode,
    pub(crate) extras: &'a Extras,
}

/// Where calls are sent.
pub(crate) struct Found {
    remote: Remote,
    bound: Arc<Bound>,
}

impl Found {
    pub(crate) fn at(remote: Remote, bound: Arc<Bound>) -> Self {
        Found { remote, bound }
    }

    /// Where a reference leads, if that is in the same session.
    pub(crate) fn place_of(&self, reference: &Arc<FarReference>) -> Option<Arc<Bound>> {
        match &self.remote {
            // The first call has its turn, and this one comes right behind it.
            Remote::Far(known) if Arc::ptr_eq(known, reference) => Some(Arc::clone(&self.bound)),
            _ => match reference.ready() {
                Ok(Some(bound)) if Arc::ptr_eq(&bound.session, self.session()) => Some(bound),
                _ => None,
            },
        }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.bound.session
    }
}

impl ReadyCall<'_> {
    /// How deep the call lies, for the room that it needs.
    pub(crate) fn depth(&self) -> u16 {
        match self.oneway {
            OnewayMode::Answered => self.extras.depth(),
            OnewayMode::Plain | OnewayMode::Ordered => 0,
        }
    }
}

impl FarCall {
    /// Does what may take its time before any call of a group is sent: lets interceptors see the call, and finds its
    /// object. What does not succeed here fails when the call has its turn.
    pub(crate) async fn prepare(&mut self) -> Result<()> {
        if let Remote::Local(export) = &self.remote
            && let ExportKind::Forward(remote) = &export.kind
        {
            self.remote = remote.clone();
        }
        if matches!(self.remote, Remote::Local(_)) {
            return Ok(());
        }
        let deadline = self.extras.deadline;
        within(deadline, async {
            if self.remote.is_intercepted() && self.intercepted.is_none() {
                let State::Intercepting(before) = self.start()? else {
                    return Ok(());
                };
                let (mut info, before) = before.await;
                self.extras.annotations = std::mem::take(&mut info.annotations);
                self.intercepted = Some(Box::new(info));
                before?;
            }
            if let Remote::Far(reference) = &self.remote
                && let Some(promised) = reference.promise()
            {
                promised.known().await;
                if let Way::Direct(remote) = promised.way(true)? {
                    self.remote = remote;
                }
            }
            if let Remote::Far(reference) = &self.remote
                && reference.promise().is_none()
                && let Ok(None) = reference.ready()
            {
                // Its turn is not kept: two groups that keep turns could wait for each other.
                let found = Arc::clone(reference).bind().await;
                drop(found);
            }
            Ok(())
        })
        .await
    }

    /// Whether frames do not leave this process.
    pub(crate) fn stays_here(&self) -> bool {
        match &self.remote {
            Remote::Local(export) => !matches!(export.kind, ExportKind::Forward(_)),
            Remote::Far(_) | Remote::Dead(_) => false,
        }
    }

    /// Whether there is something to [`prepare`](FarCall::prepare).
    pub(crate) fn must_prepare(&self) -> bool {
        match &self.remote {
            Remote::Far(reference) => {
                self.remote.is_intercepted() || matches!(reference.ready(), Ok(None))
            }
            Remote::Local(_) => true,
            Remote::Dead(_) => false,
        }
    }

    /// Brings the call to where it can be sent, and returns where that is. Keeps its turn to call the object. Returns
    /// nothing if it turns out to be under way in this process: it is to be polled then.
    pub(crate) async fn find(&mut self) -> Result<Option<Found>> {
        self.observe();
        let deadline = self.extras.deadline;
        within(deadline, async {
            let mut state = self.begin()?;
            loop {
                state = match state {
                    State::Binding(binding) => queued(binding).await?,
                    State::Promised(reference, turn) => {
                        let turn = turn.await;
                        self.call_promised(reference, turn)?
                    }
                    state => {
                        self.state = state;
                        break;
                    }
                };
            }
            match &self.state {
                State::Queued { bound, .. } => {
                    self.observed.is_for(&bound.session);
                    Ok(Some(Found {
                        remote: self.remote.clone(),
                        bound: Arc::clone(bound),
                    }))
                }
                State::Loopback(_) => Ok(None),
                _ => Err(already_sent()),
            }
        })
        .await
    }

    /// Brings the call to where it can be sent together with the one that was found there, if it can be at once.
    pub(crate) fn join(&mut self, first: &Found) -> bool {
        let Remote::Far(reference) = &self.remote else {
            return false;
        };
        let Some(bound) = first.place_of(reference) else {
            return false;
        };
        self.observe();
        self.observed.is_for(&bound.session);
        self.state = State::Queued {
            bound,
            ticket: Ticket::none(),
            _turn: None,
        };
        true
    }

    /// The call as it is sent, once it has been brought there.
    pub(crate) fn group_call(&self) -> Option<ReadyCall<'_>> {
        match (&self.state, &self.encoded) {
            (State::Queued { bound, .. }, Some(encoded)) => Some(ReadyCall {
                target: bound.target(),
                encoded,
                oneway: self.oneway,
                extras: &self.extras,
            }),
            _ => None,
        }
    }

    /// How deep the call lies, for the room that it needs.
    pub(crate) fn room_depth(&self) -> u16 {
        self.group_call().map_or(0, |call| call.depth())
    }

    /// Lets those call the object who wait for their turn.
    pub(crate) fn give_turn(&mut self) {
        if let State::Queued { _turn, .. } = &mut self.state {
            *_turn = None;
        }
    }

    /// Is made on behalf of this call, whatever is being served now.
    pub(crate) fn belongs_to(&mut self, scope: Option<Arc<Scope>>) {
        self.extras.scope = scope;
    }

    /// Gives up by then at the latest.
    pub(crate) fn not_after(&mut self, deadline: Option<Instant>) {
        self.extras.deadline = earlier(self.extras.deadline, deadline);
    }

    /// A call whose start nobody hears of was sent: notes that at what was promised, if it went there.
    pub(crate) fn oneway_is_sent(&mut self) {
        if self.oneway == OnewayMode::Answered {
            return;
        }
        self.observed.ended(Ok(false));
        if let State::Queued { bound, .. } = &self.state
            && let Some(answer) = bound.kept_answer()
        {
            answer.note_oneway();
        }
    }

    /// The call is over, whatever could be done about that.
    pub(crate) fn is_over(&mut self, result: &Result<RawReply>) {
        self.observed
            .ended(result.as_ref().map(|reply| reply.is_error));
    }

    /// Keeps the notes beside the answer.
    pub(crate) fn note(&mut self, annotations: Annotations) {
        self.reply_annotations = annotations;
    }

    /// Goes back to the start: the call was not sent with its group.
    pub(crate) fn was_not_sent(&mut self) {
        self.state = State::Start;
    }

    /// Ends an attempt, whose answer came to the group. Returns nothing if the call is to be made again.
    pub(crate) fn answered(&mut self, result: Result<RawReply>) -> Option<Result<RawReply>> {
        if let (State::Queued { bound, .. }, Err(fault)) = (&self.state, &result) {
            self.remote.failed(bound, fault);
        }
        self.state = State::Done;
        self.conclude(result)
    }
}

async fn queued(binding: Binding) -> Result<State> {
    let (bound, turn) = binding.await?;
    Ok(State::Queued {
        bound,
        ticket: Ticket::none(),
        _turn: turn,
    })
}

/// Waits no longer than this.
async fn within<R>(
    deadline: Option<Instant>,
    future: impl Future<Output = Result<R>>,
) -> Result<R> {
    match deadline {
        None => future.await,
        Some(deadline) => match timeout_at(deadline, future).await {
            Ok(result) => result,
            Err(_) => Err::<R, Fault>(deadline_exceeded(Outcome::NotStarted)),
        },
    }
}
