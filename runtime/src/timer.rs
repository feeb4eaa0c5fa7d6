//! Timers: a callback that is called again and again.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Fault, Result};
use crate::task::AbortHandle;
use crate::{FaultKind, blocking, panics, task};

/// Says how often a callback is called, and when; [`every`] is the short form.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use farref::timer::{Schedule, TimerEnd};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// let timer = Schedule::every(Duration::from_millis(1))
///     .limit(3)
///     .call(|| async { println!("tick") })?;
/// assert_eq!(timer.ended().await, TimerEnd::Limit);
/// assert_eq!(timer.calls(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a schedule does nothing until it is given a callback"]
pub struct Schedule {
    interval: Duration,
    limit: Option<u64>,
    delay: Duration,
}

/// What a timer does after a call of its callback.
pub trait Tick {
    /// Whether the timer goes on.
    fn goes_on(self) -> ControlFlow<()>;
}

/// Goes on.
impl Tick for () {
    fn goes_on(self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Does as it says.
impl Tick for ControlFlow<()> {
    fn goes_on(self) -> ControlFlow<()> {
        self
    }
}

/// For a callback that calls a proxy: ends with the object or the session that it was for, and survives every other
/// fault, which is logged.
impl Tick for Result<()> {
    fn goes_on(self) -> ControlFlow<()> {
        match self {
            Ok(()) => ControlFlow::Continue(()),
            Err(fault)
                if matches!(
                    fault.kind(),
                    FaultKind::StaleReference | FaultKind::SessionLost
                ) =>
            {
                ControlFlow::Break(())
            }
            Err(fault) => {
                tracing::warn!(%fault, "a timer's callback failed");
                ControlFlow::Continue(())
            }
        }
    }
}

/// Why a timer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimerEnd {
    /// It was told to stop, or its runtime has ended.
    Stopped,
    /// It has called as often as its schedule says.
    Limit,
    /// Its callback said so, or whom it called is gone.
    Callback,
    /// Its callback panicked.
    Panicked,
}

/// A callback that is called again and again, until this is dropped.
#[must_use = "a timer stops when it is dropped"]
pub struct Timer {
    task: AbortHandle,
    state: Arc<State>,
    detached: bool,
}

struct State {
    calls: AtomicU64,
    end: watch::Sender<Option<TimerEnd>>,
}

impl State {
    fn end(&self, why: TimerEnd) {
        self.end.send_if_modified(|end| {
            let is_first = end.is_none();
            end.get_or_insert(why);
            is_first
        });
    }
}

/// Says that a timer has ended, however its task ends.
struct Running(Arc<State>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end(TimerEnd::Stopped);
    }
}

impl Schedule {
    /// Calls at once, and then again so long after each start of a call, or when that call has ended if it takes longer:
    /// what is late is not made up for.
    pub fn every(interval: Duration) -> Self {
        Schedule {
            interval,
            limit: None,
            delay: Duration::ZERO,
        }
    }

    /// Ends after so many calls.
    pub fn limit(mut self, calls: u64) -> Self {
        self.limit = Some(calls);
        self
    }

    /// Makes the first call not at once, but after this time.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Starts the timer, in the current tokio runtime, or where there is none in the one that runs in the background of
    /// programs without async.
    ///
    /// # Errors
    ///
    /// `Internal`, if there is no runtime and none can be started.
    pub fn call<F, T>(self, mut callback: F) -> Result<Timer>
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output: Tick> + Send + 'static,
    {
        self.run(Box::new(move || {
            let called = callback();
            Box::pin(async move { called.await.goes_on() })
        }))
    }

    /// In boxes, so that it is compiled here and not in each application.
    fn run(self, mut callback: Callback) -> Result<Timer> {
        let state = Arc::new(State {
            calls: AtomicU64::new(0),
            end: watch::Sender::new(None),
        });
        let running = Running(Arc::clone(&state));
        let run = async move {
            let state = &running.0;
            tokio::time::sleep(self.delay).await;
            let mut next = Instant::now();
            while self
                .limit
                .is_none_or(|limit| state.calls.load(Ordering::Relaxed) < limit)
            {
                tokio::time::sleep_until(next).await;
                next = Instant::now() + self.interval;
                state.calls.fetch_add(1, Ordering::Relaxed);
                match contained(&mut callback).await {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return state.end(TimerEnd::Callback),
                    Err(fault) => {
                        tracing::error!(%fault, "a timer ends");
                        return state.end(TimerEnd::Panicked);
                    }
                }
            }
            state.end(TimerEnd::Limit);
        };
        let task = match tokio::runtime::Handle::try_current() {
            Ok(_) => task::spawn(run),
            Err(_) => {
                let _entered = blocking::background()?;
                task::spawn(run)
            }
        };
        Ok(Timer {
            task: task.abort_handle(),
            state,
            detached: false,
        })
    }
}

type Call = Pin<Box<dyn Future<Output = ControlFlow<()>> + Send>>;
type Callback = Box<dyn FnMut() -> Call + Send>;

/// Calls, and makes a fault of a panic.
async fn contained(callback: &mut Callback) -> Result<ControlFlow<()>, Fault> {
    let report = |panic: Box<dyn std::any::Any + Send>| {
        panics::report(&"a timer's callback", &*panic, false)
    };
    let mut call = panics::contain(callback).map_err(report)?;
    let polled = std::future::poll_fn(|cx| match panics::contain(|| call.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(report(panic))),
    });
    polled.await
}

/// Calls `callback` at once, and again so long after each start of a call, or when that call has ended if it takes longer.
///
/// # Errors
///
/// As [`Schedule::call`].
pub fn every<F, T>(interval: Duration, callback: F) -> Result<Timer>
where
    F: FnMut() -> T + Send + 'static,
    T: Future<Output: Tick> + Send + 'static,
{
    Schedule::every(interval).call(callback)
}

impl Timer {
    /// How many calls have begun.
    pub fn calls(&self) -> u64 {
        self.state.calls.load(Ordering::Relaxed)
    }

    /// Stops it. A call under way is dropped at its next await.
    pub fn stop(&self) {
        self.state.end(TimerEnd::Stopped);
        self.task.abort();
    }

    /// Lets the timer go on when this is dropped, for as long as its runtime does.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Waits until the timer has ended, and says why.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn ended(&self) -> TimerEnd {
        let mut end = self.state.end.subscribe();
        // The timer itself holds the sender.
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| *end).unwrap_or(TimerEnd::Stopped)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if !self.detached {
            self.stop();
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}
