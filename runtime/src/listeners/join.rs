//! Awaits many futures at once, and polls only those that were woken.

use std::any::Any;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::time::Sleep;

use crate::panics;

/// What became of a future: its output, or its panic.
pub(super) type Ended<O> = Result<O, Box<dyn Any + Send>>;

/// Futures that run at once, in the task that awaits them.
pub(super) struct Join<F> {
    slots: Vec<Option<Slot<F>>>,
    /// How many of them have not ended.
    left: usize,
    woken: Arc<Woken>,
}

struct Slot<F> {
    future: Pin<Box<F>>,
    wakes: Arc<SlotWaker>,
    waker: Waker,
}

/// Which futures are to be polled, and who polls them.
#[derive(Default)]
struct Woken(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    indices: VecDeque<usize>,
    waker: Option<Waker>,
}

impl Woken {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct SlotWaker {
    index: usize,
    is_queued: AtomicBool,
    woken: Arc<Woken>,
}

impl SlotWaker {
    /// Puts the future where it will be polled; returns who is to be woken.
    fn queue(&self) -> Option<Waker> {
        if self.is_queued.swap(true, Ordering::AcqRel) {
            return None;
        }
        let mut queue = self.woken.lock();
        queue.indices.push_back(self.index);
        queue.waker.take()
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(waker) = self.queue() {
            waker.wake();
        }
    }
}

impl<F: Future> Join<F> {
    /// Room for this many futures.
    pub(super) fn new(room: usize) -> Self {
        Join {
            slots: std::iter::repeat_with(|| None).take(room).collect(),
            left: 0,
            woken: Arc::default(),
        }
    }

    /// Adds a future. They are first polled in the order in which they were added.
    pub(super) fn put(&mut self, index: usize, future: F) {
        let wakes = Arc::new(SlotWaker {
            index,
            is_queued: AtomicBool::new(false),
            woken: Arc::clone(&self.woken),
        });
        wakes.queue();
        let waker = Waker::from(Arc::clone(&wakes));
        let future = Box::pin(future);
        self.slots[index] = Some(Slot {
            future,
            wakes,
            waker,
        });
        self.left += 1;
    }

    /// Waits for the next future to end; `None` when none is left, or when the time is over.
    pub(super) async fn next_until(
        &mut self,
        mut timeout: Option<&mut Pin<Box<Sleep>>>,
    ) -> Option<(usize, Ended<F::Output>)> {
        poll_fn(|cx| match (self.poll_next(cx), &mut timeout) {
            (Poll::Pending, Some(timeout)) => timeout.as_mut().poll(cx).map(|()| None),
            (polled, _) => polled,
        })
        .await
    }

    /// Drops the futures that have not ended.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.left = 0;
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Ended<F::Output>)>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        // Those that wake themselves while they are polled wait until the others have had their turn.
        for _ in 0..self.slots.len() {
            let Some(index) = self.next_woken(cx) else {
                return Poll::Pending;
            };
            let Some(slot) = self.slots[index].as_mut() else {
                continue;
            };
            // A swap, so that what was written before a wake that came in between is seen by this poll.
            slot.wakes.is_queued.swap(false, Ordering::AcqRel);
            let mut slot_cx = Context::from_waker(&slot.waker);
            let ended = match panics::contain(|| slot.future.as_mut().poll(&mut slot_cx)) {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(panic) => Err(panic),
            };
            self.left -= 1;
            panics::drop_contained(self.slots[index].take());
            return Poll::Ready(Some((index, ended)));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next future to poll; if there is none, this task is woken when there is one.
    fn next_woken(&self, cx: &Context<'_>) -> Option<usize> {
        if let Some(index) = self.woken.lock().indices.pop_front() {
            return Some(index);
        }
        let waker = cx.waker().clone();
        let mut queue = self.woken.lock();
        let index = queue.indices.pop_front();
        let old = match index {
            Some(_) => Some(waker),
            None => queue.waker.replace(waker),
        };
        drop(queue);
        drop(old);
        index
    }
}
