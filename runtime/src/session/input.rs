//! The bytes that arrive, in a buffer that is as large as the traffic needs.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use farref_proto::Connection;
use socket2::Socket;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::apart::Apart;

/// What a read asks for at least, in bytes: an idle connection should not cost more.
const SMALLEST: usize = 1024;
/// What a read asks for at most, unless a large frame is on its way.
const LARGEST: usize = 64 * 1024;
/// After so many reads in a row that brought little, reads ask for less.
const PATIENCE: u8 = 8;
/// What the read asks for that follows a large byte string: likely another one comes, and what is read of it here is copied.
const HEAD: usize = 4096;
/// How much is read at most past the runtime, into room that has to be cleared first.
const READ_NOW: usize = 4096;

/// Bytes that have arrived and are not a whole frame yet.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) bytes: BytesMut,
    /// The large byte string that ends the frame which `bytes` is the beginning of.
    apart: Option<Apart>,
    /// Whether such a frame has just come.
    follows_large: bool,
    /// What a read asks for.
    size: usize,
    small_reads: u8,
    /// How many bytes there were after the last read, if their memory is nobody else's: it can grow where it is.
    unshared: Option<usize>,
    /// Whether there is a large frame among them, or was.
    is_large: bool,
}

impl Default for Input {
    fn default() -> Self {
        Input {
            bytes: BytesMut::new(),
            apart: None,
            follows_large: false,
            size: SMALLEST,
            small_reads: 0,
            unshared: None,
            is_large: false,
        }
    }
}

impl Input {
    /// Reads some bytes to the end; returns how many, 0 at the end of the transport's stream.
    pub(super) async fn read(
        &mut self,
        reader: &mut (dyn AsyncRead + Send + Unpin),
    ) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(reader, cx)).await
    }

    /// Reads some bytes to the end, or has the task woken when there are some.
    pub(super) fn poll_read(
        &mut self,
        reader: &mut (dyn AsyncRead + Send + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.apart.is_none() {
            self.apart = Apart::begin(&mut self.bytes);
        }
        if let Some(apart) = &mut self.apart {
            return apart.poll_read(reader, cx);
        }
        self.make_room();
        if self.follows_large {
            let mut head = (&mut self.bytes).limit(HEAD);
            let read = ready!(pin!(reader.read_buf(&mut head)).poll(cx))?;
            self.follows_large = false;
            self.unshared = self.unshared.map(|before| before + read);
            return Poll::Ready(Ok(read));
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let read = ready!(pin!(reader.read_buf(&mut self.bytes)).poll(cx))?;
        self.has_read(read, room);
        Poll::Ready(Ok(read))
    }

    /// Reads what the socket has, after a [`poll_read`](Input::poll_read) that had nothing. None if it has nothing, or if what
    /// is to come is read apart.
    pub(super) fn read_now(&mut self, mut socket: &Socket) -> Option<io::Result<usize>> {
        let there = self.bytes.len();
        // What follows, if this is not all, is there when the runtime asks.
        let room = (self.bytes.capacity() - there).min(READ_NOW);
        if room == 0 || self.reads_apart() {
            return None;
        }
        self.bytes.resize(there + room, 0);
        let read = socket.read(&mut self.bytes[there..]);
        self.bytes
            .truncate(there + read.as_ref().copied().unwrap_or_default());
        match read {
            Ok(read) => {
                self.has_read(read, room);
                Some(Ok(read))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => None,
                _ => Some(Err(error)),
            },
        }
    }

    /// Takes note of what was read to so much room.
    fn has_read(&mut self, read: usize, room: usize) {
        self.unshared = self.unshared.map(|before| before + read);
        self.is_large |= self.bytes.len() > LARGEST;
        if read == room {
            self.size = (2 * self.size).min(LARGEST);
            self.small_reads = 0;
        } else if read < self.size / 4 {
            self.small_reads += 1;
            if self.small_reads == PATIENCE {
                self.size = (self.size / 2).max(SMALLEST);
                self.small_reads = 0;
            }
        } else {
            self.small_reads = 0;
        }
    }

    /// Whether a large byte string is on its way.
    pub(super) fn reads_apart(&self) -> bool {
        self.apart.is_some()
    }

    /// Throws away what has come.
    pub(super) fn discard(&mut self) {
        self.bytes.clear();
        self.apart = None;
    }

    /// Takes the byte string that ends the frame which the bytes are the beginning of, if it was read apart and is complete.
    pub(super) fn take_apart(&mut self) -> Option<Bytes> {
        let complete = self.apart.take_if(|apart| apart.is_complete())?;
        self.follows_large = true;
        Some(complete.into_bytes())
    }

    /// Lets the memory of a large frame go, once it was taken out, so that it belongs to who has the frame now.
    pub(super) fn let_go(&mut self) {
        if self.is_large && self.bytes.is_empty() {
            self.bytes = BytesMut::new();
            self.unshared = None;
            self.is_large = false;
        }
    }

    /// How many bytes of memory it has.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity() + self.apart.as_ref().map_or(0, Apart::room)
    }

    /// Makes room for the next read: for the rest of a frame that has begun, but never much more than what came of it
    /// already, so that a peer which only announces a large frame costs nothing.
    fn make_room(&mut self) {
        let there = self.bytes.len();
        let room = self.bytes.capacity() - there;
        match Connection::missing(&self.bytes) {
            Some(missing) if missing > room.max(self.size) => {
                let more = missing.min(self.size.max(there));
                if room > more / 2 {
                    // Enough for another read.
                } else if self.unshared == Some(there) {
                    self.bytes.reserve(more);
                } else {
                    let mut own = BytesMut::with_capacity(there + more);
                    own.extend_from_slice(&self.bytes);
                    self.bytes = own;
                    self.unshared = Some(there);
                }
            }
            _ if room < self.size / 4 => {
                self.bytes.reserve(self.size);
                self.unshared = None;
            }
            _ if there == 0 && room > 4 * self.size => {
                self.bytes = BytesMut::with_capacity(self.size);
                self.unshared = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(input: &mut Input, mut bytes: &[u8]) -> Vec<usize> {
        let mut reads = Vec::new();
        while !bytes.is_empty() {
            reads.push(input.read(&mut bytes).await.expect("it is memory"));
        }
        reads
    }

    #[tokio::test]
    async fn the_buffer_grows_with_the_traffic_and_shrinks_with_it() {
        let mut input = Input::default();
        for _ in 0..16 {
            // A header that announces nothing, again and again.
            read_all(&mut input, &[0; 256 * 1024]).await;
            input.bytes.clear();
        }
        assert!(input.bytes.capacity() >= LARGEST, "{input:?}");
        for _ in 0..8 * PATIENCE {
            read_all(&mut input, &[0; 20]).await;
            input.bytes.clear();
        }
        assert!(input.bytes.capacity() <= 4 * SMALLEST, "{input:?}");
    }

    #[tokio::test]
    async fn a_large_frame_takes_few_reads_and_one_that_is_only_announced_no_room() {
        let mut input = Input::default();
        let mut frame = vec![7; 1 << 20];
        frame[..4].copy_from_slice(&((1u32 << 20) - 4).to_le_bytes());
        read_all(&mut input, &frame[..100]).await;
        assert!(input.bytes.capacity() <= 4 * SMALLEST, "{input:?}");
        let reads = read_all(&mut input, &frame[100..]).await;
        assert!(reads.len() <= 12, "{reads:?}");
        assert_eq!(input.bytes, frame);
    }

    #[tokio::test]
    async fn the_memory_of_a_large_frame_belongs_to_who_has_the_frame() {
        let mut input = Input::default();
        let mut frame = vec![7; 1 << 20];
        frame[..4].copy_from_slice(&((1u32 << 20) - 4).to_le_bytes());
        read_all(&mut input, &frame).await;
        let content = input.bytes.split_to(frame.len()).freeze().slice(100..);
        let memory = content.as_ptr() as usize - 100;
        input.let_go();
        let content = Vec::from(content);
        assert_eq!(content.as_ptr() as usize, memory, "it was copied");
        assert_eq!(content, frame[100..]);
    }
}
