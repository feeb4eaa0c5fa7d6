//! A call before and while it is made: a value that does nothing until it is polled.

pub(crate) mod early;
pub(crate) mod member;
mod pipelined;
mod starting;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use crate::blocking;
use crate::codec::Codec;
use crate::context::{Annotations, CallName, Scope, after, earlier};
use crate::descriptor::{Method, MethodKind};
use crate::dispatch::{ArgumentsOut, RawReply};
use crate::error::{Failure, Fault, Result};
use crate::far::{Begun, CallOptions, Encoded, FarCall, MethodKey, OnewayMode, Plan, Sent};
use crate::panics;
use crate::proxy::{Proxy, TargetKind};
use crate::remote::{Remote, is_gone};
use crate::stream::NearStream;
use crate::versions;
use crate::{FaultKind, Outcome};

/// The future of a near call: the method's own, made object-safe.
pub type NearFuture<'a, R> = Pin<Box<dyn Future<Output = Result<R>> + Send + 'a>>;

/// The function that makes a near call.
pub(crate) type NearFn<'a, N, A, R> = fn(&'a N, A) -> NearFuture<'a, R>;
/// The function that encodes a call's arguments.
pub(crate) type EncodeFn<A> = fn(&A, &mut ArgumentsOut<'_>) -> Result<()>;
/// The function that decodes a call's reply.
pub(crate) type DecodeFn<T, X> = fn(&mut RawReply) -> std::result::Result<T, X>;

/// A call of a method with arguments `A`, which returns `T` or fails with `X`.
///
/// A call is a value: nothing is encoded or sent until it is first polled, and calls made one after the other start in
/// the order of their first polls.
///
/// # Cancel safety
///
/// Dropping a call that was polled cancels it: a far handler is dropped at its next await, unless its method is
/// `#[no_cancel]`. Cancelling is a request; effects may exist.
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<'a, P: Proxy, A, T, X: Failure<T>> {
    proxy: &'a P,
    index: usize,
    arguments: Option<A>,
    near: NearFn<'a, P::Near, A, X::Raw>,
    encode: EncodeFn<A>,
    decode: DecodeFn<T, X>,
    options: Option<Box<CallOptions>>,
    state: State<'a, X::Raw>,
}

enum State<'a, R> {
    Idle,
    Near(NearCall<'a, R>),
    /// Sent by the short way.
    Sent(Sent),
    /// The same, and not to be answered.
    Noted,
    Far(Box<FarCall>),
    /// The peer's types differ: it is asked how.
    Comparing(
        Box<FarCall>,
        Pin<Box<dyn Future<Output = Result<()>> + Send>>,
    ),
    Done,
}

impl<'a, P: Proxy, A, T, X: Failure<T>> Call<'a, P, A, T, X> {
    /// A call of the method of this index in the proxy's interface.
    pub fn new(
        proxy: &'a P,
        index: usize,
        arguments: A,
        near: NearFn<'a, P::Near, A, X::Raw>,
        encode: EncodeFn<A>,
        decode: DecodeFn<T, X>,
    ) -> Self {
        Call {
            proxy,
            index,
            arguments: Some(arguments),
            near,
            encode,
            decode,
            options: None,
            state: State::Idle,
        }
    }

    fn options(&mut self) -> &mut CallOptions {
        self.options.get_or_insert_default()
    }

    /// Gives up after this long. The deadline travels with the call, and with every call made on its behalf.
    ///
    /// A call that gave up fails with `DeadlineExceeded`: `NotStarted` if it was not sent by then, else `Unknown`.
    pub fn timeout(self, timeout: Duration) -> Self {
        match after(timeout) {
            Some(deadline) => self.deadline(deadline),
            None => self,
        }
    }

    /// Gives up at this instant; see [`timeout`](Call::timeout).
    pub fn deadline(mut self, deadline: Instant) -> Self {
        let options = self.options();
        options.deadline = earlier(options.deadline, Some(deadline));
        self
    }

    /// Sends a note beside the arguments, which the handler finds in its [`CallContext`](crate::CallContext).
    pub fn annotate(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.options().annotations.push((key.into(), value.into()));
        self
    }

    /// Calls without waiting for an answer: returns when the call is in the session's buffer. Its failure is logged
    /// where it is served, and its result is dropped there.
    pub fn oneway(mut self) -> OnewayCall<'a, P, A, T, X> {
        self.options().oneway = true;
        OnewayCall(self)
    }

    /// Collects the notes that the handler sends beside its reply.
    pub fn with_annotations(mut self) -> AnnotatedCall<'a, P, A, T, X> {
        self.options().wants_annotations = true;
        AnnotatedCall(self)
    }

    /// Waits for the result on this thread, and serves the objects that are pinned to it meanwhile, and whatever is called
    /// on this call's behalf; for programs without async, see [`blocking`](mod@crate::blocking).
    ///
    /// # Errors
    ///
    /// As awaiting the call; and `Misuse`, `NotStarted`, on a thread that drives a runtime.
    pub fn wait(self) -> std::result::Result<T, X> {
        if self
            .options
            .as_ref()
            .is_some_and(|options| options.serves_nobody)
        {
            let call = CallName(P::DESCRIPTOR.name, self.method().name);
            return blocking::wait_closed(self, call)?;
        }
        blocking::wait_for_call(self)?
    }

    /// Whether a thread that [`wait`](Call::wait)s for this call serves others meanwhile; the default is that it does.
    ///
    /// With `false` nothing else of the thread runs until the call has ended: calls of the objects that are pinned to it
    /// come in later. A call that this one waits for would never come in, and is refused with
    /// [`WouldDeadlock`](FaultKind::WouldDeadlock), at once. As with objects that are served one call at a time, that is
    /// one of the same chain of calls, or of another that is waited for where all that are involved live in this process.
    ///
    /// It says nothing of a call that is awaited.
    pub fn reentrant(mut self, reentrant: bool) -> Self {
        self.options().serves_nobody = !reentrant;
        self
    }

    fn method(&self) -> &'static Method {
        &P::DESCRIPTOR.methods[self.index]
    }

    /// Encodes the arguments with this codec.
    fn encoded(&self, arguments: &A, codec: Codec) -> Result<Encoded> {
        let count = self.method().argument_count();
        Encoded::new(self.key(codec), codec, count, |out| {
            (self.encode)(arguments, out)
        })
    }

    /// How the method is named beside arguments in this codec.
    fn key(&self, codec: Codec) -> MethodKey {
        let method = self.method();
        MethodKey {
            index: u16::try_from(self.index).unwrap_or(u16::MAX),
            hash: method.hash,
            // Only postcard needs both sides to agree on every type; the others say names.
            shape: if codec == Codec::Postcard {
                method.shape_hash()
            } else {
                0
            },
        }
    }

    fn oneway_mode(&self) -> OnewayMode {
        let asked = self.options.as_ref().is_some_and(|options| options.oneway);
        match self.method().kind {
            MethodKind::OrderedOneway => OnewayMode::Ordered,
            kind if kind.is_oneway() || asked => OnewayMode::Plain,
            _ => OnewayMode::Answered,
        }
    }

    /// Begins the call. The state is not idle then, unless this fails. Without a context nothing is sent yet: others are to
    /// be sent along. Returns whether the session knows already who waits, and there is nothing to do until it wakes them.
    fn begin(&mut self, cx: Option<&Context<'_>>) -> Result<bool> {
        let Some(arguments) = self.arguments.take() else {
            return Err(polled_again());
        };
        let target = self.proxy.target();
        let method = self.method();
        let oneway = self.oneway_mode();
        let outlives = self
            .options
            .as_ref()
            .is_some_and(|options| options.outlives_arguments);
        let deadline = deadline_of(
            self.options.as_deref(),
            target
                .options
                .as_deref()
                .and_then(|options| options.timeout),
            oneway,
        );
        let made;
        let remote = match &target.kind {
            // A near call that outlives its caller's borrow owns its arguments, so it is encoded like a far one.
            // So does a stream, which outlives the call.
            TargetKind::Near(near)
                if oneway != OnewayMode::Answered
                    || method.flags.no_cancel
                    || method.kind == MethodKind::Stream
                    || outlives =>
            {
                made = Remote::Local(P::export_near(near));
                &made
            }
            TargetKind::Near(near) => {
                let scope = Scope::near(
                    P::DESCRIPTOR.name,
                    method.name,
                    deadline,
                    take_annotations(&mut self.options),
                );
                // Nothing of the method runs before its future is polled.
                let future = (self.near)(near, arguments);
                self.state = State::Near(NearCall {
                    future,
                    scope,
                    timer: None,
                    callback: method.flags.callback,
                });
                return Ok(false);
            }
            TargetKind::Remote(remote) => remote,
        };
        let plan = self.plan(remote, oneway, deadline);
        let encoded = self.encoded(&arguments, plan.codec())?;
        let (state, is_expected) = match plan.begin(encoded, self.options.as_deref_mut(), cx) {
            Begun::Sent(sent) => (State::Sent(sent), true),
            Begun::Oneway => (State::Noted, false),
            Begun::Queued(call) => (State::Far(call), true),
            Begun::Far(call) => (State::Far(call), false),
        };
        self.state = state;
        // Kept for the case that the peer's types differ and the arguments must be encoded by name.
        self.arguments = Some(arguments);
        Ok(is_expected)
    }

    /// Begins the stream of a call that is not made yet, if its object is of this process.
    pub(crate) fn start_near_stream<I>(
        &mut self,
        make: fn(&'a P::Near, A) -> NearStream<'a, I>,
    ) -> Option<NearStream<'a, I>> {
        let TargetKind::Near(near) = &self.proxy.target().kind else {
            return None;
        };
        let arguments = self.arguments.take()?;
        let deadline = self.options.as_ref().and_then(|options| options.deadline);
        let notes = take_annotations(&mut self.options);
        let scope = Scope::near(P::DESCRIPTOR.name, self.method().name, deadline, notes);
        let _entered = scope.enter();
        Some(make(near, arguments))
    }

    fn plan<'r>(
        &self,
        remote: &'r Remote,
        oneway: OnewayMode,
        deadline: Option<Instant>,
    ) -> Plan<'r>
    where
        'a: 'r,
    {
        Plan {
            remote,
            interface: P::DESCRIPTOR.name,
            method: self.method(),
            proxy_options: self.proxy.target().options.as_deref(),
            oneway,
            deadline,
        }
    }

    /// The call that was sent by the short way, to be made again by the long one.
    #[cold]
    fn by_the_long_way(&mut self) -> Result<Box<FarCall>> {
        let (Some(arguments), TargetKind::Remote(remote)) =
            (&self.arguments, &self.proxy.target().kind)
        else {
            return Err(polled_again());
        };
        let plan = self.plan(remote, OnewayMode::Answered, None);
        let encoded = self.encoded(arguments, plan.codec())?;
        Ok(plan.far_call(encoded, None))
    }

    /// Whether a call that was sent by the short way and failed goes on by the long one.
    #[cold]
    fn goes_on(&mut self, fault: &Fault) -> bool {
        let state = std::mem::replace(&mut self.state, State::Done);
        let TargetKind::Remote(remote) = &self.proxy.target().kind else {
            return false;
        };
        if let State::Sent(sent) = state {
            sent.failed(remote, fault);
        }
        let finds_again = is_gone(fault) && remote.is_named();
        if !finds_again && fault.kind() != FaultKind::Incompatible {
            return false;
        }
        let Ok(mut call) = self.by_the_long_way() else {
            return false;
        };
        if !finds_again {
            return self.compare(call, fault);
        }
        let finds_again = call.finds_again(fault);
        if finds_again {
            self.state = State::Far(call);
        }
        finds_again
    }

    /// Makes the call again where another object has the name of the one that is gone.
    #[cold]
    fn find_again(&mut self, mut call: Box<FarCall>, fault: &Fault) -> bool {
        if !call.finds_again(fault) {
            return false;
        }
        let TargetKind::Remote(remote) = &self.proxy.target().kind else {
            return false;
        };
        let oneway = self.oneway_mode();
        let codec = self.plan(remote, oneway, None).codec();
        let Some(Ok(encoded)) = self.arguments.as_ref().map(|it| self.encoded(it, codec)) else {
            return false;
        };
        call.begin_again(encoded);
        self.state = State::Far(call);
        true
    }

    /// Asks the peer how its types differ, if it refused the call for that and may be asked.
    fn compare(&mut self, call: Box<FarCall>, refused: &Fault) -> bool {
        let Some(remote) = call.refused_types(refused) else {
            return false;
        };
        let method = self.method();
        let comparing = versions::compare(remote, P::DESCRIPTOR.name, method, call.deadline());
        self.state = State::Comparing(call, comparing);
        true
    }

    fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<T, X>> {
        loop {
            match &mut self.state {
                State::Idle => match self.begin(Some(cx)) {
                    Ok(true) => return Poll::Pending,
                    Ok(false) => {}
                    Err(fault) => {
                        self.state = State::Done;
                        return Poll::Ready(Err(fault.into()));
                    }
                },
                State::Near(call) => {
                    let result = std::task::ready!(call.poll(cx));
                    let callback = call.callback;
                    let State::Near(NearCall { scope, .. }) =
                        std::mem::replace(&mut self.state, State::Done)
                    else {
                        continue;
                    };
                    if let Some(options) = &mut self.options {
                        options.reply_annotations = scope.take_reply_annotations();
                    }
                    let is_fault = result.is_err();
                    let result = X::from_raw(result);
                    if callback && result.is_err() && !is_fault {
                        tracing::error!(call = %scope.call_name(), "a callback returned an error");
                    }
                    Scope::recycle(scope);
                    return Poll::Ready(result);
                }
                State::Sent(sent) => {
                    let result = std::task::ready!(sent.poll(cx));
                    if let Err(fault) = &result
                        && self.goes_on(fault)
                    {
                        continue;
                    }
                    self.state = State::Done;
                    self.arguments = None;
                    return Poll::Ready(decoded(result, self.decode));
                }
                State::Noted => {
                    self.state = State::Done;
                    self.arguments = None;
                    return Poll::Ready((self.decode)(&mut RawReply::empty()));
                }
                State::Far(call) => {
                    let result = std::task::ready!(call.poll(cx));
                    let reply_annotations = call.take_reply_annotations();
                    if let Err(fault) = &result
                        && let State::Far(call) = std::mem::replace(&mut self.state, State::Done)
                        && match is_gone(fault) {
                            true => self.find_again(call, fault),
                            false => self.compare(call, fault),
                        }
                    {
                        continue;
                    }
                    self.state = State::Done;
                    self.arguments = None;
                    if let Some(options) = &mut self.options {
                        options.reply_annotations = reply_annotations;
                    }
                    return Poll::Ready(decoded(result, self.decode));
                }
                State::Comparing(_, comparing) => {
                    let compared = std::task::ready!(comparing.as_mut().poll(cx));
                    let State::Comparing(mut call, _) =
                        std::mem::replace(&mut self.state, State::Done)
                    else {
                        continue;
                    };
                    let encoded = compared.and_then(|()| match &self.arguments {
                        Some(arguments) => self.encoded(arguments, Codec::MessagePack),
                        None => Err(polled_again()),
                    });
                    match encoded {
                        Ok(encoded) => {
                            call.encode_by_name(encoded);
                            self.state = State::Far(call);
                        }
                        Err(fault) => return Poll::Ready(Err(fault.into())),
                    }
                }
                State::Done => return Poll::Ready(Err(polled_again().into())),
            }
        }
    }
}

pub(crate) fn polled_again() -> Fault {
    Fault::new(
        FaultKind::Misuse,
        Outcome::NotStarted,
        "the call was polled again after it had ended",
    )
}

fn take_annotations(options: &mut Option<Box<CallOptions>>) -> Annotations {
    options
        .as_mut()
        .map(|options| std::mem::take(&mut options.annotations))
        .unwrap_or_default()
}

/// What a call comes to whose answer is this.
fn decoded<T, X: From<Fault>>(
    reply: Result<RawReply>,
    decode: DecodeFn<T, X>,
) -> std::result::Result<T, X> {
    decode(&mut reply?)
}

/// When a call gives up: the earliest of what the call, its proxy and the call that it serves say.
fn deadline_of(
    options: Option<&CallOptions>,
    timeout: Option<Duration>,
    oneway: OnewayMode,
) -> Option<Instant> {
    let own = options.and_then(|options| options.deadline);
    let own = earlier(own, timeout.and_then(after));
    match oneway {
        OnewayMode::Answered => earlier(own, Scope::current_deadline()),
        // A oneway starts a chain of its own and inherits no deadline.
        OnewayMode::Plain | OnewayMode::Ordered => own,
    }
}

impl<P: Proxy, A, T, X: Failure<T>> Unpin for Call<'_, P, A, T, X> {}

impl<P: Proxy, A, T, X: Failure<T>> Future for Call<'_, P, A, T, X> {
    type Output = std::result::Result<T, X>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_raw(cx)
    }
}

impl<P: Proxy, A, T, X: Failure<T>> fmt::Debug for Call<'_, P, A, T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Idle => "not started",
            State::Near(_) | State::Sent(_) | State::Far(_) | State::Comparing(..) => "under way",
            State::Noted | State::Done => "ended",
        };
        write!(
            f,
            "Call({}.{}, {state})",
            P::DESCRIPTOR.name,
            self.method().name
        )
    }
}

/// A call that is not answered; see [`Call::oneway`].
#[must_use = "a call does nothing until it is awaited"]
pub struct OnewayCall<'a, P: Proxy, A, T, X: Failure<T>>(Call<'a, P, A, T, X>);

impl<P: Proxy, A, T, X: Failure<T>> OnewayCall<'_, P, A, T, X> {
    /// Waits on this thread until the call is in the session's buffer; see [`Call::wait`].
    ///
    /// # Errors
    ///
    /// As awaiting the call; and `Misuse`, `NotStarted`, on a thread that drives a runtime.
    pub fn wait(self) -> Result<()> {
        blocking::wait(self)?
    }
}

impl<P: Proxy, A, T, X: Failure<T>> Future for OnewayCall<'_, P, A, T, X> {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let call = &mut self.get_mut().0;
        if matches!(call.state, State::Idle) {
            match call.begin(Some(cx)) {
                Ok(true) => return Poll::Pending,
                Ok(false) => {}
                Err(fault) => {
                    call.state = State::Done;
                    return Poll::Ready(Err(fault));
                }
            }
        }
        if matches!(call.state, State::Noted) {
            call.state = State::Done;
            return Poll::Ready(Ok(()));
        }
        let State::Far(far) = &mut call.state else {
            return Poll::Ready(Err(polled_again()));
        };
        let result = std::task::ready!(far.poll(cx));
        call.state = State::Done;
        Poll::Ready(result.map(drop))
    }
}

impl<P: Proxy, A, T, X: Failure<T>> fmt::Debug for OnewayCall<'_, P, A, T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnewayCall").field(&self.0).finish()
    }
}

/// A call that also collects the notes beside its reply; see [`Call::with_annotations`].
#[must_use = "a call does nothing until it is awaited"]
pub struct AnnotatedCall<'a, P: Proxy, A, T, X: Failure<T>>(Call<'a, P, A, T, X>);

impl<P: Proxy, A, T, X: Failure<T>> AnnotatedCall<'_, P, A, T, X> {
    /// Waits on this thread for the result and the notes; see [`Call::wait`]. A call that may not wait here fails with
    /// `Misuse` and has no notes.
    pub fn wait(self) -> (std::result::Result<T, X>, Vec<(String, Bytes)>) {
        match blocking::wait_for_call(self) {
            Ok(result) => result,
            Err(fault) => (Err(fault.into()), Vec::new()),
        }
    }
}

impl<P: Proxy, A, T, X: Failure<T>> Future for AnnotatedCall<'_, P, A, T, X> {
    /// The call's result, and the notes: none if the call failed before its handler ended.
    type Output = (std::result::Result<T, X>, Vec<(String, Bytes)>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = &mut self.get_mut().0;
        let result = std::task::ready!(call.poll_raw(cx));
        let notes = call
            .options
            .as_mut()
            .map(|options| std::mem::take(&mut options.reply_annotations));
        Poll::Ready((result, notes.unwrap_or_default()))
    }
}

impl<P: Proxy, A, T, X: Failure<T>> fmt::Debug for AnnotatedCall<'_, P, A, T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnnotatedCall").field(&self.0).finish()
    }
}

/// A near call under way: the method's future, in its scope, with its deadline, its panics contained.
struct NearCall<'a, R> {
    future: NearFuture<'a, R>,
    scope: Arc<Scope>,
    timer: Option<Pin<Box<Sleep>>>,
    callback: bool,
}

impl<R> NearCall<'_, R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<R>> {
        let polled = {
            let _entered = self.scope.enter();
            panics::contain(|| self.future.as_mut().poll(cx))
        };
        match polled {
            Ok(Poll::Ready(result)) => Poll::Ready(result),
            Err(panic) => {
                let fault = panics::report(&self.scope.call_name(), &*panic, self.callback);
                Poll::Ready(Err(fault))
            }
            Ok(Poll::Pending) => {
                let Some(deadline) = self.scope.deadline else {
                    return Poll::Pending;
                };
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                std::task::ready!(timer.as_mut().poll(cx));
                Poll::Ready(Err(deadline_exceeded(Outcome::Unknown)))
            }
        }
    }
}

pub(crate) fn deadline_exceeded(outcome: Outcome) -> Fault {
    let message = match outcome {
        Outcome::NotStarted => "the deadline passed before the call was sent",
        _ => "the deadline passed before the call was answered; it may have run",
    };
    Fault::new(FaultKind::DeadlineExceeded, outcome, message)
}
