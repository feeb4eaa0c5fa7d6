//! The two tasks of a session: one reads and serves, the other writes and keeps time.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use farref_proto::ConnectionError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::{Phase, Queued, Session};
use crate::error::Fault;
use crate::transport::Transport;
use crate::{FaultKind, Outcome};

/// How much a read asks for, in bytes.
const READ: usize = 16 * 1024;
/// The clock is looked at once in this time at least, since an earlier deadline may have been set meanwhile.
const COARSE: Duration = Duration::from_secs(1);
/// How long the tasks of a session that has ended may take to write what is left, and to read until the peer closes its
/// side: closing with bytes unread would make the system reset the connection, and what was written last would be lost.
const LINGER: Duration = Duration::from_secs(2);
/// How long a peer may take nothing of what is written to it, though it shows that it lives. What waits for it is bounded by
/// the calls that it made, but would be kept for as long as it likes.
const UNREAD: Duration = Duration::from_secs(60);
/// How many slices are written at once.
const SLICES: usize = 64;

impl Session {
    /// Starts the tasks that drive this session. `place` is given back when both are done: a session that has ended holds
    /// its transport for a while yet, so that many of them could hold more than there is.
    pub(crate) fn drive(
        self: &Arc<Self>,
        transport: Transport,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let Transport { reader, writer, .. } = transport;
        let place = Arc::new(place);
        let reading = Arc::clone(self);
        let kept = Arc::clone(&place);
        tokio::spawn(async move {
            let _kept = kept;
            let _ends = EndsWith(Arc::clone(&reading));
            tokio::select! {
                () = Arc::clone(&reading).read(reader) => {}
                () = reading.lingered() => {}
            }
        });
        let writing = Arc::clone(self);
        tokio::spawn(async move {
            let _kept = place;
            let _written = Written(Arc::clone(&writing));
            let _ends = EndsWith(Arc::clone(&writing));
            tokio::select! {
                () = Arc::clone(&writing).write(writer) => {}
                () = writing.lingered() => {}
            }
        });
    }

    /// Waits until the session has ended, and then as long as it may take to say goodbye.
    async fn lingered(&self) {
        self.ended().await;
        tokio::time::sleep(LINGER).await;
    }

    async fn read(self: Arc<Self>, mut reader: Box<dyn AsyncRead + Send + Unpin>) {
        let mut input = BytesMut::with_capacity(READ);
        let mut work = Vec::new();
        let mut aborted = self.aborted.subscribe();
        loop {
            if input.capacity() - input.len() < READ / 4 {
                input.reserve(READ);
            }
            let read = tokio::select! {
                biased;
                read = reader.read_buf(&mut input) => read,
                () = is_set(&mut aborted) => return,
            };
            match read {
                Ok(0) => {
                    self.lost("the peer closed the connection");
                    return;
                }
                Err(error) => {
                    self.lost(&format!("the connection broke: {error}"));
                    return;
                }
                Ok(_) if self.is_closed() => input.clear(),
                Ok(_) => {
                    let received = self.receive(&mut input, &mut work);
                    self.perform(&mut work);
                    if let Err(error) = received {
                        self.broken(&error);
                    }
                }
            }
        }
    }

    async fn write(self: Arc<Self>, mut writer: Box<dyn AsyncWrite + Send + Unpin>) {
        let mut chunks: Vec<Bytes> = Vec::new();
        let mut aborted = self.aborted.subscribe();
        let mut clock = Box::pin(tokio::time::sleep_until(self.next_tick()));
        loop {
            let closed = self.is_closed();
            let now = self.now();
            let discards = {
                let mut state = self.lock();
                if chunks.is_empty() && !state.discards {
                    state.connection.poll_transmit(now, &mut chunks);
                }
                state.discards
            };
            if discards {
                let _ = writer.shutdown().await;
                return;
            }
            if chunks.is_empty() {
                if closed {
                    let _ = writer.shutdown().await;
                    return;
                }
                tokio::select! {
                    biased;
                    () = self.writer.notified() => {
                        // Lets those who are about to send add to what is written.
                        tokio::task::yield_now().await;
                    }
                    () = clock.as_mut() => {
                        self.pass_time();
                        clock.as_mut().reset(self.next_tick());
                    }
                    () = is_set(&mut aborted) => return,
                }
                continue;
            }
            let mut stuck_since = None;
            let mut writing = std::pin::pin!(write_some(&mut writer, &mut chunks));
            let written = loop {
                tokio::select! {
                    biased;
                    written = writing.as_mut() => break written,
                    // Time passes also while the peer does not read.
                    () = clock.as_mut() => {
                        self.pass_time();
                        clock.as_mut().reset(self.next_tick());
                        let now = Instant::now();
                        if now - *stuck_since.get_or_insert(now) >= UNREAD {
                            self.lost("the peer does not read what it is sent");
                            return;
                        }
                    }
                    () = is_set(&mut aborted) => return,
                }
            };
            if let Err(error) = written {
                self.lost(&format!("the connection broke: {error}"));
                return;
            }
        }
    }

    fn next_tick(&self) -> Instant {
        let coarse = Instant::now() + COARSE;
        self.lock()
            .connection
            .poll_timeout()
            .map_or(coarse, |time| self.instant(time).min(coarse))
    }

    fn pass_time(self: &Arc<Self>) {
        let mut work = Vec::new();
        let ticked = self.tick(&mut work);
        self.perform(&mut work);
        if let Err(error) = ticked {
            self.broken(&error);
            if matches!(error, ConnectionError::PeerTimeout) {
                self.aborted.send_replace(true);
            }
        }
    }

    /// Ends the session because of what the peer did.
    fn broken(&self, error: &ConnectionError) {
        let connecting = matches!(*self.phase.borrow(), Phase::Connecting);
        let (kind, outcome) = match error {
            ConnectionError::Refused { .. }
            | ConnectionError::TokenRequired
            | ConnectionError::BadToken
            | ConnectionError::ServerNotAuthenticated
            | ConnectionError::WrongInstance { .. }
            | ConnectionError::Version { .. }
            | ConnectionError::Codec => (FaultKind::Refused, Outcome::NotStarted),
            // Early calls may have run before the connection broke.
            _ if connecting => (FaultKind::ConnectFailed, Outcome::Unknown),
            _ => (FaultKind::SessionLost, Outcome::Unknown),
        };
        tracing::warn!(peer = %self.address, %error, "a connection ends");
        let queued = match error {
            // Whoever is silent reads nothing either.
            ConnectionError::PeerTimeout => Queued::Discarded,
            _ => Queued::Written,
        };
        self.fail(&Fault::new(kind, outcome, error.to_string()), queued);
    }

    fn lost(&self, text: &str) {
        let connecting = matches!(*self.phase.borrow(), Phase::Connecting);
        let kind = if connecting {
            FaultKind::ConnectFailed
        } else {
            FaultKind::SessionLost
        };
        let message = format!("the session with {} is lost: {text}", self.address);
        self.fail(
            &Fault::new(kind, Outcome::Unknown, message),
            Queued::Discarded,
        );
        self.aborted.send_replace(true);
    }
}

/// Waits until a flag is set.
async fn is_set(flag: &mut watch::Receiver<bool>) {
    // The session holds the sender for as long as its tasks run.
    let _ = flag.wait_for(|set| *set).await;
}

/// Ends a session when one of its tasks ends, also when the runtime that it ran on is gone.
struct EndsWith(Arc<Session>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        if !self.0.is_closed() {
            self.0.lost("its runtime has ended");
        }
    }
}

/// Says that nothing more is written when the task that writes ends.
struct Written(Arc<Session>);

impl Drop for Written {
    fn drop(&mut self) {
        self.0.written.send_replace(true);
    }
}

/// Writes as much as the transport takes at once of chunks of which there are some, many in one system call, and removes
/// what was written.
async fn write_some(
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    chunks: &mut Vec<Bytes>,
) -> io::Result<()> {
    let mut written = if let [chunk] = chunks.as_slice() {
        writer.write(chunk).await?
    } else {
        let slices: Vec<IoSlice<'_>> = chunks
            .iter()
            .take(SLICES)
            .map(|chunk| IoSlice::new(chunk))
            .collect();
        writer.write_vectored(&slices).await?
    };
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let mut whole = 0;
    for chunk in chunks.iter_mut() {
        if chunk.len() > written {
            chunk.advance(written);
            break;
        }
        written -= chunk.len();
        whole += 1;
    }
    chunks.drain(..whole);
    if chunks.is_empty() {
        writer.flush().await?;
    }
    Ok(())
}
