//! Handlers that run on the thread that waits for the call on whose behalf they are called.
//!
//! A thread that waits for a call is known by the call's chain. A call of that chain that comes back is handed to it, as to the
//! thread of a pinned object. Its handler may go to any thread, so what is left of it when the thread does not wait any more goes
//! on in the runtime.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use farref_proto::{ChainId, FaultKind};
use tokio::sync::oneshot;

use super::executor::{self, Inbox};
use crate::Outcome;
use crate::context::Scope;
use crate::dispatch::HandlerFuture;
use crate::error::Fault;
use crate::local::Serving;

/// The threads that wait, by the chain of the call that each waits for, the innermost wait last.
static WAITS: LazyLock<Mutex<Waits>> = LazyLock::new(Mutex::default);

type Waits = HashMap<ChainId, Vec<Wait>>;

/// A thread, and how deep in its chain the call is that it waits for. What that brings about lies deeper.
struct Wait {
    depth: u16,
    inbox: Arc<Inbox>,
}

/// How many there are: with none, no handler looks for one.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn waits() -> MutexGuard<'static, Waits> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that this thread waits for a call of a chain, until it is dropped.
pub(super) struct Here {
    chain: ChainId,
    depth: u16,
    inbox: Arc<Inbox>,
}

impl Here {
    /// `None` if the thread is ending.
    pub(super) fn begin(scope: &Scope) -> Option<Self> {
        let chain = scope.chain();
        let depth = scope.depth.saturating_add(scope.is_served.into());
        let inbox = executor::inbox()?;
        inbox.open();
        COUNT.fetch_add(1, Ordering::SeqCst);
        let mut waits = waits();
        waits.entry(chain).or_default().push(Wait {
            depth,
            inbox: Arc::clone(&inbox),
        });
        drop(waits);
        Some(Here {
            chain,
            depth,
            inbox,
        })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let mut waits = waits();
        if let Some(threads) = waits.get_mut(&self.chain) {
            let here = threads.iter().rposition(|wait| {
                wait.depth == self.depth && Arc::ptr_eq(&wait.inbox, &self.inbox)
            });
            here.map(|here| threads.remove(here));
            if threads.is_empty() {
                waits.remove(&self.chain);
            }
        }
        drop(waits);
        COUNT.fetch_sub(1, Ordering::SeqCst);
        executor::leave(&self.inbox);
    }
}

/// The same handler, on the thread that waits for the call on whose behalf it is called, if there is one.
pub(crate) fn at_home(
    scope: &Arc<Scope>,
    runs_to_its_end: bool,
    future: HandlerFuture,
) -> HandlerFuture {
    if COUNT.load(Ordering::SeqCst) == 0 {
        return future;
    }
    let thread = scope.chain.get().and_then(|chain| {
        let waits = waits();
        let mut waits = waits.get(chain)?.iter().rev();
        let wait = waits.find(|wait| wait.depth < scope.depth)?;
        Some(Arc::clone(&wait.inbox))
    });
    let Some(thread) = thread else {
        return future;
    };
    let (reply, answered) = oneshot::channel();
    let serving = Serving::new(future, Arc::clone(scope), runs_to_its_end, reply);
    // Handed over at once, so that calls start in the order in which they came.
    let refused = thread.visit(Box::pin(serving)).err();
    Box::pin(async move {
        if let Some(serving) = refused {
            serving.await;
        }
        answered.await.map_err(|_| {
            Fault::new(
                FaultKind::Cancelled,
                Outcome::Unknown,
                "the thread that served the call has ended",
            )
        })?
    })
}
