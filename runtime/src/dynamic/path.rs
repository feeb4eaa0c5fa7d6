//! Paths from one object to the next, followed in one trip.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{DynProxy, DynReply, DynStream, values};
use crate::FaultKind;
use crate::client::Client;
use crate::context::{Scope, after, earlier};
use crate::dispatch::RawReply;
use crate::error::{CallError, Fault, Result};
use crate::far::{FarCall, Label, OnewayMode};
use crate::object::ExportKind;
use crate::remote::Remote;
use crate::shape::Shape;
use crate::uri::{Uri, UriError};
use crate::walking::{self, Step};

/// A way from an object over the results of its methods, made by [`DynProxy::path`] or [`Client::path`].
///
/// It does nothing until it is called. Then it travels as a whole and is followed where the objects are: each step calls a
/// method of what the one before returned, which must be a reference, and only the last result comes back. So it takes one
/// round trip, however many steps it has, and nothing is known of the objects beforehand: that a step leads nowhere, or that its
/// arguments do not fit, is found out on the way. Where it leads to an object of a third process, that one follows the rest.
///
/// A step that is no method of a [module](crate::Module), or of a daemon, is the name of an object there.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
/// use serde_json::json;
///
/// #[expose]
/// pub trait Book {
///     #[attribute]
///     fn title(&self) -> String;
/// }
///
/// #[expose]
/// pub trait Shelf {
///     fn book(&self, number: u32) -> Option<BookProxy>;
/// }
///
/// struct Novel(u32);
/// impl Book for Novel {
///     fn title(&self) -> String {
///         format!("volume {}", self.0)
///     }
/// }
///
/// struct Wall;
/// impl Shelf for Wall {
///     fn book(&self, number: u32) -> Option<BookProxy> {
///         (number < 10).then(|| BookProxy::new(Novel(number)))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// daemon.register("shelf", ShelfProxy::new(Wall))?;
///
/// let client = Client::new();
/// let shelf = client.path(&daemon.uris()[0])?.then("shelf");
/// let title = shelf.clone().then("book").with(json!([3])).then("title");
/// assert_eq!(title.call().await?, json!("volume 3"));
///
/// let error = shelf.then("book").with(json!([30])).then("title").call().await.unwrap_err();
/// assert!(error.to_string().contains("`book`, which is not there"), "{error}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a path is not followed until it is called"]
pub struct DynPath {
    remote: Remote,
    steps: Vec<Step>,
    timeout: Option<Duration>,
    /// What was wrong about a step.
    mistake: Option<Fault>,
}

impl Client {
    /// The beginning of a path at the object of this URI; at the daemon itself, if the URI names no object. Does no I/O.
    ///
    /// # Errors
    ///
    /// `InvalidUri`.
    pub fn path(&self, uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<DynPath> {
        let uri = uri.try_into().map_err(|error| Fault::from(error.into()))?;
        Ok(DynPath::of(self.reference(uri, 0)))
    }
}

impl DynProxy {
    /// The way over these steps, with dots between them.
    pub fn path(&self, steps: &str) -> DynPath {
        let mut path = DynPath::of(self.remote.clone());
        path.timeout = self.timeout;
        path.then(steps)
    }
}

impl DynPath {
    fn of(remote: Remote) -> Self {
        DynPath {
            timeout: remote.timeout(),
            remote,
            steps: Vec::new(),
            mistake: None,
        }
    }

    /// The same way, and on over these steps, with dots between them.
    pub fn then(mut self, steps: &str) -> Self {
        self.steps.extend(steps.split('.').map(|name| Step {
            name: name.to_owned(),
            arguments: "[]".to_owned(),
        }));
        self
    }

    /// Gives the last step these arguments, an array of them in order. Byte strings and streams cannot be given.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write `json!(..)` in place"
    )]
    pub fn with(mut self, arguments: Value) -> Self {
        match (self.steps.last_mut(), &arguments) {
            (Some(step), Value::Array(_)) => step.arguments = arguments.to_string(),
            (Some(step), _) => {
                let text = format!(
                    "write the arguments of `{}` as an array: a path does not know their names",
                    step.name
                );
                self.mistake = Some(Fault::not_started(FaultKind::BadArguments, text));
            }
            (None, _) => {
                let text = "these arguments are those of no step";
                self.mistake = Some(Fault::not_started(FaultKind::BadArguments, text));
            }
        }
        self
    }

    /// Gives up after this long; zero means no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        self
    }

    /// Follows the path, and returns what its last step does.
    ///
    /// # Errors
    ///
    /// `App` with the own error of the method that failed; `NoSuchMethod`, if an object has no such method or member;
    /// `NoSuchObject`, if a step leads to no object; otherwise as any call. The outcome is that of the whole way: `NotStarted`
    /// only if no step has run.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the step that is being taken.
    pub async fn call(self) -> Result<Value, CallError<Value>> {
        self.call_full().await.map(|reply| reply.value)
    }

    /// Follows the path, and returns the references in the last result, too.
    ///
    /// # Errors
    ///
    /// As [`call`](DynPath::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](DynPath::call).
    pub async fn call_full(self) -> Result<DynReply, CallError<Value>> {
        values::decode_any(self.followed().await?)
    }

    /// Follows a path that ends at a method that returns a stream.
    ///
    /// # Errors
    ///
    /// As [`call`](DynPath::call); `BadReply`, if the result is no stream.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](DynPath::call).
    pub async fn stream(self) -> Result<DynStream, CallError<Value>> {
        let reply = self.followed().await?;
        if reply.is_error {
            return Err(match values::decode_any(reply) {
                Err(error) => error,
                Ok(_) => super::streams::no_stream().into(),
            });
        }
        Ok(DynStream::answered(reply, Shape::Any)?)
    }

    /// Follows the path to an object, and asks that what it is, which is another trip.
    ///
    /// # Errors
    ///
    /// As [`call`](DynPath::call); `BadReply`, if the result is no reference.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](DynPath::call).
    pub async fn object(self) -> Result<DynProxy, CallError<Value>> {
        let reply = self.call_full().await?;
        Ok(reply.dynamic(0).await?)
    }

    async fn followed(self) -> Result<RawReply> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let deadline = earlier(self.timeout.and_then(after), Scope::current_deadline());
        if let Remote::Local(export) = &self.remote
            && let ExportKind::Object(_) = &export.kind
        {
            let walk = walking::walk(None, std::sync::Arc::clone(export), &self.steps);
            return match deadline {
                None => walk.await,
                Some(deadline) => match tokio::time::timeout_at(deadline, walk).await {
                    Ok(reply) => reply,
                    Err(_) => Err(crate::call::deadline_exceeded(crate::Outcome::Unknown)),
                },
            };
        }
        let label = Label::Static {
            interface: walking::NAME.0,
            method: walking::NAME.1,
        };
        let call = FarCall::new(
            self.remote,
            label,
            walking::encoded(&self.steps)?,
            OnewayMode::Answered,
            deadline,
            Some(0),
            None,
        );
        call.finish().await.0
    }
}

impl fmt::Debug for DynPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.steps.iter().map(|step| step.name.as_str()).collect();
        write!(f, "DynPath({:?}, {})", self.remote, steps.join("."))
    }
}
