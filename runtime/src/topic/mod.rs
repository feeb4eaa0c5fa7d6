//! Topics: what is published reaches every subscriber at its own pace, and nobody waits for anybody.
//!
//! ```
//! use farref::prelude::*;
//! use farref::Topic;
//! use farref::topic::{Ended, WhenFull};
//!
//! /// Implemented by whoever subscribes.
//! #[callback]
//! pub trait Ticker {
//!     async fn price(&self, cents: u64);
//!     async fn closed(&self, why: Ended);
//! }
//!
//! #[expose]
//! pub trait Exchange {
//!     async fn subscribe(&self, ticker: TickerProxy);
//! }
//!
//! struct Floor {
//!     prices: Topic<u64>,
//! }
//!
//! impl Exchange for Floor {
//!     async fn subscribe(&self, ticker: TickerProxy) {
//!         let subscription = self
//!             .prices
//!             .subscribe(ticker.clone(), async |ticker, cents| ticker.price(*cents).await);
//!         tokio::spawn(async move {
//!             let why = subscription.ended().await;
//!             let _ = ticker.closed(why).await;
//!         });
//!     }
//! }
//!
//! # struct Ear(tokio::sync::mpsc::UnboundedSender<Result<u64, Ended>>);
//! # impl Ticker for Ear {
//! #     async fn price(&self, cents: u64) { self.0.send(Ok(cents)).unwrap(); }
//! #     async fn closed(&self, why: Ended) { self.0.send(Err(why)).unwrap(); }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
//! let floor = Floor { prices: Topic::new(WhenFull::DropOldest) };
//! # floor.subscribe(TickerProxy::new(Ear(sender))).await;
//! floor.prices.publish(4_200);
//! # assert_eq!(heard.recv().await, Some(Ok(4_200)));
//! # drop(floor);
//! # assert_eq!(heard.recv().await, Some(Err(Ended::Complete)));
//! # }
//! ```
//!
//! A topic is for events that are many or subscribers that may be slow. To call a few callbacks and learn what became of
//! each, there are [`Listeners`](crate::Listeners).

mod delivery;
mod queue;
#[cfg(all(test, shuttle))]
mod schedules;
mod subscription;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

pub use self::subscription::{Ended, Subscription};

use self::delivery::{Deliver, Subscriber};
use self::queue::Queue;
use crate::listeners::{AsFault, has_ended};
use crate::proxy::Proxy;
use crate::roster::Roster;
use crate::signal::{Event, ReceiverId};

/// How many events wait for one subscriber.
const CAPACITY: usize = 128;

/// What happens to a subscriber for whom as many events wait as there is room for, and one more is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// It misses the oldest of those that wait: for states, of which the last one counts.
    DropOldest,
    /// It misses the new one.
    DropNewest,
    /// Its subscription ends with [`Ended::TooSlow`]: for subscribers that would rather begin anew than miss one.
    Disconnect,
}

/// Something that is published to subscribers in other processes; see the [module](self).
///
/// Each subscriber has a queue of at most 128 events, and a task that delivers them one after the other, in the order in
/// which they were published. Whoever publishes waits for nobody. A delivery that fails is logged and counted, and the
/// next one is made; a subscriber that is gone is found out by the next delivery.
///
/// Publishing takes the topic's lock for as long as it takes to copy a pointer, and each queue's lock to append to it;
/// nothing of the application runs under them. It allocates once, however many subscribers there are, and nothing if
/// there are none; and queues grow as they fill.
pub struct Topic<T> {
    roster: Arc<Roster<Subscriber<T>>>,
    when_full: WhenFull,
    capacity: usize,
    timeout: Option<Duration>,
}

impl<T: Send + Sync + 'static> Topic<T> {
    /// A topic without subscribers.
    pub fn new(when_full: WhenFull) -> Self {
        Topic {
            roster: Arc::default(),
            when_full,
            capacity: CAPACITY,
            timeout: None,
        }
    }

    /// Says how many events may wait for one subscriber, at least one. The default is 128.
    #[must_use]
    pub fn with_capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// Says how long one delivery may take before the subscription ends with [`Ended::TimedOut`]; zero means without
    /// limit, which is the default.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        self
    }

    /// Delivers to `subscriber` what is published from now on, by calling `deliver`.
    ///
    /// A proxy to an object that is subscribed already changes nothing; the subscription is that of the first time.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime, on which deliveries are made.
    pub fn subscribe<P, F, C, X, E>(&self, subscriber: P, deliver: F) -> Subscription
    where
        P: Proxy,
        F: Fn(P, Event<T>) -> C + Send + Sync + 'static,
        C: Future<Output = Result<X, E>> + Send + 'static,
        E: AsFault + fmt::Display,
    {
        let id = ReceiverId::object(&subscriber);
        let target = subscriber.clone();
        let has_ended = Box::new(move || has_ended(&target));
        let deliver = delivery::of(subscriber, deliver);
        self.add(id, has_ended, deliver)
    }

    fn add(
        &self,
        id: ReceiverId,
        has_ended: Box<dyn Fn() -> bool + Send + Sync>,
        deliver: Deliver<T>,
    ) -> Subscription {
        let runtime = Handle::current();
        self.end_gone();
        let subscriber = Arc::new(Subscriber {
            id: id.clone(),
            queue: Queue::new(),
            has_ended,
        });
        let new = Arc::clone(&subscriber);
        let found = self.roster.find_or_add(subscriber, |known| {
            known.id == id && known.queue.line.ended().is_none()
        });
        let subscription = Subscription {
            id,
            line: Arc::clone(&found.queue.line),
        };
        if Arc::ptr_eq(&found, &new) {
            let roster = Arc::downgrade(&self.roster);
            runtime.spawn(delivery::serve(found, roster, deliver, self.timeout));
        }
        subscription
    }

    /// Ends the subscription of this proxy's object; `false` if it has none. What waits is not delivered, and a delivery
    /// under way is cancelled.
    pub fn unsubscribe<P: Proxy>(&self, subscriber: &P) -> bool {
        let id = ReceiverId::object(subscriber);
        let taken = self
            .roster
            .take_out(|known| known.id == id && known.queue.line.ended().is_none());
        taken.is_some_and(|taken| taken.queue.line.end(Ended::Unsubscribed))
    }

    /// Queues an event for each subscriber, and says for how many.
    ///
    /// Those for whom there is no room miss one event or are disconnected, as was said when the topic was made.
    pub fn publish(&self, value: T) -> usize {
        let subscribers = self.roster.snapshot();
        if subscribers.is_empty() {
            return 0;
        }
        let event = Event::new(value, None);
        let (capacity, when_full) = (self.capacity, self.when_full);
        subscribers
            .iter()
            .filter(|subscriber| subscriber.queue.push(&event, capacity, when_full))
            .count()
    }

    /// How many subscriptions have not ended.
    pub fn subscribers(&self) -> usize {
        let subscribers = self.roster.snapshot();
        let alive = subscribers
            .iter()
            .filter(|subscriber| subscriber.queue.line.ended().is_none());
        alive.count()
    }

    /// Ends the subscriptions of those whose sessions have ended, whenever there are twice as many as were left the last
    /// time, so that a topic on which nothing is published does not keep them for ever.
    fn end_gone(&self) {
        if !self.roster.is_crowded() {
            return;
        }
        for subscriber in self.roster.snapshot().iter() {
            if (subscriber.has_ended)() && self.roster.take_this_out(subscriber) {
                subscriber.queue.line.end(Ended::Gone);
            }
        }
        self.roster.settle();
    }
}

impl<T> Drop for Topic<T> {
    fn drop(&mut self) {
        for subscriber in self.roster.snapshot().iter() {
            subscriber.queue.complete();
        }
    }
}

impl<T> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subscribers = self.roster.snapshot();
        f.debug_struct("Topic")
            .field("when_full", &self.when_full)
            .field("capacity", &self.capacity)
            .field("subscribers", &subscribers.len())
            .finish_non_exhaustive()
    }
}
