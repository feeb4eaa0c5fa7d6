//! Streams whose items this side consumes.

use super::{Credit, StreamCost};
use crate::error::Violation;

#[derive(Debug, Default)]
struct Stream {
    /// What the producer may send; spent as the items arrive.
    credit: Credit,
    /// Items received so far.
    items: u64,
    /// Credit that the producer was not told of yet.
    owed_items: u32,
    owed_bytes: u64,
    /// This side wants no more, or has seen the end.
    cancel_due: bool,
    is_cancelled: bool,
    /// The producer has ended the stream.
    has_ended: bool,
    /// The number stands in the list of those that have something to say.
    is_listed: bool,
}

/// What becomes of items that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// They are wanted.
    Wanted,
    /// The stream was cancelled while they were on their way.
    Unwanted,
}

/// What is to be said of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) number: u32,
    /// So much more may be sent.
    pub(crate) credit: Option<(u32, u64)>,
    /// No more is wanted.
    pub(crate) cancel: bool,
}

/// Streams by the numbers that the producer chose.
#[derive(Debug, Default)]
pub(crate) struct Consumed {
    slots: Vec<Option<Stream>>,
    open: usize,
    /// Streams of which something is to be said, each once.
    due: Vec<u32>,
}

impl Consumed {
    /// Opens the stream that a table announced.
    pub(crate) fn open(&mut self, number: u32, limit: u32) -> Result<(), Violation> {
        if self.open >= limit as usize {
            return Err(Violation::TooManyStreams(limit));
        }
        // A producer uses a new number only when all lower ones are taken, which bounds the table.
        let next = self.slots.len() == number as usize;
        match self.slots.get_mut(number as usize) {
            Some(slot @ None) => *slot = Some(Stream::default()),
            None if next => self.slots.push(Some(Stream::default())),
            _ => return Err(Violation::StreamOutOfSequence(number)),
        }
        self.open += 1;
        Ok(())
    }

    fn get(&mut self, number: u32) -> Result<&mut Stream, Violation> {
        match self.slots.get_mut(number as usize) {
            Some(Some(stream)) => Ok(stream),
            _ => Err(Violation::UnknownStream(number)),
        }
    }

    fn unended(&mut self, number: u32) -> Result<&mut Stream, Violation> {
        let stream = self.get(number)?;
        if stream.has_ended {
            return Err(Violation::UnknownStream(number));
        }
        Ok(stream)
    }

    /// Takes items that arrived, of these costs.
    pub(crate) fn received(
        &mut self,
        number: u32,
        cost: StreamCost,
    ) -> Result<Received, Violation> {
        let stream = self.unended(number)?;
        if !stream.credit.spend(cost) {
            return Err(Violation::StreamCreditOverspent(number));
        }
        stream.items += cost.items;
        Ok(match stream.is_cancelled || stream.cancel_due {
            true => Received::Unwanted,
            false => Received::Wanted,
        })
    }

    /// Takes the end that arrived: after so many items, if it is not an error. It is answered with a cancel.
    pub(crate) fn ended(&mut self, number: u32, items: Option<u64>) -> Result<Received, Violation> {
        let stream = self.unended(number)?;
        if items.is_some_and(|items| items != stream.items) {
            return Err(Violation::StreamItemsMissing(number));
        }
        stream.has_ended = true;
        if stream.is_cancelled {
            self.forget(number);
            return Ok(Received::Unwanted);
        }
        let was_cancelled = std::mem::replace(&mut stream.cancel_due, true);
        self.list(number);
        Ok(match was_cancelled {
            true => Received::Unwanted,
            false => Received::Wanted,
        })
    }

    fn list(&mut self, number: u32) {
        if let Some(Some(stream)) = self.slots.get_mut(number as usize)
            && !std::mem::replace(&mut stream.is_listed, true)
        {
            self.due.push(number);
        }
    }

    fn forget(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(number as usize)
            && slot.take().is_some()
        {
            self.open -= 1;
        }
    }

    /// Allows the producer so much more, unless the stream is at its end. The producer is told when there is room.
    pub(crate) fn grant(&mut self, number: u32, items: u32, bytes: u64) {
        if let Ok(stream) = self.unended(number)
            && !stream.cancel_due
            && !stream.is_cancelled
        {
            stream.credit.add(items, bytes);
            stream.owed_items = stream.owed_items.saturating_add(items);
            stream.owed_bytes = stream.owed_bytes.saturating_add(bytes);
            self.list(number);
        }
    }

    /// Wants no more of a stream. The producer is told when there is room.
    pub(crate) fn cancel(&mut self, number: u32) {
        if let Ok(stream) = self.unended(number)
            && !stream.is_cancelled
        {
            stream.cancel_due = true;
            self.list(number);
        }
    }

    /// Tells whether there is something to say.
    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Returns what is to be said, which is sent at once.
    pub(crate) fn take_due(&mut self) -> Vec<Due> {
        let due = std::mem::take(&mut self.due);
        let say = |number: u32| {
            let stream = self.get(number).ok()?;
            stream.is_listed = false;
            if stream.cancel_due {
                stream.cancel_due = false;
                stream.is_cancelled = true;
                if stream.has_ended {
                    self.forget(number);
                }
                return Some(Due {
                    number,
                    credit: None,
                    cancel: true,
                });
            }
            let items = std::mem::take(&mut stream.owed_items);
            let bytes = std::mem::take(&mut stream.owed_bytes);
            Some(Due {
                number,
                credit: Some((items, bytes)),
                cancel: false,
            })
        };
        due.into_iter().filter_map(say).collect()
    }

    /// Returns how many streams are open.
    pub(crate) fn len(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cost of items of these lengths.
    fn cost(lengths: &[u32]) -> StreamCost {
        StreamCost::of(lengths, &[])
    }

    fn due(number: u32, credit: Option<(u32, u64)>) -> Due {
        Due {
            number,
            credit,
            cancel: credit.is_none(),
        }
    }

    #[test]
    fn credit_is_counted_until_it_is_told() {
        let mut streams = Consumed::default();
        streams.open(0, 8).expect("a new stream");
        assert_eq!(
            streams.received(0, cost(&[256])),
            Err(Violation::StreamCreditOverspent(0))
        );
        streams.grant(0, 1, 100);
        streams.grant(0, 2, 200);
        assert_eq!(streams.take_due(), [due(0, Some((3, 300)))]);
        assert!(!streams.has_due());
        let received = streams.received(0, cost(&[256, 256]));
        assert_eq!(received, Ok(Received::Wanted));
        assert_eq!(
            streams.received(0, cost(&[256])),
            Err(Violation::StreamCreditOverspent(0))
        );
        assert_eq!(
            streams.ended(0, Some(3)),
            Err(Violation::StreamItemsMissing(0))
        );
    }

    #[test]
    fn an_end_is_answered_and_then_forgotten() {
        let mut streams = Consumed::default();
        streams.open(0, 8).expect("a new stream");
        assert_eq!(streams.open(0, 8), Err(Violation::StreamOutOfSequence(0)));
        assert_eq!(streams.open(2, 8), Err(Violation::StreamOutOfSequence(2)));
        assert_eq!(streams.ended(0, Some(0)), Ok(Received::Wanted));
        streams.cancel(0);
        streams.grant(0, 1, 1);
        assert_eq!(streams.len(), 1);
        assert_eq!(streams.take_due(), [due(0, None)]);
        assert_eq!(streams.len(), 0);
        streams.open(0, 8).expect("the number is free");
    }

    #[test]
    fn a_cancelled_stream_swallows_what_was_on_its_way() {
        let mut streams = Consumed::default();
        streams.open(0, 1).expect("a new stream");
        assert_eq!(streams.open(1, 1), Err(Violation::TooManyStreams(1)));
        streams.grant(0, 2, 2000);
        streams.cancel(0);
        streams.cancel(0);
        assert_eq!(
            streams.take_due(),
            [due(0, None)],
            "the credit was never told"
        );
        let received = streams.received(0, cost(&[256]));
        assert_eq!(received, Ok(Received::Unwanted), "but it is known here");
        assert_eq!(streams.ended(0, None), Ok(Received::Unwanted));
        assert_eq!((streams.len(), streams.has_due()), (0, false));
        assert_eq!(streams.ended(0, None), Err(Violation::UnknownStream(0)));
    }
}
