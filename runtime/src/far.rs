//! A call by frames: encoded once, sent when there is room, answered, cancelled, tried again.
//!
//! ```text
//!            ready, room            reply
//!  Start ────────────────► Waiting ───────► Done
//!    │ not connected          ▲
//!    ├─────────► Binding ─────┤
//!    │ no room                │
//!    ├─────────► Queued ──────┘
//!    │ in this process
//!    └─────────► Loopback ───────────────► Done
//! ```

mod direct;
mod grouped;
mod promised;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use farref_proto::{FaultKind, Seldom};
use tokio::time::{Instant, Sleep};

pub(crate) use self::direct::{Begun, Plan, Sent};
pub(crate) use self::grouped::{Found, ReadyCall};
use crate::Outcome;
use crate::call::deadline_exceeded;
use crate::codec::{ArgumentsEncoder, Codec};
use crate::context::{Annotations, Scope, after, earlier};
use crate::dispatch::{ArgumentsOut, RawReply, buffer};
use crate::error::{Fault, Result};
use crate::interceptor::{self, CallInfo, Direction};
use crate::loopback::Loopback;
use crate::object::ExportKind;
use crate::observed::Observed;
use crate::references;
use crate::remote::{Bound, FarReference, Remote, Turn, is_gone};
use crate::session::{Question, SendState, Ticket};
use crate::spans::SentTrace;
use crate::transferred::Transferred;

/// How a method is named on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MethodKey {
    pub(crate) index: u16,
    pub(crate) hash: u32,
    /// 0 where the codec says names and no agreement on shapes is needed.
    pub(crate) shape: u32,
}

/// The interface and the method of a call, in wire names.
#[derive(Clone, Debug)]
pub(crate) enum Label {
    Static {
        interface: &'static str,
        method: &'static str,
    },
    /// Of a call without an interface at compile time.
    #[cfg(feature = "dynamic")]
    Owned(Box<(Cow<'static, str>, Cow<'static, str>)>),
}

impl Label {
    #[cfg(feature = "dynamic")]
    pub(crate) fn owned(
        interface: impl Into<Cow<'static, str>>,
        method: impl Into<Cow<'static, str>>,
    ) -> Self {
        Label::Owned(Box::new((interface.into(), method.into())))
    }

    fn names(&self) -> (Cow<'static, str>, Cow<'static, str>) {
        match self {
            Label::Static { interface, method } => ((*interface).into(), (*method).into()),
            #[cfg(feature = "dynamic")]
            Label::Owned(names) => (**names).clone(),
        }
    }
}

/// Whether a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnewayMode {
    Answered,
    Plain,
    Ordered,
}

/// What was said at the call.
#[derive(Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) deadline: Option<Instant>,
    pub(crate) annotations: Annotations,
    pub(crate) oneway: bool,
    /// Whether the call goes on when the borrow of its arguments has ended, so that they are encoded.
    pub(crate) outlives_arguments: bool,
    /// Whether a thread that waits for the call serves nobody meanwhile.
    pub(crate) serves_nobody: bool,
    pub(crate) wants_annotations: bool,
    pub(crate) reply_annotations: Annotations,
}

/// A call's arguments, encoded, with the references that they transfer.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) key: MethodKey,
    pub(crate) codec: Codec,
    pub(crate) body: Vec<u8>,
    pub(crate) attachments: Seldom<Bytes>,
    pub(crate) transferred: Seldom<Transferred>,
}

impl Encoded {
    /// Encodes `count` arguments. What fails has transferred nothing.
    pub(crate) fn new(
        key: MethodKey,
        codec: Codec,
        count: usize,
        encode: impl FnOnce(&mut ArgumentsOut<'_>) -> Result<()>,
    ) -> Result<Self> {
        let mut body = buffer::take();
        let (attachments, transferred) = Encoded::append(codec, count, &mut body, encode)?;
        Ok(Encoded {
            key,
            codec,
            body,
            attachments,
            transferred,
        })
    }

    /// Encodes `count` arguments to the end of `body`. Returns what is beside them: attachments, and what they transfer.
    /// What fails has transferred nothing, and leaves a part in the body.
    #[inline]
    pub(crate) fn append(
        codec: Codec,
        count: usize,
        body: &mut Vec<u8>,
        encode: impl FnOnce(&mut ArgumentsOut<'_>) -> Result<()>,
    ) -> Result<(Seldom<Bytes>, Seldom<Transferred>)> {
        let mut attachments = Vec::new();
        let (encoded, transferred) = references::collect(|| {
            let encoder =
                ArgumentsEncoder::new(codec, count, body, &mut attachments).map_err(|error| {
                    Fault::not_started(FaultKind::UnsupportedCodec, error.to_string())
                })?;
            let mut out = ArgumentsOut { encoder };
            encode(&mut out)?;
            out.encoder.finish();
            Ok::<(), Fault>(())
        });
        encoded?;
        Ok((attachments.into(), transferred))
    }

    fn recycle(self) {
        buffer::give(self.body);
    }
}

/// What a far call sends beside its arguments.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) deadline: Option<Instant>,
    pub(crate) annotations: Annotations,
    /// The call on whose behalf this one is made.
    pub(crate) scope: Option<Arc<Scope>>,
    pub(crate) trace: SentTrace,
}

impl Extras {
    /// Whether nothing is said beside the arguments, a chain aside.
    pub(crate) fn is_plain(&self) -> bool {
        self.deadline.is_none() && self.annotations.is_empty() && self.trace.is_none()
    }

    /// How deep the call lies in its chain. Near calls that nobody else asked for count for nothing.
    pub(crate) fn depth(&self) -> u16 {
        let scope = self.scope.as_deref();
        scope.map_or(0, |scope| {
            scope.depth.saturating_add(scope.is_served.into())
        })
    }
}

pub(crate) struct FarCall {
    remote: Remote,
    /// Kept after sending only while the call may be sent again.
    encoded: Option<Encoded>,
    oneway: OnewayMode,
    extras: Extras,
    retries: Option<Box<Retries>>,
    state: State,
    timer: Option<Pin<Box<Sleep>>>,
    reply_annotations: Annotations,
    encoded_by_name: bool,
    /// Why the object of a name was looked for anew.
    lost: Option<Fault>,
    /// Whether the arguments are kept for that case, if there is a name; else whoever makes the call has them.
    keeps_arguments: bool,
    /// Whether an attempt before this one may have run.
    may_have_run: bool,
    label: Label,
    intercepted: Option<Box<CallInfo>>,
    observed: Observed,
}

/// How often a call may be made again.
struct Retries {
    left: u32,
    /// How long each attempt may take, where that is less than the whole call.
    attempt: Option<Duration>,
    /// When all of them have to be over.
    deadline: Option<Instant>,
}

impl Retries {
    /// When an attempt that begins now gives up.
    fn attempt_ends(&self) -> Option<Instant> {
        earlier(self.deadline, self.attempt.and_then(after))
    }

    /// Whether time is left for an attempt after one that gave up.
    fn has_time(&self) -> bool {
        self.deadline
            .is_none_or(|deadline| Instant::now() < deadline)
    }
}

/// Waits for a turn to call what was promised.
type PromisedTurn = Pin<Box<dyn Future<Output = Option<Turn>> + Send>>;

/// Finds an object, and its caller's turn to call it.
type Binding = Pin<Box<dyn Future<Output = Result<(Arc<Bound>, Option<Turn>)>> + Send>>;

enum State {
    Start,
    Intercepting(Pin<Box<dyn Future<Output = (CallInfo, Result<()>)> + Send>>),
    Binding(Binding),
    /// What is called was promised, and it is not known yet where that is.
    Promised(Arc<FarReference>, PromisedTurn),
    Queued {
        bound: Arc<Bound>,
        ticket: Ticket,
        /// Kept until the call is sent.
        _turn: Option<Turn>,
    },
    Waiting(Arc<Bound>, Question),
    Loopback(Loopback),
    Done,
}

impl FarCall {
    pub(crate) fn new(
        remote: Remote,
        label: Label,
        encoded: Encoded,
        oneway: OnewayMode,
        deadline: Option<Instant>,
        retries: Option<u32>,
        options: Option<&mut CallOptions>,
    ) -> Self {
        let left = retries.unwrap_or_else(|| remote.max_retries());
        let retries = (left > 0).then(|| {
            Box::new(Retries {
                left,
                attempt: remote.attempt_timeout(),
                deadline,
            })
        });
        let annotations = options
            .map(|options| std::mem::take(&mut options.annotations))
            .unwrap_or_default();
        FarCall {
            remote,
            encoded: Some(encoded),
            oneway,
            extras: Extras {
                deadline,
                annotations,
                scope: Scope::current(),
                trace: SentTrace::default(),
            },
            retries,
            state: State::Start,
            timer: None,
            reply_annotations: Annotations::new(),
            encoded_by_name: false,
            lost: None,
            keeps_arguments: true,
            may_have_run: false,
            label,
            intercepted: None,
            observed: Observed::here(),
        }
    }

    /// How long each attempt may take, if the call may be made again.
    pub(crate) fn attempts_take(&mut self, timeout: Duration) {
        if let Some(retries) = &mut self.retries {
            retries.attempt = Some(timeout);
        }
    }

    /// Waits for room in this session, in which it has a place in the queue.
    pub(crate) fn wait_for_room(&mut self, bound: Arc<Bound>, ticket: Ticket, observed: Observed) {
        self.observed = observed;
        self.observe();
        self.state = State::Queued {
            bound,
            ticket,
            _turn: None,
        };
    }

    /// Says whether this keeps the arguments for the case that the object of a name is gone, and another has it. It
    /// does unless told otherwise.
    pub(crate) fn keep_arguments(&mut self, keeps: bool) {
        self.keeps_arguments = keeps;
    }

    /// Whether the call may find another object of the same name, since that which it was for is gone. Then it is to
    /// begin again.
    pub(crate) fn finds_again(&mut self, fault: &Fault) -> bool {
        let finds = is_gone(fault) && self.remote.is_named() && self.lost.is_none();
        if finds {
            self.lost = Some(fault.clone());
        }
        finds
    }

    /// Begins again with these arguments.
    pub(crate) fn begin_again(&mut self, encoded: Encoded) {
        self.observed = Observed::here();
        self.encoded = Some(encoded);
        self.state = State::Start;
    }

    /// When the call gives up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.extras.deadline
    }

    pub(crate) fn take_reply_annotations(&mut self) -> Annotations {
        std::mem::take(&mut self.reply_annotations)
    }

    /// What refused the call because its types differ, if asking it what they are may help.
    pub(crate) fn refused_types(&self, fault: &Fault) -> Option<Remote> {
        let refused = fault.kind() == FaultKind::Incompatible
            && !fault.may_have_run()
            && !self.encoded_by_name;
        refused.then(|| self.remote.clone())
    }

    /// Begins again with arguments that say their names.
    pub(crate) fn encode_by_name(&mut self, encoded: Encoded) {
        self.encoded_by_name = true;
        self.begin_again(encoded);
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawReply>> {
        loop {
            let result = match self.poll_once(cx) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    ready!(self.poll_deadline(cx));
                    Err(deadline_exceeded(self.outcome_if_given_up()))
                }
            };
            if let Some(result) = self.conclude(result) {
                return Poll::Ready(result);
            }
        }
    }

    /// Ends an attempt. Returns nothing if the call is to be made again.
    fn conclude(&mut self, result: Result<RawReply>) -> Option<Result<RawReply>> {
        match result {
            Err(fault) if self.tries_again(&fault) => {
                tracing::debug!(%fault, "a call is made again");
                self.may_have_run |= fault.may_have_run();
                self.end();
                self.state = State::Start;
                None
            }
            result => {
                self.end();
                let result = result.map_err(|fault| match (&self.lost, fault.outcome()) {
                    // No other has its name.
                    (Some(lost), _) if is_gone(lost) && fault.kind() == FaultKind::NoSuchObject => {
                        lost.clone()
                    }
                    (_, Outcome::NotStarted) if self.may_have_run => {
                        fault.with_outcome(Outcome::Unknown)
                    }
                    _ => fault,
                });
                self.observed
                    .ended(result.as_ref().map(|reply| reply.is_error));
                if let Some(info) = self.intercepted.take() {
                    interceptor::after(
                        &self.remote.interceptors(),
                        &info,
                        result.as_ref().map(drop),
                    );
                }
                Some(result)
            }
        }
    }

    /// Waits for the answer, and for the notes beside it.
    pub(crate) async fn finish(mut self) -> (Result<RawReply>, Annotations) {
        let reply = std::future::poll_fn(|cx| self.poll(cx)).await;
        (reply, self.take_reply_annotations())
    }

    /// Whether a failed call is to be made again, and counts the attempt.
    #[cold]
    fn tries_again(&mut self, fault: &Fault) -> bool {
        if self.encoded.is_none() {
            return false;
        }
        if self.finds_again(fault) {
            return true;
        }
        let is_transient = match fault.kind() {
            FaultKind::SessionLost | FaultKind::ConnectFailed => true,
            FaultKind::DeadlineExceeded => self
                .retries
                .as_ref()
                .is_some_and(|retries| retries.attempt.is_some() && retries.has_time()),
            _ => false,
        };
        if !is_transient {
            return false;
        }
        // Its session ended just before: a named object is found again, and nothing can have run.
        if fault.kind() == FaultKind::SessionLost
            && !fault.may_have_run()
            && self.remote.is_named()
            && self.lost.is_none()
        {
            self.lost = Some(fault.clone());
            return true;
        }
        match &mut self.retries {
            Some(retries) if retries.left > 0 => {
                retries.left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Has the call seen from now on.
    fn observe(&mut self) {
        // What stays in this process crosses nothing, and is part of what makes it.
        if self.stays_here() {
            return;
        }
        self.extras.trace = self.observed.begin(|| self.label.names());
    }

    /// Gives an attempt its time.
    fn begin_attempt(&mut self) {
        self.observe();
        if let Some(retries) = &self.retries
            && retries.attempt.is_some()
        {
            self.extras.deadline = retries.attempt_ends();
            self.timer = None;
        }
    }

    fn outcome_if_given_up(&self) -> Outcome {
        match self.state {
            State::Waiting(..) | State::Loopback(_) => Outcome::Unknown,
            _ => Outcome::NotStarted,
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.extras.deadline else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx)
    }

    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawReply>> {
        loop {
            match &mut self.state {
                State::Start => {
                    self.begin_attempt();
                    match self.start() {
                        Ok(next) => self.state = next,
                        Err(fault) => return Poll::Ready(Err(fault)),
                    }
                }
                State::Intercepting(before) => {
                    let (mut info, before) = ready!(before.as_mut().poll(cx));
                    self.extras.annotations = std::mem::take(&mut info.annotations);
                    self.intercepted = Some(Box::new(info));
                    match before.and_then(|()| self.begin()) {
                        Ok(next) => self.state = next,
                        Err(fault) => return Poll::Ready(Err(fault)),
                    }
                }
                State::Binding(binding) => match ready!(binding.as_mut().poll(cx)) {
                    Ok((bound, turn)) => {
                        self.state = State::Queued {
                            bound,
                            ticket: Ticket::none(),
                            _turn: turn,
                        }
                    }
                    Err(fault) => return Poll::Ready(Err(fault)),
                },
                State::Promised(reference, turn) => {
                    let turn = ready!(turn.as_mut().poll(cx));
                    let reference = Arc::clone(reference);
                    match self.call_promised(reference, turn) {
                        Ok(next) => self.state = next,
                        Err(fault) => return Poll::Ready(Err(fault)),
                    }
                }
                State::Queued { bound, ticket, .. } => {
                    let Some(encoded) = &self.encoded else {
                        return Poll::Ready(Err(already_sent()));
                    };
                    let call = ReadyCall {
                        target: bound.target(),
                        encoded,
                        oneway: self.oneway,
                        extras: &self.extras,
                    };
                    match bound.session.send(&call, ticket, cx) {
                        Ok(SendState::Queued) => return Poll::Pending,
                        Ok(SendState::Sent(question)) => {
                            self.observed.is_for(&bound.session);
                            let bound = Arc::clone(bound);
                            self.forget_encoded();
                            self.state = State::Waiting(bound, question);
                            return Poll::Pending;
                        }
                        Ok(SendState::Oneway) => {
                            self.observed.is_for(&bound.session);
                            if let Some(answer) = bound.kept_answer() {
                                answer.note_oneway();
                            }
                            self.state = State::Done;
                            return Poll::Ready(Ok(RawReply::empty()));
                        }
                        Err(fault) => {
                            self.remote.failed(bound, &fault);
                            return Poll::Ready(Err(fault));
                        }
                    }
                }
                State::Waiting(bound, question) => {
                    let (reply, annotations) =
                        ready!(bound.session.poll_annotated_reply(question, cx));
                    if let Err(fault) = &reply {
                        self.remote.failed(bound, fault);
                    }
                    self.state = State::Done;
                    self.reply_annotations = annotations;
                    return Poll::Ready(reply);
                }
                State::Loopback(loopback) => return loopback.poll(cx, &mut self.reply_annotations),
                State::Done => return Poll::Ready(Err(already_sent())),
            }
        }
    }

    fn start(&mut self) -> Result<State> {
        // A call that is made again was seen before.
        if !self.remote.is_intercepted() || self.intercepted.is_some() {
            return self.begin();
        }
        let interceptors = self.remote.interceptors();
        let (interface, method) = self.label.names();
        let mut info = CallInfo {
            direction: Direction::Outgoing,
            interface,
            method,
            peer: self.remote.peer(),
            deadline: self.extras.deadline,
            depth: self.extras.depth(),
            annotations: std::mem::take(&mut self.extras.annotations),
        };
        Ok(State::Intercepting(Box::pin(async move {
            let before = interceptor::before(&interceptors, &mut info).await;
            (info, before)
        })))
    }

    fn begin(&mut self) -> Result<State> {
        match &self.remote {
            Remote::Dead(fault) => Err(fault.clone()),
            Remote::Local(export) => {
                let export = Arc::clone(export).called()?;
                if let ExportKind::Forward(remote) = &export.kind {
                    self.remote = remote.clone();
                    return self.begin();
                }
                let encoded = self.encoded.take().ok_or_else(already_sent)?;
                let extras = std::mem::take(&mut self.extras);
                self.extras.deadline = extras.deadline;
                let span = self.observed.around();
                Loopback::start(&export, encoded, self.oneway, extras, span).map(State::Loopback)
            }
            Remote::Far(reference) if reference.promise().is_some() => {
                let reference = Arc::clone(reference);
                self.call_promised(reference, None)
            }
            Remote::Far(reference) => Ok(match reference.ready()? {
                Some(bound) => State::Queued {
                    bound,
                    ticket: Ticket::none(),
                    _turn: None,
                },
                None => {
                    let reference = Arc::clone(reference);
                    State::Binding(Box::pin(async move { reference.bind().await }))
                }
            }),
        }
    }

    fn forget_encoded(&mut self) {
        if self.retries.is_none()
            && !(self.keeps_arguments && self.remote.is_named())
            && let Some(encoded) = self.encoded.take()
        {
            encoded.recycle();
        }
    }

    /// Leaves the current state: gives a place in the queue up, or cancels what is under way.
    fn end(&mut self) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Queued { bound, ticket, .. } => {
                // A oneway waits with the calls that nobody waits for.
                let depth = match self.oneway {
                    OnewayMode::Answered => self.extras.depth(),
                    OnewayMode::Plain | OnewayMode::Ordered => 0,
                };
                bound.session.leave_queue(depth, ticket);
            }
            State::Waiting(bound, question) => bound.session.abandon(question),
            State::Loopback(loopback) => loopback.abandon(),
            State::Start
            | State::Intercepting(_)
            | State::Binding(_)
            | State::Promised(..)
            | State::Done => {}
        }
    }
}

impl Drop for FarCall {
    fn drop(&mut self) {
        self.end();
        if let Some(encoded) = self.encoded.take() {
            encoded.recycle();
        }
    }
}

impl fmt::Debug for FarCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FarCall")
            .field("remote", &self.remote)
            .field("oneway", &self.oneway)
            .finish_non_exhaustive()
    }
}

fn already_sent() -> Fault {
    Fault::new(
        FaultKind::Misuse,
        Outcome::Unknown,
        "the call was polled again after it had ended",
    )
}
