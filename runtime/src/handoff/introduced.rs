//! A reference to which this process was introduced: it leads to its object directly or through who introduced it, as is
//! decided before its first call.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use farref_proto::IncomingIntroduction;
use tokio::sync::Notify;

use super::claiming;
use crate::error::Result;
use crate::object::ObjectIdentity;
use crate::remote::{Bound, FarReference, Turns};
use crate::session::Counted;
use crate::task::{self, AbortHandle};

pub(crate) struct Introduced {
    pub(crate) identity: ObjectIdentity,
    pub(crate) interface: u32,
    /// The way through who introduced it, until something is chosen.
    through: Mutex<Option<Arc<Bound>>>,
    chosen: OnceLock<Arc<Bound>>,
    is_chosen: Notify,
    /// Calls that wait for the choice are sent one after the other, in their order.
    pub(crate) turns: Turns,
    /// Who tries to get a reference from the holder.
    task: OnceLock<AbortHandle>,
}

impl Introduced {
    pub(crate) fn new(identity: ObjectIdentity, through: Arc<Bound>) -> Self {
        Introduced {
            identity,
            interface: through.interface(),
            through: Mutex::new(Some(through)),
            chosen: OnceLock::new(),
            is_chosen: Notify::new(),
            turns: Turns::default(),
            task: OnceLock::new(),
        }
    }

    fn through(&self) -> MutexGuard<'_, Option<Arc<Bound>>> {
        self.through.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way that was chosen.
    pub(crate) fn chosen(&self) -> Option<&Arc<Bound>> {
        self.chosen.get()
    }

    /// Waits until a way is chosen.
    pub(crate) async fn choice(&self) -> Arc<Bound> {
        loop {
            let mut chosen = pin!(self.is_chosen.notified());
            chosen.as_mut().enable();
            if let Some(bound) = self.chosen.get() {
                return Arc::clone(bound);
            }
            chosen.await;
        }
    }

    /// Looks at the way that was chosen, or at the one that there is meanwhile.
    pub(crate) fn with_place<R>(&self, look: impl FnOnce(&Arc<Bound>) -> R) -> Option<R> {
        match self.chosen.get() {
            Some(bound) => Some(look(bound)),
            None => self.through().as_ref().map(look),
        }
    }

    /// Chooses the way that was found, or the one through who introduced it.
    fn choose(&self, direct: Result<Arc<Bound>>, grant: [u8; 16]) {
        if self.chosen.get().is_some() {
            return;
        }
        let through = match direct {
            Ok(direct) => {
                let _ = self.chosen.set(direct);
                let through = self.through().take();
                if let Some(through) = &through {
                    through.session.tell_claimed(grant);
                }
                through
            }
            Err(fault) => {
                tracing::debug!(%fault, "a reference leads through who passed it on");
                if let Some(through) = self.through().clone() {
                    let _ = self.chosen.set(through);
                }
                self.through().take()
            }
        };
        self.is_chosen.notify_waiters();
        drop(through);
    }
}

impl Drop for Introduced {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// An attempt to get a reference from its holder. Whatever ends it, something is chosen.
struct Following {
    reference: Weak<FarReference>,
    grant: [u8; 16],
    _counted: Counted,
}

impl Following {
    fn choose(&self, claimed: Result<Arc<Bound>>) {
        if let Some(reference) = self.reference.upgrade()
            && let Some(introduced) = reference.introduced()
        {
            introduced.choose(claimed, self.grant);
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Nothing comes of it if there is a choice already.
        self.choose(Err(claiming::too_late()));
    }
}

/// Tries to get a reference from the holder, in a task that ends with the last proxy.
pub(crate) fn follow(
    reference: &Arc<FarReference>,
    introduction: Box<IncomingIntroduction>,
    counted: Counted,
) {
    let Some(introduced) = reference.introduced() else {
        return;
    };
    let Some(by) = introduced.with_place(|bound| Arc::clone(&bound.session)) else {
        return;
    };
    let following = Following {
        reference: Arc::downgrade(reference),
        grant: introduction.grant,
        _counted: counted,
    };
    let task = task::spawn(async move {
        let patience = by.node().hand_off.patience;
        let claimed = tokio::time::timeout(patience, claiming::claim(&by, &introduction));
        let claimed = claimed.await.unwrap_or_else(|_| Err(claiming::too_late()));
        following.choose(claimed);
    });
    let _ = introduced.task.set(task.abort_handle());
}

impl fmt::Debug for Introduced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introduced")
            .field("identity", &self.identity)
            .field("chosen", &self.chosen)
            .finish_non_exhaustive()
    }
}
