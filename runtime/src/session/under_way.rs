//! The calls that did not end at once: who looks into a daemon sees them, and what they are for is not reaped.

use std::sync::{Arc, PoisonError};

use tokio::time::Instant;

use crate::context::Scope;
use crate::sync::{Mutex, MutexGuard};

/// Calls of the peer that are being served in tasks of their own.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
}

/// A call that is being served.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) scope: Arc<Scope>,
    pub(crate) oneway: bool,
    pub(crate) since: Instant,
}

/// A place among the calls under way.
#[derive(Debug)]
pub(crate) struct Place(usize);

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, call: Call) -> Place {
        let mut slots = self.lock();
        match slots.free.pop() {
            Some(index) => {
                slots.calls[index] = Some(call);
                Place(index)
            }
            None => {
                slots.calls.push(Some(call));
                Place(slots.calls.len() - 1)
            }
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a place is given back once")]
    pub(super) fn remove(&self, place: Place) {
        let mut slots = self.lock();
        let call = slots.calls[place.0].take();
        slots.free.push(place.0);
        drop(slots);
        // What a scope holds may be the application's.
        drop(call);
    }

    /// Those that are there, oldest first.
    pub(super) fn all(&self) -> Vec<Call> {
        let mut calls: Vec<_> = self.lock().calls.iter().flatten().cloned().collect();
        calls.sort_by_key(|call| call.since);
        calls
    }
}
