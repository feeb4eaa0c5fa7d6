//! The lock of objects that are served one call at a time: fair, and aware of call chains.
//!
//! A call that would wait for itself is refused instead. Each lock knows the chain of the call that holds it, and a
//! process-wide table knows which chain waits for which lock. Before a call waits, it follows that graph: from the
//! lock to its holder's chain, to the locks which that chain waits for, and so on. Arriving at its own chain means
//! that waiting would never end. The last call to close a circle sees all of it, because waits are recorded under one
//! mutex before they begin.

use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use farref_proto::{ChainId, FaultKind};

use crate::context::{CallIdentity, CallName, Depth};
use crate::error::{Fault, Result};

/// Who holds a lock.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    chain: ChainId,
    depth: Depth,
    call: CallName,
}

/// The part of a lock that the graph of waits refers to.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<Option<Holder>>);

impl Held {
    fn get(&self) -> Option<Holder> {
        lock(&self.0).clone()
    }

    /// Has this held on behalf of the call that is being served, which waits for `call`, and returns who held it before.
    pub(crate) fn hold(&self, call: CallName) -> Option<Holder> {
        let CallIdentity { chain, depth, .. } = CallIdentity::current();
        lock(&self.0).replace(Holder { chain, depth, call })
    }

    /// Gives this back to whom it was taken from.
    pub(crate) fn give_back(&self, holder: Option<Holder>) {
        *lock(&self.0) = holder;
    }
}

/// Which chain waits for which locks. A chain waits for several where a handler joins several calls.
static WAITS: LazyLock<Mutex<Waits>> = LazyLock::new(Mutex::default);

/// By the chain that waits: what it waits for, and in which of its calls.
type Waits = HashMap<ChainId, Vec<(Arc<Held>, CallName)>>;

/// A call that waits for a lock, and the one that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) call: CallName,
    pub(crate) chain: ChainId,
    pub(crate) holder: CallName,
    pub(crate) holder_chain: ChainId,
}

/// Who waits for whom in this process: at most `limit` of them.
pub(crate) fn waits(limit: usize) -> Vec<Waiting> {
    let waits = lock(&WAITS);
    let waits = waits
        .iter()
        .flat_map(|(chain, locks)| locks.iter().map(move |wait| (chain, wait)));
    let waits = waits.filter_map(|(chain, (held, call))| {
        let holder = held.get()?;
        Some(Waiting {
            call: *call,
            chain: *chain,
            holder: holder.call,
            holder_chain: holder.chain,
        })
    });
    waits.take(limit).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fair lock around an object, which refuses to let a call wait for itself.
pub(crate) struct SerialLock<T> {
    held: Arc<Held>,
    value: tokio::sync::Mutex<T>,
}

impl<T> SerialLock<T> {
    pub(crate) fn new(value: T) -> Self {
        SerialLock {
            held: Arc::default(),
            value: tokio::sync::Mutex::new(value),
        }
    }

    /// Waits for the lock on behalf of the call that is being served.
    pub(crate) async fn lock(&self) -> Result<SerialGuard<'_, T>> {
        let CallIdentity { chain, depth, call } = CallIdentity::current();
        let value = match self.value.try_lock() {
            Ok(value) => value,
            Err(_) => {
                let _wait = Wait::begin(&self.held, &CallIdentity { chain, depth, call })
                    .map_err(|holder| would_deadlock(call, holder))?;
                self.value.lock().await
            }
        };
        *lock(&self.held.0) = Some(Holder { chain, depth, call });
        Ok(SerialGuard {
            held: &self.held,
            value,
        })
    }
}

impl<T> fmt::Debug for SerialLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerialLock")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// A wait that is recorded in the graph, until it is dropped.
pub(crate) struct Wait {
    held: Arc<Held>,
    chain: ChainId,
}

impl Wait {
    /// Records that a call waits; fails with the call that waits for it in turn.
    pub(crate) fn begin(
        held: &Arc<Held>,
        waiting: &CallIdentity,
    ) -> std::result::Result<Self, CallName> {
        let &CallIdentity { chain, depth, call } = waiting;
        let mut waits = lock(&WAITS);
        let mut unseen = vec![Arc::clone(held)];
        let mut seen: Vec<ChainId> = Vec::new();
        while let Some(next) = unseen.pop() {
            let Some(holder) = next.get() else { continue };
            // A call of the same chain at the same depth is a sibling, started beside this one: it does not wait for us.
            if holder.chain == chain && (!seen.is_empty() || holder.depth < depth) {
                return Err(holder.call);
            }
            if !seen.contains(&holder.chain) {
                seen.push(holder.chain);
                let locks = waits.get(&holder.chain).into_iter().flatten();
                unseen.extend(locks.map(|(held, _)| Arc::clone(held)));
            }
        }
        waits
            .entry(chain)
            .or_default()
            .push((Arc::clone(held), call));
        Ok(Wait {
            held: Arc::clone(held),
            chain,
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = lock(&WAITS);
        if let Some(locks) = waits.get_mut(&self.chain) {
            if let Some(index) = locks
                .iter()
                .position(|(held, _)| Arc::ptr_eq(held, &self.held))
            {
                locks.swap_remove(index);
            }
            if locks.is_empty() {
                waits.remove(&self.chain);
            }
        }
    }
}

fn would_deadlock(refused: CallName, holder: CallName) -> Fault {
    Fault::not_started(
        FaultKind::WouldDeadlock,
        format!(
            "`{refused}` would wait for ever: its object is served one call at a time and is held by `{holder}`, which \
             waits for this call; let the object be served concurrently, or end `{holder}` first"
        ),
    )
}

/// What a call holds while it is inside a serial object.
pub struct SerialGuard<'a, T> {
    held: &'a Held,
    value: tokio::sync::MutexGuard<'a, T>,
}

impl<T> Deref for SerialGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for SerialGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for SerialGuard<'_, T> {
    fn drop(&mut self) {
        // Before the value's own guard lets the next call in, which then writes its own name here.
        *lock(&self.held.0) = None;
    }
}

impl<T> fmt::Debug for SerialGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerialGuard").finish_non_exhaustive()
    }
}
