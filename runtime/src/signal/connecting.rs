//! Connecting with more to say than the receiver.

use std::fmt;
use std::sync::{Arc, Weak};

use super::Signal;
use super::connection::{Connection, Disconnect};
use super::event::Event;
use super::identity::{ReceiverId, Sender};
use super::receiver::{Receiver, Respond};
use super::registry::Entry;

/// A receiver that is about to be connected, or disconnected: under which id, and to whom it listens.
///
/// ```
/// use farref::signal::{Sender, Signal};
///
/// let (saved, document) = (Signal::<u32>::new(), Sender::unique());
/// let version = 3;
/// for _ in 0..2 {
///     saved
///         .with_id("audit")
///         .from_sender(&document)
///         .connect(move |number| println!("{version}.{}", **number));
/// }
/// assert_eq!(saved.receivers(), ["audit".into()]);
/// assert!(!saved.disconnect("audit"), "the sender belongs to it");
/// assert!(saved.from_sender(&document).disconnect("audit"));
/// ```
#[must_use = "nothing is connected before `connect`"]
pub struct Connecting<'a, T, R> {
    signal: &'a Signal<T, R>,
    id: Option<ReceiverId>,
    sender: Option<Sender>,
}

impl<'a, T, R> Connecting<'a, T, R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    pub(super) fn new(signal: &'a Signal<T, R>) -> Self {
        Connecting {
            signal,
            id: None,
            sender: None,
        }
    }

    /// Says the receiver's identity, instead of its own.
    pub fn with_id(mut self, id: impl Into<ReceiverId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Says whom the receiver listens to: others it does not hear.
    pub fn from_sender(mut self, sender: &Sender) -> Self {
        self.sender = Some(sender.clone());
        self
    }

    /// Connects it; see [`Signal::connect`].
    pub fn connect<F, X>(self, receiver: F) -> Connection
    where
        F: Fn(&Event<T>) -> X + Send + Sync + 'static,
        X: Respond<R>,
    {
        self.add(ReceiverId::of::<F>, Receiver::plain(receiver))
    }

    /// Connects it; see [`Signal::connect_async`].
    pub fn connect_async<F, X>(self, receiver: F) -> Connection
    where
        F: Fn(Event<T>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<R>> + Send + 'static,
    {
        self.add(ReceiverId::of::<F>, Receiver::asynchronous(receiver))
    }

    /// Connects it; see [`Signal::connect_weak`].
    pub fn connect_weak<O, F, X>(self, object: &Arc<O>, method: F) -> Connection
    where
        O: Send + Sync + 'static,
        F: Fn(&O, &Event<T>) -> X + Send + Sync + 'static,
        X: Respond<R>,
    {
        let id = || ReceiverId::of_method::<O, F>(object);
        self.add(id, Receiver::weak(object, method))
    }

    /// Connects it; see [`Signal::connect_weak_async`].
    pub fn connect_weak_async<O, F, X>(self, object: &Arc<O>, method: F) -> Connection
    where
        O: Send + Sync + 'static,
        F: Fn(Arc<O>, Event<T>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<R>> + Send + 'static,
    {
        let id = || ReceiverId::of_method::<O, F>(object);
        self.add(id, Receiver::weak_asynchronous(object, method))
    }

    /// Disconnects the receiver of this identity that listens to the sender which was said; `false` if there is none.
    pub fn disconnect(self, receiver: impl Into<ReceiverId>) -> bool {
        let (id, sender) = (receiver.into(), self.sender);
        let registry = self.signal.registry.get();
        registry.is_some_and(|registry| registry.disconnect(&id, sender.as_ref()))
    }

    fn add(self, id: impl FnOnce() -> ReceiverId, receiver: Receiver<T, R>) -> Connection {
        let id = self.id.unwrap_or_else(id);
        connect(self.signal, id, self.sender, receiver)
    }
}

/// Connects a receiver, unless it is connected.
pub(super) fn connect<T, R>(
    signal: &Signal<T, R>,
    id: ReceiverId,
    sender: Option<Sender>,
    receiver: Receiver<T, R>,
) -> Connection
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let registry = signal.registry();
    let number = registry.connect(Entry::new(id.clone(), sender.clone(), receiver));
    let registry: Weak<dyn Disconnect> = Arc::downgrade(registry) as _;
    Connection {
        number,
        receiver: id,
        sender,
        registry,
    }
}

/// The connection of a receiver, if it is connected.
pub(super) fn find<T, R>(
    signal: &Signal<T, R>,
    id: &ReceiverId,
    sender: Option<&Sender>,
) -> Option<Connection>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let registry = signal.registry.get()?;
    Some(Connection {
        number: registry.find(id, sender)?,
        receiver: id.clone(),
        sender: sender.cloned(),
        registry: Arc::downgrade(registry) as _,
    })
}

impl<T, R> fmt::Debug for Connecting<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("id", &self.id)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}
