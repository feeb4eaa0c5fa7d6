//! Items into frames, and out of them.

use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::{Buf, Bytes};
use farref_proto::{FaultKind, LEAST_ITEM_COST};

use super::StreamItem;
use super::feed::{Items, Room};
use crate::Outcome;
use crate::codec::{self, Budget, Codec};
use crate::error::{Fault, Result};
use crate::references;
use crate::transferred::Transferred;

/// Items in one frame at most: as many more wait for the next write anyhow.
const MAX_ITEMS: u64 = 256;
/// Bytes after which a frame takes no further item.
const FULL: u64 = 32 << 10;

/// Items that are ready, on their way into one frame.
pub(super) struct Packing {
    codec: Codec,
    room: Room,
    cost: u64,
    lengths: VecDeque<u32>,
    body: Vec<u8>,
    attachments: VecDeque<Bytes>,
    transferred: Vec<Transferred>,
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
            lengths: VecDeque::new(),
            body: Vec::new(),
            attachments: VecDeque::new(),
            transferred: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.lengths.len() as u64 >= self.room.items || self.cost >= self.room.bytes
    }

    /// Adds an item; one that cannot be encoded leaves no trace.
    pub(super) fn push<T: StreamItem>(&mut self, item: T) -> Result<()> {
        let before = self.body.len();
        let length = match into_bytes(item) {
            ControlFlow::Break(bytes) => {
                self.cost += LEAST_ITEM_COST.max(bytes.len() as u64);
                self.attachments.push_back(bytes);
                self.lengths.push_back(0);
                return Ok(());
            }
            ControlFlow::Continue(item) => {
                let Packing {
                    codec,
                    body,
                    transferred,
                    ..
                } = self;
                let known = transferred.len();
                let encoded =
                    references::collect_into(transferred, || codec::encode(*codec, &item, body));
                if let Err(error) = encoded {
                    body.truncate(before);
                    let untaken = transferred.split_off(known);
                    drop(untaken);
                    return Err(Fault::new(
                        FaultKind::Unencodable,
                        Outcome::Ran,
                        format!("an item of the stream cannot be encoded: {error}"),
                    ));
                }
                self.body.len() - before
            }
        };
        self.cost += LEAST_ITEM_COST.max(length as u64);
        self.lengths
            .push_back(u32::try_from(length).unwrap_or(u32::MAX));
        Ok(())
    }

    pub(super) fn items(self) -> Items {
        Items {
            codec: self.codec,
            budget: Budget::default(),
            lengths: self.lengths,
            body: self.body.into(),
            attachments: self.attachments,
            transferred: self.transferred,
        }
    }
}

impl Items {
    /// Takes the next item.
    pub(super) fn next<T: StreamItem>(&mut self) -> Option<Result<T>> {
        if is_byte_string::<T>() {
            let (_, attachment) = self.take()?;
            return from_bytes(attachment.unwrap_or_default()).map(Ok);
        }
        let length = self.lengths.pop_front()? as usize;
        let length = length.min(self.body.len());
        let (codec, budget, body) = (self.codec, &self.budget, &self.body[..length]);
        let item =
            references::resolve(&mut self.transferred, || codec::decode(codec, body, budget));
        self.body.advance(length);
        Some(item.map_err(|error| {
            Fault::new(
                FaultKind::BadReply,
                Outcome::Ran,
                format!("an item of the stream cannot be decoded: {error}"),
            )
        }))
    }

    /// Takes the next item as it is: its part of the body, and its attachment where there is one for each item.
    pub(crate) fn take(&mut self) -> Option<(Bytes, Option<Bytes>)> {
        let is_one_each = self.attachments.len() == self.lengths.len();
        let length = self.lengths.pop_front()? as usize;
        let body = self.body.split_to(length.min(self.body.len()));
        let attachment = self.attachments.pop_front().filter(|_| is_one_each);
        Some((body, attachment))
    }

    /// What each item costs of a stream's credit.
    pub(crate) fn costs(&mut self) -> impl Iterator<Item = u64> {
        // They are in one piece already: nothing is ever put in behind those that were there at first.
        let (lengths, attachments) = (
            self.lengths.make_contiguous(),
            self.attachments.make_contiguous(),
        );
        farref_proto::item_costs(lengths, attachments)
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
pub(super) fn is_byte_string<T: 'static>() -> bool {
    [TypeId::of::<Bytes>(), TypeId::of::<Vec<u8>>()].contains(&TypeId::of::<T>())
}
