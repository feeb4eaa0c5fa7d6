//! A receiver of this process that is connected to a signal of another, as an object that the other process calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use farref_proto::FaultKind;

use super::error::ReceiverError;
use super::event::Event;
use super::identity::{ReceiverId, Sender};
use super::receiver::Receiver;
use super::sent_by::SentBy;
use crate::any_error::AnyError;
use crate::context::Storage;
use crate::descriptor::{Interface, Method, MethodFlags, MethodKind, Returns, ShapeCache};
use crate::dispatch::{Arguments, HandlerFuture, Incoming, Reply};
use crate::error::{Fault, Result};
use crate::far::MethodKey;
use crate::methods::ServeMethods;
use crate::object::{Export, Meta, ObjectIdentity};
use crate::shape::Shape;
use crate::{__private, Outcome};

/// Reads what a signal tells out of a frame.
pub(super) type TakeFn<T> = fn(&mut Arguments<'_>, &str) -> Result<T>;
/// Answers with what a receiver responds.
pub(super) type ReplyFn<R> = fn(&Incoming, R, &mut Reply) -> Result<()>;

/// The same, of types that are known only when it runs.
pub(super) type TakeBy<T> = Box<dyn Fn(&Incoming) -> Result<T> + Send + Sync>;
/// The same, of types that are known only when it runs.
pub(super) type ReplyBy<R> = Arc<dyn Fn(&Incoming, R) -> Result<Reply> + Send + Sync>;

/// What every receiver is to other processes.
pub(super) static INTERFACE: Interface = Interface {
    name: "farref.Receiver",
    hash: farref_proto::fnv1a32(b"farref.Receiver"),
    reference_name: "$farref.proxy:farref.Receiver",
    docs: "A receiver of a signal.",
    callback: true,
    bases: &[],
    methods: &[Method {
        name: "receive",
        rust_name: "receive",
        hash: RECEIVE.hash,
        docs: "Takes what the signal tells, and answers with what the signal's interface says.",
        deprecated: false,
        kind: MethodKind::Call,
        flags: MethodFlags {
            callback: true,
            idempotent: false,
            no_cancel: false,
            blocking: false,
            spawn: false,
        },
        arguments: &[],
        returns: Returns {
            type_name: "()",
            shape: Shape::of::<()>,
            schema: __private::no_schema,
        },
        error: None,
        shape_cache: || {
            static CACHE: ShapeCache = ShapeCache::new();
            &CACHE
        },
    }],
};

/// How a receiver is called. What types it takes was settled when it was connected.
pub(super) const RECEIVE: MethodKey = MethodKey {
    index: 0,
    hash: farref_proto::fnv1a32(b"farref.Receiver.receive"),
    shape: 0,
};

/// A receiver as it is connected: who it is, to whom it listens, and what it does. It does nothing where it only names
/// one that was connected before.
pub(super) struct NearReceiver<T, R> {
    pub(super) id: ReceiverId,
    pub(super) sender: Option<Sender>,
    pub(super) receiver: Option<Receiver<T, R>>,
}

impl<T, R> NearReceiver<T, R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    /// The receiver as an object that other processes call.
    pub(super) fn export(self, take: TakeFn<T>, reply: ReplyFn<R>) -> Arc<Export> {
        let take = move |call: &Incoming| {
            let mut arguments = call.arguments(1)?;
            let value = take(&mut arguments, "value")?;
            arguments.finish()?;
            Ok(value)
        };
        let reply = move |call: &Incoming, response| {
            Reply::written(|written| reply(call, response, written))
        };
        self.export_by(Box::new(take), Arc::new(reply))
    }

    /// The same, of a receiver whose types are known only when it runs.
    pub(super) fn export_by(self, take: TakeBy<T>, reply: ReplyBy<R>) -> Arc<Export> {
        let receiver = Arc::new(self);
        let near = Box::new(Arc::clone(&receiver));
        let serve: Serve = Box::new(move |call| {
            let (receiver, reply) = (Arc::clone(&receiver), Arc::clone(&reply));
            let value = take(&call);
            Box::pin(async move { receiver.receive(&call, value?, &*reply).await })
        });
        let meta = Arc::new(Meta::new());
        Export::of_object(meta, Box::new(serve), near, &INTERFACE, Vec::new())
    }

    async fn receive(
        &self,
        call: &Incoming,
        value: T,
        reply: &(dyn Fn(&Incoming, R) -> Result<Reply> + Send + Sync),
    ) -> Result<Reply> {
        let received = self.receiver.as_ref();
        let sender = SentBy::noted(call.scope.annotations()).map(SentBy::sender);
        let received = received.map(|receiver| receiver.call(&Event::new(value, sender)));
        let response = match received {
            Some(received) => received.response().await,
            None => None,
        };
        match response {
            Some(Ok(response)) => reply(call, response),
            Some(Err(ReceiverError::Failed(error))) => {
                call.answer(true, &AnyError::from_box(error))
            }
            Some(Err(error)) => Err(Fault::new(
                FaultKind::Panicked,
                Outcome::Ran,
                error.to_string(),
            )),
            None => Err(Fault::not_started(
                FaultKind::StaleReference,
                "the object that the receiver belongs to is gone",
            )),
        }
    }
}

/// The function that a receiver is to other processes.
pub(super) type Serve = Box<dyn Fn(Incoming) -> HandlerFuture + Send + Sync>;

impl ServeMethods for Serve {
    fn serve(&self, _: usize, call: Incoming) -> HandlerFuture {
        self(call)
    }
}

/// The receivers of this process that the process at the other end of a session holds, so that one which is connected
/// again is the same object again.
#[derive(Default)]
pub(super) struct Lent(Mutex<Receivers>);

#[derive(Default)]
struct Receivers {
    by_key: HashMap<Key, Weak<Export>>,
    /// With how many it is time to look for those that the other process does not hold any more.
    crowd: usize,
}

/// Which receiver, of which signal, and to whom it listens.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) object: Option<ObjectIdentity>,
    pub(super) signal: u32,
    pub(super) receiver: ReceiverId,
    pub(super) sender: Option<Sender>,
}

impl Lent {
    /// The fewest receivers that are worth looking through.
    const FEW: usize = 16;

    /// What was lent on the session of this storage.
    pub(super) fn of(storage: &Storage) -> Arc<Self> {
        storage.get_or_insert_with(Lent::default)
    }

    fn lock(&self) -> MutexGuard<'_, Receivers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The receiver, if the other process still holds it.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<Export>> {
        self.lock().by_key.get(key).and_then(Weak::upgrade)
    }

    /// Notes a receiver, unless it is there: then that one.
    pub(super) fn find_or_add(&self, key: Key, export: Arc<Export>) -> Arc<Export> {
        let mut receivers = self.lock();
        if let Some(known) = receivers.by_key.get(&key).and_then(Weak::upgrade) {
            drop(receivers);
            // Dropping the new one may be the application's code.
            drop(export);
            return known;
        }
        if receivers.by_key.len() >= receivers.crowd.max(Self::FEW) {
            receivers
                .by_key
                .retain(|_, export| export.strong_count() > 0);
            receivers.crowd = receivers.by_key.len().saturating_mul(2);
        }
        receivers.by_key.insert(key, Arc::downgrade(&export));
        export
    }

    /// Forgets a receiver that was disconnected: connected again, it is another object.
    pub(super) fn forget(&self, key: &Key) {
        let forgotten = self.lock().by_key.remove(key);
        drop(forgotten);
    }
}

impl<T, R> fmt::Debug for NearReceiver<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
