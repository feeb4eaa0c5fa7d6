//! Calls that are started now and collected later: their arguments are encoded, and they go on by themselves.

use std::future::poll_fn;

use super::{Call, State, decoded, polled_again};
use crate::call::member::Comparing;
use crate::codec::Codec;
use crate::descriptor::Method;
use crate::dispatch::RawReply;
use crate::error::{Failure, Fault, Result};
use crate::far::{Encoded, FarCall};
use crate::proxy::Proxy;
use crate::started::{Started, start};
use crate::{FaultKind, versions};

/// A call that needs neither its proxy nor its arguments any more.
pub(crate) struct DetachedCall {
    pub(crate) interface: &'static str,
    pub(crate) method: &'static Method,
    pub(crate) far: Result<FarCall>,
    /// The arguments with their names, for a peer whose types differ.
    by_name: Option<Encoded>,
}

impl DetachedCall {
    /// A call that was encoded for types that its object has taken before.
    pub(crate) fn encoded(interface: &'static str, method: &'static Method, far: FarCall) -> Self {
        DetachedCall {
            interface,
            method,
            far: Ok(far),
            by_name: None,
        }
    }

    /// Asks how the types differ, if the call was refused for that.
    pub(crate) fn compare(&self, fault: &Fault) -> Option<Comparing> {
        let far = self.far.as_ref().ok()?;
        let remote = far.refused_types(fault)?;
        Some(versions::compare(
            remote,
            self.interface,
            self.method,
            far.deadline(),
        ))
    }

    /// Begins again with arguments that say their names.
    pub(crate) fn encode_by_name(&mut self) -> Result<()> {
        let encoded = self.by_name.take().ok_or_else(types_have_changed)?;
        match &mut self.far {
            Ok(far) => {
                far.encode_by_name(encoded);
                Ok(())
            }
            Err(fault) => Err(fault.clone()),
        }
    }

    async fn answer(mut self) -> Result<RawReply> {
        loop {
            let reply = match &mut self.far {
                Ok(far) => poll_fn(|cx| far.poll(cx)).await,
                Err(fault) => Err(fault.clone()),
            };
            let comparing = match &reply {
                Ok(_) => None,
                Err(fault) => self.compare(fault),
            };
            let Some(comparing) = comparing else {
                return reply;
            };
            drop(reply);
            comparing.await?;
            self.encode_by_name()?;
        }
    }
}

/// What the call was encoded for is not there any more, and what has taken its place wants the arguments by their names.
#[cold]
fn types_have_changed() -> Fault {
    Fault::not_started(
        FaultKind::Incompatible,
        "the object was replaced by one whose types differ; make the call again",
    )
}

impl<P: Proxy, A, T, X: Failure<T>> Call<'_, P, A, T, X> {
    /// Encodes the arguments, so that the call goes on when their borrow has ended.
    pub(super) fn detach(mut self) -> DetachedCall {
        self.options().outlives_arguments = true;
        let begun = self.begin(None);
        let by_name = match &self.arguments {
            Some(arguments) if cfg!(feature = "msgpack") => {
                self.encoded(arguments, Codec::MessagePack).ok()
            }
            _ => None,
        };
        let method = self.method();
        let far = match std::mem::replace(&mut self.state, State::Done) {
            State::Far(mut far) => {
                far.keep_arguments(true);
                Ok(*far)
            }
            _ => Err(begun.err().unwrap_or_else(polled_again)),
        };
        DetachedCall {
            interface: P::DESCRIPTOR.name,
            method,
            far,
            by_name,
        }
    }

    /// Makes the call now, and returns what its result is collected from later: awaited, waited for, or passed on.
    ///
    /// The call goes on by itself, without its proxy and its arguments. Dropping what this returns does not cancel it.
    pub fn start(self) -> Started<T, X>
    where
        T: Send + 'static,
        X: Send + 'static,
    {
        let decode = self.decode;
        let call = self.detach();
        start(async move { decoded(call.answer().await, decode) })
    }
}
