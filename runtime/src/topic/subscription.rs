//! A subscriber's place in a topic, and how it ends.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::signal::ReceiverId;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Why a subscription ended. It may be passed on to the subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Ended {
    /// The topic was dropped, and all that was published before was delivered.
    Complete,
    /// It was told to.
    Unsubscribed,
    /// The subscriber's session has ended, or its object was dropped.
    Gone,
    /// More events waited for it than there is room for.
    TooSlow,
    /// One delivery took too long.
    TimedOut,
    /// The runtime on which it was subscribed has shut down.
    Stopped,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ended::Complete => "all was delivered",
            Ended::Unsubscribed => "it was unsubscribed",
            Ended::Gone => "the subscriber is gone",
            Ended::TooSlow => "the subscriber was too slow",
            Ended::TimedOut => "a delivery took too long",
            Ended::Stopped => "the runtime that delivers has shut down",
        })
    }
}

/// A subscriber's place in a topic. Dropping it ends nothing.
#[derive(Clone)]
pub struct Subscription {
    pub(super) id: ReceiverId,
    pub(super) line: Arc<Line>,
}

impl Subscription {
    /// Who subscribed.
    pub fn subscriber(&self) -> &ReceiverId {
        &self.id
    }

    /// Ends the subscription; `false` if it has ended. What waits is not delivered, and a delivery under way is
    /// cancelled.
    pub fn unsubscribe(&self) -> bool {
        self.line.end(Ended::Unsubscribed)
    }

    /// Whether events are still delivered.
    pub fn is_active(&self) -> bool {
        self.line.ended().is_none()
    }

    /// Waits for the end of the subscription, and says why it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn ended(&self) -> Ended {
        self.line.until_ended().await
    }

    /// How many events the subscriber missed because there was no room for them.
    pub fn lost(&self) -> u64 {
        self.line.lost.load(Ordering::Relaxed)
    }

    /// How many deliveries failed.
    pub fn failed(&self) -> u64 {
        self.line.failed.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("subscriber", &self.id)
            .field("ended", &self.line.ended())
            .field("lost", &self.lost())
            .field("failed", &self.failed())
            .finish()
    }
}

/// What a subscription and its deliveries share, whatever is published.
#[derive(Debug, Default)]
pub(super) struct Line {
    ended: OnceLock<Ended>,
    /// Tells that it ended.
    end: Notify,
    pub(super) lost: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl Line {
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended.get().copied()
    }

    /// Ends the subscription, unless it has ended: `false` then.
    pub(super) fn end(&self, reason: Ended) -> bool {
        let ended = self.ended.set(reason).is_ok();
        if ended {
            self.end.notify_waiters();
        }
        ended
    }

    /// Waits for the end.
    pub(super) async fn until_ended(&self) -> Ended {
        let mut end = pin!(self.end.notified());
        end.as_mut().enable();
        match self.ended() {
            Some(reason) => reason,
            None => {
                end.await;
                // Whoever tells of the end has set it before.
                self.ended().unwrap_or(Ended::Stopped)
            }
        }
    }
}
