//! Where the items of a stream come from, whatever their type: encoded, a frame at a time.

use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};

use farref_proto::Seldom;

use crate::codec::{Budget, Codec};
use crate::error::Result;
use crate::transferred::Transferred;

/// How many items and bytes a consumer takes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) items: u64,
    /// The item that reaches this may exceed it.
    pub(crate) bytes: u64,
}

/// The items of a stream, encoded.
///
/// One at a time takes from it. A poll that is pending has taken nothing.
pub(crate) trait Feed: Any + Send + Sync {
    /// Takes items that are ready, within the room; `None` at the end. What an error ends is over, too.
    fn poll_items(
        &self,
        cx: &mut Context<'_>,
        codec: Codec,
        room: Room,
    ) -> Poll<Option<Result<Items>>>;
}

/// Some items of a stream, encoded, of which some may have been read.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) codec: Codec,
    pub(crate) budget: Budget,
    /// The length of each item in the body.
    pub(crate) lengths: Vec<u32>,
    pub(crate) body: Bytes,
    /// One for each item that is a byte string.
    pub(crate) attachments: Vec<Bytes>,
    pub(crate) transferred: Seldom<Transferred>,
    /// How many have been read, and where the next begins in the body.
    pub(super) read: usize,
    pub(super) begin: usize,
}

impl Items {
    pub(crate) fn new(
        codec: Codec,
        budget: Budget,
        lengths: Vec<u32>,
        body: Bytes,
        attachments: Vec<Bytes>,
        transferred: Seldom<Transferred>,
    ) -> Self {
        Items {
            codec,
            budget,
            lengths,
            body,
            attachments,
            transferred,
            read: 0,
            begin: 0,
        }
    }

    pub(super) fn is_one_each(&self) -> bool {
        self.attachments.len() == self.lengths.len()
    }

    /// Those that have not been read; none if all have.
    pub(super) fn unread(mut self) -> Option<Self> {
        if self.is_one_each() {
            self.attachments.drain(..self.read);
        }
        self.lengths.drain(..self.read);
        self.body.advance(self.begin);
        (self.read, self.begin) = (0, 0);
        (!self.lengths.is_empty()).then_some(self)
    }

    /// Takes the first so many, of which none has been read.
    pub(super) fn split_off_front(&mut self, count: usize) -> Self {
        let attachments = match self.is_one_each() {
            true => self.attachments.drain(..count).collect(),
            false => Vec::new(),
        };
        let lengths: Vec<u32> = self.lengths.drain(..count).collect();
        let bytes = lengths.iter().map(|length| *length as usize).sum::<usize>();
        let body = self.body.split_to(bytes.min(self.body.len()));
        Items::new(
            self.codec,
            self.budget,
            lengths,
            body,
            attachments,
            Seldom::new(),
        )
    }
}

/// The feed as what it is.
pub(crate) fn downcast<F: Feed>(feed: Arc<dyn Feed>) -> std::result::Result<Arc<F>, Arc<dyn Feed>> {
    let any: Arc<dyn Any + Send + Sync> = Arc::clone(&feed) as _;
    any.downcast().map_err(|_| feed)
}
