//! A list that is replaced when it changes, so that whoever goes through it takes it as it is, while others come and go.
//!
//! The lock is a leaf, held for as long as it takes to copy a pointer or to look through the list. What is asked of its
//! members under it must not be code of the application; what leaves the list is dropped after unlocking.

use std::sync::{Arc, PoisonError};

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// How many members are worth looking through at least.
const FEW: usize = 16;

/// The members at one moment, in the order in which they came.
pub(crate) type Snapshot<M> = Arc<Vec<Arc<M>>>;

pub(crate) struct Roster<M> {
    members: Mutex<Snapshot<M>>,
    /// How many members are a crowd.
    crowd: AtomicUsize,
}

impl<M> Default for Roster<M> {
    fn default() -> Self {
        Roster {
            members: Mutex::default(),
            crowd: AtomicUsize::new(FEW),
        }
    }
}

impl<M> Roster<M> {
    fn lock(&self) -> MutexGuard<'_, Snapshot<M>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Snapshot<M> {
        Arc::clone(&self.lock())
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are twice as many members as when it last settled, so that it is time to look for those that are of
    /// no use any more. Looking only then keeps the cost of adding one constant on average.
    pub(crate) fn is_crowded(&self) -> bool {
        self.len() >= self.crowd.load(Ordering::Relaxed)
    }

    /// Says that all members have been looked at.
    pub(crate) fn settle(&self) {
        let crowd = self.len().saturating_mul(2).max(FEW);
        self.crowd.store(crowd, Ordering::Relaxed);
    }

    /// Adds a member at the end unless `is_it` is true of one: then that one, and the new one is dropped.
    pub(crate) fn find_or_add(&self, member: Arc<M>, is_it: impl Fn(&M) -> bool) -> Arc<M> {
        let mut members = self.lock();
        match members.iter().find(|known| is_it(known)).cloned() {
            Some(known) => {
                drop(members);
                drop(member);
                known
            }
            None => {
                Arc::make_mut(&mut members).push(Arc::clone(&member));
                member
            }
        }
    }

    /// Takes the first member out of which `is_it` is true.
    pub(crate) fn take_out(&self, is_it: impl Fn(&M) -> bool) -> Option<Arc<M>> {
        let mut members = self.lock();
        let index = members.iter().position(|member| is_it(member))?;
        Some(Arc::make_mut(&mut members).remove(index))
    }

    /// Takes this member out; `false` if it is not here any more.
    pub(crate) fn take_this_out(&self, member: &M) -> bool {
        self.take_out(|known| std::ptr::eq(known, member)).is_some()
    }

    /// Takes all members out of which `is_it` is true.
    pub(crate) fn take_all_out(&self, is_it: impl Fn(&M) -> bool) -> Vec<Arc<M>> {
        let mut members = self.lock();
        if !members.iter().any(|member| is_it(member)) {
            return Vec::new();
        }
        Arc::make_mut(&mut members)
            .extract_if(.., |member| is_it(member))
            .collect()
    }
}
