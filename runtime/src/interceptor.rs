//! Code of the application that sees every call of a client or a daemon.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::context::Annotations;
use crate::error::{Fault, Result};
use crate::peer::Peer;

/// What an interceptor's [`before`](Interceptor::before) returns.
pub type Intercepted<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Sees every call that a [`Client`](crate::Client) makes or a [`Daemon`](crate::Daemon) serves: to authorise it, to
/// annotate it, to count it.
///
/// Near calls are not intercepted: they cross nothing.
///
/// # Examples
///
/// ```
/// use farref::{CallInfo, Fault, FaultKind, Intercepted, Interceptor, Outcome};
///
/// /// Lets nobody in who does not say the word.
/// struct Password;
///
/// impl Interceptor for Password {
///     fn before<'a>(&'a self, call: &'a mut CallInfo) -> Intercepted<'a> {
///         Box::pin(async move {
///             match call.annotation("password") {
///                 Some(word) if word == "swordfish" => Ok(()),
///                 _ => Err(Fault::new(FaultKind::Denied, Outcome::NotStarted, "say the word")),
///             }
///         })
///     }
/// }
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// Runs before the call is sent, or before its handler starts. An error fails the call; interceptors run in the
    /// order in which they were added.
    fn before<'a>(&'a self, call: &'a mut CallInfo) -> Intercepted<'a> {
        let _ = call;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Runs when the call has ended, however it ended, in the opposite order. The method's own error counts as `Ok`.
    /// Not run for a call that its caller dropped.
    fn after(&self, call: &CallInfo, result: Result<(), &Fault>) {
        let _ = (call, result);
    }
}

/// The interceptors of a client or a daemon, in order.
pub(crate) type Interceptors = Arc<[Arc<dyn Interceptor>]>;

/// Which way a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// This process makes the call.
    Outgoing,
    /// This process serves the call.
    Incoming,
}

/// A call as an interceptor sees it.
#[derive(Clone, Debug)]
pub struct CallInfo {
    pub(crate) direction: Direction,
    pub(crate) interface: Cow<'static, str>,
    pub(crate) method: Cow<'static, str>,
    pub(crate) peer: Option<Peer>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) depth: u16,
    pub(crate) annotations: Annotations,
}

impl CallInfo {
    /// Which way the call goes.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The wire name of the interface.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The wire name of the method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Who calls, or who is called; `None` for a call that is yet to be connected.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// When the call's maker stops waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How many calls across processes lie between the first call of the chain and this one.
    pub fn depth(&self) -> u16 {
        self.depth
    }

    /// The notes that travel beside the arguments.
    pub fn annotations(&self) -> &[(String, Bytes)] {
        &self.annotations
    }

    /// The note of this key.
    pub fn annotation(&self, key: &str) -> Option<&Bytes> {
        self.annotations
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }

    /// Adds a note, which the handler finds in its call context.
    pub fn annotate(&mut self, key: impl Into<String>, value: impl Into<Bytes>) {
        self.annotations.push((key.into(), value.into()));
    }
}

/// Runs what is to run before a call.
pub(crate) async fn before(interceptors: &Interceptors, call: &mut CallInfo) -> Result<()> {
    for interceptor in interceptors.iter() {
        interceptor.before(call).await?;
    }
    Ok(())
}

/// Runs what is to run after a call.
pub(crate) fn after(interceptors: &Interceptors, call: &CallInfo, result: Result<(), &Fault>) {
    for interceptor in interceptors.iter().rev() {
        interceptor.after(call, result);
    }
}
