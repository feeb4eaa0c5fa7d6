//! Those who wait for room to ask, at each depth in the order in which they came.
//!
//! As many as there is room for are woken at once, and whoever has asked wakes the next one if there is more. Who comes before
//! its turn, on another thread maybe, waits to be woken again.

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
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    ticket: u64,
    /// None if it was woken, and has not come since.
    waker: Option<Waker>,
}

impl Queue {
    fn is_first(&self, ticket: &Ticket) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|first| ticket.0 == Some(first.ticket))
    }

    /// Where this one is, if it waits here. There may be thousands.
    fn place_of(&self, ticket: &Ticket) -> Option<usize> {
        let number = ticket.0?;
        match self.is_first(ticket) {
            true => Some(0),
            false => {
                let place = self
                    .waiting
                    .binary_search_by_key(&number, |waiting| waiting.ticket);
                place.ok()
            }
        }
    }

    /// The first so many, but for those who were woken already.
    fn wake(&mut self, count: usize) -> impl Iterator<Item = Waker> {
        let first = self.waiting.iter_mut().take(count);
        first.filter_map(|waiting| waiting.waker.take())
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
            let known = &mut queue.waiting[place].waker;
            match known {
                Some(known) => known.clone_from(waker),
                None => *known = Some(waker.clone()),
            }
            return;
        }
        queue.waiting.push_back(Waiting {
            ticket: self.next_ticket,
            waker: Some(waker.clone()),
        });
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
    pub(super) fn firsts(&mut self) -> impl Iterator<Item = Waker> {
        self.queues.iter_mut().flat_map(|queue| queue.wake(1))
    }

    /// Those who are to try now that there is room for so many at this depth.
    pub(super) fn wake(&mut self, depth: u16, room: usize) -> impl Iterator<Item = Waker> {
        let queues = self.queues.iter_mut();
        let at_depth = queues.filter(move |queue| queue.depth == depth);
        at_depth.flat_map(move |queue| queue.wake(room))
    }

    /// Ends all waiting. Returns who is to be woken.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waker> {
        let queues = std::mem::take(&mut self.queues).into_iter();
        let waiting = queues.flat_map(|queue| queue.waiting);
        waiting.filter_map(|waiting| waiting.waker)
    }
}

impl State {
    /// Leaves the queue for room. Returns who is to try next, if there is room; else it is woken when there is.
    pub(super) fn leave_queue(&mut self, depth: u16, ticket: &mut Ticket) -> Option<Waker> {
        let has_moved_up = self.queues.leave(depth, ticket);
        if has_moved_up && self.connection.room(depth) > 0 {
            return self.queues.wake(depth, 1).next();
        }
        None
    }

    /// Those who are to try now that there is room at this depth.
    pub(super) fn who_has_room(&mut self, depth: u16) -> impl Iterator<Item = Waker> {
        let room = self.connection.room(depth);
        self.queues.wake(depth, room as usize)
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

        fn wake_first(&mut self) -> Option<usize> {
            self.wake(1).first().copied()
        }

        fn wake(&mut self, room: usize) -> Vec<usize> {
            self.queues.wake(self.depth, room).for_each(Waker::wake);
            let mut woken = Vec::new();
            for (caller, (_, count)) in self.callers.iter().enumerate() {
                let times = count.0.swap(0, Ordering::SeqCst);
                woken.extend(std::iter::repeat_n(caller, times));
            }
            woken
        }

        fn ask_again(&mut self, caller: usize) {
            let (ticket, count) = &mut self.callers[caller];
            let waker = Waker::from(Arc::clone(count));
            self.queues.queue(self.depth, ticket, &waker);
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
    fn as_many_are_woken_as_there_is_room_for_and_each_once() {
        let mut callers = Callers::of(4, 0);
        assert_eq!(callers.wake(2), [0, 1]);
        assert_eq!(callers.wake(3), [2]);
        assert!(callers.wake(0).is_empty());
        assert!(callers.leave(0));
        assert_eq!(callers.wake_first(), None, "it was woken already");
        assert_eq!(callers.may_send(), [1]);
    }

    #[test]
    fn who_comes_before_its_turn_is_woken_again() {
        let mut callers = Callers::of(3, 0);
        assert_eq!(callers.wake(2), [0, 1]);
        callers.ask_again(1);
        assert_eq!(callers.may_send(), [0]);
        assert!(callers.leave(0));
        assert_eq!(callers.wake_first(), Some(1));
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
        // It was woken, and still has no room.
        callers.ask_again(0);
        assert_eq!(callers.queues.drain().count(), 2);
        assert!(callers.queues.are_empty());
    }
}
