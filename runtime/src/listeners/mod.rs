//! Lists of callbacks: whoever wants to know passes a proxy in, and is told until it is gone.
//!
//! ```
//! use farref::prelude::*;
//! use farref::Listeners;
//!
//! /// Implemented by clients, called by the jukebox.
//! #[callback]
//! pub trait Listener {
//!     async fn song_changed(&self, title: &str);
//! }
//!
//! #[expose]
//! pub trait Jukebox {
//!     async fn watch(&self, listener: ListenerProxy);
//!     async fn play(&self, title: &str);
//! }
//!
//! #[derive(Default)]
//! struct Machine {
//!     listeners: Listeners<ListenerProxy>,
//! }
//!
//! impl Jukebox for Machine {
//!     async fn watch(&self, listener: ListenerProxy) {
//!         self.listeners.add(listener);
//!     }
//!
//!     async fn play(&self, title: &str) {
//!         let listeners = self.listeners.all();
//!         for told in listeners.notify(|listener| listener.song_changed(title)).await {
//!             if let Err(error) = told.result {
//!                 println!("{:?} was not told: {error}", told.listener);
//!             }
//!         }
//!     }
//! }
//! # struct Ear(tokio::sync::mpsc::UnboundedSender<String>);
//! # impl Listener for Ear {
//! #     async fn song_changed(&self, title: &str) {
//! #         self.0.send(title.to_owned()).unwrap();
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> farref::Result<()> {
//! # let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
//! # let machine = Machine::default();
//! # machine.watch(ListenerProxy::new(Ear(sender))).await;
//! # machine.play("Creep").await;
//! # assert_eq!(heard.recv().await.unwrap(), "Creep");
//! # Ok(())
//! # }
//! ```
//!
//! Whoever notifies waits for the slowest listener, though never longer than a timeout, and learns what became of each.
//! A [`Topic`](crate::Topic) is for those who will not wait: it queues for each listener, and says what happens to a
//! listener that does not keep up.

mod join;
mod told;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(crate) use self::told::is_gone;
pub use self::told::{AsFault, NotTold, Told};

use self::join::Join;
use crate::panics;
use crate::proxy::{Proxy, TargetKind};
use crate::remote::Remote;
use crate::roster::{Roster, Snapshot};
use crate::signal::ReceiverId;

/// How long a listener may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often in a row a listener may take longer.
const PATIENCE: u32 = 3;

/// A list of proxies to call back, each of them once; see the [module](self).
///
/// - Two proxies to one object are one listener.
/// - A listener that is gone, because its session has ended or its object was dropped, is evicted when it is next told.
///   One that is known by a URI is not: its object may come back.
/// - All listeners are called at once, each with a timeout of 10 seconds. One that takes longer three times in a row is
///   evicted.
/// - An error or a panic of one listener concerns no other, and evicts nobody.
///
/// Its lock is held for as long as it takes to copy a pointer or to look through the list; nothing of the application
/// runs under it.
pub struct Listeners<P> {
    roster: Roster<Listener<P>>,
    timeout: Option<Duration>,
    patience: u32,
}

struct Listener<P> {
    proxy: P,
    id: ReceiverId,
    /// How often in a row it took too long.
    timeouts: AtomicU32,
}

impl<P: Proxy> Listeners<P> {
    /// A list of nobody.
    pub fn new() -> Self {
        Listeners {
            roster: Roster::default(),
            timeout: Some(TIMEOUT),
            patience: PATIENCE,
        }
    }

    /// Says how long each listener may take; zero means without limit. The default is 10 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        self
    }

    /// Says after how many timeouts in a row a listener is evicted; zero means never. The default is 3.
    #[must_use]
    pub fn with_patience(mut self, timeouts: u32) -> Self {
        self.patience = timeouts;
        self
    }

    /// Adds a listener; `false` if it is there already.
    pub fn add(&self, listener: P) -> bool {
        self.forget_ended();
        let id = ReceiverId::object(&listener);
        let listener = Arc::new(Listener {
            proxy: listener,
            id: id.clone(),
            timeouts: AtomicU32::new(0),
        });
        let added = Arc::clone(&listener);
        Arc::ptr_eq(
            &self.roster.find_or_add(listener, |known| known.id == id),
            &added,
        )
    }

    /// Removes a listener; `false` if it is not there. A notification that has begun still reaches it.
    pub fn remove(&self, listener: &P) -> bool {
        let id = ReceiverId::object(listener);
        self.roster.take_out(|known| known.id == id).is_some()
    }

    /// Whether this listener is there.
    pub fn contains(&self, listener: &P) -> bool {
        let id = ReceiverId::object(listener);
        self.roster.snapshot().iter().any(|known| known.id == id)
    }

    /// How many listeners there are, those included that are gone and were not told anything since.
    pub fn len(&self) -> usize {
        self.roster.len()
    }

    /// Whether there is nobody to tell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all listeners.
    pub fn clear(&self) {
        drop(self.roster.take_all_out(|_| true));
    }

    /// Those who are there at this moment, in the order in which they were added.
    pub fn all(&self) -> All<'_, P> {
        All {
            listeners: self,
            snapshot: self.roster.snapshot(),
        }
    }

    /// Lets go of listeners whose sessions have ended, whenever there are twice as many as were left the last time, so
    /// that a list to which nobody ever speaks does not grow for ever.
    fn forget_ended(&self) {
        if !self.roster.is_crowded() {
            return;
        }
        // Asking takes the lock of the session, so it is done outside that of the list.
        let snapshot = self.roster.snapshot();
        for listener in snapshot
            .iter()
            .filter(|listener| has_ended(&listener.proxy))
        {
            self.roster.take_this_out(listener);
        }
        self.roster.settle();
    }

    /// Counts a timeout; `true` if it was one too many.
    fn loses_patience(&self, listener: &Listener<P>) -> bool {
        let timeouts = listener.timeouts.fetch_add(1, Ordering::Relaxed);
        self.patience != 0 && timeouts + 1 >= self.patience
    }
}

impl<P: Proxy> Default for Listeners<P> {
    fn default() -> Self {
        Listeners::new()
    }
}

impl<P> fmt::Debug for Listeners<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.roster.snapshot();
        let ids = snapshot.iter().map(|listener| &listener.id);
        f.debug_list().entries(ids).finish()
    }
}

/// Whether a reference is dead because its session has ended. Takes no round trip.
pub(crate) fn has_ended<P: Proxy>(proxy: &P) -> bool {
    match &proxy.target().kind {
        TargetKind::Near(_) => false,
        TargetKind::Remote(Remote::Dead(_)) => true,
        TargetKind::Remote(remote) => {
            !remote.is_named() && remote.peer().is_some_and(|peer| peer.is_closed())
        }
    }
}

/// The listeners of a list at one moment.
pub struct All<'l, P> {
    listeners: &'l Listeners<P>,
    snapshot: Snapshot<Listener<P>>,
}

impl<P: Proxy> All<'_, P> {
    /// Their proxies, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.snapshot.iter().map(|listener| &listener.proxy)
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.snapshot.len()
    }

    /// Whether there is nobody among them.
    pub fn is_empty(&self) -> bool {
        self.snapshot.is_empty()
    }

    /// Calls all of them at once and waits until each has answered or taken too long. Says what became of each, in the
    /// order in which they were added.
    ///
    /// The calls are made on behalf of the call that is being served: its deadline holds for them too, and is nobody's
    /// fault here.
    ///
    /// ```
    /// # use farref::prelude::*;
    /// # use farref::Listeners;
    /// # #[callback]
    /// # pub trait Listener { async fn song_changed(&self, title: &str); }
    /// # async fn play(listeners: &Listeners<ListenerProxy>, title: &str) {
    /// listeners.all().notify(|listener| listener.song_changed(title)).await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the calls that are not answered yet. Those who were found to be gone before are
    /// evicted.
    pub async fn notify<'a, F, C, T, E>(&'a self, mut call: F) -> Vec<Told<P, T, E>>
    where
        F: FnMut(&'a P) -> C,
        C: Future<Output = Result<T, E>>,
        E: AsFault,
    {
        let mut told: Vec<Option<Told<P, T, E>>> = Vec::new();
        told.resize_with(self.len(), || None);
        let mut calls = Join::new(self.len());
        for (index, listener) in self.snapshot.iter().enumerate() {
            match panics::contain(|| call(&listener.proxy)) {
                Ok(call) => calls.put(index, call),
                Err(panic) => told[index] = Some(self.conclude(index, Err(panicked(&*panic)))),
            }
        }
        let mut timeout = self
            .listeners
            .timeout
            .map(|timeout| Box::pin(tokio::time::sleep(timeout)));
        while let Some((index, result)) = calls.next_until(timeout.as_mut()).await {
            let result = match result {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(NotTold::of(&self.snapshot[index].proxy, error)),
                Err(panic) => Err(panicked(&*panic)),
            };
            told[index] = Some(self.conclude(index, result));
        }
        // What is left took too long, and is cancelled.
        calls.clear();
        let told = told.into_iter().enumerate();
        told.map(|(index, told)| {
            told.unwrap_or_else(|| self.conclude(index, Err(NotTold::TimedOut)))
        })
        .collect()
    }

    /// Says what became of a listener, and evicts it if it is gone or too slow.
    fn conclude<T, E>(&self, index: usize, result: Result<T, NotTold<E>>) -> Told<P, T, E> {
        let listener = &self.snapshot[index];
        let is_evicted = match &result {
            Err(NotTold::Gone(_)) => true,
            Err(NotTold::TimedOut) => self.listeners.loses_patience(listener),
            _ => {
                listener.timeouts.store(0, Ordering::Relaxed);
                false
            }
        };
        if is_evicted && self.listeners.roster.take_this_out(listener) {
            tracing::debug!(listener = %listener.id, "a listener was evicted");
        }
        Told {
            listener: listener.proxy.clone(),
            result,
            is_evicted,
        }
    }
}

fn panicked<E>(panic: &(dyn std::any::Any + Send)) -> NotTold<E> {
    let message = panics::message(panic).to_owned();
    tracing::error!(message, "telling a listener panicked");
    NotTold::Panicked(message)
}

impl<P: Proxy> fmt::Debug for All<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
