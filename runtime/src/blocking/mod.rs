//! Calling and serving without `async`, from any thread.
//!
//! [`connect`] and [`bind`] begin. `GreeterBlocking`, which `#[expose]` writes for a trait `Greeter`, has the trait's
//! methods, which return when their calls have ended; and any call is a value with a method [`wait`](crate::Call::wait)
//! instead of `.await`. The
//! thread that waits need not know of a runtime: where there is none, farref starts its own, with one thread in the
//! background, which does the I/O and runs the handlers of objects that are not pinned. It is started by the first thing
//! that needs it and lasts as long as the process; what is still unwritten when `main` returns is lost, so end with a
//! call that is answered, or wait for [`Client::close`](crate::Client::close).
//!
//! ```
//! use farref::prelude::*;
//!
//! #[expose]
//! trait Greeter {
//!     fn greet(&self, name: &str) -> String;
//! }
//!
//! struct Polite;
//!
//! impl Greeter for Polite {
//!     fn greet(&self, name: &str) -> String {
//!         format!("good day, {name}")
//!     }
//! }
//!
//! fn main() -> farref::Result<()> {
//!     let daemon = farref::blocking::bind("far://127.0.0.1:0")?;
//!     let uri = daemon.register("greeter", GreeterProxy::new(Polite))?;
//!
//!     let greeter: GreeterBlocking = farref::blocking::connect(&uri)?;
//!     assert_eq!(greeter.greet("Ada")?, "good day, Ada");
//!
//!     let greeter: GreeterProxy = farref::blocking::connect(&uri)?;
//!     assert_eq!(greeter.greet("Bob").wait()?, "good day, Bob");
//!     Ok(())
//! }
//! ```
//!
//! # Callbacks on the thread that waits
//!
//! An object that was pinned on a thread without a runtime, by the constructor `pinned` which `#[expose(local)]` writes,
//! is served by that thread alone: whenever it waits for something, or calls [`poll_once`]. So a callback made on behalf
//! of a call runs on the thread that made the call. A handler may wait in its turn, and its thread goes on serving while
//! it does: A calls B, B calls A, A calls B, and no thread is started for it.
//!
//! ```
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! use farref::prelude::*;
//!
//! #[expose(local)]
//! trait Progress {
//!     fn percent(&self, percent: u32);
//! }
//!
//! #[expose]
//! trait Worker {
//!     async fn work(&self, progress: ProgressProxy) -> Result<(), String>;
//! }
//!
//! # struct Machine;
//! # impl Worker for Machine {
//! #     async fn work(&self, progress: ProgressProxy) -> Result<(), String> {
//! #         for percent in [50, 100] {
//! #             progress.percent(percent).await.map_err(|fault| fault.to_string())?;
//! #         }
//! #         Ok(())
//! #     }
//! # }
//! #
//! /// Not `Send`: it never leaves its thread.
//! struct Bar(Rc<Cell<u32>>);
//!
//! impl LocalProgress for Bar {
//!     fn percent(&self, percent: u32) {
//!         self.0.set(percent);
//!     }
//! }
//!
//! # let daemon = farref::blocking::bind("far://127.0.0.1:0")?;
//! # let uri = daemon.register("worker", WorkerProxy::new(Machine))?;
//! let worker: WorkerProxy = farref::blocking::connect(&uri)?;
//! let shown = Rc::new(Cell::new(0));
//! worker.work(ProgressProxy::pinned(Bar(Rc::clone(&shown)))).wait().unwrap();
//! assert_eq!(shown.get(), 100);
//! # Ok::<(), Fault>(())
//! ```
//!
//! The same holds for an object that is not pinned, where it is called on behalf of a call that a thread waits for by
//! [`Call::wait`](crate::Call::wait) or through a blocking proxy: its handler runs on that thread, also one that is marked
//! `#[blocking]`. What nobody waits for, an oneway or a call that was made by a task apart, runs in the runtime, and so does the rest of
//! a handler that is not done when the call is.
//!
//! While a handler waits, whatever else arrives is served within that wait, on top of it on the stack. The handler goes
//! on when what it waits for is there *and* those on top of it have ended. [`Call::reentrant`](crate::Call::reentrant)
//! makes a thread serve nobody while it waits for a call; what would then wait for ever is refused.
//!
//! # In an event loop
//!
//! A thread that has a loop of its own, a GUI's main thread say, serves when there is something to serve: [`notify`] names
//! a function that wakes the loop, and the loop then calls [`poll_once`]. The example `mainthread` shows it.
//!
//! # Not within async code
//!
//! On a thread that drives a runtime, waiting would keep everything else there from going on, maybe what it waits for too.
//! It fails with [`Misuse`](crate::FaultKind::Misuse) there, at once; `.await` the call instead. Threads of
//! `spawn_blocking` and handlers marked `#[blocking]` may wait. Code that tokio's `unconstrained` polls is not recognised.

mod background;
mod executor;
mod proxy;
mod visiting;

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::runtime::{EnterGuard, Handle};

use crate::context::{CallName, Scope};
use crate::error::{Fault, Result};
use crate::serial::{Held, Holder};
use crate::uri::{Uri, UriError};
use crate::{Daemon, FaultKind, Outcome};

pub(crate) use executor::{door, is_running, spawn};
pub use proxy::{BlockingProxy, Connect, Items};
pub(crate) use visiting::at_home;

/// Connects to the object at this URI and makes sure that it is there: [`farref::connect`](crate::connect), waited for.
///
/// What it returns is a proxy, or one whose calls are waited for: `let jukebox: JukeboxBlocking = connect(uri)?`.
///
/// # Errors
///
/// As [`farref::connect`](crate::connect); and `Misuse` within async code.
pub fn connect<C: Connect>(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<C> {
    let proxy = wait(crate::connect::<C::Proxy>(uri))??;
    Ok(C::connected(proxy))
}

/// Starts a daemon that listens at this URI: [`Daemon::bind`], waited for.
///
/// Its connections and the handlers of objects that are not pinned run on the thread in the background. There as
/// everywhere, handlers that block belong under `#[blocking]`. For more than the defaults, wait for a builder's `bind`.
///
/// # Errors
///
/// As [`Daemon::bind`]; and `Misuse` within async code.
pub fn bind(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<Daemon> {
    wait(Daemon::bind(uri))?
}

/// Waits on this thread until `future` ends, and serves the objects that are pinned to the thread meanwhile.
///
/// Any future will do, also one that needs tokio: `wait(daemon.stopped())` serves until the daemon is shut down.
///
/// # Errors
///
/// `Misuse`, `NotStarted`, on a thread that drives a runtime; nothing was polled then.
pub fn wait<F: Future>(future: F) -> Result<F::Output> {
    let _begun = begin()?;
    Ok(drive(future, true))
}

/// Waits for a call, and serves what is called on its behalf, too.
pub(crate) fn wait_for_call<F: Future>(call: F) -> Result<F::Output> {
    let _begun = begin()?;
    // Outside any call, one stands for all that comes of this.
    let scope = Scope::current().unwrap_or_default();
    let _entered = scope.enter();
    let _here = visiting::Here::begin(&scope).ok_or_else(ending)?;
    Ok(drive(call, true))
}

/// Waits as [`wait`] does, but not longer than this. The future is dropped then.
///
/// A call has a timeout of its own, which travels with it: [`Call::timeout`](crate::Call::timeout).
///
/// # Errors
///
/// As [`wait`]; and `DeadlineExceeded`. A handler that is being served is not interrupted.
pub fn wait_timeout<F: Future>(future: F, timeout: Duration) -> Result<F::Output> {
    let _begun = begin()?;
    let until = Instant::now().checked_add(timeout);
    drive_until(pin!(future), until, true).ok_or_else(timed_out)
}

/// Serves what has arrived for the objects that are pinned to this thread, without waiting for more. Returns whether
/// there was anything to do.
///
/// # Errors
///
/// `Misuse`, on a thread that drives a runtime.
pub fn poll_once() -> Result<bool> {
    let _begun = begin()?;
    let ran = executor::run_ready();
    executor::notify_of_the_rest();
    Ok(ran)
}

/// Has `wake` called, on any thread, when there is something for [`poll_once`] to do on this one.
///
/// It is called once for any number of things to do, and again if some are left after [`poll_once`]. It should only wake
/// the loop of this thread, by sending it a message for instance. A second one replaces the first.
pub fn notify(wake: impl Fn() + Send + Sync + 'static) {
    executor::set_notify(Some(Arc::new(wake)));
}

/// Gives this thread a task, which need not be `Send` and runs whenever the thread waits or calls [`poll_once`].
///
/// What is left of it when the thread ends is dropped there.
pub fn spawn_local(future: impl Future<Output = ()> + 'static) {
    spawn(future);
}

/// Waits for a call, and serves nobody meanwhile.
pub(crate) fn wait_closed<F: Future>(future: F, call: CallName) -> Result<F::Output> {
    let _begun = begin()?;
    // Outside any call, one stands for all that comes of this.
    let scope = Scope::current().unwrap_or_default();
    let _entered = scope.enter();
    let _closed = Closed::by(call)?;
    let _shut = executor::Shut::begin().ok_or_else(ending)?;
    Ok(drive(future, false))
}

/// The closed door of this thread, until it is dropped.
struct Closed {
    door: Arc<Held>,
    before: Option<Holder>,
}

impl Closed {
    fn by(call: CallName) -> Result<Self> {
        let door = executor::door().ok_or_else(ending)?;
        let before = door.hold(call);
        Ok(Closed { door, before })
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.door.give_back(self.before.take());
    }
}

/// Polls `future` until it ends, and the tasks of this thread if it `serves`.
fn drive<F: Future>(future: F, serves: bool) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Some(output) = drive_until(future.as_mut(), None, serves) {
            return output;
        }
    }
}

/// The same, on a thread that serves already.
pub(crate) fn drive_within<F: Future>(future: F) -> F::Output {
    drive(future, true)
}

/// The same. Returns nothing when time is up.
fn drive_until<F: Future>(
    mut future: Pin<&mut F>,
    until: Option<Instant>,
    serves: bool,
) -> Option<F::Output> {
    let waiting = Arc::new(Waiting {
        thread: std::thread::current(),
        is_woken: AtomicBool::new(true),
    });
    let waker = Waker::from(Arc::clone(&waiting));
    loop {
        let is_woken = waiting.is_woken.swap(false, Ordering::AcqRel);
        if is_woken
            && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return Some(output);
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        // Whatever code of others just ran may have used up the sign to go on, so only who ran none may sleep.
        if serves && executor::run_ready() || is_woken {
            continue;
        }
        match left {
            Some(left) => std::thread::park_timeout(left),
            None => std::thread::park(),
        }
    }
}

/// Wakes a thread that waits for a future.
struct Waiting {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Enters the runtime in the background, for code that has no runtime and does not wait.
pub(crate) fn enter() -> Result<EnterGuard<'static>> {
    background::enter()
}

/// Makes sure that this thread may wait, and that there is a runtime.
fn begin() -> Result<Begun> {
    if !is_running() && drives_a_runtime() {
        return Err(misuse(
            "this thread drives a runtime, which waiting would stop; `.await` the call instead, or wait on a thread of \
             `spawn_blocking` or in a `#[blocking]` method",
        ));
    }
    let running = executor::Running::begin().ok_or_else(ending)?;
    let entered = match Handle::try_current() {
        Ok(_) => None,
        Err(error) if error.is_thread_local_destroyed() => return Err(ending()),
        Err(_) => Some(background()?),
    };
    Ok(Begun {
        _running: running,
        _entered: entered,
    })
}

/// What a thread holds while it waits.
struct Begun {
    _running: executor::Running,
    _entered: Option<EnterGuard<'static>>,
}

fn ending() -> Fault {
    misuse("this thread is ending and cannot wait any more")
}

fn misuse(message: &str) -> Fault {
    Fault::not_started(FaultKind::Misuse, message)
}

fn timed_out() -> Fault {
    let message = "the time for waiting is over; what was waited for may have run";
    Fault::new(FaultKind::DeadlineExceeded, Outcome::Unknown, message)
}

thread_local! {
    /// Whether this thread serves a `#[blocking]` method.
    static SERVES_BLOCKING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a `#[blocking]` method, which may wait.
pub(crate) fn allow<R>(run: impl FnOnce() -> R) -> R {
    struct Allowed(bool);
    impl Drop for Allowed {
        fn drop(&mut self) {
            SERVES_BLOCKING.set(self.0);
        }
    }
    let _allowed = Allowed(SERVES_BLOCKING.replace(true));
    run()
}

/// Whether this code is polled by an executor of tokio.
fn drives_a_runtime() -> bool {
    if Handle::try_current().is_err() || SERVES_BLOCKING.get() {
        return false;
    }
    // Handlers are first polled without a budget.
    Scope::is_current() || has_a_budget()
}

/// Whether tokio counts the steps of this code.
///
/// Tokio knows whether its thread may be blocked, but tells only by a panic. It gives everything that its executors poll
/// a budget of steps, at most 255 of them, and code on threads for blocking has none. Using a task's budget up costs the
/// task nothing but its turn at its next await.
fn has_a_budget() -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    (0..=u8::MAX).any(|_| {
        pin!(tokio::task::consume_budget())
            .poll(&mut cx)
            .is_pending()
    })
}

/// Makes the runtime in the background the current one.
pub(crate) fn background() -> Result<tokio::runtime::EnterGuard<'static>> {
    background::enter()
}
