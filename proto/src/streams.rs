//! The tables of streams: those whose items this side produces, and those whose items it consumes.
//!
//! A stream is opened by an entry of a table, whose sender produces the items and chooses the number. Items flow within
//! the credit that the consumer gives. Each side ends the stream once, the producer with its end or error and the
//! consumer with a cancel, in whatever order; when both have, the number may name another stream.

mod consumed;
mod produced;

use bytes::Bytes;

pub(crate) use self::consumed::{Consumed, Received};
pub(crate) use self::produced::{Produced, Unsendable};

/// What an item costs of the credit in bytes at least: what its receiver keeps of it beside its bytes. So a stream of
/// empty items is bounded, too.
pub const LEAST_ITEM_COST: u64 = 32;

/// Returns what each item of a message costs of the credit in bytes: its length, with its attachment where there is one
/// for each item. Attachments that belong to no item in particular are charged to the last.
pub fn item_costs<'a>(
    lengths: &'a [u32],
    attachments: &'a [Bytes],
) -> impl Iterator<Item = u64> + 'a {
    let is_one_each = attachments.len() == lengths.len();
    let all = || attachments.iter().map(|bytes| bytes.len() as u64).sum();
    let last = lengths.len().wrapping_sub(1);
    lengths.iter().enumerate().map(move |(index, length)| {
        let attached: u64 = match attachments.get(index) {
            Some(bytes) if is_one_each => bytes.len() as u64,
            _ if !is_one_each && index == last => all(),
            _ => 0,
        };
        (u64::from(*length) + attached).max(LEAST_ITEM_COST)
    })
}

/// What the items of a message cost together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCost {
    /// How many they are.
    pub items: u64,
    /// The bytes of all but the last, which may overdraw the credit.
    before_last: u64,
    last: u64,
}

impl StreamCost {
    /// Adds up what [`item_costs`] says.
    #[must_use]
    pub fn of(lengths: &[u32], attachments: &[Bytes]) -> Self {
        let items = lengths.len() as u64;
        let Some((last, others)) = lengths.split_last() else {
            return Self {
                items,
                before_last: 0,
                last: 0,
            };
        };
        if attachments.is_empty() {
            let cost = |length: &u32| u64::from(*length).max(LEAST_ITEM_COST);
            return Self {
                items,
                before_last: others.iter().map(cost).sum(),
                last: cost(last),
            };
        }
        let (mut before_last, mut last) = (0, 0);
        for cost in item_costs(lengths, attachments) {
            before_last += last;
            last = cost;
        }
        Self {
            items,
            before_last,
            last,
        }
    }

    /// The bytes of all.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.before_last.saturating_add(self.last)
    }
}

/// The credit of a stream. An item may be sent while there is some of both, and may overdraw the bytes once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Credit {
    items: u64,
    bytes: i64,
}

impl Credit {
    /// Adds what the consumer gives.
    pub(crate) fn add(&mut self, items: u32, bytes: u64) {
        self.items = self.items.saturating_add(items.into());
        self.bytes = self.bytes.saturating_add_unsigned(bytes);
    }

    /// Takes what these items cost. Returns false, and takes nothing, if one of them may not be sent.
    pub(crate) fn spend(&mut self, cost: StreamCost) -> bool {
        // If the last may begin, all before it might.
        let left = self.bytes.saturating_sub_unsigned(cost.before_last);
        if cost.items > 0 && (cost.items > self.items || left <= 0) {
            return false;
        }
        self.items -= cost.items;
        self.bytes = left.saturating_sub_unsigned(cost.last);
        true
    }

    pub(crate) fn has_room(self) -> bool {
        self.items > 0 && self.bytes > 0
    }

    /// How many items may be sent, and how many bytes before the one that may overdraw.
    pub(crate) fn room(self) -> (u64, u64) {
        (self.items, u64::try_from(self.bytes).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_costs_its_bytes_and_never_nothing() {
        let costs = |lengths: &[u32], attachments: &[Bytes]| {
            item_costs(lengths, attachments).collect::<Vec<_>>()
        };
        let large = Bytes::from(vec![0; 1000]);
        assert_eq!(costs(&[], &[]), [] as [u64; 0]);
        assert_eq!(costs(&[0, 300], &[]), [32, 300]);
        assert_eq!(costs(&[0, 0], &[large.clone(), Bytes::new()]), [1000, 32]);
        assert_eq!(costs(&[1, 0], std::slice::from_ref(&large)), [32, 1000]);
        assert_eq!(costs(&[5], &[large.clone(), large]), [2005]);
    }

    #[test]
    fn the_cost_of_a_message_is_that_of_its_items() {
        let large = Bytes::from(vec![0; 1000]);
        for (lengths, attachments) in [
            (&[][..], &[][..]),
            (&[0, 300, 7], &[]),
            (&[0, 0], &[large.clone(), Bytes::new()]),
            (&[1, 700], std::slice::from_ref(&large)),
        ] {
            let all: Vec<_> = item_costs(lengths, attachments).collect();
            let cost = StreamCost::of(lengths, attachments);
            assert_eq!(cost.items, all.len() as u64);
            assert_eq!(cost.bytes(), all.iter().sum::<u64>());
            assert_eq!(cost.last, all.last().copied().unwrap_or(0));
        }
    }

    /// The cost of items of these lengths.
    fn cost(lengths: &[u32]) -> StreamCost {
        StreamCost::of(lengths, &[])
    }

    #[test]
    fn an_item_begins_on_any_credit_and_overdraws_it_once() {
        let mut credit = Credit::default();
        assert!(!credit.spend(cost(&[256])));
        credit.add(2, 300);
        assert!(credit.spend(cost(&[256])));
        assert!(credit.spend(cost(&[4 << 20])));
        assert!(!credit.has_room());
        credit.add(1, 4 << 20);
        assert_eq!(credit.room(), (1, 44));
        assert!(!credit.spend(cost(&[1, 1])), "there is credit for one item");
        assert_eq!(
            credit.room(),
            (1, 44),
            "nothing is taken for half of a message"
        );
    }
}
