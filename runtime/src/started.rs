//! Calls that are started now, and whose results are collected later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use crate::blocking;
use crate::error::{Failure, Fault, Result};
use crate::sync::{Mutex, MutexGuard};
use crate::task::{self, AbortHandle};
use crate::{FaultKind, Outcome};

/// Something that was started and goes on by itself: a call, a batch, or any future.
///
/// Its result is awaited, or passed on by [`then`](Started::then). One that is dropped goes on; if it fails and nobody has
/// looked at its error, the error is logged.
///
/// # Cancel safety
///
/// Dropping it cancels nothing; [`cancel`](Started::cancel) does.
///
/// # Examples
///
/// ```
/// # use farref::prelude::*;
/// # #[expose]
/// # trait Squares {
/// #     fn square(&self, n: u32) -> u32;
/// # }
/// # struct Table;
/// # impl Squares for Table {
/// #     fn square(&self, n: u32) -> u32 { n * n }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// # let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// # let uri = daemon.register("squares", SquaresProxy::new(Table))?;
/// # let squares: SquaresProxy = farref::connect(&uri).await?;
/// let started = squares.square(3).start();
/// // ... something else ...
/// assert_eq!(started.await?, 9);
///
/// let other = squares.clone();
/// let chain = squares.square(2).start().then(|four| async move { other.square(four).await });
/// assert_eq!(chain.await?, 16);
/// # Ok(())
/// # }
/// ```
pub struct Started<T, X: Failure<T>> {
    shared: Arc<Shared<T, X>>,
}

struct Shared<T, X: Failure<T>> {
    state: Mutex<State<T, X>>,
    /// Whether somebody has looked at its error, or will.
    is_observed: bool,
    /// Told at the end.
    ended: Notify,
    task: OnceLock<AbortHandle>,
}

enum State<T, X> {
    Running {
        waker: Option<Waker>,
        is_dropped: bool,
    },
    Ended(Result<T, X>),
    /// The result was taken, or nobody wants it.
    Over,
}

impl<T, X: Failure<T>> Shared<T, X> {
    /// Tells of an error that nobody has looked at.
    fn log(&self, error: &X) {
        if self.is_observed {
            return;
        }
        match error.as_fault() {
            Some(fault) => {
                tracing::warn!(%fault, "something that was started failed, and nobody looked at its error")
            }
            None => tracing::warn!(
                "a call that was started returned an error of its own, and nobody looked at it"
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T, X>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, result: Result<T, X>) {
        let mut state = self.lock();
        let waker = match &mut *state {
            State::Running {
                is_dropped: true, ..
            } => {
                *state = State::Over;
                drop(state);
                if let Err(error) = &result {
                    self.log(error);
                }
                return;
            }
            State::Running { waker, .. } => waker.take(),
            State::Ended(_) | State::Over => return,
        };
        *state = State::Ended(result);
        drop(state);
        self.ended.notify_waiters();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Ends what was started when its task is gone, be it cancelled or its runtime.
struct Ending<T, X: Failure<T>>(Arc<Shared<T, X>>);

impl<T, X: Failure<T>> Drop for Ending<T, X> {
    fn drop(&mut self) {
        if !matches!(*self.0.lock(), State::Running { .. }) {
            return;
        }
        let fault = Fault::new(
            FaultKind::Cancelled,
            Outcome::Unknown,
            "what was started was cancelled before it had ended",
        );
        self.0.end(Err(fault.into()));
    }
}

/// Starts a future, which goes on by itself: what [`Call::start`](crate::Call::start) is for calls.
///
/// Without a runtime it runs on the one in the background; see [`mod@crate::blocking`].
pub fn start<T, X>(future: impl Future<Output = Result<T, X>> + Send + 'static) -> Started<T, X>
where
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    start_with(future, false)
}

fn start_with<T, X>(
    future: impl Future<Output = Result<T, X>> + Send + 'static,
    is_observed: bool,
) -> Started<T, X>
where
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    let shared = Arc::new(Shared {
        is_observed,
        state: Mutex::new(State::Running {
            waker: None,
            is_dropped: false,
        }),
        ended: Notify::new(),
        task: OnceLock::new(),
    });
    let ended = Arc::clone(&shared);
    // A call that can be sent at once is in order with those that follow.
    let started = task::start_now(async move {
        let ending = Ending(ended);
        let result = future.await;
        ending.0.end(result);
    });
    match started {
        Ok(task) => {
            let _ = task.map(|task| shared.task.set(task.abort_handle()));
        }
        Err(fault) => shared.end(Err(fault.into())),
    }
    Started { shared }
}

impl<T, X: Failure<T>> Started<T, X> {
    /// Whether it has ended.
    pub fn is_ready(&self) -> bool {
        !matches!(*self.shared.lock(), State::Running { .. })
    }

    /// Waits until it has ended, but not longer than this. Returns whether it has.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn ready_within(&self, timeout: Duration) -> bool {
        let ended = async {
            loop {
                let mut ended = std::pin::pin!(self.shared.ended.notified());
                ended.as_mut().enable();
                if self.is_ready() {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(timeout, ended).await.is_ok()
    }

    /// Cancels it. Awaited, it fails with `Cancelled`, unless it has ended before.
    pub fn cancel(&self) {
        if let Some(task) = self.shared.task.get() {
            task.abort();
        }
    }

    /// Waits for the result on this thread; see [`Call::wait`](crate::Call::wait).
    ///
    /// # Errors
    ///
    /// As awaiting it; and `Misuse`, `NotStarted`, on a thread that drives a runtime.
    pub fn wait(self) -> Result<T, X> {
        blocking::wait(self)?
    }

    /// Waits on this thread until it has ended, but not longer than this. Returns whether it has.
    ///
    /// # Errors
    ///
    /// `Misuse`, `NotStarted`, on a thread that drives a runtime.
    pub fn wait_ready(&self, timeout: Duration) -> Result<bool> {
        blocking::wait(self.ready_within(timeout))
    }
}

impl<T, X> Started<T, X>
where
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    /// Goes on with the result, when it is there, whether or not anybody awaits what comes of it. An error is passed on.
    ///
    /// The steps of a chain run one after the other. On a result that is there already the next begins at once.
    pub fn then<U, F, N>(self, next: F) -> Started<U, X>
    where
        U: Send + 'static,
        X: Failure<U>,
        F: FnOnce(T) -> N + Send + 'static,
        N: Future<Output = Result<U, X>> + Send + 'static,
    {
        let is_observed = self.shared.is_observed;
        start_with(async move { next(self.await?).await }, is_observed)
    }

    /// Looks at the error, if there is one, when it is there. It is not logged then, and is still what this fails with.
    pub fn on_error(self, look: impl FnOnce(&X) + Send + 'static) -> Started<T, X> {
        let looked = async move {
            let result = self.await;
            if let Err(error) = &result {
                look(error);
            }
            result
        };
        start_with(looked, true)
    }
}

impl<T, X: Failure<T>> Future for Started<T, X> {
    type Output = Result<T, X>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        match &mut *state {
            State::Running { waker, .. } => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            ended => match std::mem::replace(ended, State::Over) {
                State::Ended(result) => Poll::Ready(result),
                _ => {
                    let fault = Fault::new(
                        FaultKind::Misuse,
                        Outcome::Unknown,
                        "what was started was polled again after it had ended",
                    );
                    Poll::Ready(Err(fault.into()))
                }
            },
        }
    }
}

impl<T, X: Failure<T>> Drop for Started<T, X> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        match &mut *state {
            State::Running { is_dropped, .. } => *is_dropped = true,
            ended => {
                let over = std::mem::replace(ended, State::Over);
                drop(state);
                if let State::Ended(Err(error)) = &over {
                    self.shared.log(error);
                }
            }
        }
    }
}

impl<T, X: Failure<T>> fmt::Debug for Started<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_ready() {
            "ended"
        } else {
            "under way"
        };
        write!(f, "Started({state})")
    }
}
