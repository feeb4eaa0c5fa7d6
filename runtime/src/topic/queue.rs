//! What waits for one subscriber.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;

use super::WhenFull;
use super::subscription::{Ended, Line};
use crate::panics;
use crate::signal::Event;
use crate::sync::atomic::Ordering;
use crate::sync::{Mutex, MutexGuard};

/// What waits for one subscriber.
pub(super) struct Queue<T> {
    pub(super) line: Arc<Line>,
    waiting: Mutex<Waiting<T>>,
    /// Tells that there is something to take.
    filled: Notify,
}

struct Waiting<T> {
    events: VecDeque<Event<T>>,
    /// Whether nothing more will come.
    is_complete: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Queue {
            line: Arc::default(),
            waiting: Mutex::new(Waiting {
                events: VecDeque::new(),
                is_complete: false,
            }),
            filled: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an event; `false` if the subscriber will never get it.
    pub(super) fn push(&self, event: &Event<T>, capacity: usize, when_full: WhenFull) -> bool {
        let event = event.clone();
        let mut waiting = self.lock();
        if self.line.ended().is_some() || waiting.is_complete {
            drop(waiting);
            return false;
        }
        let mut oldest = None;
        if waiting.events.len() >= capacity {
            self.line.lost.fetch_add(1, Ordering::Relaxed);
            match when_full {
                WhenFull::DropOldest => oldest = waiting.events.pop_front(),
                WhenFull::DropNewest => {
                    drop(waiting);
                    return false;
                }
                WhenFull::Disconnect => {
                    drop(waiting);
                    self.line.end(Ended::TooSlow);
                    return false;
                }
            }
        }
        waiting.events.push_back(event);
        drop(waiting);
        self.filled.notify_one();
        drop(oldest);
        true
    }

    /// Says that nothing more will come: the subscription ends when all that waits is delivered.
    pub(super) fn complete(&self) {
        self.lock().is_complete = true;
        self.filled.notify_one();
    }

    /// Waits for the next event; `None` after the last one, and when the subscription has ended.
    pub(super) async fn next(&self) -> Option<Event<T>> {
        loop {
            // There is one who takes, so that a permit is enough to tell it.
            let filled = self.filled.notified();
            if self.line.ended().is_some() {
                return None;
            }
            {
                let mut waiting = self.lock();
                if let Some(event) = waiting.events.pop_front() {
                    return Some(event);
                }
                if waiting.is_complete {
                    drop(waiting);
                    self.line.end(Ended::Complete);
                    return None;
                }
            }
            tokio::select! {
                () = filled => {}
                _ = self.line.until_ended() => {}
            }
        }
    }

    /// Drops what waits, now that nobody will take it.
    pub(super) fn discard(&self) {
        let events = std::mem::take(&mut self.lock().events);
        panics::drop_contained(events);
    }
}
