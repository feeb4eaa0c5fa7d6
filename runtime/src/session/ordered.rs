//! Ordered oneways: one to an object ends before the next to it starts.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use super::Session;
use super::answering::{Finished, SessionAnswer};
use super::ending::{Served, ServedTogether};
use super::inbox::Arrived;
use crate::serve::Running;
use crate::sync::{Mutex, MutexGuard};

/// The oneways that wait for one before them, by the target that they are for. A target is here while one of its
/// oneways is under way in a task.
#[derive(Default)]
pub(crate) struct OrderedOneways(Mutex<Queues>);

type Queues = HashMap<u32, VecDeque<(Arrived, Served)>>;

impl OrderedOneways {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits behind the oneway to this target that is under way; gives the oneway back if there is none.
    fn queue(&self, target: u32, oneway: Arrived, served: &mut ServedTogether) -> Option<Arrived> {
        match self.lock().entry(target) {
            Entry::Occupied(mut queue) => {
                queue.get_mut().push_back((oneway, served.give_away()));
                None
            }
            Entry::Vacant(_) => Some(oneway),
        }
    }

    fn next(&self, target: u32) -> Option<(Arrived, Served)> {
        let mut queues = self.lock();
        let next = queues.get_mut(&target)?.pop_front();
        if next.is_none() {
            queues.remove(&target);
        }
        next
    }
}

/// The turn of one target's oneways. Dropped early, when the runtime ends, it takes those that wait along.
struct Turn {
    session: Arc<Session>,
    target: u32,
    /// What waits is another's.
    is_over: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let waiting = self.session.ordered.lock().remove(&self.target);
        drop(waiting);
    }
}

impl Session {
    /// Serves an ordered oneway when those before it have ended.
    pub(super) fn serve_ordered(
        self: &Arc<Self>,
        oneway: Arrived,
        served: &mut ServedTogether,
        finished: &mut Finished,
        cx: &mut Context<'_>,
    ) {
        let target = oneway.call.target.index();
        let Some(oneway) = self.ordered.queue(target, oneway, served) else {
            return;
        };
        // Its handler is made only now: making one may hand the call over already.
        let (mut handler, kind) = self.handler(oneway);
        match handler.poll(cx) {
            Poll::Ready(result) => self.finish_in_place(handler, kind, result, finished),
            Poll::Pending => {
                let answer = SessionAnswer::listed(&handler, kind, served.give_away());
                self.run_ordered(target, Running::begun(handler, answer));
            }
        }
    }

    /// Runs an ordered oneway to its end, and then those that came for the same target meanwhile.
    fn run_ordered(self: &Arc<Self>, target: u32, first: Running<SessionAnswer>) {
        self.ordered.lock().insert(target, VecDeque::new());
        let mut turn = Turn {
            session: Arc::clone(self),
            target,
            is_over: false,
        };
        crate::task::spawn(async move {
            let mut next = Some(first);
            while let Some(oneway) = next {
                oneway.await;
                let session = &turn.session;
                let waiting = session.ordered.next(target);
                turn.is_over = waiting.is_none();
                next = waiting.map(|(oneway, served)| {
                    let (handler, kind) = session.handler(oneway);
                    let answer = SessionAnswer::listed(&handler, kind, served);
                    Running::new(handler, answer)
                });
            }
        });
    }
}
