//! The calls that wait to be started at one object of this process.
//!
//! A near oneway, and a near call that outlives its caller's borrow, is handed over here, and the caller goes on. One task
//! at a time starts what waits, in the order in which it came: it polls each once in place and moves those that stay
//! pending to tasks of their own. Calls that enter the object in another way wait until those before them have started.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::relay::{Relay, Turn};
use crate::serve::{Answer, Running};
use crate::task::{self, AbortHandle};

thread_local! {
    /// The queue that a call is being started from: it is what others wait for, and must not wait itself.
    static STARTING: Cell<usize> = const { Cell::new(0) };
}

pub(crate) struct StartQueue<A: Answer> {
    waiting: Relay<Waiting<A>>,
    /// Ordered oneways behind one that has not ended.
    ordered: Relay<Running<A>>,
    queued: AtomicU64,
    started: AtomicU64,
    progress: Notify,
}

struct Waiting<A: Answer> {
    call: Running<A>,
    spawn: bool,
    ordered: bool,
    cancel: Arc<Cancel>,
}

/// The way to cancel a call that waits or runs.
#[derive(Debug, Default)]
pub(crate) struct Cancel(Mutex<CancelState>);

#[derive(Debug, Default)]
enum CancelState {
    #[default]
    Waiting,
    Running(AbortHandle),
    Cancelled,
}

impl Cancel {
    fn lock(&self) -> MutexGuard<'_, CancelState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the end of the call.
    pub(crate) fn cancel(&self) {
        let state = std::mem::replace(&mut *self.lock(), CancelState::Cancelled);
        if let CancelState::Running(task) = state {
            task.abort();
        }
    }

    fn is_cancelled(&self) -> bool {
        matches!(*self.lock(), CancelState::Cancelled)
    }

    fn runs_in(&self, task: AbortHandle) {
        let mut state = self.lock();
        if matches!(*state, CancelState::Cancelled) {
            task.abort();
        } else {
            *state = CancelState::Running(task);
        }
    }
}

impl<A: Answer> Default for StartQueue<A> {
    fn default() -> Self {
        StartQueue {
            waiting: Relay::default(),
            ordered: Relay::default(),
            queued: AtomicU64::new(0),
            started: AtomicU64::new(0),
            progress: Notify::new(),
        }
    }
}

impl<A: Answer> StartQueue<A> {
    /// Hands a call over, to be started on this runtime.
    pub(crate) fn push(
        self: &Arc<Self>,
        runtime: &Handle,
        call: Running<A>,
        spawn: bool,
        ordered: bool,
    ) -> Arc<Cancel> {
        let cancel = Arc::new(Cancel::default());
        let waiting = Waiting {
            call,
            spawn,
            ordered,
            cancel: Arc::clone(&cancel),
        };
        self.queued.fetch_add(1, Ordering::AcqRel);
        if let Some(turn) = Turn::hand_over(self, |queue| &queue.waiting, waiting) {
            let mut starter = Starter {
                queue: Arc::clone(self),
                turn,
            };
            task::spawn_on(runtime, async move {
                while let Some(next) = starter.turn.next() {
                    // Each is as much as a task of its own would be.
                    tokio::task::consume_budget().await;
                    starter.queue.start(next);
                    starter.queue.started.fetch_add(1, Ordering::AcqRel);
                    starter.queue.progress.notify_waiters();
                }
            });
        }
        cancel
    }

    /// Waits until all calls have started that were handed over before this moment.
    pub(crate) async fn passed(&self) {
        let mark = self.queued.load(Ordering::Acquire);
        if self.started.load(Ordering::Acquire) >= mark || STARTING.get() == self.address() {
            return;
        }
        loop {
            let mut progress = std::pin::pin!(self.progress.notified());
            progress.as_mut().enable();
            if self.started.load(Ordering::Acquire) >= mark {
                return;
            }
            progress.await;
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn start(self: &Arc<Self>, next: Waiting<A>) {
        let Waiting {
            mut call,
            spawn,
            ordered,
            cancel,
        } = next;
        if cancel.is_cancelled() {
            drop(call);
            return;
        }
        if ordered {
            match self.ordered.behind(call) {
                Some(first) => call = first,
                None => return,
            }
        }
        if !spawn {
            // Panics in a handler do not come out here.
            let outer = STARTING.replace(self.address());
            let polled = call.poll_in_place();
            STARTING.set(outer);
            if let Poll::Ready(result) = polled {
                call.answer(result);
                return;
            }
        }
        if ordered {
            let mut turn = Turn::take(self, |queue| &queue.ordered);
            task::spawn(async move {
                let mut next = Some(call);
                while let Some(oneway) = next {
                    oneway.await;
                    next = turn.next();
                }
            });
        } else {
            cancel.runs_in(task::spawn(call).abort_handle());
        }
    }
}

/// The turn to start what waits. Dropped early, when the runtime ends, it takes along what waits.
struct Starter<A: Answer> {
    queue: Arc<StartQueue<A>>,
    turn: Turn<StartQueue<A>, Waiting<A>>,
}

impl<A: Answer> Drop for Starter<A> {
    fn drop(&mut self) {
        if self.turn.give_up() {
            let queued = self.queue.queued.load(Ordering::Acquire);
            self.queue.started.fetch_max(queued, Ordering::AcqRel);
            self.queue.progress.notify_waiters();
        }
    }
}

impl<A: Answer> fmt::Debug for StartQueue<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartQueue").finish_non_exhaustive()
    }
}
