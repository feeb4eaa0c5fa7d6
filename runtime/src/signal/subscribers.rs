//! Those who take what a signal tells out of a queue of their own.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::event::Event;
use super::identity::Sender;
use super::sent_by::SentBy;
use crate::panics;
use crate::roster::Roster;
use crate::sync::{Mutex, MutexGuard};

/// How many events wait for one subscriber at most, whatever it asks for.
const MOST: usize = 4096;

/// What happens when as many events wait for a subscriber as there is room for, and one more is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WhenSlow {
    /// Whoever sends waits until there is room.
    Wait,
    /// The subscriber misses the oldest of those that wait: for states, of which the last one counts.
    DropOldest,
    /// It misses the new one.
    DropNewest,
    /// Its subscription ends with [`Ended::TooSlow`](super::Ended::TooSlow), behind what waits: it would rather begin
    /// anew than miss one unawares.
    Close,
}

/// What a subscriber is told, also in another process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub(crate) enum Told<T> {
    /// An event, how many were missed since the beginning, and who sent it.
    Event {
        missed: u64,
        sender: Option<SentBy>,
        value: Event<T>,
    },
    /// Nothing more will come.
    Ended(Reason),
}

/// Why nothing more will come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Reason {
    Complete,
    TooSlow,
}

/// A subscriber's queue.
pub(super) struct Subscriber<T> {
    /// The only one that it listens to.
    sender: Option<Sender>,
    when_slow: WhenSlow,
    capacity: usize,
    queue: Mutex<Queue<T>>,
    /// Tells that there is room, or that there will be none any more.
    room: Notify,
}

struct Queue<T> {
    events: VecDeque<Event<T>>,
    missed: u64,
    ended: Option<Reason>,
    /// Whether nobody takes anything out any more.
    is_gone: bool,
    taker: Option<Waker>,
}

impl<T> Subscriber<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is told what `sender` sends.
    pub(super) fn hears(&self, sender: Option<&Sender>) -> bool {
        self.sender.is_none() || self.sender.as_ref() == sender
    }

    /// Whether whoever sends would have to wait.
    pub(super) fn makes_wait(&self) -> bool {
        let queue = self.lock();
        self.when_slow == WhenSlow::Wait
            && queue.events.len() >= self.capacity
            && !queue.is_gone
            && queue.ended.is_none()
    }

    /// Queues an event; `false` if whoever sends is to wait and try again.
    fn push(&self, event: &Event<T>) -> bool {
        let event = event.clone();
        let mut queue = self.lock();
        let mut dropped = None;
        if queue.is_gone || queue.ended.is_some() {
            return true;
        }
        if queue.events.len() < self.capacity {
            queue.events.push_back(event);
        } else {
            match self.when_slow {
                WhenSlow::Wait => return false,
                WhenSlow::DropOldest => {
                    dropped = queue.events.pop_front();
                    queue.missed += 1;
                    queue.events.push_back(event);
                }
                WhenSlow::DropNewest => {
                    queue.missed += 1;
                    dropped = Some(event);
                }
                WhenSlow::Close => {
                    queue.ended = Some(Reason::TooSlow);
                    dropped = Some(event);
                }
            }
        }
        let taker = queue.taker.take();
        drop(queue);
        // What an event holds is dropped by the application's code.
        drop(dropped);
        if let Some(taker) = taker {
            taker.wake();
        }
        true
    }

    /// Queues an event, and waits for room if that was asked for.
    pub(super) async fn tell(&self, event: &Event<T>) {
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            if self.push(event) {
                return;
            }
            room.await;
        }
    }

    /// Queues an event, unless whoever sends would have to wait.
    pub(super) fn tell_now(&self, event: &Event<T>) {
        self.push(event);
    }

    /// Says that it was waited for in vain: nothing more will come.
    pub(super) fn part_with(&self) {
        self.end(Reason::TooSlow);
    }

    /// Says that nothing more will come.
    pub(super) fn complete(&self) {
        self.end(Reason::Complete);
    }

    fn end(&self, reason: Reason) {
        let mut queue = self.lock();
        queue.ended.get_or_insert(reason);
        let taker = queue.taker.take();
        drop(queue);
        self.room.notify_waiters();
        if let Some(taker) = taker {
            taker.wake();
        }
    }
}

/// The way out of a subscriber's queue. Dropping it ends the subscription.
pub(super) struct Taking<T> {
    subscriber: Arc<Subscriber<T>>,
    roster: Weak<Roster<Subscriber<T>>>,
    is_over: bool,
}

/// Begins to queue what is sent.
pub(super) fn subscribe<T>(
    roster: &Arc<Roster<Subscriber<T>>>,
    sender: Option<Sender>,
    when_slow: WhenSlow,
    capacity: usize,
) -> Taking<T> {
    let subscriber = Arc::new(Subscriber {
        sender,
        when_slow,
        capacity: capacity.clamp(1, MOST),
        queue: Mutex::new(Queue {
            events: VecDeque::new(),
            missed: 0,
            ended: None,
            is_gone: false,
            taker: None,
        }),
        room: Notify::new(),
    });
    Taking {
        subscriber: roster.find_or_add(subscriber, |_| false),
        roster: Arc::downgrade(roster),
        is_over: false,
    }
}

impl<T> Stream for Taking<T> {
    type Item = Told<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Told<T>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let mut queue = self.subscriber.lock();
        if let Some(value) = queue.events.pop_front() {
            let missed = queue.missed;
            drop(queue);
            self.subscriber.room.notify_waiters();
            let sender = SentBy::of(value.sender());
            return Poll::Ready(Some(Told::Event {
                missed,
                sender,
                value,
            }));
        }
        match queue.ended {
            Some(reason) => {
                drop(queue);
                self.is_over = true;
                Poll::Ready(Some(Told::Ended(reason)))
            }
            None => {
                let old = queue.taker.replace(cx.waker().clone());
                drop(queue);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Taking<T> {
    fn drop(&mut self) {
        if let Some(roster) = self.roster.upgrade() {
            roster.take_this_out(&self.subscriber);
        }
        let mut queue = self.subscriber.lock();
        queue.is_gone = true;
        let events = std::mem::take(&mut queue.events);
        drop(queue);
        self.subscriber.room.notify_waiters();
        panics::drop_contained(events);
    }
}
