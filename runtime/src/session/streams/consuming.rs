//! Streams that this side consumes: what arrived of each, bounded by the credit that it gives.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use farref_proto::{StreamCost as Cost, StreamNumber};

use super::super::{Session, State};
use crate::codec::Codec;
use crate::error::Result;
use crate::stream::{Feed, Items, Room};
use crate::sync::{Mutex, MutexGuard};

/// What arrived of a stream and has not been taken.
#[derive(Default)]
pub(super) struct Inbox(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    items: VecDeque<Items>,
    end: Option<Result<()>>,
    waker: Option<Waker>,
    /// What the producer may send before it must wait, with what arrived and was not taken.
    ahead_items: u64,
    ahead_bytes: i64,
}

pub(super) enum Arrived {
    Items(Items),
    End(Result<()>),
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns who waits for it.
    pub(super) fn push(&self, arrived: Arrived) -> Option<Waker> {
        let mut queue = self.lock();
        match arrived {
            Arrived::Items(items) => queue.items.push_back(items),
            Arrived::End(end) => {
                queue.end.get_or_insert(end);
            }
        }
        queue.waker.take()
    }
}

/// A stream of the peer, which is cancelled when this is dropped.
pub(super) struct FarStream {
    pub(super) session: Arc<Session>,
    pub(super) number: StreamNumber,
    pub(super) inbox: Arc<Inbox>,
}

impl Feed for FarStream {
    fn poll_items(
        &self,
        cx: &mut Context<'_>,
        _: Codec,
        room: Room,
    ) -> Poll<Option<Result<Items>>> {
        let mut queue = self.inbox.lock();
        // Whoever asks has consumed what it took before, and nothing of what is taken now.
        let grant = match queue.end {
            None => queue.grant(room),
            Some(_) => None,
        };
        let polled = match queue.items.pop_front() {
            Some(items) => {
                let cost = Cost::of(&items.lengths, &items.attachments);
                queue.ahead_items = queue.ahead_items.saturating_sub(cost.items);
                queue.ahead_bytes = queue.ahead_bytes.saturating_sub_unsigned(cost.bytes());
                Poll::Ready(Some(Ok(items)))
            }
            None => match &mut queue.end {
                Some(end) => Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err)),
                None => {
                    match &mut queue.waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        None => queue.waker = Some(cx.waker().clone()),
                    }
                    Poll::Pending
                }
            },
        };
        drop(queue);
        if let Some((items, bytes)) = grant {
            let mut state = self.session.lock();
            state.connection.grant_stream(self.number, items, bytes);
            self.session.unlock_and_write_of_stream(state);
        }
        polled
    }
}

impl Queue {
    /// What the producer is to be given, so that it may be ahead by the whole room: not before half of it is free, so
    /// that few messages carry much credit.
    fn grant(&mut self, room: Room) -> Option<(u32, u64)> {
        let items = room.items.saturating_sub(self.ahead_items);
        let room_bytes = i64::try_from(room.bytes).unwrap_or(i64::MAX);
        let bytes = u64::try_from(room_bytes.saturating_sub(self.ahead_bytes)).unwrap_or(0);
        if items < room.items.div_ceil(2) && bytes < room.bytes.div_ceil(2) {
            return None;
        }
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.ahead_items += u64::from(items);
        self.ahead_bytes = self.ahead_bytes.saturating_add_unsigned(bytes);
        Some((items, bytes))
    }
}

impl Drop for FarStream {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        let State {
            connection,
            streams,
            closed,
            ..
        } = &mut *state;
        let place = streams.consumed.get_mut(self.number.index() as usize);
        let is_open = |inbox: &mut Arc<Inbox>| Arc::ptr_eq(inbox, &self.inbox);
        let Some(inbox) = place.and_then(|place| place.take_if(is_open)) else {
            return;
        };
        if closed.is_none() {
            connection.cancel_stream(self.number);
        }
        Session::unlock_and_write(state);
        // This holds it, too, so what it holds is dropped with this and outside the lock.
        drop(inbox);
    }
}
