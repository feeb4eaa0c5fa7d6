//! Signals of an object that is known only by its description.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{DynProxy, bad_argument, no_such_method};
use crate::codec::Codec;
use crate::dispatch::{Incoming, Reply};
use crate::error::{Fault, Result};
use crate::far::{Label, MethodKey};
use crate::remote::Remote;
use crate::shape;
use crate::signal::by_description::DynReceiver;
use crate::signal::{Event, Respond, SignalConnection};
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
    shape::postcard_to_json(&call.body, &signal.returns.shape, &call.budget).map_err(|error| {
        Fault::not_started(
            FaultKind::BadArguments,
            format!("what `{}` tells cannot be decoded: {error}", signal.name),
        )
    })
}

/// Answers with what a receiver responds.
fn reply(signal: &MethodInfo, call: &Incoming, response: &Value) -> Result<Reply> {
    let Some(answers) = signal.arguments.first() else {
        return call.encode(false, &());
    };
    let wrong = |error: &dyn fmt::Display| bad_argument(signal, answers, error);
    shape::check_json(response, &answers.shape).map_err(|error| wrong(&error))?;
    if call.codec == Codec::Json {
        return call.encode(false, response);
    }
    let mut body = Vec::new();
    shape::json_to_postcard(response, &answers.shape, &mut body).map_err(|error| wrong(&error))?;
    Ok(Reply {
        codec: Some(call.codec),
        body,
        ..Reply::default()
    })
}
