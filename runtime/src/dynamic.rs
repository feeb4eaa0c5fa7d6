//! Calling without the trait: for tools that know an object only by its description.

mod path;
mod signals;
mod streams;
mod values;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use self::path::DynPath;
pub(crate) use self::signals::SignalOf;
pub use self::streams::DynStream;
use self::values::decode;
use farref_proto::Seldom;

use crate::client::Client;
use crate::codec::Codec;
use crate::context::after;
use crate::descriptor::{InterfaceInfo, MethodInfo};
use crate::error::{CallError, Fault, Result};
use crate::far::{CallOptions, FarCall, Label, OnewayMode};
use crate::passing::Wish;
use crate::proxy::{self, Proxy};
use crate::remote::Remote;
use crate::shape::Shape;
use crate::transferred::Transferred;
use crate::uri::{Uri, UriError};
use crate::{FaultKind, MethodKind, versions};

/// A proxy that needs no trait: it fetches the interface's description, checks names and arguments by it before
/// anything is sent, and speaks JSON values.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
/// use farref::DynProxy;
/// use serde_json::json;
///
/// #[expose]
/// pub trait Adder {
///     fn add(&self, a: u32, b: u32) -> u32;
/// }
///
/// struct Calculator;
/// impl Adder for Calculator {
///     fn add(&self, a: u32, b: u32) -> u32 {
///         a + b
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// let uri = daemon.register("adder", AdderProxy::new(Calculator))?;
///
/// let adder = DynProxy::connect(&uri).await?;
/// assert_eq!(adder.call("add", json!({"a": 2, "b": 3})).await?, json!(5));
/// assert_eq!(adder.call("add", json!([2, 3])).await?, json!(5));
///
/// let error = adder.call("add", json!({"a": 2, "b": "three"})).await.unwrap_err();
/// assert!(error.to_string().contains("argument `b`"), "{error}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DynProxy {
    remote: Remote,
    interface: Arc<InterfaceInfo>,
    timeout: Option<Duration>,
    wish: Option<Wish>,
}

/// What a call of a [`DynProxy`] returned, with the references that it transferred.
#[derive(Debug)]
pub struct DynReply {
    /// The value. A reference in it, or a stream, is its number among those that the reply transferred.
    pub value: Value,
    transferred: Seldom<Transferred>,
    /// What the value is said to be.
    shape: Shape,
}

impl DynReply {
    /// How many references the reply transferred.
    pub fn references(&self) -> usize {
        self.transferred.len()
    }

    /// The reference of this number, as a proxy of a known interface.
    pub fn proxy<P: Proxy>(&self, number: usize) -> Option<P> {
        proxy::from_remote(self.transferred.get(number)?.reference()?.clone()).ok()
    }

    /// The reference of this number, as a proxy that asks the object what it is.
    ///
    /// # Errors
    ///
    /// `Misuse`, if there is none of this number; otherwise what asking the object fails with.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the question.
    pub async fn dynamic(&self, number: usize) -> Result<DynProxy> {
        let remote = self
            .transferred
            .get(number)
            .and_then(Transferred::reference)
            .cloned();
        let remote = remote.ok_or_else(|| {
            misuse(format!(
                "the reply transferred no reference of number {number}"
            ))
        })?;
        DynProxy::describe(remote).await
    }
}

impl DynProxy {
    /// Connects to the object at this URI and asks it what it is.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<Self> {
        crate::client::default_client()?.dynamic(uri).await
    }

    /// The same proxy without its type.
    ///
    /// # Errors
    ///
    /// Whatever asking the object for its description fails with.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the question.
    pub async fn of<P: Proxy>(proxy: &P) -> Result<Self> {
        match proxy::to_remote(proxy) {
            remote @ Remote::Local(_) => Ok(DynProxy {
                remote,
                interface: Arc::new(InterfaceInfo::of(P::DESCRIPTOR)),
                timeout: None,
                wish: None,
            }),
            remote => DynProxy::describe(remote).await,
        }
    }

    async fn describe(remote: Remote) -> Result<Self> {
        let interface = match &remote {
            Remote::Local(export) => export.descriptor().map(InterfaceInfo::of),
            _ => None,
        };
        let interface = match interface {
            Some(interface) => interface,
            None => versions::describe(remote.clone(), None).await?,
        };
        Ok(DynProxy {
            timeout: remote.timeout(),
            remote,
            interface: Arc::new(interface),
            wish: None,
        })
    }

    /// What the object is.
    pub fn interface(&self) -> &InterfaceInfo {
        &self.interface
    }

    /// The same proxy, whose calls take at most this long.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        self
    }

    /// The same proxy, whose calls tell methods how their results are wished; see [`Passed`](crate::Passed). `None` leaves
    /// it to them.
    #[must_use]
    pub fn with_wish(mut self, wish: impl Into<Option<Wish>>) -> Self {
        self.wish = wish.into();
        self
    }

    /// Calls a method. `arguments` is an object of them by name, or an array of them in order; `null` stands for none.
    /// An argument that is a stream is given as an array of its items.
    ///
    /// # Errors
    ///
    /// `NoSuchMethod` or `BadArguments`, without a round trip, if the method or an argument is not what the interface
    /// says; `App` with the method's own error as JSON; otherwise as any call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn call(&self, method: &str, arguments: Value) -> Result<Value, CallError<Value>> {
        self.call_full(method, arguments)
            .await
            .map(|reply| reply.value)
    }

    /// Calls a method as [`call`](DynProxy::call) does, and returns the references in its result, too.
    ///
    /// # Errors
    ///
    /// As [`call`](DynProxy::call).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn call_full(
        &self,
        method: &str,
        arguments: Value,
    ) -> Result<DynReply, CallError<Value>> {
        let method = self.method(method)?;
        if method.kind == MethodKind::Signal {
            return Err(misuse(format!(
                "`{}` is a signal, which is connected to and not called",
                method.name
            ))
            .into());
        }
        let oneway = match method.kind {
            MethodKind::OrderedOneway => OnewayMode::Ordered,
            kind if kind.is_oneway() => OnewayMode::Plain,
            _ => OnewayMode::Answered,
        };
        let encoded = values::encode(method, arguments, self.codec())?;
        let label = Label::owned(method.interface.clone(), method.name.clone());
        let deadline = self.timeout.and_then(after);
        let retries = (!method.flags.idempotent).then_some(0);
        let mut options = CallOptions::default();
        options.annotations.extend(self.wish.map(Wish::note));
        let call = FarCall::new(
            self.remote.clone(),
            label,
            encoded,
            oneway,
            deadline,
            retries,
            Some(&mut options),
        );
        let (reply, _) = call.finish().await;
        let reply = reply?;
        if oneway != OnewayMode::Answered {
            return Ok(DynReply {
                value: Value::Null,
                transferred: Seldom::new(),
                shape: Shape::Unit,
            });
        }
        decode(method, reply)
    }

    /// Reads an attribute.
    ///
    /// # Errors
    ///
    /// As [`call`](DynProxy::call); a name that is no readable attribute is `NoSuchMethod`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn read(&self, attribute: &str) -> Result<Value, CallError<Value>> {
        self.attribute(attribute, MethodKind::AttributeRead)?;
        self.call(attribute, Value::Null).await
    }

    /// Writes an attribute.
    ///
    /// # Errors
    ///
    /// As [`call`](DynProxy::call); a name that is no writable attribute is `NoSuchMethod`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn write(&self, attribute: &str, value: Value) -> Result<(), CallError<Value>> {
        let method = format!("set_{attribute}");
        self.attribute(&method, MethodKind::AttributeWrite)?;
        self.call(&method, Value::Array(vec![value]))
            .await
            .map(drop)
    }

    fn attribute(&self, name: &str, kind: MethodKind) -> Result<()> {
        match self.method(name)?.kind == kind {
            true => Ok(()),
            false => Err(no_such_method(format!(
                "`{name}` of `{}` is not such an attribute",
                self.interface.name
            ))),
        }
    }

    fn method(&self, name: &str) -> Result<&MethodInfo> {
        self.interface.method(name).ok_or_else(|| {
            let known: Vec<_> = self
                .interface
                .methods
                .iter()
                .map(|method| method.name.as_str())
                .collect();
            no_such_method(format!(
                "`{}` has no method `{name}`; it has {}",
                self.interface.name,
                known.join(", ")
            ))
        })
    }

    fn codec(&self) -> Codec {
        match self.remote.accepts(Codec::Json) {
            true => Codec::Json,
            false => Codec::Postcard,
        }
    }
}

impl Client {
    /// Connects to the object at this URI and asks it what it is; see [`DynProxy`].
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn dynamic(&self, uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<DynProxy> {
        let uri = uri.try_into().map_err(|error| Fault::from(error.into()))?;
        DynProxy::describe(self.reference(uri, 0)).await
    }
}

fn no_such_method(message: String) -> Fault {
    Fault::not_started(FaultKind::NoSuchMethod, message)
}

fn misuse(message: String) -> Fault {
    Fault::not_started(FaultKind::Misuse, message)
}

impl fmt::Debug for DynProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynProxy({}, {:?})", self.interface.name, self.remote)
    }
}
