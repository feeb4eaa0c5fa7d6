//! Items into frames, and out of them.

use std::any::{Any, TypeId};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use farref_proto::{FaultKind, LEAST_ITEM_COST, Seldom};
use futures_core::Stream;

use super::StreamItem;
use super::feed::{Items, Room};
use crate::Outcome;
use crate::codec::{self, Budget, Codec, CodecError};
use crate::error::{Fault, Result};
use crate::references;
use crate::transferred::Transferred;

/// Items in one frame at most: a small part of the default window, so that one side reads while the other makes more.
const MAX_ITEMS: u64 = 512;
/// A frame that has so many items is expected to have as many as it takes.
const MANY: usize = 8;
/// Bytes after which a frame takes no further item.
const FULL: u64 = 32 << 10;

/// Puts the items of a stream that are ready into a frame, as far as that takes them. Ready at the stream's end, or when
/// an item cannot be encoded.
pub(super) type Fill<T> = for<'a, 'b> fn(
    &'a mut Packing,
    Pin<&'b mut (dyn Stream<Item = T> + 'b)>,
    &mut Context<'_>,
) -> Poll<Result<()>>;

/// Items that are ready, on their way into one frame.
#[derive(Debug)]
pub(super) struct Packing {
    codec: Codec,
    room: Room,
    cost: u64,
    lengths: Vec<u32>,
    body: Vec<u8>,
    attachments: Vec<Bytes>,
    transferred: Vec<Transferred>,
}

impl Default for Packing {
    /// A frame without room.
    fn default() -> Self {
        Packing::new(Codec::Postcard, Room { items: 0, bytes: 0 })
    }
}

impl Packing {
    pub(super) fn new(codec: Codec, room: Room) -> Self {
        let room = Room {
            items: room.items.min(MAX_ITEMS),
            bytes: room.bytes.min(FULL),
        };
        Packing {
            codec,
            room,
            cost: 0,
            lengths: Vec::new(),
            body: Vec::new(),
            attachments: Vec::new(),
            transferred: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.lengths.len() as u64 >= self.room.items || self.cost >= self.room.bytes
    }

    /// See [`Fill`].
    pub(super) fn fill<T: StreamItem>(
        &mut self,
        mut stream: Pin<&mut (dyn Stream<Item = T> + '_)>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        while !self.is_full() {
            match ready!(stream.as_mut().poll_next(cx)) {
                Some(item) => self.push(item)?,
                None => return Poll::Ready(Ok(())),
            }
        }
        Poll::Pending
    }

    /// Adds an item; one that cannot be encoded leaves no trace.
    #[inline]
    fn push<T: StreamItem>(&mut self, item: T) -> Result<()> {
        let item = match is_byte_string::<T>() {
            true => match into_bytes(item) {
                ControlFlow::Break(bytes) => {
                    self.cost += LEAST_ITEM_COST.max(bytes.len() as u64);
                    self.attachments.push(bytes);
                    self.lengths.push(0);
                    return Ok(());
                }
                ControlFlow::Continue(item) => item,
            },
            false => item,
        };
        let before = self.body.len();
        let Packing {
            codec,
            body,
            transferred,
            ..
        } = self;
        let known = transferred.len();
        let encoded = references::collect_into(transferred, || match codec {
            Codec::Postcard => codec::encode_postcard(&item, body),
            codec => encode(*codec, &item, body),
        });
        if let Err(error) = encoded {
            body.truncate(before);
            let untaken = transferred.split_off(known);
            drop(untaken);
            return Err(unencodable(&error));
        }
        let length = self.body.len() - before;
        self.cost += LEAST_ITEM_COST.max(length as u64);
        self.lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
        if self.lengths.len() == MANY {
            self.expect_more();
        }
        Ok(())
    }

    /// Makes room for as many items like those that are there as the frame takes.
    #[cold]
    fn expect_more(&mut self) {
        let there = self.lengths.len() as u64;
        let by_bytes = self.room.bytes.saturating_sub(self.cost) * there / self.cost.max(1);
        let more = (self.room.items - there.min(self.room.items)).min(by_bytes) as usize;
        self.lengths.reserve(more);
        self.body.reserve(more * (self.body.len() / MANY + 1));
    }

    pub(super) fn items(mut self) -> Items {
        // What panicked while it was encoded has left a part of itself.
        let whole = self.lengths.iter().map(|length| *length as usize).sum();
        self.body.truncate(whole);
        Items::new(
            self.codec,
            Budget::default(),
            self.lengths,
            self.body.into(),
            self.attachments,
            self.transferred.into(),
        )
    }
}

/// Encodes an item in a codec that is not expected here.
#[inline(never)]
fn encode<T: StreamItem>(codec: Codec, item: &T, body: &mut Vec<u8>) -> Result<(), CodecError> {
    codec::encode(codec, item, body)
}

#[cold]
fn unencodable(error: &CodecError) -> Fault {
    Fault::new(
        FaultKind::Unencodable,
        Outcome::Ran,
        format!("an item of the stream cannot be encoded: {error}"),
    )
}

/// Decodes an item of whatever codec, with whatever it refers to.
#[inline(never)]
fn decode<T: StreamItem>(
    codec: Codec,
    budget: &Budget,
    transferred: &mut Seldom<Transferred>,
    body: &[u8],
) -> Result<T> {
    references::resolve(transferred, || codec::decode(codec, body, budget))
        .map_err(|error| undecodable(&error))
}

#[cold]
fn undecodable(error: &CodecError) -> Fault {
    Fault::new(
        FaultKind::BadReply,
        Outcome::Ran,
        format!("an item of the stream cannot be decoded: {error}"),
    )
}

impl Items {
    /// Takes the next item.
    #[inline]
    pub(super) fn next<T: StreamItem>(&mut self) -> Option<Result<T>> {
        if is_byte_string::<T>() {
            let (_, attachment) = self.take()?;
            return from_bytes(attachment.unwrap_or_default()).map(Ok);
        }
        let body = self.body.get(self.begin..self.end_of_next()?)?;
        self.read += 1;
        self.begin += body.len();
        if self.codec == Codec::Postcard && self.transferred.is_empty() {
            let item = codec::decode_postcard(body, &self.budget);
            return Some(item.map_err(|error| undecodable(&error)));
        }
        let (codec, budget, transferred) = (self.codec, &self.budget, &mut self.transferred);
        Some(decode(codec, budget, transferred, body))
    }

    /// Takes the next item as it is: its part of the body, and its attachment where there is one for each item.
    pub(crate) fn take(&mut self) -> Option<(Bytes, Option<Bytes>)> {
        let end = self.end_of_next()?;
        let body = self.body.slice(self.begin..end);
        let attachment = match self.is_one_each() {
            true => self.attachments.get_mut(self.read).map(std::mem::take),
            false => None,
        };
        self.read += 1;
        self.begin = end;
        Some((body, attachment))
    }

    #[inline]
    fn end_of_next(&self) -> Option<usize> {
        let length = *self.lengths.get(self.read)? as usize;
        Some(self.begin.saturating_add(length).min(self.body.len()))
    }
}

/// An item that is a byte string, as the attachment that it travels as; or the item again.
fn into_bytes<T: 'static>(item: T) -> ControlFlow<Bytes, T> {
    let mut item = Some(item);
    let any: &mut dyn Any = &mut item;
    let bytes = if let Some(bytes) = any.downcast_mut::<Option<Bytes>>() {
        bytes.take()
    } else if let Some(bytes) = any.downcast_mut::<Option<Vec<u8>>>() {
        bytes.take().map(Bytes::from)
    } else {
        None
    };
    match (bytes, item) {
        (Some(bytes), _) => ControlFlow::Break(bytes),
        (None, Some(item)) => ControlFlow::Continue(item),
        // An item is a byte string or it is not, so it is in one of the two.
        (None, None) => ControlFlow::Break(Bytes::new()),
    }
}

/// The attachment as an item, if items are byte strings.
fn from_bytes<T: 'static>(bytes: Bytes) -> Option<T> {
    let mut item: Option<T> = None;
    let any: &mut dyn Any = &mut item;
    if let Some(item) = any.downcast_mut::<Option<Bytes>>() {
        *item = Some(bytes);
    } else if let Some(item) = any.downcast_mut::<Option<Vec<u8>>>() {
        // Takes the memory over if nothing else shares it, else copies.
        *item = Some(bytes.into());
    }
    item
}

/// Whether items of this type travel as they are, outside the codec.
#[inline]
pub(super) fn is_byte_string<T: 'static>() -> bool {
    [TypeId::of::<Bytes>(), TypeId::of::<Vec<u8>>()].contains(&TypeId::of::<T>())
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use serde::ser::SerializeTuple;
    use serde::{Deserialize, Serialize, Serializer};

    use super::*;
    use crate::panics;

    const ROOM: Room = Room {
        items: 100,
        bytes: 1 << 20,
    };

    /// A number of which the third stops in the middle of being written.
    #[derive(Deserialize)]
    struct Fragile(u32);

    impl Serialize for Fragile {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            let mut parts = serializer.serialize_tuple(2)?;
            parts.serialize_element(&self.0)?;
            assert!(self.0 != 3, "the third");
            parts.serialize_element(&self.0)?;
            parts.end()
        }
    }

    #[test]
    fn an_item_that_panics_while_it_is_encoded_leaves_nothing_of_itself() {
        let mut packing = Packing::new(Codec::Postcard, ROOM);
        let pushed =
            panics::contain(|| (1..5).try_for_each(|number| packing.push(Fragile(number))));
        assert!(pushed.is_err());
        let mut items = packing.items();
        assert_eq!(
            (&items.lengths[..], &items.body[..]),
            (&[2, 2][..], &[1, 1, 2, 2][..])
        );
        assert!(
            items
                .next::<(u32, u32)>()
                .is_some_and(|item| item.is_ok_and(|item| item == (1, 1)))
        );
    }

    #[test]
    fn a_frame_takes_no_more_than_there_is_room_for() {
        let waker = Waker::noop();
        let mut cx = Context::from_waker(waker);
        for (room, expected) in [
            (Room { items: 3, ..ROOM }, 3),
            (Room { bytes: 33, ..ROOM }, 2),
            (ROOM, 100),
        ] {
            let mut numbers = std::pin::pin!(Endless(0));
            let mut packing = Packing::new(Codec::Postcard, room);
            assert!(packing.fill::<u32>(numbers.as_mut(), &mut cx).is_pending());
            assert_eq!(numbers.0, expected, "as many are asked for as are taken");
            assert_eq!(packing.items().lengths.len(), expected as usize);
        }
    }

    struct Endless(u32);

    impl Stream for Endless {
        type Item = u32;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
            self.0 += 1;
            Poll::Ready(Some(self.0))
        }
    }
}
