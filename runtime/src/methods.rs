//! How a call that arrived reaches the method of an object: the table of handlers that generated code makes.

use std::fmt;
use std::sync::Arc;

use farref_proto::FaultKind;

use crate::access::Access;
use crate::dispatch::{HandlerFuture, Incoming, Reply, refuse};
use crate::error::{Fault, Result};
use crate::object::{Entry, Export};

/// The function that serves one method of an object entered by `A`.
pub enum Handler<A: Access> {
    /// The method never waits. It is called as soon as the object may be entered, and needs no future where that is at
    /// once.
    Plain(fn(&A::Target, &Incoming, &mut Reply) -> Result<()>),
    /// The method, or entering its object, may wait.
    Waiting(fn(Arc<Entry<A>>, Incoming) -> HandlerFuture),
}

impl<A: Access> fmt::Debug for Handler<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Handler::Plain(_) => "Plain",
            Handler::Waiting(_) => "Waiting",
        })
    }
}

/// Serves the methods of one interface of one object.
pub(crate) trait ServeMethods: Send + Sync {
    /// Starts the method of this index. An index out of range is answered by a fault.
    fn serve(&self, index: usize, call: Incoming) -> HandlerFuture;

    /// Calls the method of this index in the current scope, if neither it nor entering its object has to wait for
    /// anything. What fails, or panics, which the caller contains, leaves a part of a reply.
    fn serve_at_once(
        &self,
        _index: usize,
        _call: &Incoming,
        _reply: &mut Reply,
    ) -> Option<Result<()>> {
        None
    }

    /// The object itself, where this only stands for one that a factory made.
    fn made(&self) -> Option<Arc<Export>> {
        None
    }
}

/// The methods of an object that generated code serves.
pub(crate) struct Handlers<A: Access> {
    entry: Arc<Entry<A>>,
    handlers: &'static [Handler<A>],
}

impl<A: Access> Handlers<A> {
    pub(crate) fn new(entry: Arc<Entry<A>>, handlers: &'static [Handler<A>]) -> Self {
        Handlers { entry, handlers }
    }
}

impl<A: Access> ServeMethods for Handlers<A> {
    fn serve(&self, index: usize, call: Incoming) -> HandlerFuture {
        match self.handlers.get(index) {
            Some(Handler::Waiting(handler)) => handler(Arc::clone(&self.entry), call),
            Some(Handler::Plain(handler)) => {
                let entry = Arc::clone(&self.entry);
                Box::pin(async move {
                    let object = entry.enter().await?;
                    Reply::written(|reply| handler(&object, &call, reply))
                })
            }
            None => refuse(Fault::not_started(
                FaultKind::NoSuchMethod,
                format!("the interface has no method of index {index}"),
            )),
        }
    }

    #[inline]
    fn serve_at_once(
        &self,
        index: usize,
        call: &Incoming,
        reply: &mut Reply,
    ) -> Option<Result<()>> {
        match self.handlers.get(index)? {
            Handler::Plain(handler) => Some(handler(self.entry.enter_at_once()?, call, reply)),
            Handler::Waiting(_) => None,
        }
    }
}
