//! How far a producer may be ahead.

use super::feed::Room;

/// How far the producer of a stream may be ahead of its consumer, in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamWindow {
    items: u32,
    bytes: u64,
}

impl StreamWindow {
    /// 32 768 items: as many as the bytes allow if they are the smallest, so that both sides of a stream of small items have
    /// something to do while credit for more is on its way.
    pub const ITEMS: u32 = 32 << 10;
    /// 1 MiB: what a fast network carries in a few milliseconds, and no more memory than a large message.
    pub const BYTES: u64 = 1 << 20;

    /// A window of so many items: with 1, each item is produced when it is asked for.
    #[must_use]
    pub fn items(items: u32) -> Self {
        StreamWindow {
            items: items.max(1),
            ..Self::default()
        }
    }

    /// The same with so many bytes, encoded, which one item may exceed. An item counts 32 bytes at least.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> Self {
        StreamWindow {
            bytes: bytes.max(1),
            ..self
        }
    }

    pub(crate) fn room(self) -> Room {
        Room {
            items: self.items.into(),
            bytes: self.bytes,
        }
    }
}

impl Default for StreamWindow {
    fn default() -> Self {
        StreamWindow {
            items: Self::ITEMS,
            bytes: Self::BYTES,
        }
    }
}
