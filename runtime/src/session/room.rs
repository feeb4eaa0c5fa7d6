//! Those who wait for room to ask, at each depth in the order in which they came.
//!
//! Whoever is first is woken when there is room, and whoever has asked wakes the next one if there is more.

use std::collections::VecDeque;
use std::task::Waker;

use super::State;

/// A place in the queue for room, or none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket(Option<u64>);

impl Ticket {
    pub(crate) fn none() -> Self {
        Ticket(None)
    }
}

/// The queues for room.
#[derive(Default)]
pub(super) struct Queues {
    /// Those in which somebody waits, which are few: calls seldom nest.
    queues: Vec<Queue>,
    next_ticket: u64,
}

/// Those who wait for room for calls of one depth.
struct Queue {
    depth: u16,
    /// By their tickets, which are in order.
    waiting: VecDeque<(u64, Waker)>,
}

impl Queue {
    fn is_first(&self, ticket: &Ticket) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|(first, _)| ticket.0 == Some(*first))
    }

    /// Where this one is, if it waits here. There may be thousands.
    fn place_of(&self, ticket: &Ticket) -> Option<usize> {
        let number = ticket.0?;
        match self.is_first(ticket) {
            true => Some(0),
            false => {
                let place = self
                    .waiting
                    .binary_search_by_key(&number, |(known, _)| *known);
                place.ok()
            }
        }
    }

    fn first(&self) -> Option<Waker> {
        self.waiting.front().map(|(_, waker)| waker.clone())
    }
}

impl Queues {
    /// Whether nobody waits for room.
    pub(super) fn are_empty(&self) -> bool {
        self.queues.is_empty()
    }

    fn index_of(&self, depth: u16) -> Option<usize> {
        self.queues.iter().position(|queue| queue.depth == depth)
    }

    fn at(&self, depth: u16) -> Option<&Queue> {
        self.index_of(depth).map(|index| &self.queues[index])
    }

    /// Whether it is the turn of this caller: nobody at its depth came before.
    #[inline]
    pub(super) fn may_send(&self, depth: u16, ticket: &Ticket) -> bool {
        self.at(depth).is_none_or(|queue| queue.is_first(ticket))
    }

    /// Takes a place in the queue, or keeps the one that the caller has.
    pub(super) fn queue(&mut self, depth: u16, ticket: &mut Ticket, waker: &Waker) {
        let index = self.index_of(depth).unwrap_or_else(|| {
            self.queues.push(Queue {
                depth,
                waiting: VecDeque::new(),
            });
            self.queues.len() - 1
        });
        let queue = &mut self.queues[index];
        if let Some(place) = queue.place_of(ticket) {
            queue.waiting[place].1.clone_from(waker);
            return;
        }
        queue.waiting.push_back((self.next_ticket, waker.clone()));
        ticket.0 = Some(self.next_ticket);
        self.next_ticket += 1;
    }

    /// Leaves the queue, in which the caller may have no place. Returns whether another is first now.
    fn leave(&mut self, depth: u16, ticket: &mut Ticket) -> bool {
        let ticket = std::mem::replace(ticket, Ticket::none());
        let Some(index) = self.index_of(depth) else {
            return false;
        };
        let queue = &mut self.queues[index];
        let Some(place) = queue.place_of(&ticket) else {
            return false;
        };
        queue.waiting.remove(place);
        if queue.waiting.is_empty() {
            self.queues.swap_remove(index);
            return false;
        }
        place == 0
    }

    /// Those who are first at any depth, now that calls can be sent at all.
    pub(super) fn firsts(&self) -> impl Iterator<Item = Waker> {
        self.queues.iter().filter_map(Queue::first)
    }

    /// Who is to try now that there is room at this depth.
    pub(super) fn first(&self, depth: u16) -> Option<Waker> {
        self.at(depth)?.first()
    }

    /// Ends all waiting. Returns who is to be woken.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waker> {
        let queues = std::mem::take(&mut self.queues).into_iter();
        let waiting = queues.flat_map(|queue| queue.waiting);
        waiting.map(|(_, waker)| waker)
    }
}

impl State {
    /// Leaves the queue for room. Returns who is to try next, if there is room; else it is woken when there is.
    pub(super) fn leave_queue(&mut self, depth: u16, ticket: &mut Ticket) -> Option<Waker> {
        let has_moved_up = self.queues.leave(depth, ticket);
        if has_moved_up && self.connection.room(depth) > 0 {
            return self.queues.first(depth);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Callers that wait at one depth, and how often each was woken.
    struct Callers {
        queues: Queues,
        depth: u16,
        callers: Vec<(Ticket, Arc<Count>)>,
    }

    impl Callers {
        fn of(count: usize, depth: u16) -> Self {
            let mut callers = Callers {
                queues: Queues::default(),
                depth,
                callers: Vec::new(),
            };
            for _ in 0..count {
                let (mut ticket, count) = (Ticket::none(), Arc::new(Count::default()));
                let waker = Waker::from(Arc::clone(&count));
                callers.queues.queue(depth, &mut ticket, &waker);
                callers.callers.push((ticket, count));
            }
            callers
        }

        fn leave(&mut self, caller: usize) -> bool {
            let (ticket, _) = &mut self.callers[caller];
            self.queues.leave(self.depth, ticket)
        }

        fn may_send(&self) -> Vec<usize> {
            let numbers = 0..self.callers.len();
            numbers
                .filter(|caller| self.queues.may_send(self.depth, &self.callers[*caller].0))
                .collect()
        }

        fn wake_first(&self) -> Option<usize> {
            self.queues.first(self.depth)?.wake();
            let woken = |(_, count): &(Ticket, Arc<Count>)| count.0.swap(0, Ordering::SeqCst) == 1;
            self.callers.iter().position(woken)
        }
    }

    #[test]
    fn callers_have_their_turn_in_the_order_in_which_they_came() {
        let mut callers = Callers::of(3, 0);
        for caller in 0..3 {
            assert_eq!(callers.may_send(), [caller]);
            assert_eq!(callers.wake_first(), Some(caller));
            assert_eq!(callers.leave(caller), caller < 2);
        }
        assert!(callers.queues.are_empty());
        assert!(callers.queues.may_send(0, &Ticket::none()));
    }

    #[test]
    fn who_gives_up_in_the_middle_lets_nobody_move_up() {
        let mut callers = Callers::of(4, 0);
        assert!(!callers.leave(2));
        assert!(!callers.leave(2), "it has left before");
        assert_eq!(callers.may_send(), [0]);
        assert!(callers.leave(0));
        assert_eq!(callers.wake_first(), Some(1));
        assert!(callers.leave(1));
        assert_eq!(callers.wake_first(), Some(3));
    }

    #[test]
    fn who_asks_again_keeps_its_place_and_has_its_new_waker_woken() {
        let mut callers = Callers::of(2, 7);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let (ticket, _) = &mut callers.callers[0];
        callers.queues.queue(7, ticket, &waker);
        assert_eq!(callers.may_send(), [0]);
        assert_eq!(callers.wake_first(), None);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn each_depth_has_a_queue_of_its_own() {
        let mut callers = Callers::of(2, 0);
        let mut deep = Ticket::none();
        assert!(callers.queues.may_send(1, &deep));
        callers.queues.queue(1, &mut deep, Waker::noop());
        assert_eq!(callers.queues.firsts().count(), 2);
        assert!(!callers.queues.leave(1, &mut deep));
        assert_eq!(callers.may_send(), [0]);
        assert_eq!(callers.queues.drain().count(), 2);
        assert!(callers.queues.are_empty());
    }
}
