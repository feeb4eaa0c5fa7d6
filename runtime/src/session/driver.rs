//! The two tasks of a session: one reads and serves, the other writes and keeps time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use farref_proto::{ConnectionError, RefusalCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::busy_polling::BusyPolling;
use super::coalescing::Coalescing;
use super::input::Input;
use super::serving::Batch;
use super::writing::{Flushed, Output};
use super::{Phase, Queued, Session};
use crate::error::Fault;
use crate::measure;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::task::{self, JoinHandle};
use crate::transport::{Reads, Transport};
use crate::{FaultKind, Outcome};

/// The clock is looked at once in this time at least, since an earlier deadline may have been set meanwhile.
const COARSE: Duration = Duration::from_secs(1);
/// How long the tasks of a session that has ended may take to write what is left, and to read until the peer closes its
/// side: closing with bytes unread would make the system reset the connection, and what was written last would be lost.
const LINGER: Duration = Duration::from_secs(2);
/// How long a peer may take nothing of what is written to it, though it shows that it lives. What waits for it is bounded by
/// the calls that it made, but would be kept for as long as it likes.
const UNREAD: Duration = Duration::from_secs(60);

/// What a transport reads with.
pub(super) type Reader = Box<dyn Reads>;

/// A place among the connections that may be open, given back when the tasks of one are done.
pub(super) type Place = Arc<Option<OwnedSemaphorePermit>>;

impl Session {
    /// Starts the tasks that drive this session. `place` is given back when both are done: a session that has ended holds
    /// its transport for a while yet, so that many of them could hold more than there is.
    pub(crate) fn drive(
        self: &Arc<Self>,
        transport: Transport,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let Transport { reader, writer, .. } = transport;
        let old = self.output.lock().open(0, writer);
        drop(old);
        self.start(0, reader, Arc::new(place));
    }

    /// Starts the tasks that read from and write to the connection of this number.
    pub(super) fn start(self: &Arc<Self>, link: u32, reader: Reader, place: Place) {
        let mut tasks = self.tasks();
        let kept = Arc::clone(&place);
        let ends = EndsWith(Arc::clone(self), link);
        let reading = task::spawn(async move {
            ends.0.read(link, reader, &kept).await;
        });
        let reader = reading.abort_handle();
        let ends = EndsWith(Arc::clone(self), link);
        let written = Written(Arc::clone(self));
        let writing = task::spawn(async move {
            let _kept = place;
            ends.0.write(link, reading, written).await;
        });
        tasks.extend([(link, reader), (link, writing.abort_handle())]);
        drop(tasks);
        // Lost before it began.
        let current = self.lock().connection.link();
        if current != link {
            self.stop_tasks_before(current);
        }
        if self.stopped.load(Ordering::SeqCst) {
            self.stop();
        }
    }

    async fn read(self: &Arc<Self>, link: u32, mut reader: Reader, place: &Place) {
        // What the old connection brought is served first, should it still be.
        let _turn = self.reading.lock().await;
        let mut input = Input::default();
        let mut polling = BusyPolling::new(self.node.busy_poll);
        loop {
            match polling.read(&mut input, &mut *reader).await {
                Ok(0) => {
                    self.disconnected(link, "the peer closed the connection");
                    return;
                }
                Err(error) => {
                    self.disconnected(link, &format!("the connection broke: {error}"));
                    return;
                }
                Ok(_) if self.is_closed() => input.discard(),
                Ok(count) => {
                    measure::read(count);
                    let mut batch = Batch::new(self);
                    let received = self.receive(link, &mut input, &mut batch);
                    input.let_go();
                    self.perform_read(&mut batch);
                    if let Err(error) = received {
                        self.broken(&error);
                    }
                    let resume = batch.resume.take();
                    batch.recycle();
                    if let Some(request) = resume {
                        reader = match self.hand_over(&request, reader, place) {
                            Some(reader) => reader,
                            None => return,
                        };
                    }
                }
            }
        }
    }

    /// Does the work that a read brought. As long as a handler blocks it nothing is read, so the peer's silence says
    /// nothing.
    fn perform_read(self: &Arc<Self>, batch: &mut Batch) {
        if batch.lists.work.is_empty() {
            return;
        }
        let performing = Performing::begin(&self.is_performing);
        self.perform(batch);
        if std::mem::take(&mut batch.lists.finished.were_slow) {
            let now = self.now();
            self.lock().connection.excuse_silence(now);
        }
        drop(performing);
        if batch.transmits {
            self.write_soon();
        }
    }

    /// Writes whatever others do not write themselves, and keeps time. Once the session has ended and all is written,
    /// waits for the task that reads.
    async fn write(self: &Arc<Self>, link: u32, reading: JoinHandle<()>, written: Written) {
        let mut clock = pin!(tokio::time::sleep_until(self.next_tick()));
        let mut progress = Progress::default();
        let mut coalescing = Coalescing::default();
        let mut lingers_until = None;
        loop {
            let closed = self.is_closed();
            if closed && lingers_until.is_none() {
                let until = Instant::now() + LINGER;
                lingers_until = Some(until);
                clock.as_mut().reset(until);
            }
            let flushed = tokio::select! {
                biased;
                flushed = poll_fn(|cx| self.poll_flush(link, cx)) => flushed,
                () = clock.as_mut() => {
                    if lingers_until.is_some() {
                        break;
                    }
                    // Time passes also while the peer does not read.
                    self.pass_time();
                    clock.as_mut().reset(self.next_tick());
                    if progress.is_stuck(&self.output) {
                        self.lost("the peer does not read what it is sent");
                        return;
                    }
                    continue;
                }
            };
            match flushed {
                Err(error) => {
                    self.disconnected(link, &format!("the connection broke: {error}"));
                    return;
                }
                Ok(Flushed::Superseded) => return,
                Ok(Flushed::Written) if !closed => {}
                Ok(Flushed::Written | Flushed::Discarded) => break,
            }
            tokio::select! {
                biased;
                is_busy = poll_fn(|cx| self.poll_requested(link, cx)) => {
                    if is_busy {
                        self.coalesce(&mut coalescing).await;
                    }
                }
                () = clock.as_mut() => {
                    self.pass_time();
                    clock.as_mut().reset(self.next_tick());
                }
            }
        }
        let until = lingers_until.unwrap_or_else(|| Instant::now() + LINGER);
        let _ = timeout_at(until, poll_fn(|cx| self.output.poll_shutdown(cx))).await;
        drop(written);
        let reader = reading.abort_handle();
        if timeout_at(until, reading).await.is_err() {
            reader.abort();
        }
    }

    fn next_tick(&self) -> Instant {
        let coarse = Instant::now() + COARSE;
        self.lock()
            .connection
            .poll_timeout()
            .map_or(coarse, |time| self.instant(time).min(coarse))
    }

    pub(super) fn pass_time(self: &Arc<Self>) {
        let mut batch = Batch::new(self);
        let ticked = self.tick(&mut batch);
        self.perform(&mut batch);
        batch.recycle();
        self.table_meter.tell(|| self.tables());
        if let Err(error) = ticked {
            self.broken(&error);
            if matches!(error, ConnectionError::PeerTimeout) && self.is_closed() {
                self.stop();
            }
        }
    }

    /// Ends the session because of what the peer did, or only its connection if that is all that is wrong.
    fn broken(self: &Arc<Self>, error: &ConnectionError) {
        let state = self.lock();
        let (is_suspended, is_over) = {
            let connection = &state.connection;
            (connection.is_suspended(), connection.is_closed())
        };
        drop(state);
        if is_suspended {
            self.suspended(&error.to_string());
            return;
        }
        if !is_over {
            // Another connection has come meanwhile.
            return;
        }
        let connecting = matches!(*self.phase.borrow(), Phase::Connecting);
        let (kind, outcome) = match error {
            _ if self.peer.get().is_some() => (FaultKind::SessionLost, Outcome::Unknown),
            // As good as one that is not there any more: another may be there soon.
            ConnectionError::Refused {
                code: RefusalCode::ShuttingDown,
                ..
            } => (FaultKind::ConnectFailed, Outcome::NotStarted),
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
            // Nor does a peer without a connection, or one that has not got the session.
            ConnectionError::Abandoned => Queued::Discarded,
            ConnectionError::Refused { .. } if self.peer.get().is_some() => Queued::Discarded,
            _ => Queued::Written,
        };
        self.fail(&Fault::new(kind, outcome, error.to_string()), queued);
    }

    /// Ends the session, whose connection is lost for good.
    pub(super) fn lost(&self, text: &str) {
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
        self.stop();
    }
}

/// Says that the task that reads runs handlers, until this is dropped.
struct Performing<'a>(&'a AtomicBool);

impl<'a> Performing<'a> {
    fn begin(is_performing: &'a AtomicBool) -> Self {
        is_performing.store(true, Ordering::Relaxed);
        Performing(is_performing)
    }
}

impl Drop for Performing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Ends a connection when one of its tasks ends, also when the runtime that it ran on is gone.
struct EndsWith(Arc<Session>, u32);

impl Drop for EndsWith {
    fn drop(&mut self) {
        if !self.0.is_closed() {
            self.0.disconnected(self.1, "its runtime has ended");
        }
    }
}

/// Watches whether the peer takes anything of what is written to it.
#[derive(Default)]
struct Progress(Option<(u64, Instant)>);

impl Progress {
    /// Whether it has taken nothing for too long.
    fn is_stuck(&mut self, output: &Output) -> bool {
        let now = Instant::now();
        match (output.blocked_at(), self.0) {
            (None, _) => {
                self.0 = None;
                false
            }
            (Some(taken), Some((before, since))) if taken == before => now - since >= UNREAD,
            (Some(taken), _) => {
                self.0 = Some((taken, now));
                false
            }
        }
    }
}

/// Closes the way out, and says that nothing more is written, when the task that writes ends.
struct Written(Arc<Session>);

impl Drop for Written {
    fn drop(&mut self) {
        // Else only this connection has ended.
        if self.0.is_closed() {
            self.0.output.close();
            self.0.tell_written();
        }
    }
}
