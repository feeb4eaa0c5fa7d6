//! Who is sent first of those that call an object before it is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// The turns of calls to an object that is not found yet: those that asked for it first are sent first.
#[derive(Default)]
pub(crate) struct Turns {
    lock: Arc<Mutex<()>>,
    /// How many have or want a turn.
    taken: Arc<AtomicUsize>,
}

impl Turns {
    /// Whether anybody has or wants a turn.
    pub(crate) fn are_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire) > 0
    }

    /// Waits for a turn.
    pub(super) async fn take(&self) -> Turn {
        let taken = Taken::new(&self.taken);
        let guard = Arc::clone(&self.lock).lock_owned().await;
        Turn {
            _guard: guard,
            _taken: taken,
        }
    }
}

/// Somebody who is finding an object and has not sent its call yet.
struct Taken(Arc<AtomicUsize>);

impl Taken {
    fn new(taken: &Arc<AtomicUsize>) -> Self {
        taken.fetch_add(1, Ordering::AcqRel);
        Taken(Arc::clone(taken))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The turn to send the next call to an object that was just found.
pub(crate) struct Turn {
    _guard: OwnedMutexGuard<()>,
    _taken: Taken,
}
