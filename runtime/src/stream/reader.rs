//! Streams whose items arrive encoded: read one by one, or passed on as they are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use farref_proto::FaultKind;

use super::feed::{Feed, Items, Room};
use super::{StreamItem, StreamWindow};
use crate::Outcome;
use crate::codec::Codec;
use crate::error::{Fault, Result};

/// Items of another process, or of another type of this one.
pub(super) struct Reader {
    feed: Mutex<Option<Arc<dyn Feed>>>,
    /// What has been taken from the feed and not been read yet.
    current: Mutex<Option<Items>>,
}

impl Reader {
    pub(super) fn new(feed: Arc<dyn Feed>) -> Self {
        Reader {
            feed: Mutex::new(Some(feed)),
            current: Mutex::new(None),
        }
    }

    fn take(&self) -> Option<Items> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take()
    }

    fn put(&self, items: Items) {
        if !items.lengths.is_empty() {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(items);
        }
    }

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

    pub(super) fn poll_item<T: StreamItem>(
        &self,
        cx: &mut Context<'_>,
        window: StreamWindow,
    ) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(mut items) = self.take()
                && let Some(item) = items.next()
            {
                match &item {
                    Ok(_) => self.put(items),
                    Err(_) => self.close(),
                }
                return Poll::Ready(Some(item));
            }
            let Some(feed) = self.feed() else {
                return Poll::Ready(None);
            };
            let polled = feed.poll_items(cx, Codec::Postcard, window.room());
            match ready!(polled) {
                Some(Ok(items)) => self.put(items),
                Some(Err(fault)) => {
                    self.close();
                    return Poll::Ready(Some(Err(fault)));
                }
                None => {
                    self.close();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Feed for Reader {
    fn poll_items(
        &self,
        cx: &mut Context<'_>,
        codec: Codec,
        room: Room,
    ) -> Poll<Option<Result<Items>>> {
        if let Some(items) = self.take() {
            let (now, later) = split(items, room);
            if let Some(later) = later {
                self.put(later);
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
    let is_one_each = items.attachments.len() == items.lengths.len();
    let mut left = room;
    let mut count = 0;
    for cost in items.costs() {
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
    if !items.transferred.is_empty() || !items.attachments.is_empty() && !is_one_each {
        // Which item an entry of the table belongs to is not known.
        let fault = Fault::new(
            FaultKind::Unsupported,
            Outcome::Ran,
            "a stream whose items hold references was read in part and cannot be passed on through a smaller window",
        );
        return (Err(fault), None);
    }
    let lengths: VecDeque<u32> = items.lengths.drain(..count).collect();
    let bytes = lengths.iter().map(|length| *length as usize).sum::<usize>();
    let mut now = Items {
        lengths,
        body: items.body.split_to(bytes.min(items.body.len())),
        attachments: Default::default(),
        transferred: Vec::new(),
        codec: items.codec,
        budget: items.budget,
    };
    if is_one_each {
        now.attachments = items.attachments.drain(..count).collect();
    }
    (Ok(now), Some(items))
}
