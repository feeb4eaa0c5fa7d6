//! Bytes that wait to be written, in as few pieces as can be.

use bytes::{Bytes, BytesMut};

/// Attachments of this size and above are handed over; smaller ones are cheaper to copy than to write by themselves.
const HANDED_OVER: usize = 4 << 10;

/// Bytes of the first buffer: an idle connection should not cost more.
const FIRST_BUFFER: usize = 2 << 10;

/// Bytes of the largest buffer that frames share: about what one write takes.
const LARGEST_BUFFER: usize = 64 << 10;

/// What waits to be written.
///
/// Frames are written to the end of `tail`. Taken pieces of its memory come back to it when the transport has dropped
/// them, so a steady flow of small frames allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: Vec<Bytes>,
    tail: BytesMut,
    /// Bytes in `pieces`.
    in_pieces: usize,
    /// Bytes of the last buffer that was allocated.
    buffer_size: usize,
}

impl Outbox {
    /// Returns the buffer, which has room for `estimate` bytes. What is written to it must be one piece.
    pub(crate) fn buffer(&mut self, estimate: usize) -> &mut BytesMut {
        if self.tail.capacity() - self.tail.len() < estimate {
            self.make_room(estimate);
        }
        &mut self.tail
    }

    /// Finds memory without moving what was written: growing a buffer would copy it.
    #[cold]
    fn make_room(&mut self, estimate: usize) {
        self.seal();
        let wanted = self.buffer_size.max(estimate);
        if wanted > 0 && self.tail.try_reclaim(wanted) {
            return;
        }
        self.buffer_size = (self.buffer_size * 2).clamp(FIRST_BUFFER, LARGEST_BUFFER);
        self.tail = BytesMut::with_capacity(self.buffer_size.max(estimate));
    }

    /// Appends an attachment, behind a frame that was written to the buffer.
    pub(crate) fn attach(&mut self, bytes: &Bytes) {
        if bytes.len() < HANDED_OVER {
            self.buffer(bytes.len()).extend_from_slice(bytes);
            return;
        }
        self.seal();
        self.in_pieces += bytes.len();
        self.pieces.push(bytes.clone());
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.in_pieces += self.tail.len();
            self.pieces.push(self.tail.split().freeze());
        }
    }

    /// Returns how many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.in_pieces + self.tail.len()
    }

    /// Tells whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves everything to the end of `out`. Returns how many bytes.
    pub(crate) fn take(&mut self, out: &mut Vec<Bytes>) -> usize {
        let taken = self.len();
        out.append(&mut self.pieces);
        if !self.tail.is_empty() {
            out.push(self.tail.split().freeze());
        }
        self.in_pieces = 0;
        taken
    }

    /// Gives memory back that nothing waits in.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_uses_the_same_memory() {
        let mut outbox = Outbox::default();
        let mut out = Vec::new();
        let mut places = std::collections::HashSet::new();
        for _ in 0..10_000 {
            outbox.buffer(40).extend_from_slice(&[7; 40]);
            assert_eq!(outbox.take(&mut out), 40);
            places.insert(out[0].as_ptr() as usize / FIRST_BUFFER);
            out.clear();
        }
        assert!(places.len() <= 4, "{} buffers", places.len());
    }

    #[test]
    fn large_attachments_are_handed_over_in_order() {
        let mut outbox = Outbox::default();
        let large = Bytes::from(vec![1; HANDED_OVER]);
        outbox.buffer(3).extend_from_slice(b"abc");
        outbox.attach(&large);
        outbox.attach(&Bytes::from_static(b"small"));
        outbox.buffer(1).extend_from_slice(b"d");
        assert_eq!(outbox.len(), 9 + HANDED_OVER);
        let mut out = Vec::new();
        outbox.take(&mut out);
        assert_eq!(out.len(), 3);
        assert_eq!(out[1].as_ptr(), large.as_ptr());
        assert_eq!(&out[2][..], b"smalld");
        assert!(outbox.is_empty());
    }
}
