//! Reads the fields of a frame, and writes the few that are not plain numbers.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::DecodeError;

/// Reads one frame from its front to its end. Nothing is copied: byte strings share the frame's memory.
#[derive(Debug)]
pub(crate) struct Reader {
    frame: Bytes,
    at: usize,
}

impl Reader {
    /// Reads `frame` from the byte at `at` on.
    pub(crate) fn new(frame: &Bytes, at: usize) -> Self {
        Self::taking(frame.clone(), at)
    }

    /// Reads `frame` from the byte at `at` on, and gives up its own share of the memory with the last byte string.
    #[inline]
    pub(crate) fn taking(frame: Bytes, at: usize) -> Self {
        let at = at.min(frame.len());
        Self { frame, at }
    }

    /// Returns how many bytes are left.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.frame.len() - self.at
    }

    /// Returns the next bytes as they are.
    #[inline]
    pub(crate) fn raw(&mut self, length: usize, what: &'static str) -> Result<&[u8], DecodeError> {
        if length > self.left() {
            return Err(DecodeError::Truncated(what));
        }
        let start = self.at;
        self.at += length;
        Ok(&self.frame[start..self.at])
    }

    /// Returns the next bytes, sharing the frame.
    pub(crate) fn bytes(
        &mut self,
        length: usize,
        what: &'static str,
    ) -> Result<Bytes, DecodeError> {
        if length > self.left() {
            return Err(DecodeError::Truncated(what));
        }
        let start = self.at;
        self.at += length;
        Ok(match length {
            0 => Bytes::new(),
            _ => self.frame.slice(start..self.at),
        })
    }

    /// Returns all that is left.
    #[inline]
    pub(crate) fn rest(self) -> Bytes {
        let mut rest = self.frame;
        rest.advance(self.at);
        rest
    }

    /// Returns the next bytes as an array.
    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let bytes = self.frame[self.at..]
            .first_chunk::<N>()
            .ok_or(DecodeError::Truncated(what))?;
        self.at += N;
        Ok(*bytes)
    }

    /// Returns the next numbers of 32 bits.
    #[inline]
    pub(crate) fn words<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u32; N], DecodeError> {
        let words = words(&self.frame[self.at..]).ok_or(DecodeError::Truncated(what))?;
        self.at += 4 * N;
        Ok(words)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Reads a number of 16 bits that must be zero.
    pub(crate) fn reserved_u16(&mut self, what: &'static str) -> Result<(), DecodeError> {
        match self.u16(what)? {
            0 => Ok(()),
            _ => Err(DecodeError::Reserved(what)),
        }
    }

    /// Reads a text whose length of 16 bits stands before it.
    pub(crate) fn text(&mut self, limit: usize, what: &'static str) -> Result<&str, DecodeError> {
        let length = usize::from(self.u16(what)?);
        if length > limit {
            return Err(DecodeError::TooMany {
                what: "bytes of a text",
                count: length,
                limit,
            });
        }
        std::str::from_utf8(self.raw(length, what)?).map_err(|_| DecodeError::NotUtf8(what))
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.left() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

/// Returns the numbers of 32 bits at the front of these bytes, if there are so many.
#[inline]
pub(crate) fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let (chunks, _) = bytes.as_chunks();
    let chunks: &[[u8; 4]; N] = chunks.first_chunk()?;
    Some(chunks.map(u32::from_le_bytes))
}

/// Returns the longest start of `text` that has at most `limit` bytes and ends between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Writes a text after its length of 16 bits, cut to `limit`.
pub(crate) fn put_text(out: &mut BytesMut, text: &str, limit: usize) {
    let text = cut(text, limit.min(usize::from(u16::MAX)));
    out.put_u16_le(text.len() as u16);
    out.put_slice(text.as_bytes());
}

/// One field of a list of tagged ones: a tag of 8 bits, a length of 16, and the bytes.
pub(crate) fn put_option(out: &mut BytesMut, tag: u8, bytes: &[u8]) {
    out.put_u8(tag);
    out.put_u16_le(bytes.len() as u16);
    out.put_slice(bytes);
}
