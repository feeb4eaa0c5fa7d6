//! Ordered oneways: one to an object ends before the next to it starts.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::Session;
use super::serving::SessionAnswer;
use crate::serve::Running;

/// The oneways that wait for one before them, by the target that they are for. A target is here while one of its
/// oneways is under way in a task.
#[derive(Default)]
pub(crate) struct OrderedOneways(Mutex<HashMap<u32, VecDeque<Running<SessionAnswer>>>>);

impl Session {
    /// Whether an ordered oneway to this target must wait; if so it waits from now on.
    pub(crate) fn queue_ordered(
        &self,
        target: u32,
        oneway: Running<SessionAnswer>,
    ) -> Option<Running<SessionAnswer>> {
        let mut queues = self
            .ordered
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match queues.entry(target) {
            Entry::Occupied(mut queue) => {
                queue.get_mut().push_back(oneway);
                None
            }
            Entry::Vacant(_) => Some(oneway),
        }
    }

    /// Runs an ordered oneway to its end, and then those that came for the same target meanwhile.
    pub(crate) fn run_ordered(self: &Arc<Self>, target: u32, first: Running<SessionAnswer>) {
        self.ordered
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(target, VecDeque::new());
        let session = Arc::clone(self);
        tokio::spawn(async move {
            let mut next = Some(first);
            while let Some(oneway) = next {
                oneway.await;
                next = session.next_ordered(target);
            }
        });
    }

    fn next_ordered(&self, target: u32) -> Option<Running<SessionAnswer>> {
        let mut queues = self
            .ordered
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let next = queues.get_mut(&target)?.pop_front();
        if next.is_none() {
            queues.remove(&target);
        }
        next
    }
}
