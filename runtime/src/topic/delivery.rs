//! How what waits for a subscriber is delivered.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::queue::Queue;
use super::subscription::Ended;
use crate::listeners::{AsFault, is_gone};
use crate::panics;
use crate::proxy::Proxy;
use crate::roster::Roster;
use crate::signal::{Event, ReceiverId};
use crate::sync::atomic::Ordering;

/// Whoever gets what is published.
pub(super) struct Subscriber<T> {
    pub(super) id: ReceiverId,
    pub(super) queue: Queue<T>,
    /// Whether its session has ended.
    pub(super) has_ended: Box<dyn Fn() -> bool + Send + Sync>,
}

/// What came of one delivery.
pub(super) enum Delivered {
    Done,
    Failed(String),
    Gone,
}

pub(super) type Delivery = Pin<Box<dyn Future<Output = Delivered> + Send>>;

pub(super) type Deliver<T> = Box<dyn Fn(Event<T>) -> Delivery + Send + Sync>;

/// Makes deliveries of calls of the application's function, which begin when they are polled: its panic is one of the
/// delivery.
pub(super) fn of<T, P, F, C, X, E>(subscriber: P, deliver: F) -> Deliver<T>
where
    T: Send + Sync + 'static,
    P: Proxy,
    F: Fn(P, Event<T>) -> C + Send + Sync + 'static,
    C: Future<Output = Result<X, E>> + Send + 'static,
    E: AsFault + fmt::Display,
{
    let deliver = Arc::new(deliver);
    Box::new(move |event| {
        let (deliver, subscriber) = (Arc::clone(&deliver), subscriber.clone());
        Box::pin(async move {
            match deliver(subscriber.clone(), event).await {
                Ok(_) => Delivered::Done,
                Err(error) => match error.as_fault() {
                    Some(fault) if is_gone(&subscriber, fault) => Delivered::Gone,
                    _ => Delivered::Failed(error.to_string()),
                },
            }
        })
    })
}

/// A subscriber that is served. However that ends, it leaves the topic and nothing waits for it any more.
struct Served<T> {
    subscriber: Arc<Subscriber<T>>,
    roster: Weak<Roster<Subscriber<T>>>,
}

impl<T> Drop for Served<T> {
    fn drop(&mut self) {
        let Subscriber { id, queue, .. } = &*self.subscriber;
        queue.line.end(Ended::Stopped);
        if let Some(roster) = self.roster.upgrade() {
            roster.take_this_out(&self.subscriber);
        }
        queue.discard();
        if let Some(why) = queue.line.ended() {
            tracing::debug!(subscriber = %id, %why, "a subscription ended");
        }
    }
}

/// Delivers what waits for a subscriber until its subscription ends.
pub(super) async fn serve<T>(
    subscriber: Arc<Subscriber<T>>,
    roster: Weak<Roster<Subscriber<T>>>,
    deliver: Deliver<T>,
    timeout: Option<Duration>,
) {
    let served = Served { subscriber, roster };
    let Subscriber { id, queue, .. } = &*served.subscriber;
    while let Some(event) = queue.next().await {
        let delivery = panics::contain_future(deliver(event));
        let delivered = tokio::select! {
            delivered = delivery => delivered,
            _ = queue.line.until_ended() => return,
            () = pass(timeout) => {
                queue.line.end(Ended::TimedOut);
                return;
            }
        };
        match delivered {
            Ok(Delivered::Done) => {}
            Ok(Delivered::Gone) => {
                queue.line.end(Ended::Gone);
            }
            Ok(Delivered::Failed(error)) => {
                queue.line.failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(subscriber = %id, error, "an event was not delivered");
            }
            Err(panic) => {
                queue.line.failed.fetch_add(1, Ordering::Relaxed);
                let message = panics::message(&*panic);
                tracing::error!(subscriber = %id, message, "delivering an event panicked");
            }
        }
    }
}

/// Waits for so long; without a limit, for ever.
async fn pass(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}
