//! The tasks of one thread, which it runs while it waits.
//!
//! Waits nest: a task may wait in the middle of being polled, and the thread then goes on with its other tasks from
//! there. The one that is being polled is out of its slot, so nobody enters it twice; what wakes it meanwhile is noted.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use crate::context::Scope;
use crate::panics;
use crate::serial::Held;
use crate::task;

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A task that may go on elsewhere when this thread waits no more.
pub(super) type Visitor = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Task {
    Local(LocalFuture),
    Visitor(Visitor),
}

impl Task {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Task::Local(future) => future.as_mut().poll(cx),
            Task::Visitor(future) => future.as_mut().poll(cx),
        }
    }
}

/// What an event loop is told when this thread has something to do.
pub(super) type Notify = Arc<dyn Fn() + Send + Sync>;

thread_local! {
    static TASKS: Tasks = Tasks {
        slots: RefCell::default(),
        next: Cell::new(0),
        running: Cell::new(0),
        inbox: Arc::new(Inbox {
            thread: std::thread::current(),
            woken: Mutex::default(),
        }),
        door: Arc::default(),
    };
}

/// The tasks of a thread. Those left when it ends are dropped with it.
struct Tasks {
    slots: RefCell<HashMap<u64, Slot>>,
    next: Cell<u64>,
    /// How many waits of this thread are under way, one within the other.
    running: Cell<usize>,
    inbox: Arc<Inbox>,
    /// Held while the thread waits and serves nobody.
    door: Arc<Held>,
}

enum Slot {
    Idle(Task, Arc<TaskWaker>),
    /// Being polled, further out on this thread's stack.
    Polled {
        woken_again: bool,
    },
}

/// Where other threads say that a task can go on.
pub(super) struct Inbox {
    thread: Thread,
    woken: Mutex<Woken>,
}

#[derive(Default)]
struct Woken {
    tasks: VecDeque<u64>,
    /// Tasks that have come and are not among those of the thread yet.
    visitors: VecDeque<Visitor>,
    /// How many waits take visitors.
    open: usize,
    /// How many waits take none, whatever those around them do.
    closed: usize,
    notify: Option<Notify>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Woken> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes visitors from now on.
    pub(super) fn open(&self) {
        self.lock().open += 1;
    }

    /// Gives the thread a task, if it takes any.
    pub(super) fn visit(&self, visitor: Visitor) -> Result<(), Visitor> {
        let mut woken = self.lock();
        if woken.open == 0 || woken.closed > 0 {
            return Err(visitor);
        }
        woken.visitors.push_back(visitor);
        drop(woken);
        self.thread.unpark();
        Ok(())
    }

    fn push(&self, task: u64) {
        let notify = {
            let mut woken = self.lock();
            woken.tasks.push_back(task);
            let is_first = woken.tasks.len() == 1;
            woken.notify.clone().filter(|_| is_first)
        };
        self.thread.unpark();
        if let Some(notify) = notify {
            notify();
        }
    }
}

struct TaskWaker {
    inbox: Arc<Inbox>,
    task: u64,
    is_queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.inbox.push(self.task);
        }
    }
}

/// Says that this thread runs its tasks, until it is dropped.
pub(super) struct Running(());

impl Running {
    /// `None` if the thread is ending.
    pub(super) fn begin() -> Option<Self> {
        let begun = TASKS.try_with(|tasks| tasks.running.set(tasks.running.get() + 1));
        begun.ok().map(|()| Running(()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = TASKS.try_with(|tasks| tasks.running.set(tasks.running.get() - 1));
    }
}

/// Whether this thread is in a wait, be it further out on its stack.
pub(crate) fn is_running() -> bool {
    TASKS
        .try_with(|tasks| tasks.running.get() > 0)
        .unwrap_or(false)
}

/// What is held while this thread waits and serves nobody; `None` if the thread is ending.
pub(crate) fn door() -> Option<Arc<Held>> {
    TASKS.try_with(|tasks| Arc::clone(&tasks.door)).ok()
}

/// Where others say what this thread is to do; `None` if the thread is ending.
pub(super) fn inbox() -> Option<Arc<Inbox>> {
    TASKS.try_with(|tasks| Arc::clone(&tasks.inbox)).ok()
}

/// Takes no visitors for one wait less; after the last, those that are left go on in the runtime.
pub(super) fn leave(inbox: &Arc<Inbox>) {
    let mut woken = inbox.lock();
    woken.open -= 1;
    if woken.open > 0 {
        return;
    }
    let mut left = std::mem::take(&mut woken.visitors);
    drop(woken);
    let _ = TASKS.try_with(|tasks| {
        let mut slots = tasks.slots.borrow_mut();
        let is_visitor = |_: &u64, slot: &mut Slot| matches!(slot, Slot::Idle(Task::Visitor(_), _));
        for (_, slot) in slots.extract_if(is_visitor) {
            if let Slot::Idle(Task::Visitor(visitor), _) = slot {
                left.push_back(visitor);
            }
        }
    });
    for visitor in left {
        task::spawn(visitor);
    }
}

/// Takes no visitors until it is dropped.
pub(super) struct Shut(Arc<Inbox>);

impl Shut {
    /// `None` if the thread is ending.
    pub(super) fn begin() -> Option<Self> {
        let inbox = inbox()?;
        inbox.lock().closed += 1;
        Some(Shut(inbox))
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        self.0.lock().closed -= 1;
    }
}

/// Gives this thread a task, which runs when the thread waits.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    add(Task::Local(Box::pin(future)));
}

fn add(task: Task) {
    let waker = TASKS.try_with(|tasks| {
        let number = tasks.next.replace(tasks.next.get() + 1);
        let waker = Arc::new(TaskWaker {
            inbox: Arc::clone(&tasks.inbox),
            task: number,
            is_queued: AtomicBool::new(false),
        });
        let slot = Slot::Idle(task, Arc::clone(&waker));
        tasks.slots.borrow_mut().insert(number, slot);
        waker
    });
    // A thread that ends takes no more tasks.
    if let Ok(waker) = waker {
        waker.wake_by_ref();
    }
}

/// Has `notify` called whenever the first of some tasks can go on.
pub(super) fn set_notify(notify: Option<Notify>) {
    let replaced = TASKS.try_with(|tasks| {
        let mut woken = tasks.inbox.lock();
        let is_due = !woken.tasks.is_empty();
        (std::mem::replace(&mut woken.notify, notify.clone()), is_due)
    });
    if let Ok((_, true)) = replaced
        && let Some(notify) = notify
    {
        notify();
    }
}

/// Says again that there is something to do, if there is.
pub(super) fn notify_of_the_rest() {
    let notify = TASKS.try_with(|tasks| {
        let woken = tasks.inbox.lock();
        woken.notify.clone().filter(|_| !woken.tasks.is_empty())
    });
    if let Ok(Some(notify)) = notify {
        notify();
    }
}

/// Polls each task that could go on when this was called, and returns whether there was one.
pub(super) fn run_ready() -> bool {
    let visitors = TASKS.try_with(|tasks| std::mem::take(&mut tasks.inbox.lock().visitors));
    for visitor in visitors.into_iter().flatten() {
        add(Task::Visitor(visitor));
    }
    let count = TASKS.try_with(|tasks| tasks.inbox.lock().tasks.len());
    let mut ran = false;
    for _ in 0..count.unwrap_or(0) {
        let next = TASKS.try_with(|tasks| tasks.inbox.lock().tasks.pop_front());
        // A wait within one of the tasks may have run the others.
        let Ok(Some(task)) = next else { break };
        ran = true;
        run(task);
    }
    ran
}

fn run(task: u64) {
    let Some((mut future, waker)) = take(task) else {
        return;
    };
    waker.is_queued.store(false, Ordering::Release);
    let polled = {
        // Of whatever call this thread serves further out, the task knows nothing.
        let _left = Scope::leave();
        panics::contain(|| {
            let waker = Waker::from(Arc::clone(&waker));
            future.poll(&mut Context::from_waker(&waker))
        })
    };
    if let Ok(Poll::Pending) = polled {
        put_back(task, future, waker);
        return;
    }
    let _ = TASKS.try_with(|tasks| tasks.slots.borrow_mut().remove(&task));
    if let Err(panic) = polled {
        let message = panics::message(&*panic);
        tracing::error!(message, "a task of a thread that waits panicked");
    }
    panics::drop_contained(future);
}

/// Takes a task out of its slot; `None` if it has ended, or is being polled.
fn take(task: u64) -> Option<(Task, Arc<TaskWaker>)> {
    let taken = TASKS.try_with(|tasks| {
        let mut slots = tasks.slots.borrow_mut();
        let slot = slots.get_mut(&task)?;
        let woken_again = matches!(slot, Slot::Polled { .. });
        match std::mem::replace(slot, Slot::Polled { woken_again }) {
            Slot::Idle(future, waker) => Some((future, waker)),
            Slot::Polled { .. } => None,
        }
    });
    taken.ok().flatten()
}

fn put_back(task: u64, future: Task, waker: Arc<TaskWaker>) {
    let _ = TASKS.try_with(|tasks| {
        let mut slots = tasks.slots.borrow_mut();
        let slot = slots.insert(task, Slot::Idle(future, waker));
        drop(slots);
        if let Some(Slot::Polled { woken_again: true }) = slot {
            tasks.inbox.push(task);
        }
    });
}
