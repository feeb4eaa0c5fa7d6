//! A session between two connections.

use bytes::BytesMut;

use super::{Connection, Event, State};
use crate::error::{ConnectionError, Violation};
use crate::handshake::ResumeRequest;
use crate::id::{Nonce, StreamNumber};
use crate::message::ServerHello;
use crate::time::Time;

impl Connection {
    /// Returns the number of the connection that the session has now. Bytes are to be handed over with the number that
    /// held when their transport was given to the session.
    pub fn link(&self) -> u32 {
        self.link
    }

    /// The same as [`handle_bytes`](Self::handle_bytes), if they came over the connection of this number; else they
    /// are thrown away. For once the other side was told how far this one got, what the old connection still brings
    /// will come again.
    ///
    /// # Errors
    ///
    /// As [`handle_bytes`](Self::handle_bytes).
    pub fn handle_bytes_of(
        &mut self,
        link: u32,
        now: Time,
        input: &mut BytesMut,
    ) -> Result<(), ConnectionError> {
        if self.is_old(link) {
            input.clear();
            return Ok(());
        }
        self.handle_bytes(now, input)
    }

    /// The same as [`take_event`](Self::take_event), with bytes that came over the connection of this number; see
    /// [`handle_bytes_of`](Self::handle_bytes_of).
    ///
    /// # Errors
    ///
    /// As [`handle_bytes`](Self::handle_bytes).
    pub fn take_event_of(
        &mut self,
        link: u32,
        now: Time,
        input: &mut BytesMut,
    ) -> Result<Option<Event>, ConnectionError> {
        if self.is_old(link) {
            input.clear();
            return Ok(self.poll_event());
        }
        self.take_event(now, input)
    }

    pub(super) fn is_old(&self, link: u32) -> bool {
        let is_old = link != self.link;
        #[cfg(feature = "sabotage")]
        let is_old = is_old && !self.has(crate::Sabotage::ReadsTheOldConnection);
        is_old
    }

    /// Whether this connection has this fault.
    #[cfg(feature = "sabotage")]
    pub(super) fn has(&self, sabotage: crate::Sabotage) -> bool {
        self.limits.sabotage == Some(sabotage)
    }

    /// Tells whether the session outlives its connection.
    pub fn is_resumable(&self) -> bool {
        self.is_established() && self.resumption.is_some()
    }

    /// Tells whether the session has no connection, though one may be on its way.
    pub fn is_suspended(&self) -> bool {
        self.is_established() && !self.is_open()
    }

    /// Says that the transport is lost. Returns whether the session waits for another; if not, it is over, and
    /// [`outcome_if_lost`](Self::outcome_if_lost) tells what is true of its calls.
    pub fn disconnected(&mut self, now: Time) -> bool {
        if !self.is_resumable() {
            return false;
        }
        if self.is_open() {
            let linger = self.resumption.as_ref().map(|resumption| resumption.linger);
            self.suspended_until = now + linger.unwrap_or_default();
        }
        self.suspend();
        true
    }

    /// Waits for another connection.
    pub(super) fn suspend(&mut self) {
        self.unlink();
        self.state = State::Suspended;
    }

    /// Forgets everything about the transport. Nothing that it still brings counts from now on.
    fn unlink(&mut self) {
        #[cfg(feature = "sabotage")]
        if self.has(crate::Sabotage::LosesCancels) {
            self.questions.take_cancels();
        }
        #[cfg(feature = "sabotage")]
        if self.has(crate::Sabotage::LosesReleases) {
            self.imports.take_releases();
        }
        self.link = self.link.wrapping_add(1);
        self.session.unlink();
        self.frame_begun = None;
        self.skip = 0;
    }

    /// Begins another connection, as the side that dials: its first bytes are ready to be transmitted then. Returns
    /// whether there is a session that waits for it. The nonce is drawn at random for this connection.
    pub fn resume(&mut self, nonce: Nonce, now: Time) -> bool {
        if !matches!(self.state, State::Suspended) {
            return false;
        }
        let received = self.session.received();
        let Some(resumption) = &mut self.resumption else {
            return false;
        };
        let Some(handshake) = resumption.begin(nonce, received, now, self.session.ahead()) else {
            return false;
        };
        self.handshake_deadline = now + self.limits.handshake_timeout;
        self.state = State::Preamble(handshake);
        true
    }

    /// Takes the session up over the connection on which this was asked for, also if the old one still seems to be
    /// there: its bytes must not be handed over any more.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::SessionLost`], if it is not this session, or the request is not proved or not new. Nothing
    /// has changed then.
    pub fn accept_resume(
        &mut self,
        request: &ResumeRequest,
        now: Time,
    ) -> Result<(), ConnectionError> {
        let lost = ConnectionError::SessionLost;
        let established = self.is_established();
        let (Some(resumption), Some(peer)) = (&mut self.resumption, &self.peer) else {
            return Err(lost);
        };
        if !established
            || self.is_client
            || request.instance() != peer.instance
            || !self.session.may_have_received(request.received())
        {
            return Err(lost);
        }
        resumption.check(request)?;
        let hello = ServerHello {
            version: peer.version,
            codecs: peer.codecs,
            features: peer.features,
            instance: peer.instance,
            grants: *self.given_credit.grants(),
            clock: now,
            session: peer.session,
            received: self.session.received(),
            proof: None,
            linger: self.limits.linger,
            name: String::new(),
        };
        #[cfg(feature = "sabotage")]
        let hello = ServerHello {
            received: hello.received + u64::from(self.has(crate::Sabotage::ClaimsTooMuch)),
            ..hello
        };
        self.unlink();
        if let Some(resumption) = &self.resumption {
            resumption.answer(request, hello, self.session.ahead());
        }
        self.resumed(now, request.received(), request.hello.clock)
    }

    /// Returns how many bytes were sent in vain over connections that were lost, and again over the next, since the session
    /// began.
    pub fn retransmitted(&self) -> u64 {
        self.session.retransmitted()
    }

    /// Answers a request to take up a session that is not here.
    pub fn refuse_resume(&mut self) {
        self.fail(&ConnectionError::SessionLost);
    }

    /// Goes on with a session of which the other side has received so much.
    pub(super) fn resumed(
        &mut self,
        now: Time,
        received: u64,
        clock: Time,
    ) -> Result<(), ConnectionError> {
        if !self.session.may_have_received(received) {
            return Err(Violation::BadAcknowledgement(received).into());
        }
        self.session.relink(received, now)?;
        self.session.sample_clock(now, clock);
        self.state = State::Open;
        self.suspended_until = Time::from_micros(u64::MAX);
        self.events.push_back(Event::Resumed);
        self.tell_of_kept_bytes();
        Ok(())
    }

    /// Tells whether so much is kept that nothing more is to be sent.
    pub(super) fn keeps_too_much(&self) -> bool {
        self.resumption.is_some() && self.session.unacknowledged() >= self.limits.kept_bytes
    }

    /// Tells those who were turned away for the bytes that are kept that there is room again.
    #[inline]
    pub(super) fn tell_of_kept_bytes(&mut self) {
        if self.keeps_waiting {
            self.tell_if_little_is_kept();
        }
    }

    #[cold]
    fn tell_if_little_is_kept(&mut self) {
        if !self.keeps_too_much() {
            self.keeps_waiting = false;
            for depth in 0..self.own_credit.depths() {
                self.tell_of_credit(depth);
            }
            let streams = self.produced.take_awaited().into_iter();
            let events = streams.map(|number| Event::StreamCredit(StreamNumber::new(number)));
            self.events.extend(events);
        }
    }
}
