//! Work that is handed over: whoever finds nobody at it gets the turn, and does what comes meanwhile, too.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use crate::sync::{Mutex, MutexGuard};

/// What waits to be done by whoever has the turn, in the order in which it came.
pub(crate) struct Relay<T>(Mutex<State<T>>);

struct State<T> {
    waiting: VecDeque<T>,
    /// Whether somebody has the turn.
    is_taken: bool,
}

impl<T> Default for Relay<T> {
    fn default() -> Self {
        Relay(Mutex::new(State {
            waiting: VecDeque::new(),
            is_taken: false,
        }))
    }
}

impl<T> Relay<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits behind whoever has the turn; gives the item back if nobody has it.
    pub(crate) fn behind(&self, item: T) -> Option<T> {
        let mut state = self.lock();
        if !state.is_taken {
            return Some(item);
        }
        state.waiting.push_back(item);
        None
    }
}

/// The turn to do what waits in a relay of `O`. Dropped early, when the runtime ends, it takes along what waits.
pub(crate) struct Turn<O, T> {
    owner: Arc<O>,
    relay: fn(&O) -> &Relay<T>,
    is_over: bool,
}

impl<O, T> Turn<O, T> {
    /// Takes the turn, which nobody has.
    pub(crate) fn take(owner: &Arc<O>, relay: fn(&O) -> &Relay<T>) -> Self {
        relay(owner).lock().is_taken = true;
        Turn::new(owner, relay)
    }

    /// Hands something over. Returns the turn if nobody has it.
    pub(crate) fn hand_over(owner: &Arc<O>, relay: fn(&O) -> &Relay<T>, item: T) -> Option<Self> {
        // No memory holds so many.
        Turn::hand_over_within(owner, relay, item, usize::MAX).unwrap_or_default()
    }

    /// The same where no more than `most` may wait; gives the item back if so many do.
    pub(crate) fn hand_over_within(
        owner: &Arc<O>,
        relay: fn(&O) -> &Relay<T>,
        item: T,
        most: usize,
    ) -> Result<Option<Self>, T> {
        let mut state = relay(owner).lock();
        if state.waiting.len() >= most {
            return Err(item);
        }
        state.waiting.push_back(item);
        let was_taken = std::mem::replace(&mut state.is_taken, true);
        drop(state);
        Ok((!was_taken).then(|| Turn::new(owner, relay)))
    }

    fn new(owner: &Arc<O>, relay: fn(&O) -> &Relay<T>) -> Self {
        Turn {
            owner: Arc::clone(owner),
            relay,
            is_over: false,
        }
    }

    /// What is next. If that is nothing, the turn is over, and whoever comes has the next one.
    pub(crate) fn next(&mut self) -> Option<T> {
        let mut state = (self.relay)(&self.owner).lock();
        let next = state.waiting.pop_front();
        state.is_taken = next.is_some();
        // From this moment on what waits is another's.
        self.is_over = next.is_none();
        next
    }

    /// Ends the turn, and drops what waits. Returns whether it was not over.
    pub(crate) fn give_up(&mut self) -> bool {
        if std::mem::replace(&mut self.is_over, true) {
            return false;
        }
        let mut state = (self.relay)(&self.owner).lock();
        state.is_taken = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        // The application's code may run.
        drop(waiting);
        true
    }
}

impl<O, T> Drop for Turn<O, T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_over_takes_nothing_along() {
        let relay = Arc::new(Relay::default());
        let mut first = Turn::hand_over(&relay, |relay| relay, 1).expect("nobody has it");
        assert_eq!(first.next(), Some(1));
        assert!(Turn::hand_over(&relay, |relay| relay, 2).is_none());
        assert_eq!((first.next(), first.next()), (Some(2), None));
        // Another begins before the first one is gone.
        let mut second = Turn::hand_over(&relay, |relay| relay, 3).expect("it is over");
        assert_eq!(relay.behind(4), None);
        drop(first);
        assert_eq!((second.next(), second.next()), (Some(3), Some(4)));
        assert_eq!(relay.behind(5), None);
        drop(second);
        assert_eq!(relay.behind(6), Some(6), "it was given up with what waited");
        let mut third = Turn::take(&relay, |relay| relay);
        assert!(Turn::hand_over_within(&relay, |relay| relay, 7, 1).is_ok());
        let refused = Turn::hand_over_within(&relay, |relay| relay, 8, 1);
        assert_eq!(refused.err(), Some(8));
        assert_eq!((third.next(), third.next()), (Some(7), None));
    }
}

#[cfg(all(test, shuttle))]
mod schedules {
    use shuttle::thread;

    use super::*;
    use crate::sync::under_many_schedules;

    #[test]
    fn whatever_is_handed_over_is_done_once_and_in_order() {
        under_many_schedules(|| {
            let relay = Arc::new(Relay::default());
            let done = Arc::new(Mutex::new(Vec::new()));
            let callers = [0..3, 10..13].map(|numbers| {
                let (relay, done) = (Arc::clone(&relay), Arc::clone(&done));
                thread::spawn(move || {
                    let mut at_work = Vec::new();
                    for number in numbers {
                        let Some(mut turn) = Turn::hand_over(&relay, |relay| relay, number) else {
                            continue;
                        };
                        let done = Arc::clone(&done);
                        at_work.push(thread::spawn(move || {
                            while let Some(number) = turn.next() {
                                done.lock().expect("nobody panicked").push(number);
                            }
                        }));
                    }
                    for work in at_work {
                        work.join().expect("it ends");
                    }
                })
            });
            for caller in callers {
                caller.join().expect("it ends");
            }
            let done = done.lock().expect("nobody panicked");
            assert_eq!(done.len(), 6, "{done:?}");
            for numbers in [0..3, 10..13] {
                let of_one = done.iter().copied().filter(|n| numbers.contains(n));
                assert!(of_one.eq(numbers.clone()), "{done:?}");
            }
        });
    }
}
