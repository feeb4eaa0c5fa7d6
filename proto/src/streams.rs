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

/// What an item costs of the credit in bytes at least. So a stream of empty items is bounded, too.
pub const LEAST_ITEM_COST: u64 = 256;

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
    pub(crate) fn spend(&mut self, costs: impl Iterator<Item = u64>) -> bool {
        let mut left = *self;
        for cost in costs {
            if !left.has_room() {
                return false;
            }
            left.items -= 1;
            left.bytes = left.bytes.saturating_sub_unsigned(cost);
        }
        *self = left;
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
        assert_eq!(costs(&[0, 300], &[]), [256, 300]);
        assert_eq!(costs(&[0, 0], &[large.clone(), Bytes::new()]), [1000, 256]);
        assert_eq!(costs(&[1, 0], std::slice::from_ref(&large)), [256, 1000]);
        assert_eq!(costs(&[5], &[large.clone(), large]), [2005]);
    }

    #[test]
    fn an_item_begins_on_any_credit_and_overdraws_it_once() {
        let mut credit = Credit::default();
        assert!(!credit.spend([256].into_iter()));
        credit.add(2, 300);
        assert!(credit.spend([256].into_iter()));
        assert!(credit.spend([4 << 20].into_iter()));
        assert!(!credit.has_room());
        credit.add(1, 4 << 20);
        assert_eq!(credit.room(), (1, 44));
        assert!(
            !credit.spend([1, 1].into_iter()),
            "there is credit for one item"
        );
        assert_eq!(
            credit.room(),
            (1, 44),
            "nothing is taken for half of a message"
        );
    }
}
