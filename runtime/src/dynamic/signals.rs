//! Signals of an object that is known only by its description.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::values::bad_argument;
use super::{DynProxy, DynStream, no_such_method};
use crate::codec::Codec;
use crate::context::after;
use crate::dispatch::{Incoming, Reply};
use crate::error::{Fault, Result};
use crate::far::{Encoded, FarCall, Label, MethodKey, OnewayMode};
use crate::remote::Remote;
use crate::shape;
use crate::signal::by_description::{self, DynReceiver};
use crate::signal::{CAPACITY, Event, Respond, SignalConnection, Subscription, WhenSlow};
use crate::{FaultKind, MethodInfo, MethodKind};

/// A signal of an object.
pub(crate) struct SignalOf {
    pub(crate) remote: Remote,
    pub(crate) label: Label,
    pub(crate) method: MethodKey,
    pub(crate) codec: Codec,
    pub(crate) timeout: Option<Duration>,
}

impl DynProxy {
    /// Calls `receiver` whenever the signal is sent, with what it tells as JSON; see
    /// [`SignalRef::connect`](crate::signal::SignalRef::connect). A receiver of a signal whose receivers answer nothing
    /// returns [`Value::Null`].
    ///
    /// # Errors
    ///
    /// `NoSuchMethod`, without a round trip, if the interface has no signal of this name; otherwise as any call.
    ///
    /// # Cancel safety
    ///
    /// A connection whose future was dropped may have been made.
    pub async fn connect_to<F, X>(&self, signal: &str, receiver: F) -> Result<SignalConnection>
    where
        F: Fn(&Event<Value>) -> X + Send + Sync + 'static,
        X: Respond<Value>,
    {
        let receiver = DynReceiver::new(receiver);
        self.connect_receiver(signal, receiver).await
    }

    /// The same, of a receiver whose future is awaited before the next receiver is called.
    ///
    /// # Errors
    ///
    /// As [`connect_to`](DynProxy::connect_to).
    ///
    /// # Cancel safety
    ///
    /// As [`connect_to`](DynProxy::connect_to).
    pub async fn connect_to_async<F, X>(
        &self,
        signal: &str,
        receiver: F,
    ) -> Result<SignalConnection>
    where
        F: Fn(Event<Value>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<Value>> + Send + 'static,
    {
        let receiver = DynReceiver::new_async(receiver);
        self.connect_receiver(signal, receiver).await
    }

    /// Queues what the signal tells from now on, and takes it out as a stream of JSON values; see
    /// [`SignalRef::subscribe`](crate::signal::SignalRef::subscribe).
    ///
    /// # Errors
    ///
    /// `NoSuchMethod`, without a round trip, if the interface has no signal of this name; otherwise as any call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future subscribes to nothing.
    pub async fn subscribe(&self, signal: &str) -> Result<Subscription<Value>> {
        self.subscribe_with(signal, WhenSlow::Close, CAPACITY).await
    }

    /// The same with at most `capacity` events at the signal, between 1 and 4096; see
    /// [`SignalRef::subscribe_with`](crate::signal::SignalRef::subscribe_with).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](DynProxy::subscribe).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future subscribes to nothing.
    pub async fn subscribe_with(
        &self,
        signal: &str,
        when_slow: WhenSlow,
        capacity: usize,
    ) -> Result<Subscription<Value>> {
        let method = self.signal(signal)?;
        let request = by_description::subscribe_request(when_slow, capacity);
        let key = MethodKey {
            index: method.index,
            hash: method.hash,
            shape: 0,
        };
        let encoded = Encoded::new(key, self.codec(), 1, |out| out.value("request", &request))?;
        let call = FarCall::new(
            self.remote.clone(),
            Label::owned(method.interface.clone(), method.name.clone()),
            encoded,
            OnewayMode::Answered,
            self.timeout.and_then(after),
            Some(0),
            None,
        );
        let reply = call.finish().await.0?;
        let told = by_description::told_shape(&method.returns.shape);
        let events = DynStream::answered(reply, told)?;
        Ok(by_description::subscription(events))
    }

    async fn connect_receiver(
        &self,
        signal: &str,
        receiver: DynReceiver,
    ) -> Result<SignalConnection> {
        let method = self.signal(signal)?;
        self.remote.clone().ensure_connected().await?;
        let signal = SignalOf {
            remote: self.remote.clone(),
            label: Label::owned(method.interface.clone(), method.name.clone()),
            method: MethodKey {
                index: method.index,
                hash: method.hash,
                shape: 0,
            },
            codec: self.codec(),
            timeout: self.timeout,
        };
        let (told, answered) = (method.clone(), method.clone());
        receiver
            .connect(
                signal,
                Box::new(move |call| take(&told, call)),
                Arc::new(move |call, response| reply(&answered, call, &response)),
            )
            .await
    }

    /// The signal of this name.
    fn signal(&self, name: &str) -> Result<&MethodInfo> {
        let method = self.method(name)?;
        match method.kind {
            MethodKind::Signal => Ok(method),
            _ => Err(no_such_method(format!(
                "`{name}` of `{}` is not a signal",
                self.interface.name
            ))),
        }
    }
}

/// Reads what a signal tells.
fn take(signal: &MethodInfo, call: &Incoming) -> Result<Value> {
    if call.codec == Codec::Json {
        let mut arguments = call.arguments(1)?;
        let told = arguments.value("value")?;
        arguments.finish()?;
        return Ok(told);
    }
    shape::postcard_to_json(call.encoded(), &signal.returns.shape, &call.budget).map_err(|error| {
        Fault::not_started(
            FaultKind::BadArguments,
            format!("what `{}` tells cannot be decoded: {error}", signal.name),
        )
    })
}

/// Answers with what a receiver responds.
fn reply(signal: &MethodInfo, call: &Incoming, response: &Value) -> Result<Reply> {
    let Some(answers) = signal.arguments.first() else {
        return call.answer(false, &());
    };
    let wrong = |error: &dyn fmt::Display| bad_argument(signal, answers, error);
    shape::check_json(response, &answers.shape).map_err(|error| wrong(&error))?;
    if call.codec == Codec::Json {
        return call.answer(false, response);
    }
    let mut body = Vec::new();
    shape::json_to_postcard(response, &answers.shape, &mut body).map_err(|error| wrong(&error))?;
    Ok(Reply {
        codec: Some(call.codec),
        body,
        ..Reply::default()
    })
}
