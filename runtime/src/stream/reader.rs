//! Streams whose items arrive encoded: read one by one, or passed on as they are.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use farref_proto::{FaultKind, item_costs};

use super::feed::{Feed, Items, Room};
use super::{StreamItem, StreamWindow};
use crate::Outcome;
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::sync::Mutex;

/// Items of another process, or of another type of this one, read one by one.
pub(super) struct Reader {
    unread: Arc<Unread>,
    /// The frame that is being read. Reading, which has the reader for itself, takes no lock.
    current: Mutex<Option<Items>>,
}

impl Reader {
    pub(super) fn new(feed: Arc<dyn Feed>) -> Self {
        Reader {
            unread: Arc::new(Unread {
                feed: Mutex::new(Some(feed)),
                taken: Mutex::default(),
            }),
            current: Mutex::new(None),
        }
    }

    #[inline]
    pub(super) fn poll_item<T: StreamItem>(
        &mut self,
        cx: &mut Context<'_>,
        window: &StreamWindow,
    ) -> Poll<Option<Result<T>>> {
        loop {
            let current = self.current.get_mut();
            let current = current.unwrap_or_else(PoisonError::into_inner);
            if let Some(item) = current.as_mut().and_then(Items::next) {
                if item.is_err() {
                    *current = None;
                    self.unread.close();
                }
                return Poll::Ready(Some(item));
            }
            if let Some(ended) = ready!(self.poll_frame(cx, window)) {
                return Poll::Ready(ended.err().map(Err));
            }
        }
    }

    /// Waits for the next frame. Ready with what ended the stream, if there is none.
    #[inline(never)]
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        window: &StreamWindow,
    ) -> Poll<Option<Result<()>>> {
        let current = self.current.get_mut();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        let polled = self.unread.poll_items(cx, Codec::Postcard, window.room());
        Poll::Ready(match ready!(polled) {
            Some(Ok(items)) => {
                *current = Some(items);
                None
            }
            ended => {
                *current = None;
                self.unread.close();
                Some(ended.map_or(Ok(()), |ended| ended.map(drop)))
            }
        })
    }

    /// What is still to come, with what was taken and not read, for somebody else.
    pub(super) fn feed(&self) -> Arc<dyn Feed> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(items) = current.take().and_then(Items::unread) {
            self.unread.put_back(items);
        }
        Arc::clone(&self.unread) as Arc<dyn Feed>
    }
}

/// What has not been read.
struct Unread {
    feed: Mutex<Option<Arc<dyn Feed>>>,
    /// What has been taken from the feed, in its order.
    taken: Mutex<VecDeque<Items>>,
}

impl Unread {
    fn feed(&self) -> Option<Arc<dyn Feed>> {
        let feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.clone()
    }

    /// Nothing more is wanted, or comes.
    fn close(&self) {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = feed.take();
        drop(feed);
    }

    fn take(&self) -> Option<Items> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.pop_front()
    }

    fn put_back(&self, items: Items) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.push_front(items);
    }
}

impl Feed for Unread {
    fn poll_items(
        &self,
        cx: &mut Context<'_>,
        codec: Codec,
        room: Room,
    ) -> Poll<Option<Result<Items>>> {
        if let Some(items) = self.take() {
            let (now, later) = split(items, room);
            if let Some(later) = later {
                self.put_back(later);
            }
            return Poll::Ready(Some(now));
        }
        match self.feed() {
            Some(feed) => feed.poll_items(cx, codec, room),
            None => Poll::Ready(None),
        }
    }
}

/// The items that fit, and those that do not. They arrived within another window than the one that they go out by.
fn split(mut items: Items, room: Room) -> (Result<Items>, Option<Items>) {
    let mut left = room;
    let mut count = 0;
    for cost in item_costs(&items.lengths, &items.attachments) {
        if left.items == 0 || left.bytes == 0 {
            break;
        }
        left.items -= 1;
        left.bytes = left.bytes.saturating_sub(cost);
        count += 1;
    }
    if count == items.lengths.len() {
        return (Ok(items), None);
    }
    if !items.transferred.is_empty() || !items.attachments.is_empty() && !items.is_one_each() {
        // Which item an entry of the table belongs to is not known.
        let fault = Fault::new(
            FaultKind::Unsupported,
            Outcome::Ran,
            "a stream whose items hold references was read in part and cannot be passed on through a smaller window",
        );
        return (Err(fault), None);
    }
    let now = items.split_off_front(count);
    (Ok(now), Some(items))
}
