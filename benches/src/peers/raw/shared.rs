//! What callers, the reader and the writer of a connection share: calls that wait, and bytes that are to be written.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::frames::{Body, HEADER, Header};

/// Callers that expect no answer wait while more than this is to be written.
const FULL: usize = 256 * 1024;
/// Bodies from here on are handed to the system as they are, without a copy.
const HANDED_OVER: usize = 16 * 1024;
/// How many bytes of a reply are kept without an allocation.
const INLINE: usize = 16;

/// Bytes that outlive the buffer that they were read to.
#[derive(Debug)]
pub(super) enum Payload {
    Inline([u8; INLINE], u8),
    Shared(Bytes),
}

impl Payload {
    pub(super) fn of(body: Body<'_>) -> Self {
        match body {
            Body::Large(bytes) => Payload::Shared(bytes),
            Body::Small(bytes) if bytes.len() > INLINE => {
                Payload::Shared(Bytes::copy_from_slice(bytes))
            }
            Body::Small(bytes) => {
                let mut inline = [0; INLINE];
                inline[..bytes.len()].copy_from_slice(bytes);
                Payload::Inline(inline, bytes.len() as u8)
            }
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Inline(bytes, length) => &bytes[..usize::from(*length)],
            Payload::Shared(bytes) => bytes,
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Payload::Inline(..) => Bytes::copy_from_slice(self.as_slice()),
            Payload::Shared(bytes) => bytes,
        }
    }
}

/// What is to be written, in order: the chunks, then the tail.
#[derive(Debug, Default)]
pub(super) struct Output {
    chunks: Vec<Bytes>,
    tail: Vec<u8>,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.tail.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.tail.len() > FULL
    }

    /// Appends a frame whose body is copied.
    pub(super) fn put(&mut self, number: u32, method: u8, body: &[u8]) {
        let header = Header {
            length: body.len(),
            number,
            method,
        };
        self.tail.extend_from_slice(&header.to_bytes());
        self.tail.extend_from_slice(body);
    }

    /// Appends a frame whose body `put` appends.
    pub(super) fn put_with<E>(
        &mut self,
        number: u32,
        method: u8,
        put: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let start = self.tail.len();
        self.put(number, method, &[]);
        self.tail = put(std::mem::take(&mut self.tail))?;
        let header = Header {
            length: self.tail.len() - start - HEADER,
            number,
            method,
        };
        self.tail[start..start + HEADER].copy_from_slice(&header.to_bytes());
        Ok(())
    }

    /// Appends a frame whose body is kept, if it is worth that.
    pub(super) fn put_bytes(&mut self, number: u32, method: u8, body: Bytes) {
        if body.len() < HANDED_OVER {
            return self.put(number, method, &body);
        }
        let header = Header {
            length: body.len(),
            number,
            method,
        };
        self.tail.extend_from_slice(&header.to_bytes());
        self.chunks.push(std::mem::take(&mut self.tail).into());
        self.chunks.push(body);
    }

    /// Writes what the socket takes without waiting, if it is short.
    pub(super) fn write_now(&mut self, mut socket: &TcpStream) {
        if self.chunks.is_empty()
            && let Ok(written) = socket.write(&self.tail)
        {
            // Errors, and a lack of room, are met again by the writer.
            self.tail.drain(..written);
        }
    }

    /// Writes everything, and is empty then.
    pub(super) async fn write_to(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        if !self.chunks.is_empty() {
            self.write_chunks(writer).await?;
        }
        if !self.tail.is_empty() {
            writer.write_all(&self.tail).await?;
            self.tail.clear();
        }
        Ok(())
    }

    async fn write_chunks(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        self.chunks.push(std::mem::take(&mut self.tail).into());
        let mut first = 0;
        while first < self.chunks.len() {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = slices.len().min(self.chunks.len() - first);
            for (slice, chunk) in slices.iter_mut().zip(&self.chunks[first..]) {
                *slice = IoSlice::new(chunk);
            }
            let mut written = writer.write_vectored(&slices[..count]).await?;
            while let Some(chunk) = self.chunks.get_mut(first)
                && chunk.len() <= written
            {
                written -= chunk.len();
                first += 1;
            }
            if let Some(chunk) = self.chunks.get_mut(first) {
                chunk.advance(written);
            }
        }
        self.chunks.clear();
        Ok(())
    }
}

/// A place for a call.
#[derive(Debug)]
enum Slot {
    Free,
    Waiting(Waker),
    Answered(Payload),
    /// A stream, with the items that are not taken yet and who waits for more.
    Counting(Vec<u64>, Option<Waker>),
    Lost,
}

/// All that is behind the mutex.
#[derive(Debug, Default)]
pub(super) struct State {
    slots: Vec<Slot>,
    free: Vec<u32>,
    pub(super) output: Output,
    /// Whether somebody writes what was taken from `output`.
    writing: bool,
    blocked: Vec<Waker>,
    lost: bool,
}

impl State {
    /// Takes a slot for a call; fails when the connection is lost.
    pub(super) fn begin(&mut self, waker: &Waker) -> io::Result<u32> {
        if self.lost {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let slot = Slot::Waiting(waker.clone());
        match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                Ok(number)
            }
            None => {
                self.slots.push(slot);
                Ok(self.slots.len() as u32 - 1)
            }
        }
    }

    /// Lets items arrive where an answer would.
    pub(super) fn begin_counting(&mut self, number: u32) {
        self.slots[number as usize] = Slot::Counting(Vec::new(), None);
    }

    /// Takes the items that have arrived.
    pub(super) fn poll_items(
        &mut self,
        number: u32,
        cx: &Context<'_>,
        into: &mut Vec<u64>,
    ) -> Poll<io::Result<()>> {
        match &mut self.slots[number as usize] {
            Slot::Counting(items, waker) if items.is_empty() => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Slot::Counting(items, _) => {
                std::mem::swap(items, into);
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    /// Gives the slot of a stream back.
    pub(super) fn end(&mut self, number: u32) {
        self.slots[number as usize] = Slot::Free;
        self.free.push(number);
    }

    /// Completes a call, and returns whom to wake.
    pub(super) fn complete(&mut self, number: u32, body: Body<'_>) -> Option<Waker> {
        let slot = self.slots.get_mut(number as usize)?;
        if let Slot::Counting(items, waker) = slot {
            items.push(u64::from_le_bytes(body.as_slice().try_into().ok()?));
            return waker.take();
        }
        match std::mem::replace(slot, Slot::Answered(Payload::of(body))) {
            Slot::Waiting(waker) => Some(waker),
            _ => None,
        }
    }

    /// Takes the answer of a call.
    pub(super) fn poll(&mut self, number: u32, cx: &Context<'_>) -> Poll<io::Result<Payload>> {
        let slot = &mut self.slots[number as usize];
        if let Slot::Waiting(waker) = slot {
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        let slot = std::mem::replace(slot, Slot::Free);
        self.free.push(number);
        match slot {
            Slot::Answered(payload) => Poll::Ready(Ok(payload)),
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    /// Whether a call of this number is the only thing that happens here.
    pub(super) fn is_lone(&self) -> bool {
        !self.writing && self.free.len() + 1 == self.slots.len()
    }

    /// Whether there is room for a call without an answer; else its task is woken when there is.
    pub(super) fn has_room(&mut self, waker: &Waker) -> bool {
        if self.output.is_full() {
            self.blocked.push(waker.clone());
            return false;
        }
        true
    }
}

/// The state, and the writer that waits for it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) wake: Notify,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is put into the output, for as long as the connection lives.
    pub(super) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut output = Output::default();
        loop {
            self.wake.notified().await;
            // Those who are ready to run add to what is written.
            tokio::task::yield_now().await;
            loop {
                let blocked = {
                    let mut state = self.lock();
                    std::mem::swap(&mut state.output, &mut output);
                    state.writing = !output.is_empty();
                    std::mem::take(&mut state.blocked)
                };
                for waker in blocked {
                    waker.wake();
                }
                if output.is_empty() {
                    break;
                }
                output.write_to(writer).await?;
            }
        }
    }

    /// Ends all calls.
    pub(super) fn lose(&self) {
        let mut state = self.lock();
        state.lost = true;
        for slot in &mut state.slots {
            match std::mem::replace(slot, Slot::Lost) {
                Slot::Waiting(waker) | Slot::Counting(_, Some(waker)) => waker.wake(),
                _ => {}
            }
        }
    }
}
