//! Signals: whoever wants to know connects a receiver, and whoever has something to tell sends.
//!
//! ```
//! use farref::Signal;
//!
//! struct Document {
//!     saved: Signal<String>,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let document = Document { saved: Signal::new() };
//!
//! let connection = document.saved.connect(|path| println!("saved as {}", path.as_str()));
//! document.saved.connect_async(async |path| {
//!     tokio::task::yield_now().await;
//!     match path.is_empty() {
//!         false => Ok(()),
//!         true => Err("there is no path"),
//!     }
//! });
//!
//! document.saved.send("report.txt".to_owned()).await?;
//! let error = document.saved.send(String::new()).await.unwrap_err();
//! assert_eq!(error.delivered.len(), 1);
//! connection.disconnect();
//! # Ok(())
//! # }
//! ```
//!
//! # Receivers
//!
//! A receiver is a function that takes an [`Event`], or a reference to one, and returns a response of type `R`, or a
//! `Result` of one and any error. It is held until it is disconnected, unless it belongs to an object that the signal
//! does not keep alive: [`Signal::connect_weak`].
//!
//! Connecting twice is connecting once: what counts is the receiver's [identity](ReceiverId) together with the
//! [`Sender`] that it listens to. A function, and a closure that captures nothing, is its own identity; a closure that
//! captures something has none, and is another receiver each time, unless [an id is said](Signal::with_id).
//!
//! # Sending
//!
//! Receivers are called one after the other, in the order in which they connected, and the first error ends the sending.
//! Those that are connected when the sending begins are called, also if they are disconnected meanwhile; those that
//! connect meanwhile are not. A receiver's panic is an error like another.
//!
//! | | waits for receivers that wait | the first error |
//! |---|---|---|
//! | [`send`](Signal::send) | yes | ends it |
//! | [`send_robust`](Signal::send_robust) | yes | stands beside the other responses |
//! | [`send_within`](Signal::send_within) | for as long as it is told | stands beside the other responses |
//! | [`send_now`](Signal::send_now) | refuses them | ends it |
//!
//! # Subscribing
//!
//! A subscriber takes what is told out of a queue of its own, and delays nobody, unless [it asks to](WhenSlow::Wait):
//!
//! ```
//! use farref::signal::{Ended, Signal, WhenSlow};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let song_changed = Signal::<String>::new();
//! let mut all = song_changed.subscribe();
//! let mut last = song_changed.subscribe_with(WhenSlow::DropOldest, 1);
//! song_changed.send("Black".to_owned()).await?;
//! song_changed.send("Creep".to_owned()).await?;
//! assert_eq!(*all.next().await?, "Black");
//! assert_eq!(*last.next().await?, "Creep");
//! assert_eq!(last.missed(), 1);
//! drop(song_changed);
//! assert!(matches!(last.next().await, Err(Ended::Complete)));
//! # Ok(())
//! # }
//! ```
//!
//! Events are queued before receivers are called, so a receiver's error is none of a subscriber's business.
//!
//! # What it costs
//!
//! A signal without receivers allocates nothing. Sending takes the signal's lock once, for as long as it takes to copy a
//! pointer, and no receiver is called, compared or dropped under it. It allocates once for the event, once for the
//! responses, and once more for each receiver that is asynchronous.

#[cfg(feature = "dynamic")]
pub(crate) mod by_description;
mod connecting;
mod connection;
mod error;
mod event;
mod far_connection;
mod far_receiver;
mod identity;
mod near_receiver;
mod receiver;
mod reference;
mod registry;
mod request;
#[cfg(all(test, shuttle))]
mod schedules;
mod sending;
mod sent_by;
mod subscribers;
mod subscription;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use self::connecting::Connecting;
pub use self::connection::{Connection, ScopedConnection};
pub use self::error::{ReceiverError, SignalError};
pub use self::event::Event;
pub use self::far_connection::SignalConnection;
pub use self::identity::{ReceiverId, Sender};
pub use self::receiver::Respond;
pub use self::reference::SignalRef;
pub use self::request::{SignalRequest, Tellable, Teller};
pub use self::subscribers::WhenSlow;
pub use self::subscription::{Ended, Subscription};

use self::registry::{Registry, Snapshot};
use self::subscribers::Taking;

/// How many events wait for a subscriber that does not say how many.
pub(crate) const CAPACITY: usize = 128;

/// How many events may be on their way to a subscriber in another process.
pub(crate) const ON_THEIR_WAY: u32 = 256;

/// What receivers answered: who, and what, in the order in which they connected.
pub type Responses<R = ()> = Vec<(ReceiverId, R)>;

/// Something that happens and that others want to know about; see the [module](self).
///
/// It may be a field, a variable or a `static`.
pub struct Signal<T, R = ()> {
    /// Made when the first receiver connects.
    registry: OnceLock<Arc<Registry<T, R>>>,
}

impl<T, R> Signal<T, R> {
    /// A signal without receivers.
    pub const fn new() -> Self {
        Signal {
            registry: OnceLock::new(),
        }
    }

    /// The same signal again: whoever connects to the one hears the other.
    #[doc(hidden)]
    pub fn share(&self) -> Self {
        Signal {
            registry: OnceLock::from(Arc::clone(self.registry())),
        }
    }

    fn registry(&self) -> &Arc<Registry<T, R>> {
        self.registry.get_or_init(Arc::default)
    }
}

impl<T, R> Default for Signal<T, R> {
    fn default() -> Self {
        Signal::new()
    }
}

impl<T, R> Signal<T, R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    /// Calls `receiver` whenever the signal is sent, until it is disconnected.
    ///
    /// Dropping the [`Connection`] disconnects nothing. A function that is connected already stays where it is, and the
    /// connection is that of the first time.
    pub fn connect<F, X>(&self, receiver: F) -> Connection
    where
        F: Fn(&Event<T>) -> X + Send + Sync + 'static,
        X: Respond<R>,
    {
        Connecting::new(self).connect(receiver)
    }

    /// The same, of a receiver whose future is awaited before the next receiver is called.
    ///
    /// This is how an object of another process listens: the closure holds its proxy and calls it, and a proxy that is
    /// dead is an error like another.
    pub fn connect_async<F, X>(&self, receiver: F) -> Connection
    where
        F: Fn(Event<T>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<R>> + Send + 'static,
    {
        Connecting::new(self).connect_async(receiver)
    }

    /// Calls `method` on `object` whenever the signal is sent, for as long as others keep the object alive.
    ///
    /// Its identity is that of the object and the method together.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use farref::signal::{Event, Signal};
    /// struct View;
    /// impl View {
    ///     fn redraw(&self, _title: &Event<String>) {}
    /// }
    ///
    /// let renamed = Signal::<String>::new();
    /// let view = Arc::new(View);
    /// renamed.connect_weak(&view, View::redraw);
    /// assert!(renamed.has_receivers());
    /// drop(view);
    /// assert!(!renamed.has_receivers());
    /// ```
    pub fn connect_weak<O, F, X>(&self, object: &Arc<O>, method: F) -> Connection
    where
        O: Send + Sync + 'static,
        F: Fn(&O, &Event<T>) -> X + Send + Sync + 'static,
        X: Respond<R>,
    {
        Connecting::new(self).connect_weak(object, method)
    }

    /// The same, of a method that is awaited before the next receiver is called. The object lives at least until then.
    pub fn connect_weak_async<O, F, X>(&self, object: &Arc<O>, method: F) -> Connection
    where
        O: Send + Sync + 'static,
        F: Fn(Arc<O>, Event<T>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<R>> + Send + 'static,
    {
        Connecting::new(self).connect_weak_async(object, method)
    }

    /// Says the identity of the receiver that is about to be connected, instead of its own.
    pub fn with_id(&self, id: impl Into<ReceiverId>) -> Connecting<'_, T, R> {
        Connecting::new(self).with_id(id)
    }

    /// Says whom the receiver that is about to be connected, or disconnected, listens to: others it does not hear.
    pub fn from_sender(&self, sender: &Sender) -> Connecting<'_, T, R> {
        Connecting::new(self).from_sender(sender)
    }

    /// Disconnects the receiver of this identity that listens to every sender; `false` if there is none.
    ///
    /// One that listens to a single sender is another receiver: `signal.from_sender(&sender).disconnect(id)`.
    pub fn disconnect(&self, receiver: impl Into<ReceiverId>) -> bool {
        Connecting::new(self).disconnect(receiver)
    }

    /// Queues what is sent from now on, at most 128 events; the subscription of one who does not keep up
    /// [closes](WhenSlow::Close). See [`subscribe_with`](Signal::subscribe_with).
    pub fn subscribe(&self) -> Subscription<T> {
        self.subscribe_with(WhenSlow::Close, CAPACITY)
    }

    /// Queues what is sent from now on, at most `capacity` events, between 1 and 4096. `when_slow` says what happens to a
    /// subscriber for whom as many wait, and one more is sent.
    pub fn subscribe_with(&self, when_slow: WhenSlow, capacity: usize) -> Subscription<T> {
        Subscription::near(self.take(None, when_slow, capacity))
    }

    /// Queues what is sent by one sender, or by all.
    fn take(&self, sender: Option<Sender>, when_slow: WhenSlow, capacity: usize) -> Taking<T> {
        let subscribers = &self.registry().subscribers;
        subscribers::subscribe(subscribers, sender, when_slow, capacity)
    }

    /// The identities of the receivers, in the order in which they connected, whomever they listen to.
    pub fn receivers(&self) -> Vec<ReceiverId> {
        let snapshot = self.snapshot();
        let entries = snapshot.iter().flat_map(|entries| entries.iter());
        let alive = entries.filter(|entry| !entry.receiver.is_gone());
        alive.map(|entry| entry.id.clone()).collect()
    }

    /// Whether anybody listens, or has subscribed, so that an event which is costly to make need not be made in vain.
    pub fn has_receivers(&self) -> bool {
        let snapshot = self.snapshot();
        let has_subscribers = || {
            let registry = self.registry.get();
            registry.is_some_and(|registry| registry.subscribers.len() > 0)
        };
        snapshot.is_some_and(|entries| entries.iter().any(|entry| !entry.receiver.is_gone()))
            || has_subscribers()
    }

    /// Tells the receivers that listen to every sender, and returns what they answer.
    ///
    /// # Errors
    ///
    /// The first receiver that fails or panics ends the sending. The error names it, and has what those before it
    /// answered; those after it are not called.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the receiver that is being awaited, at its await; those after it are not called.
    pub async fn send(&self, value: T) -> Result<Responses<R>, SignalError<R>> {
        self.send_until_error(None, value).await
    }

    /// The same, from `sender`: those that listen to it alone are called, too.
    ///
    /// # Errors
    ///
    /// As [`send`](Signal::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Signal::send).
    pub async fn send_from(
        &self,
        sender: &Sender,
        value: T,
    ) -> Result<Responses<R>, SignalError<R>> {
        self.send_until_error(Some(sender), value).await
    }

    /// Tells every receiver, whether others fail or not, and returns what each of them answers.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Signal::send).
    pub async fn send_robust(&self, value: T) -> Responses<Result<R, ReceiverError>> {
        self.send_to_all(None, value).await
    }

    /// The same, from `sender`.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Signal::send).
    pub async fn send_robust_from(
        &self,
        sender: &Sender,
        value: T,
    ) -> Responses<Result<R, ReceiverError>> {
        self.send_to_all(Some(sender), value).await
    }

    /// Tells every receiver as [`send_robust`](Signal::send_robust) does, but gives each no longer than `patience`. One that
    /// takes longer is disconnected, and its future dropped; a subscriber that [wants to be waited for](WhenSlow::Wait) and
    /// has no room after that time is ended as [too slow](Ended::TooSlow).
    ///
    /// For signals whose receivers are strangers: what one of them can hold up is bounded. Needs a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Signal::send).
    pub async fn send_within(
        &self,
        patience: Duration,
        value: T,
    ) -> Responses<Result<R, ReceiverError>> {
        self.send_with_patience(patience, value).await
    }

    /// Tells the receivers before it returns, on this thread and without a runtime.
    ///
    /// # Errors
    ///
    /// As [`send`](Signal::send). An asynchronous receiver is refused with [`ReceiverError::Asynchronous`] before any
    /// receiver is called.
    pub fn send_now(&self, value: T) -> Result<Responses<R>, SignalError<R>> {
        self.send_at_once(None, value)
    }

    /// The same, from `sender`.
    ///
    /// # Errors
    ///
    /// As [`send_now`](Signal::send_now).
    pub fn send_now_from(&self, sender: &Sender, value: T) -> Result<Responses<R>, SignalError<R>> {
        self.send_at_once(Some(sender), value)
    }

    fn snapshot(&self) -> Option<Snapshot<T, R>> {
        Some(self.registry.get()?.snapshot())
    }

    /// Lets go of receivers whose objects are gone.
    fn forget_gone(&self) {
        if let Some(registry) = self.registry.get() {
            registry.forget_gone();
        }
    }
}

impl<T, R> fmt::Debug for Signal<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.registry.get().map(|registry| registry.snapshot());
        let ids = snapshot.iter().flat_map(|all| all.iter());
        f.debug_list().entries(ids.map(|entry| &entry.id)).finish()
    }
}
