//! Bytes of session frames: those that wait to be written, in as few pieces as can be, and those that are kept until
//! the other side has them.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Attachments of this size and above are handed over; smaller ones are cheaper to copy than to write by themselves.
const HANDED_OVER: usize = 4 << 10;

/// Bytes of the first buffer: an idle connection should not cost more.
const FIRST_BUFFER: usize = 512;

/// Bytes of the largest buffer that frames share: about what one write takes.
const LARGEST_BUFFER: usize = 64 << 10;

/// What waits to be written, and what is kept.
///
/// Frames are written to the end of `tail`. What is kept shares the memory of what was given to the transport. Pieces
/// of a buffer come back to it when the transport has dropped them and the other side has them, so a steady flow of
/// small frames allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// In the order of the stream; the first `given` of them were given to the transport.
    pieces: VecDeque<Bytes>,
    given: usize,
    tail: BytesMut,
    /// Where the last frame in the tail begins, if others may be added to it.
    gathering: Option<usize>,
    /// The buffer before this one, of which pieces may still be kept.
    spare: BytesMut,
    /// Bytes in the pieces that were not given.
    waiting: usize,
    /// Bytes of the last buffer that was allocated.
    buffer_size: usize,
    /// What was given is dropped at once.
    forgets: bool,
}

impl Outbox {
    /// Returns the buffer, which has room for `estimate` bytes. What is written to it must be one piece.
    pub(crate) fn buffer(&mut self, estimate: usize) -> &mut BytesMut {
        self.gathering = None;
        if self.tail.capacity() - self.tail.len() < estimate {
            self.make_room(estimate);
        }
        &mut self.tail
    }

    /// Has others be added to the last frame in the buffer, which begins at `start`, until something else is written.
    #[inline]
    pub(crate) fn may_gather(&mut self, start: usize) {
        self.gathering = Some(start);
    }

    /// Has `add` add to that frame, if there is one that still waits; it must not need more memory than the buffer has.
    #[inline]
    pub(crate) fn gather(
        &mut self,
        add: impl FnOnce(&mut BytesMut, usize) -> Option<usize>,
    ) -> Option<usize> {
        add(&mut self.tail, self.gathering?)
    }

    /// Finds memory without moving what was written: growing a buffer would copy it.
    #[cold]
    fn make_room(&mut self, estimate: usize) {
        self.seal();
        let wanted = self.buffer_size.max(estimate);
        if wanted > 0 && self.tail.try_reclaim(wanted) {
            return;
        }
        std::mem::swap(&mut self.tail, &mut self.spare);
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
        self.waiting += bytes.len();
        self.pieces.push_back(bytes.clone());
    }

    fn seal(&mut self) {
        self.gathering = None;
        if !self.tail.is_empty() {
            self.waiting += self.tail.len();
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// Returns how many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting + self.tail.len()
    }

    /// Moves everything that waits to the end of `out`, and keeps it.
    pub(crate) fn take(&mut self, out: &mut Vec<Bytes>) {
        self.seal();
        self.waiting = 0;
        if self.forgets {
            out.extend(self.pieces.drain(..));
        } else {
            out.extend(self.pieces.range(self.given..).cloned());
            self.given = self.pieces.len();
        }
    }

    /// Drops the first so many bytes of those that were given: the other side has them.
    pub(crate) fn forget(&mut self, mut bytes: u64) {
        while bytes > 0 && self.given > 0 {
            let Some(first) = self.pieces.front_mut() else {
                return;
            };
            let length = first.len() as u64;
            if length > bytes {
                // No more than the length, which is a `usize`.
                first.advance(bytes as usize);
                return;
            }
            bytes -= length;
            self.given -= 1;
            self.pieces.pop_front();
        }
    }

    /// Has everything that is kept wait again.
    pub(crate) fn give_again(&mut self) {
        let given = self.pieces.range(..self.given);
        self.waiting += given.map(Bytes::len).sum::<usize>();
        self.given = 0;
    }

    /// Keeps nothing any more.
    pub(crate) fn keep_nothing(&mut self) {
        self.forgets = true;
        self.pieces.drain(..self.given);
        self.given = 0;
    }

    /// Gives memory back in which nothing waits and nothing is kept.
    pub(crate) fn shrink(&mut self) {
        if self.pieces.is_empty() && self.tail.is_empty() {
            *self = Self {
                forgets: self.forgets,
                ..Self::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(outbox: &mut Outbox) -> Vec<u8> {
        let mut out = Vec::new();
        outbox.take(&mut out);
        out.concat()
    }

    #[test]
    fn a_steady_flow_uses_the_same_memory() {
        let mut outbox = Outbox::default();
        let mut out = Vec::new();
        let mut places = std::collections::HashSet::new();
        for _ in 0..10_000 {
            outbox.buffer(40).extend_from_slice(&[7; 40]);
            outbox.take(&mut out);
            places.insert(out[0].as_ptr() as usize / FIRST_BUFFER);
            out.clear();
            outbox.forget(40);
        }
        assert!(places.len() <= 4, "{} buffers", places.len());
    }

    #[test]
    fn two_buffers_take_turns_while_a_few_frames_are_always_kept() {
        let mut outbox = Outbox::default();
        let mut out = Vec::new();
        let mut places = std::collections::HashSet::new();
        for round in 0..10_000 {
            outbox.buffer(40).extend_from_slice(&[7; 40]);
            outbox.take(&mut out);
            places.insert(out[0].as_ptr() as usize / FIRST_BUFFER);
            out.clear();
            if round >= 20 {
                outbox.forget(40);
            }
        }
        let memory = places.len() * FIRST_BUFFER;
        assert!(memory <= 4 * LARGEST_BUFFER, "{memory} bytes");
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
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn what_is_kept_is_given_again_from_where_the_other_side_wants_it() {
        let mut outbox = Outbox::default();
        for part in [&b"one"[..], b"two", b"three"] {
            outbox.buffer(part.len()).extend_from_slice(part);
            taken(&mut outbox);
        }
        outbox.buffer(4).extend_from_slice(b"four");
        outbox.forget(4);
        outbox.give_again();
        assert_eq!(outbox.len(), 11);
        assert_eq!(taken(&mut outbox), b"wothreefour");
        outbox.give_again();
        assert_eq!(taken(&mut outbox), b"wothreefour");
        outbox.forget(11);
        outbox.give_again();
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn nothing_is_kept_that_will_never_be_given_again() {
        let mut outbox = Outbox::default();
        outbox.buffer(3).extend_from_slice(b"one");
        taken(&mut outbox);
        outbox.buffer(3).extend_from_slice(b"two");
        outbox.keep_nothing();
        assert_eq!(taken(&mut outbox), b"two");
        outbox.give_again();
        assert_eq!(outbox.len(), 0);
    }
}
