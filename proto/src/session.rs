//! The session: two streams of bytes with offsets, and the signs of life beside them.
//!
//! Session frames have an offset in their direction's stream; link frames have none. Each side tells the other how far
//! it received, and keeps what it sent until then, so that a later connection goes on from there.
//!
//! The other side tells it also by what it does: a reply shows that its call has arrived, and a call that takes the id
//! of another shows that the reply to that one has. So callers and their servers keep next to nothing, and
//! acknowledgements are needed for the rest alone.

mod outbox;

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use self::outbox::Outbox;
use crate::error::Violation;
use crate::limits::{Grants, Limits};
use crate::message::{Ack, Beat};
use crate::time::{PeerClock, Time};

/// What is written anyway takes an acknowledgement along for so many times fewer bytes than one is due for: alone it would be a
/// write of its own, and make the other side read.
const TOLD_EARLY: u64 = 4;

/// Offsets, what waits to be sent, and the times of beats.
#[derive(Debug)]
pub(crate) struct Session {
    outbox: Outbox,
    /// Link frames that go before everything else.
    ahead: BytesMut,
    /// Link frames that go behind everything else: a goodbye.
    behind: BytesMut,
    /// There is a connection that session frames may be written to.
    is_linked: bool,
    #[cfg(feature = "sabotage")]
    sabotage: Option<crate::Sabotage>,
    /// Bytes of session frames written so far.
    appended: u64,
    /// How many of them were handed to the transport.
    transmitted: u64,
    /// How many were sent in vain, and again.
    retransmitted: u64,
    /// How many of them the other side has, as far as it showed.
    acknowledged: u64,
    /// The same, as it said it last.
    stated: u64,
    /// Bytes of session frames received so far.
    received: u64,
    /// How many of them the other side was told of.
    told: u64,
    ack_every: u64,
    last_heard: Time,
    peer_timeout: Duration,
    beat_interval: Duration,
    next_beat: Time,
    beat_due: bool,
    /// What was written when the last beat became due: nothing since means that the session idles.
    appended_at_beat: u64,
    clock: PeerClock,
}

impl Session {
    pub(crate) fn new(limits: &Limits, now: Time) -> Self {
        Self {
            outbox: Outbox::default(),
            ahead: BytesMut::new(),
            behind: BytesMut::new(),
            is_linked: true,
            #[cfg(feature = "sabotage")]
            sabotage: limits.sabotage,
            appended: 0,
            transmitted: 0,
            retransmitted: 0,
            acknowledged: 0,
            stated: 0,
            received: 0,
            told: 0,
            ack_every: limits.ack_every.max(1),
            last_heard: now,
            peer_timeout: limits.peer_timeout.max(Duration::from_millis(1)),
            beat_interval: limits.beat_interval.max(Duration::from_millis(1)),
            next_beat: now + limits.beat_interval,
            beat_due: false,
            appended_at_beat: 0,
            clock: PeerClock::default(),
        }
    }

    /// Begins to beat, as often as the other side needs it. What is sent is kept only if it may be needed again.
    pub(crate) fn establish(&mut self, theirs: &Grants, keeps: bool, now: Time) {
        let patience = Duration::from_millis(theirs.peer_timeout_ms.into());
        self.beat_interval = self.beat_interval.min(patience / 2);
        self.next_beat = now + self.beat_interval;
        if !keeps {
            self.outbox.keep_nothing();
        }
    }

    /// Gives the connection up. Session frames wait from now on.
    pub(crate) fn unlink(&mut self) {
        self.is_linked = false;
        self.ahead = BytesMut::new();
        self.behind = BytesMut::new();
        self.beat_due = false;
    }

    /// Goes on over another connection, whose other side has received so much.
    pub(crate) fn relink(&mut self, received: u64, now: Time) -> Result<(), Violation> {
        #[cfg(feature = "sabotage")]
        if self.sabotage == Some(crate::Sabotage::ReplaysTooMuch) {
            self.outbox.give_again();
        }
        self.acknowledge(received)?;
        // The other side reads the old connection no more, so what it has not received it has never seen.
        self.retransmitted += self.transmitted.saturating_sub(received);
        self.transmitted = received;
        self.outbox.give_again();
        self.is_linked = true;
        // It was told in the handshake.
        self.told = self.received;
        self.last_heard = self.last_heard.max(now);
        self.next_beat = now + self.beat_interval;
        Ok(())
    }

    /// Returns how many bytes of session frames had to be sent again so far.
    pub(crate) fn retransmitted(&self) -> u64 {
        self.retransmitted
    }

    /// Returns when something last came from the other side.
    pub(crate) fn last_heard(&self) -> Time {
        self.last_heard
    }

    /// Tells whether there is a connection that session frames may be written to.
    pub(crate) fn is_linked(&self) -> bool {
        self.is_linked
    }

    /// Returns how many bytes of session frames this side has received.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Tells whether the other side may have received so much: not less than it showed before, and not more than it was
    /// sent.
    pub(crate) fn may_have_received(&self, received: u64) -> bool {
        (self.acknowledged..=self.transmitted).contains(&received)
    }

    /// Returns the buffer for link frames.
    pub(crate) fn ahead(&mut self) -> &mut BytesMut {
        &mut self.ahead
    }

    /// Returns the buffer for the last frame of all.
    pub(crate) fn behind(&mut self) -> &mut BytesMut {
        &mut self.behind
    }

    /// Returns the buffer to which a frame of about this size is to be written, in one piece.
    pub(crate) fn buffer(&mut self, estimate: usize) -> &mut BytesMut {
        self.outbox.buffer(estimate)
    }

    /// Has others be added to the frame that was written last, which begins at `start` of the buffer, as long as nothing
    /// else is written and it is not transmitted.
    #[inline]
    pub(crate) fn may_gather(&mut self, start: usize) {
        self.outbox.may_gather(start);
    }

    /// Adds to that frame, if there is one: `add` is called with the buffer and with where the frame begins, and returns how
    /// many bytes it added. Returns whether it did.
    #[inline]
    pub(crate) fn gather(
        &mut self,
        add: impl FnOnce(&mut BytesMut, usize) -> Option<usize>,
    ) -> bool {
        let added = self.outbox.gather(add);
        self.appended += added.unwrap_or(0) as u64;
        added.is_some()
    }

    /// Counts a session frame that was written to the buffer, attachments included, and appends those.
    pub(crate) fn append(&mut self, frame_length: usize, attachments: &[Bytes]) {
        attachments
            .iter()
            .for_each(|bytes| self.outbox.attach(bytes));
        self.appended += frame_length as u64;
    }

    /// Returns where the last session frame ends in this side's stream.
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }

    /// Returns how far the transport has been given this side's stream.
    pub(crate) fn transmitted(&self) -> u64 {
        self.transmitted
    }

    /// Returns how many bytes wait to be handed to the transport.
    pub(crate) fn unsent(&self) -> usize {
        let frames = if self.is_linked { self.outbox.len() } else { 0 };
        self.ahead.len() + frames + self.behind.len()
    }

    /// Returns how many bytes wait, also for a connection.
    pub(crate) fn waiting(&self) -> usize {
        self.ahead.len() + self.outbox.len() + self.behind.len()
    }

    /// Returns how many bytes of session frames the other side has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.appended - self.acknowledged
    }

    /// Counts a session frame that arrived.
    pub(crate) fn receive(&mut self, frame_length: usize) {
        self.received = self.received.saturating_add(frame_length as u64);
    }

    /// Takes the other side's word for how far it received.
    pub(crate) fn acknowledge(&mut self, received: u64) -> Result<(), Violation> {
        if !(self.stated..=self.transmitted).contains(&received) {
            return Err(Violation::BadAcknowledgement(received));
        }
        self.stated = received;
        // What it did may have shown more already.
        let Some(news) = received.checked_sub(self.acknowledged) else {
            return Ok(());
        };
        #[cfg(feature = "sabotage")]
        let news = match self.sabotage {
            Some(crate::Sabotage::ForgetsTooMuch) if news > 0 => news + 1,
            _ => news,
        };
        self.outbox.forget(news);
        self.acknowledged = received;
        Ok(())
    }

    /// Takes what the other side did as its word that it received so much.
    pub(crate) fn imply(&mut self, received: u64) {
        if received > self.acknowledged && received <= self.transmitted {
            self.outbox.forget(received - self.acknowledged);
            self.acknowledged = received;
        }
    }

    /// Takes a reading of the other side's clock.
    pub(crate) fn sample_clock(&mut self, now: Time, theirs: Time) {
        self.clock.sample(now, theirs);
    }

    /// Converts an instant on the other side's clock.
    pub(crate) fn to_local(&self, theirs: Time) -> Time {
        self.clock.to_local(theirs)
    }

    /// Notes that something came from the other side.
    pub(crate) fn heard(&mut self, now: Time) {
        self.last_heard = self.last_heard.max(now);
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn timeout(&self) -> Time {
        self.next_beat.min(self.last_heard + self.peer_timeout)
    }

    /// Makes a beat due if it is time. Returns whether the other side is still alive.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> bool {
        if now >= self.next_beat {
            self.beat_due = true;
            self.next_beat = now + self.beat_interval;
            if self.appended == self.appended_at_beat {
                self.outbox.shrink();
            }
            self.appended_at_beat = self.appended;
        }
        now < self.last_heard + self.peer_timeout
    }

    /// Tells whether a beat or an acknowledgement is due.
    pub(crate) fn has_signs_of_life(&self) -> bool {
        self.beat_due || self.ack_due()
    }

    fn ack_due(&self) -> bool {
        self.untold() >= self.ack_every
    }

    /// Tells whether an acknowledgement is worth its bytes if something else is written anyway.
    fn ack_pays(&self) -> bool {
        self.untold() >= self.ack_every / TOLD_EARLY
    }

    /// Returns how many bytes this side has received that the other was not told of.
    fn untold(&self) -> u64 {
        self.received - self.told
    }

    /// Writes the link frames that are due.
    pub(crate) fn write_signs_of_life(&mut self, now: Time) {
        let is_written = self.beat_due || self.ack_due() || self.ack_pays() && self.unsent() > 0;
        if !is_written {
            return;
        }
        let received = self.received;
        let out = &mut self.ahead;
        if self.beat_due {
            Beat {
                clock: now,
                received,
            }
            .encode(out);
        } else {
            Ack { received }.encode(out);
        }
        self.told = received;
        self.beat_due = false;
    }

    /// Moves everything that waits to `out`. Returns how many bytes.
    pub(crate) fn transmit(&mut self, out: &mut Vec<Bytes>) -> usize {
        let unsent = self.unsent();
        if !self.ahead.is_empty() {
            out.push(std::mem::take(&mut self.ahead).freeze());
        }
        if self.is_linked {
            self.transmitted = self.appended;
            self.outbox.take(out);
        }
        if !self.behind.is_empty() {
            out.push(std::mem::take(&mut self.behind).freeze());
        }
        unsent
    }
}
