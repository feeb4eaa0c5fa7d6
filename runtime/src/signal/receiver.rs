//! Receivers of every kind behind one type, their panics contained.

use std::any::Any;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use super::error::ReceiverError;
use super::event::Event;
use super::near_receiver::NearReceiver;
use crate::any_error::AnyError;
use crate::error::{CallError, FaultKind};
use crate::object::Export;
use crate::panics;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// What a receiver may return: a response, or a `Result` of one and any error.
#[diagnostic::on_unimplemented(
    message = "a receiver of this signal returns `{R}` or `Result<{R}, _>`, not `{Self}`",
    label = "this receiver returns something else"
)]
pub trait Respond<R> {
    /// The response, or why there is none.
    ///
    /// # Errors
    ///
    /// The receiver's own.
    fn respond(self) -> Result<R, Box<dyn Error + Send + Sync>>;
}

impl<R> Respond<R> for R {
    fn respond(self) -> Result<R, BoxError> {
        Ok(self)
    }
}

impl<R, E: Into<BoxError>> Respond<R> for Result<R, E> {
    fn respond(self) -> Result<R, BoxError> {
        self.map_err(Into::into)
    }
}

/// A response that is awaited.
pub(super) type Later<R> = Pin<Box<dyn Future<Output = Result<R, BoxError>> + Send>>;

/// What calling a receiver comes to.
pub(super) enum Received<R> {
    Now(Result<R, ReceiverError>),
    Later(Later<R>),
    /// The object that it belongs to is gone.
    Gone,
}

impl<R> Received<R> {
    /// Waits for the response; `None` if the receiver is gone.
    pub(super) async fn response(self) -> Option<Result<R, ReceiverError>> {
        match self {
            Received::Now(response) => Some(response),
            Received::Later(future) => Some(contained(future).await),
            Received::Gone => None,
        }
    }
}

/// Awaits a response and makes an error of its panic.
async fn contained<R>(future: Later<R>) -> Result<R, ReceiverError> {
    match panics::contain_future(future).await {
        Ok(result) => result.map_err(failed),
        Err(panic) => Err(panicked(&*panic)),
    }
}

/// The error of a receiver, which may be the panic of one in another process.
fn failed(error: BoxError) -> ReceiverError {
    match error.downcast_ref::<CallError<AnyError>>() {
        Some(CallError::Fault(fault)) if fault.kind() == FaultKind::Panicked => {
            ReceiverError::Panicked(fault.message().to_owned())
        }
        _ => ReceiverError::Failed(error),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> ReceiverError {
    let message = panics::message(panic).to_owned();
    tracing::error!(message, "a receiver of a signal panicked");
    ReceiverError::Panicked(message)
}

/// Calls what is not awaited and makes an error of its panic.
fn now<R, X: Respond<R>>(call: impl FnOnce() -> X) -> Received<R> {
    Received::Now(match panics::contain(|| call().respond()) {
        Ok(result) => result.map_err(ReceiverError::Failed),
        Err(panic) => Err(panicked(&*panic)),
    })
}

/// Calls what is awaited. Its future is first polled later, but making it is the application's code as well.
fn later<R, X>(call: impl FnOnce() -> X) -> Received<R>
where
    X: Future<Output: Respond<R>> + Send + 'static,
{
    match panics::contain(call) {
        Ok(future) => Received::Later(Box::pin(async move { future.await.respond() })),
        Err(panic) => Received::Now(Err(panicked(&*panic))),
    }
}

/// Calls a receiver of any kind.
type Call<T, R> = Box<dyn Fn(&Event<T>) -> Received<R> + Send + Sync>;

/// A receiver of any kind, as a signal holds it.
pub(super) struct Receiver<T, R> {
    call: Call<T, R>,
    /// Whether it may have to be awaited.
    pub(super) is_asynchronous: bool,
    /// What it belongs to and does not keep alive.
    object: Option<Weak<dyn Any + Send + Sync>>,
}

impl<T, R> Receiver<T, R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    pub(super) fn plain<F, X>(receiver: F) -> Self
    where
        F: Fn(&Event<T>) -> X + Send + Sync + 'static,
        X: Respond<R>,
    {
        Receiver {
            call: Box::new(move |event| now(|| receiver(event))),
            is_asynchronous: false,
            object: None,
        }
    }

    pub(super) fn asynchronous<F, X>(receiver: F) -> Self
    where
        F: Fn(Event<T>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<R>> + Send + 'static,
    {
        Receiver {
            call: Box::new(move |event| later(|| receiver(event.clone()))),
            is_asynchronous: true,
            object: None,
        }
    }

    pub(super) fn weak<O, F, X>(object: &Arc<O>, method: F) -> Self
    where
        O: Send + Sync + 'static,
        F: Fn(&O, &Event<T>) -> X + Send + Sync + 'static,
        X: Respond<R>,
    {
        let weak = Arc::downgrade(object);
        Receiver {
            call: Box::new(move |event| match weak.upgrade() {
                // The object may be dropped in there, and its `Drop` may panic as well.
                Some(object) => now(|| {
                    let object = object;
                    method(&object, event)
                }),
                None => Received::Gone,
            }),
            is_asynchronous: false,
            object: Some(Arc::downgrade(object) as _),
        }
    }

    pub(super) fn weak_asynchronous<O, F, X>(object: &Arc<O>, method: F) -> Self
    where
        O: Send + Sync + 'static,
        F: Fn(Arc<O>, Event<T>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<R>> + Send + 'static,
    {
        let weak = Arc::downgrade(object);
        Receiver {
            call: Box::new(move |event| match weak.upgrade() {
                Some(object) => later(|| method(object, event.clone())),
                None => Received::Gone,
            }),
            is_asynchronous: true,
            object: Some(Arc::downgrade(object) as _),
        }
    }
}

impl<T, R> Receiver<T, R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    /// A receiver that came home: it is called as itself, and its object is held as other processes would hold it.
    pub(super) fn lent(export: Arc<Export>, near: Arc<NearReceiver<T, R>>) -> Self {
        let receiver = near.receiver.as_ref();
        Receiver {
            is_asynchronous: receiver.is_some_and(|receiver| receiver.is_asynchronous),
            object: receiver.and_then(|receiver| receiver.object.clone()),
            call: Box::new(move |event| {
                let _held = &export;
                match &near.receiver {
                    Some(receiver) => receiver.call(event),
                    None => Received::Gone,
                }
            }),
        }
    }
}

impl<T, R> Receiver<T, R> {
    /// Calls it. Its panic is an error.
    pub(super) fn call(&self, event: &Event<T>) -> Received<R> {
        (self.call)(event)
    }

    /// Whether the object that it belongs to is gone.
    pub(super) fn is_gone(&self) -> bool {
        let object = self.object.as_ref();
        object.is_some_and(|object| object.strong_count() == 0)
    }
}
