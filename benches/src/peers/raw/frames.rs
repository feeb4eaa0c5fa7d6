//! Frames: a length, a number, a method, a body.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Four bytes of length of the body, four of the call's number, one of the method.
pub(super) const HEADER: usize = 9;
/// The number of a call that is not answered.
pub(super) const UNANSWERED: u32 = u32::MAX;
/// Bodies from here on are read to where they stay; smaller ones are copied out, so that one read brings many of them.
const LARGE: usize = 128 * 1024;
/// How much a read asks for.
const READ: usize = 256 * 1024;
/// How much a read asks for after a large frame: likely another one follows, and what is read of it here is copied.
const READ_AFTER_LARGE: usize = 4096;

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) length: usize,
    pub(super) number: u32,
    pub(super) method: u8,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&(self.length as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8] = self.method;
        bytes
    }

    fn take(mut bytes: &[u8]) -> Self {
        Header {
            length: bytes.get_u32_le() as usize,
            number: bytes.get_u32_le(),
            method: bytes.get_u8(),
        }
    }
}

/// What a frame carries.
#[derive(Debug)]
pub(super) enum Body<'a> {
    /// Still in the buffer that it was read to.
    Small(&'a [u8]),
    Large(Bytes),
}

impl Body<'_> {
    /// The bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Body::Small(bytes) => bytes,
            Body::Large(bytes) => bytes,
        }
    }
}

/// Reads frames.
#[derive(Debug)]
pub(super) struct Frames<R> {
    reader: R,
    buffer: BytesMut,
    /// How much of the buffer was handed out.
    taken: usize,
    /// A large frame that has begun.
    large: Option<(Header, BytesMut)>,
    /// How much the next read asks for.
    next_read: usize,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(reader: R) -> Self {
        Frames {
            reader,
            buffer: BytesMut::with_capacity(READ),
            taken: 0,
            large: None,
            next_read: READ,
        }
    }

    /// Waits for bytes; returns whether there were any before the end.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        if let Some((_, body)) = &mut self.large {
            return Ok(self.reader.read_buf(body).await? > 0);
        }
        self.buffer.advance(self.taken);
        self.taken = 0;
        self.buffer.reserve(READ / 2);
        let mut room = (&mut self.buffer).limit(self.next_read);
        self.next_read = READ;
        Ok(self.reader.read_buf(&mut room).await? > 0)
    }

    /// The next frame of those that were read whole.
    pub(super) fn next(&mut self) -> Option<(Header, Body<'_>)> {
        if let Some((header, body)) = self.large.take() {
            if body.len() == header.length {
                return Some((header, Body::Large(body.freeze())));
            }
            self.large = Some((header, body));
            return None;
        }
        let unread = &self.buffer[self.taken..];
        let header = Header::take(unread.get(..HEADER)?);
        if header.length >= LARGE {
            return self.begin_large(header);
        }
        let start = self.taken + HEADER;
        let body = self.buffer.get(start..start + header.length)?;
        self.taken = start + header.length;
        Some((header, Body::Small(body)))
    }

    /// Takes a large frame, or what there is of it, out of the buffer.
    fn begin_large(&mut self, header: Header) -> Option<(Header, Body<'_>)> {
        let unread = &self.buffer[self.taken + HEADER..];
        let part = &unread[..unread.len().min(header.length)];
        // As large as the body and not larger, so that reading it stops where it ends.
        let mut body = BytesMut::with_capacity(header.length);
        body.put_slice(part);
        self.taken += HEADER + part.len();
        if body.len() == header.length {
            return Some((header, Body::Large(body.freeze())));
        }
        self.large = Some((header, body));
        self.next_read = READ_AFTER_LARGE;
        None
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]
mod tests {
    use super::*;

    /// Every frame of these bytes, read in pieces of this size.
    async fn frames(bytes: &[u8], piece: usize) -> Vec<(u32, Vec<u8>)> {
        let (mut writer, reader) = tokio::io::duplex(piece);
        let bytes = bytes.to_vec();
        tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut writer, &bytes).await });
        let mut frames = Frames::new(reader);
        let mut found = Vec::new();
        while frames.read().await.unwrap() {
            while let Some((header, body)) = frames.next() {
                found.push((header.number, body.as_slice().to_vec()));
            }
        }
        found
    }

    #[tokio::test]
    async fn frames_survive_being_cut_anywhere() {
        let expected = vec![
            (1, vec![1; 5]),
            (2, vec![2; LARGE + 7]),
            (3, Vec::new()),
            (4, vec![4; LARGE]),
            (5, vec![5; LARGE - 1]),
        ];
        let mut bytes = Vec::new();
        for (number, body) in &expected {
            let header = Header {
                length: body.len(),
                number: *number,
                method: 0,
            };
            bytes.extend_from_slice(&header.to_bytes());
            bytes.extend_from_slice(body);
        }
        for piece in [1, 7, 100, 4096, 1 << 20] {
            assert_eq!(frames(&bytes, piece).await, expected, "pieces of {piece}");
        }
    }
}
