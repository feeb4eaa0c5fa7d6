//! What the codec made of arguments or of a result, as it arrived.

use std::fmt;
use std::ops::{Deref, Range};

use bytes::{Buf, Bytes, BytesMut};

/// Bytes that are kept without sharing the memory that they were read to. Numbers and short texts fit.
const INLINE: usize = 22;

/// The encoded arguments or the encoded result of a call that arrived.
///
/// A short one is kept in place, so that it neither counts references nor keeps a whole buffer; a longer one shares the
/// memory that it was read to.
#[derive(Clone)]
pub struct Body(Kept);

#[derive(Clone)]
enum Kept {
    Inline { length: u8, bytes: [u8; INLINE] },
    Shared(Bytes),
}

impl Body {
    /// Takes the first `frame` bytes off `input`, and of them those from `start` on.
    #[inline]
    pub(crate) fn take(input: &mut BytesMut, start: usize, frame: usize) -> Self {
        if frame - start <= INLINE {
            let body = Self::copied(&input[start..frame]);
            input.advance(frame);
            return body;
        }
        let mut frame = input.split_to(frame).freeze();
        frame.advance(start);
        Self(Kept::Shared(frame))
    }

    /// A part of it, which shares the memory if it is long. The range must lie within it.
    #[inline]
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Kept::Shared(bytes) => Self::part(bytes, &bytes[range]),
            Kept::Inline { .. } => Self::copied(&self[range]),
        }
    }

    /// A part of a frame, whose memory it shares if it is long.
    #[inline]
    pub(crate) fn part(frame: &Bytes, part: &[u8]) -> Self {
        match part.len() {
            0..=INLINE => Self::copied(part),
            _ => Self(Kept::Shared(frame.slice_ref(part))),
        }
    }

    /// Copies at most [`INLINE`] bytes.
    #[inline]
    fn copied(short: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        bytes[..short.len()].copy_from_slice(short);
        let length = short.len() as u8;
        Self(Kept::Inline { length, bytes })
    }
}

impl Default for Body {
    #[inline]
    fn default() -> Self {
        Self::copied(&[])
    }
}

impl Deref for Body {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Kept::Shared(bytes) => bytes,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        match bytes.len() {
            0..=INLINE => Self::copied(&bytes),
            _ => Self(Kept::Shared(bytes)),
        }
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Body {}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Bytes::copy_from_slice(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_bodies_are_kept_in_place_and_long_ones_are_shared() {
        assert_eq!(size_of::<Body>(), size_of::<Bytes>());
        for length in 0..2 * INLINE {
            let frame: Vec<u8> = (0..length as u8).collect();
            let mut input = BytesMut::from(&b"head"[..]);
            input.extend_from_slice(&frame);
            input.extend_from_slice(b"next");
            let memory = input.as_ptr() as usize..input.as_ptr() as usize + input.len();
            let body = Body::take(&mut input, 4, 4 + length);
            assert_eq!((&body[..], &input[..]), (&frame[..], &b"next"[..]));
            let is_shared = memory.contains(&(body.as_ptr() as usize));
            assert_eq!(is_shared, length > INLINE, "{length} bytes");
            assert_eq!(
                body.slice(0..length / 2),
                body.slice(0..length).slice(0..length / 2)
            );
            assert_eq!(body.slice(length / 2..length)[..], frame[length / 2..]);
            assert_eq!(Body::from(Bytes::from(frame)), body);
        }
    }
}
