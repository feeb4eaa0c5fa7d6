//! A call as one of a batch: it is begun, and its answer decoded, for whoever sends all of them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::starting::DetachedCall;
use super::{Call, DecodeFn, State, polled_again};
use crate::Outcome;
use crate::codec::Codec;
use crate::context::{CallName, earlier};
use crate::dispatch::RawReply;
use crate::error::{Failure, Fault, Result};
use crate::far::{FarCall, ReadyCall};
use crate::proxy::Proxy;
use crate::{FaultKind, versions};

/// The place of a call's result: empty until the call has ended, and again once the result was taken.
pub(crate) struct Place<T, X>(Mutex<Option<std::result::Result<T, X>>>);

impl<T, X> Place<T, X> {
    pub(crate) fn empty() -> Arc<Self> {
        Arc::new(Place(Mutex::new(None)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<std::result::Result<T, X>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, result: std::result::Result<T, X>) {
        let old = self.lock().replace(result);
        drop(old);
    }

    pub(crate) fn take(&self) -> Option<std::result::Result<T, X>> {
        self.lock().take()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_none()
    }
}

/// How a call of a batch ended: the error of a failed one is a fault, or the method's own.
pub(crate) type Ended = std::result::Result<(), Option<Fault>>;

/// Finds out how the types of both sides differ.
pub(crate) type Comparing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A call of a batch, whatever its method.
pub(crate) trait Member: Send {
    /// The call's name, for faults of others.
    fn name(&self) -> CallName;

    /// Begins the call, and encodes its arguments if it is not to be made near.
    fn begin(&mut self, oneway: bool, deadline: Option<Instant>) -> Result<()>;

    /// The call by frames, once it has begun and unless it is made near.
    fn far(&mut self) -> Option<&mut FarCall>;

    /// The call as it is sent, once it has been brought to where it can be.
    fn group_call(&self) -> Option<ReadyCall<'_>>;

    /// Makes the near call.
    fn poll_near(&mut self, cx: &mut Context<'_>) -> Poll<Ended>;

    /// Takes the answer of the call, which is over then.
    fn settle(&mut self, reply: Result<RawReply>) -> Ended;

    /// The call was sent and has no answer: it is over.
    fn sent(&mut self);

    /// Asks how the types differ, if the call was refused for that.
    fn compare(&self, fault: &Fault) -> Option<Comparing>;

    /// Begins again with arguments that say their names.
    fn encode_by_name(&mut self) -> Result<()>;

    /// The same call with its arguments encoded, so that it goes on when their borrow has ended.
    fn detach(self: Box<Self>, oneway: bool) -> Box<dyn Member>;
}

/// A call and the place of its result.
pub(crate) struct Placed<'a, P: Proxy, A, T, X: Failure<T>> {
    pub(crate) call: Call<'a, P, A, T, X>,
    pub(crate) place: Arc<Place<T, X>>,
}

impl<P, A, T, X> Member for Placed<'_, P, A, T, X>
where
    P: Proxy,
    A: Send,
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    fn name(&self) -> CallName {
        CallName(P::DESCRIPTOR.name, self.call.method().name)
    }

    fn begin(&mut self, oneway: bool, deadline: Option<Instant>) -> Result<()> {
        let call = &mut self.call;
        if oneway || deadline.is_some() {
            let options = call.options();
            options.oneway |= oneway;
            options.deadline = earlier(options.deadline, deadline);
        }
        call.begin(None)
    }

    fn far(&mut self) -> Option<&mut FarCall> {
        match &mut self.call.state {
            State::Far(far) => Some(far),
            _ => None,
        }
    }

    fn group_call(&self) -> Option<ReadyCall<'_>> {
        match &self.call.state {
            State::Far(far) => far.group_call(),
            _ => None,
        }
    }

    fn poll_near(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let result = std::task::ready!(self.call.poll_raw(cx));
        Poll::Ready(put(&self.place, result))
    }

    fn settle(&mut self, reply: Result<RawReply>) -> Ended {
        self.sent();
        let result = reply.map_err(X::from).and_then(self.call.decode);
        put(&self.place, result)
    }

    fn sent(&mut self) {
        self.call.state = State::Done;
        self.call.arguments = None;
    }

    fn compare(&self, fault: &Fault) -> Option<Comparing> {
        let State::Far(far) = &self.call.state else {
            return None;
        };
        Some(versions::compare(
            far.refused_types(fault)?,
            P::DESCRIPTOR.name,
            self.call.method(),
            far.deadline(),
        ))
    }

    fn encode_by_name(&mut self) -> Result<()> {
        let arguments = self.call.arguments.as_ref().ok_or_else(polled_again)?;
        let encoded = self.call.encoded(arguments, Codec::MessagePack)?;
        match &mut self.call.state {
            State::Far(far) => {
                far.encode_by_name(encoded);
                Ok(())
            }
            _ => Err(polled_again()),
        }
    }

    fn detach(mut self: Box<Self>, oneway: bool) -> Box<dyn Member> {
        if oneway {
            self.call.options().oneway = true;
        }
        let decode = self.call.decode;
        Box::new(Detached {
            call: self.call.detach(),
            decode,
            place: self.place,
        })
    }
}

/// A call whose arguments are encoded, and the place of its result.
struct Detached<T, X> {
    call: DetachedCall,
    decode: DecodeFn<T, X>,
    place: Arc<Place<T, X>>,
}

impl<T, X> Detached<T, X>
where
    X: Failure<T>,
{
    fn far(&self) -> Option<&FarCall> {
        self.call.far.as_ref().ok()
    }
}

impl<T, X> Member for Detached<T, X>
where
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    fn name(&self) -> CallName {
        CallName(self.call.interface, self.call.method.name)
    }

    fn begin(&mut self, _: bool, deadline: Option<Instant>) -> Result<()> {
        match &mut self.call.far {
            Ok(far) => {
                far.not_after(deadline);
                Ok(())
            }
            Err(fault) => Err(fault.clone()),
        }
    }

    fn far(&mut self) -> Option<&mut FarCall> {
        self.call.far.as_mut().ok()
    }

    fn group_call(&self) -> Option<ReadyCall<'_>> {
        Detached::far(self)?.group_call()
    }

    fn poll_near(&mut self, _: &mut Context<'_>) -> Poll<Ended> {
        Poll::Ready(self.settle(Err(polled_again())))
    }

    fn settle(&mut self, reply: Result<RawReply>) -> Ended {
        self.sent();
        put(&self.place, reply.map_err(X::from).and_then(self.decode))
    }

    fn sent(&mut self) {
        self.call.far = Err(polled_again());
    }

    fn compare(&self, fault: &Fault) -> Option<Comparing> {
        self.call.compare(fault)
    }

    fn encode_by_name(&mut self) -> Result<()> {
        self.call.encode_by_name()
    }

    fn detach(self: Box<Self>, _: bool) -> Box<dyn Member> {
        self
    }
}

/// Puts a result into its place, and says how the call ended.
fn put<T, X: Failure<T>>(place: &Place<T, X>, result: std::result::Result<T, X>) -> Ended {
    let ended = match &result {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.as_fault().cloned()),
    };
    place.put(result);
    ended
}

/// The fault of a call that was not started since one before it failed.
pub(crate) fn skipped(call: CallName, failed: CallName) -> Fault {
    Fault::new(
        FaultKind::Skipped,
        Outcome::NotStarted,
        format!("`{call}` was not started: `{failed}` before it in its batch failed"),
    )
}
