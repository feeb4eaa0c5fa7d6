//! Where the items of a stream come from, whatever their type: encoded, a frame at a time.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

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

/// Some items of a stream, encoded.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) codec: Codec,
    pub(crate) budget: Budget,
    /// The length of each item in the body.
    pub(crate) lengths: VecDeque<u32>,
    pub(crate) body: Bytes,
    /// One for each item that is a byte string.
    pub(crate) attachments: VecDeque<Bytes>,
    pub(crate) transferred: Vec<Transferred>,
}

/// The feed as what it is.
pub(crate) fn downcast<F: Feed>(feed: Arc<dyn Feed>) -> std::result::Result<Arc<F>, Arc<dyn Feed>> {
    let any: Arc<dyn Any + Send + Sync> = Arc::clone(&feed) as _;
    any.downcast().map_err(|_| feed)
}
