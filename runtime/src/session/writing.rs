//! Writing what waits: by whoever has just added it, if it is little and nobody else writes, or by the session's task that
//! writes.
//!
//! The way out has a lock of its own, taken before the session's and never waited for outside the task that writes. So
//! a call alone in flight, or the replies to all that one read brought, go out without waking a task, while under load
//! the task that writes gathers what many add and writes it at once.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{PoisonError, TryLockError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::{Session, State};
use crate::measure;
use crate::sync::{Mutex, MutexGuard};

/// How many slices are written at once.
const SLICES: usize = 64;
/// More bytes than this are left to the task that writes: to copy them takes longer than to wake it, and whoever has added
/// them can go on meanwhile, with reading what comes next above all.
const LARGE: usize = 32 << 10;
/// So many bytes are written by the task that has added the last of them, although others may have something to add, too:
/// more would hardly make the write cheaper for each byte, and the peer might have nothing to do meanwhile.
const WORTH_A_WRITE: usize = 4 << 10;

/// Whether the task that writes has been told that there is something to write, and how to tell it.
#[derive(Debug, Default)]
pub(super) struct Requested {
    is_requested: bool,
    /// The task that writes, while it waits to be told.
    waker: Option<Waker>,
}

impl Requested {
    /// Tells the task that writes. Whom this returns is to be woken once the lock is free.
    #[must_use = "the task that writes waits to be woken"]
    pub(super) fn request(&mut self) -> Option<Waker> {
        self.is_requested = true;
        self.waker.take()
    }

    /// Waits until there is something to write.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.is_requested {
            return Poll::Ready(());
        }
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

/// What a transport writes with.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The way out.
#[derive(Default)]
pub(super) struct Output(Mutex<Pipe>);

#[derive(Default)]
pub(super) struct Pipe {
    writer: Option<Writer>,
    /// The number of the connection that this leads to, if any.
    link: Option<u32>,
    /// What the protocol gave to be written and the transport has not taken yet.
    chunks: Vec<Bytes>,
    /// How many bytes the transport has taken.
    taken: u64,
    /// The transport took less than it was given, and will wake the task that writes when it takes more.
    is_blocked: bool,
    /// What happened to somebody else than the task that writes, which ends the session for it.
    failed: Option<io::Error>,
}

/// What has become of all that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// It is written.
    Written,
    /// It is not to be written any more.
    Discarded,
    /// Another task writes it, to the connection that has followed this one.
    Superseded,
}

impl Output {
    /// Takes the lock, which is taken before the session's. Nobody holds it while waiting for anything.
    pub(super) fn lock(&self) -> MutexGuard<'_, Pipe> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the way out, which closes it.
    pub(super) fn close(&self) {
        let old = self.lock().take();
        drop(old);
    }

    /// Takes the way out that nothing was written to yet, to be that of another session.
    pub(super) fn take_writer(&self) -> Option<Writer> {
        self.lock().writer.take()
    }

    /// If the transport takes nothing now: how many bytes it has taken so far.
    pub(super) fn blocked_at(&self) -> Option<u64> {
        let pipe = self.lock();
        pipe.is_blocked.then_some(pipe.taken)
    }

    /// Says to the transport that nothing more is written.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.lock().writer {
            Some(writer) => Pin::new(writer).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Pipe {
    /// Leads to the connection of this number from now on.
    #[must_use = "what was there is to be dropped once the lock is free"]
    pub(super) fn open(&mut self, link: u32, writer: Writer) -> Pipe {
        let new = Pipe {
            writer: Some(writer),
            link: Some(link),
            ..Pipe::default()
        };
        std::mem::replace(self, new)
    }

    /// Leads nowhere from now on.
    #[must_use = "what was there is to be dropped once the lock is free"]
    pub(super) fn take(&mut self) -> Pipe {
        std::mem::take(self)
    }

    fn poll_flush(&mut self, session: &Session, cx: &mut Context<'_>) -> Poll<io::Result<Flushed>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        loop {
            if self.chunks.is_empty() {
                let now = session.now();
                let mut state = session.lock();
                state.writing.is_requested = false;
                if state.discards {
                    return Poll::Ready(Ok(Flushed::Discarded));
                }
                state.connection.poll_transmit(now, &mut self.chunks);
                let crowded = state.streams.take_crowded();
                drop(state);
                crowded.into_iter().for_each(Waker::wake);
                if self.chunks.is_empty() {
                    self.is_blocked = false;
                    return Poll::Ready(Ok(Flushed::Written));
                }
            }
            self.is_blocked = true;
            ready!(self.poll_write(cx))?;
        }
    }

    /// Writes as much as the transport takes at once, many pieces in one system call.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writer) = &mut self.writer else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let writer = Pin::new(writer);
        let written = if let [chunk] = self.chunks.as_slice() {
            ready!(writer.poll_write(cx, chunk))?
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.chunks.len().min(SLICES);
            for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
                *slice = IoSlice::new(chunk);
            }
            ready!(writer.poll_write_vectored(cx, &slices[..count]))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.remove(written);
        if self.chunks.is_empty()
            && let Some(writer) = &mut self.writer
        {
            ready!(Pin::new(writer).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn remove(&mut self, mut written: usize) {
        self.taken += written as u64;
        let mut whole = 0;
        for chunk in &mut self.chunks {
            if chunk.len() > written {
                chunk.advance(written);
                break;
            }
            written -= chunk.len();
            whole += 1;
        }
        self.chunks.drain(..whole);
    }
}

impl Session {
    /// Frees the lock, and has what was added to the state written.
    pub(super) fn unlock_and_write(mut state: MutexGuard<'_, State>) {
        let waker = state.writing.request();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Has what waits written, if nobody has written it meanwhile.
    pub(super) fn write_soon(&self) {
        let state = self.lock();
        if state.connection.has_transmit() {
            Self::unlock_and_write(state);
        }
    }

    /// Has the items that a stream has added written.
    pub(super) fn write_items(&self) {
        let state = self.lock();
        if state.connection.has_transmit() {
            self.unlock_and_write_of_stream(state);
        }
    }

    /// Frees the lock, and has what a stream added to the state written: at once if that is worth a write of its own, or no
    /// other stream has something to add.
    pub(super) fn unlock_and_write_of_stream(&self, state: MutexGuard<'_, State>) {
        let connection = &state.connection;
        if connection.unsent() >= WORTH_A_WRITE || connection.streams() <= 1 {
            self.unlock_and_write_now(state);
        } else {
            Self::unlock_and_write(state);
        }
    }

    /// Frees the lock, and has a call written that was added to the state: at once if that is worth a write of its own, or
    /// nobody else has a call under way.
    pub(super) fn unlock_and_write_call(&self, mut state: MutexGuard<'_, State>, is_alone: bool) {
        if state.connection.unsent() >= WORTH_A_WRITE {
            // Whoever was told to write this finds nothing.
            state.writing.is_requested = false;
            self.unlock_and_write_now(state);
        } else if is_alone {
            self.unlock_and_write_now(state);
        } else {
            Self::unlock_and_write(state);
        }
    }

    /// Frees the lock, and writes at once what was added to the state, unless somebody writes already or it is much.
    pub(super) fn unlock_and_write_now(&self, mut state: MutexGuard<'_, State>) {
        // Who was told before writes this, too.
        if state.writing.is_requested {
            return;
        }
        if state.connection.unsent() > LARGE {
            return Self::unlock_and_write(state);
        }
        state.writing.is_requested = true;
        drop(state);
        let flushed = match self.output.0.try_lock() {
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Poisoned(pipe)) => self.try_flush(pipe.into_inner()),
            Ok(pipe) => self.try_flush(pipe),
        };
        if !flushed {
            Self::unlock_and_write(self.lock());
        }
    }

    /// Writes what the transport takes without waiting. Returns whether nothing is left to do.
    fn try_flush(&self, mut pipe: MutexGuard<'_, Pipe>) -> bool {
        if pipe.is_blocked || pipe.failed.is_some() || pipe.writer.is_none() {
            return false;
        }
        let before = pipe.taken;
        let flushed = match pipe.poll_flush(self, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Flushed::Written)) => true,
            Poll::Ready(Err(error)) => {
                pipe.failed = Some(error);
                false
            }
            // Only the task that writes has a waker that the transport may keep.
            Poll::Ready(Ok(Flushed::Discarded | Flushed::Superseded)) | Poll::Pending => false,
        };
        let taken = pipe.taken - before;
        drop(pipe);
        measure::written(taken);
        flushed
    }

    /// Writes all that waits, for the task that writes to the connection of this number.
    pub(super) fn poll_flush(&self, link: u32, cx: &mut Context<'_>) -> Poll<io::Result<Flushed>> {
        let mut pipe = self.output.lock();
        if pipe.link != Some(link) {
            return Poll::Ready(Ok(Flushed::Superseded));
        }
        let before = pipe.taken;
        let flushed = pipe.poll_flush(self, cx);
        let taken = pipe.taken - before;
        drop(pipe);
        measure::written(taken);
        flushed
    }

    /// Waits until there is something to write, for the task that writes to the connection of this number. Returns
    /// whether many calls are under way or were just answered, so that it is better written for several at once.
    pub(super) fn poll_requested(&self, link: u32, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        // Who writes to the next connection is the one to be told. This one is about to be stopped.
        if state.connection.link() != link {
            return Poll::Pending;
        }
        ready!(state.writing.poll(cx));
        let connection = &state.connection;
        let calls = connection.calls_out() + connection.calls_in() + state.questions.untaken();
        Poll::Ready(calls > 1)
    }

    /// Writes what is left as far as the transport takes it without waiting, unless it stopped within a frame.
    pub(super) fn write_last(&self) {
        let mut pipe = self.output.lock();
        if pipe.chunks.is_empty() {
            let _ = pipe.poll_flush(self, &mut Context::from_waker(Waker::noop()));
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}
