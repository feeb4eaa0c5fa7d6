//! Streams whose items this side produces.

use super::{Credit, StreamCost};
use crate::error::Violation;

#[derive(Debug)]
enum Slot {
    Free { next: Option<u32> },
    Open(Stream),
}

#[derive(Debug, Default)]
struct Stream {
    credit: Credit,
    /// Items sent so far.
    items: u64,
    /// This side has sent the end.
    has_ended: bool,
    /// The consumer wants no more.
    is_cancelled: bool,
    /// Somebody found no credit, and is to be told of more.
    awaited: bool,
}

/// Why items of a stream are not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsendable {
    /// There is not enough credit; there will be news of more.
    NoCredit,
    /// There is no such stream, or it has ended, or its consumer wants no more.
    Ended,
}

/// Slots of streams. A free slot is used again before the table grows, so the numbers are dense.
#[derive(Debug, Default)]
pub(crate) struct Produced {
    slots: Vec<Slot>,
    free: Option<u32>,
    open: usize,
}

impl Produced {
    /// Opens a stream, which has no credit yet. Returns `None` if there are `limit` of them.
    pub(crate) fn open(&mut self, limit: u32) -> Option<u32> {
        if self.open >= limit as usize {
            return None;
        }
        self.open += 1;
        // The producer waits for the first credit.
        let slot = Slot::Open(Stream {
            awaited: true,
            ..Stream::default()
        });
        Some(match self.free {
            Some(index) => {
                let free = std::mem::replace(&mut self.slots[index as usize], slot);
                self.free = match free {
                    Slot::Free { next } => next,
                    Slot::Open(_) => None,
                };
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        })
    }

    fn get(&mut self, number: u32) -> Option<&mut Stream> {
        match self.slots.get_mut(number as usize) {
            Some(Slot::Open(stream)) => Some(stream),
            _ => None,
        }
    }

    /// Forgets a stream of which the consumer was not told, or which both sides have ended.
    pub(crate) fn forget(&mut self, number: u32) {
        if let Some(slot @ Slot::Open(_)) = self.slots.get_mut(number as usize) {
            *slot = Slot::Free { next: self.free };
            self.free = Some(number);
            self.open -= 1;
        }
    }

    /// Returns how many items and bytes may be sent now; if there is no room, there will be news of it.
    pub(crate) fn room(&mut self, number: u32) -> Result<(u64, u64), Unsendable> {
        match self.get(number) {
            Some(stream) if stream.is_open() => {
                stream.awaited = !stream.credit.has_room();
                Ok(stream.credit.room())
            }
            _ => Err(Unsendable::Ended),
        }
    }

    /// Notes that somebody waits with a stream although it may have credit.
    pub(crate) fn wait(&mut self, number: u32) -> Result<(), Unsendable> {
        match self.get(number) {
            Some(stream) if stream.is_open() => {
                stream.awaited = true;
                Ok(())
            }
            _ => Err(Unsendable::Ended),
        }
    }

    /// Returns the streams that somebody waits with and that have credit, each once.
    pub(crate) fn take_awaited(&mut self) -> Vec<u32> {
        let mut awaited = Vec::new();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if let Slot::Open(stream) = slot
                && stream.awaited
                && stream.is_open()
                && stream.credit.has_room()
            {
                stream.awaited = false;
                awaited.push(number as u32);
            }
        }
        awaited
    }

    /// Takes what items cost that are about to be sent.
    pub(crate) fn spend(&mut self, number: u32, cost: StreamCost) -> Result<(), Unsendable> {
        match self.get(number) {
            Some(stream) if stream.is_open() => {
                if !stream.credit.spend(cost) {
                    stream.awaited = true;
                    return Err(Unsendable::NoCredit);
                }
                stream.items += cost.items;
                Ok(())
            }
            _ => Err(Unsendable::Ended),
        }
    }

    /// Tells whether the end of this stream is still to be sent.
    pub(crate) fn is_unended(&self, number: u32) -> bool {
        matches!(self.slots.get(number as usize), Some(Slot::Open(stream)) if !stream.has_ended)
    }

    /// Notes that the end is sent. Returns how many items there were; `None` if there is nothing to end.
    pub(crate) fn end(&mut self, number: u32) -> Option<u64> {
        let stream = self.get(number).filter(|stream| !stream.has_ended)?;
        stream.has_ended = true;
        let items = stream.items;
        if stream.is_cancelled {
            self.forget(number);
        }
        Some(items)
    }

    /// Takes credit from the consumer. Returns whether somebody waits for it.
    pub(crate) fn credited(
        &mut self,
        number: u32,
        items: u32,
        bytes: u64,
    ) -> Result<bool, Violation> {
        let stream = self.get(number).filter(|stream| !stream.is_cancelled);
        let stream = stream.ok_or(Violation::UnknownStream(number))?;
        stream.credit.add(items, bytes);
        // The end may be on its way: a legal race.
        let is_news = stream.awaited && !stream.has_ended && stream.credit.has_room();
        if is_news {
            stream.awaited = false;
        }
        Ok(is_news)
    }

    /// The consumer wants no more. Returns whether that is news to the producer, who is to end the stream.
    pub(crate) fn cancelled(&mut self, number: u32) -> Result<bool, Violation> {
        let stream = self.get(number).filter(|stream| !stream.is_cancelled);
        let stream = stream.ok_or(Violation::UnknownStream(number))?;
        stream.is_cancelled = true;
        let has_ended = stream.has_ended;
        if has_ended {
            self.forget(number);
        }
        Ok(!has_ended)
    }

    /// Returns how many streams are open.
    pub(crate) fn len(&self) -> usize {
        self.open
    }
}

impl Stream {
    fn is_open(&self) -> bool {
        !self.has_ended && !self.is_cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cost of items of these lengths.
    fn cost(lengths: &[u32]) -> StreamCost {
        StreamCost::of(lengths, &[])
    }

    #[test]
    fn a_number_is_free_when_both_sides_have_ended_the_stream() {
        let mut streams = Produced::default();
        assert_eq!(
            (streams.open(2), streams.open(2), streams.open(2)),
            (Some(0), Some(1), None)
        );
        assert_eq!(streams.end(0), Some(0));
        assert_eq!(streams.end(0), None);
        assert_eq!(streams.open(2), None, "the consumer may still speak of it");
        assert_eq!(
            streams.credited(0, 1, 1),
            Ok(false),
            "credit that crossed the end"
        );
        assert_eq!(streams.cancelled(0), Ok(false));
        assert_eq!(streams.cancelled(0), Err(Violation::UnknownStream(0)));
        assert_eq!(streams.open(2), Some(0));
        assert_eq!(streams.cancelled(1), Ok(true));
        assert_eq!(streams.cancelled(1), Err(Violation::UnknownStream(1)));
        assert_eq!(streams.credited(1, 1, 1), Err(Violation::UnknownStream(1)));
        assert_eq!(streams.room(1), Err(Unsendable::Ended));
        assert_eq!(streams.end(1), Some(0));
        assert_eq!((streams.len(), streams.open(2)), (1, Some(1)));
    }

    #[test]
    fn who_finds_no_credit_is_told_of_more_once() {
        let mut streams = Produced::default();
        streams.open(1);
        assert_eq!(streams.credited(0, 1, 1), Ok(true), "the first credit");
        assert_eq!(streams.spend(0, cost(&[300])), Ok(()));
        assert_eq!(streams.spend(0, cost(&[300])), Err(Unsendable::NoCredit));
        assert_eq!(
            streams.credited(0, 1, 1),
            Ok(false),
            "the bytes are overdrawn"
        );
        assert_eq!(streams.credited(0, 0, 300), Ok(true));
        assert_eq!(streams.credited(0, 1, 1), Ok(false));
        assert_eq!(streams.room(0), Ok((2, 3)));
        assert_eq!(streams.end(0), Some(1));
    }
}
