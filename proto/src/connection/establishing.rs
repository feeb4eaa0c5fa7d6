//! What comes before a connection is open: the preamble and the frames of the handshake.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::{Connection, Event, State};
use crate::error::{ConnectionError, DecodeError, Violation};
use crate::frame::{Header, PREAMBLE};
use crate::handshake::{PeerInfo, Step, find_preamble};
use crate::limits::Grants;
use crate::message::Message;
use crate::time::Time;

impl Connection {
    /// Takes the preamble. Returns whether it was complete.
    pub(super) fn take_preamble(&mut self, input: &mut BytesMut) -> Result<bool, ConnectionError> {
        if !find_preamble(input).map_err(ConnectionError::Stranger)? {
            return Ok(false);
        }
        let _ = input.split_to(PREAMBLE.len());
        if !self.preamble_seen {
            self.preamble_seen = true;
            self.preamble_due = !self.is_client;
        }
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Preamble(handshake) => State::Handshake(handshake),
            other => other,
        };
        Ok(true)
    }

    /// Takes one frame of the handshake. Returns whether there was a whole one.
    pub(super) fn take_handshake_frame(
        &mut self,
        now: Time,
        input: &mut BytesMut,
    ) -> Result<bool, ConnectionError> {
        let State::Handshake(handshake) = &self.state else {
            return Ok(false);
        };
        let discards = handshake.discards_session_frames();
        if self.skip > 0 {
            let skipped = input.len().min(self.skip);
            let _ = input.split_to(skipped);
            self.skip -= skipped;
            return Ok(self.skip == 0);
        }
        let limit = self.limits.handshake_message;
        let widest = if discards {
            limit.max(Grants::FLOOR.max_message)
        } else {
            limit
        };
        let Some(header) = Header::peek(input, widest)? else {
            return Ok(false);
        };
        if !header.kind.is_link() {
            // What a client without a token sends early is neither run nor kept: it will end at the challenge.
            if !discards {
                return Err(Violation::OutOfTurn(header.kind.code()).into());
            }
            self.skip = header.frame_length();
            self.skipped_any = true;
            return Ok(true);
        }
        if header.length > limit {
            return Err(DecodeError::TooLong {
                length: header.length,
                limit,
            }
            .into());
        }
        if input.len() < header.frame_length() {
            return Ok(false);
        }
        let frame = input.split_to(header.frame_length()).freeze();
        let message = Message::decode_as(header, &frame, self.given_credit.grants())?;
        self.handle_handshake_message(now, message)?;
        // What follows the request to take up another session is not for this connection.
        Ok(!matches!(
            self.events.back(),
            Some(Event::ResumeRequested(_))
        ))
    }

    fn handle_handshake_message(
        &mut self,
        now: Time,
        message: Message,
    ) -> Result<(), ConnectionError> {
        if let Message::Goodbye(reason) = message {
            self.state = State::Closed;
            self.events.push_back(Event::Closed(reason));
            return Ok(());
        }
        if self.skipped_any {
            // Its sender holds a token and did not wait, so its offsets and ours differ.
            return Err(Violation::OutOfTurn(message.kind().code()).into());
        }
        let State::Handshake(handshake) = std::mem::replace(&mut self.state, State::Closed) else {
            return Ok(());
        };
        let mut answer = BytesMut::new();
        let step = handshake.handle(now, message, &mut answer)?;
        if !answer.is_empty() {
            self.greet();
            self.session.ahead().extend_from_slice(&answer);
        }
        match step {
            Step::Wait(handshake) => self.state = State::Handshake(handshake),
            Step::Done(peer, clock, resumption) => {
                self.resumption = self.resumption.take().or(resumption);
                self.keep_for(self.limits.linger.min(peer.linger));
                self.establish(now, Arc::from(peer), clock);
            }
            Step::ResumeRequested(handshake, request) => {
                self.state = State::Handshake(handshake);
                self.events.push_back(Event::ResumeRequested(request));
            }
            Step::Resumed { received, clock } => self.resumed(now, received, clock)?,
        }
        Ok(())
    }

    /// Keeps the session so long without a connection.
    fn keep_for(&mut self, linger: Duration) {
        match &mut self.resumption {
            Some(resumption) if !linger.is_zero() => resumption.linger = linger,
            _ => self.resumption = None,
        }
    }

    fn establish(&mut self, now: Time, peer: Arc<PeerInfo>, clock: Time) {
        self.state = State::Open;
        self.session.sample_clock(now, clock);
        self.session
            .establish(&peer.grants, self.resumption.is_some(), now);
        // Tables on this side grow with what is in flight, so the other side's generosity does not decide it alone.
        self.own_credit
            .raise(peer.grants.within(self.given_credit.grants()));
        // Likely the only one that ever waits.
        self.events.reserve_exact(1);
        self.events.push_back(Event::Established(Arc::clone(&peer)));
        self.peer = Some(peer);
        for depth in 0..self.own_credit.depths() {
            self.tell_of_credit(depth);
        }
    }
}
