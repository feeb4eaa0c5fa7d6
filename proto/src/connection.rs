//! One end of a conversation.

mod apart;
mod batches;
mod establishing;
mod event;
mod gathering;
mod handing_off;
mod incoming;
mod outgoing;
mod promises;
mod referring;
mod refusing;
mod resuming;
mod runs;
mod streaming;
mod transmit;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use self::batches::{BatchIn, BatchOut};
pub use self::batches::{BatchedCall, IncomingBatch};
pub use self::event::{
    Event, IncomingBind, IncomingCall, IncomingCalls, IncomingItems, IncomingRef, IncomingReplies,
    IncomingReply, IncomingResults, OnewayReceipt, StreamEnding, TableSizes,
};
pub use self::handing_off::{IncomingClaim, IncomingIntroduction, IncomingProvide, features};
pub use self::promises::CallFlags;
use crate::calls::{Answers, GivenCredit, OwnCredit, Questions};
use crate::error::{ConnectionError, Stranger};
use crate::errors::Errors;
use crate::frame::{Header, LENGTH_FIELD, PREAMBLE};
use crate::handshake::{
    ANSWER_TO_HTTP, ClientConfig, ClientHandshake, Handshake, PeerInfo, Resumption, ServerConfig,
    ServerHandshake,
};
use crate::id::{CallId, ExportId};
use crate::limits::{Grants, Limits};
use crate::message::Outcome;
use crate::reason::{CloseReason, DrainReason, Refusal, RefusalCode};
use crate::references::{Aliases, Exports, Imports};
use crate::session::Session;
use crate::streams::{Consumed, Produced};
use crate::time::Time;

/// The state of one end of a conversation, without any input or output of its own.
///
/// The two ends are alike but for the handshake: both call and are called, export and import.
///
/// Its methods come in four groups:
///
/// - getters ([`is_established`](Self::is_established), [`peer`](Self::peer), [`tables`](Self::tables)) change nothing;
/// - `handle_*` take what came from outside: bytes, or the passing of time;
/// - mutators ([`call`](Self::call), [`reply`](Self::reply), [`release`](Self::release) ...) are what the application
///   wants; nothing is sent by them, and those that only count cannot fail;
/// - `poll_*` return what is to be done: events to look at, bytes to send, an instant to wait for. After anything of
///   the other groups, poll events until there is none, and transmit.
///
/// The time is an argument. It must not run backwards.
///
/// # Examples
///
/// Two ends in one program; what is carried between them here goes over a socket elsewhere.
///
/// ```
/// use bytes::BytesMut;
/// use farref_proto::*;
///
/// fn carry(from: &mut Connection, to: &mut Connection) -> Result<(), ConnectionError> {
///     let mut pieces = Vec::new();
///     from.poll_transmit(Time::ZERO, &mut pieces);
///     to.handle_bytes(Time::ZERO, &mut BytesMut::from(&pieces.concat()[..]))
/// }
///
/// let config = ClientConfig::new(
///     InstanceId::from_bytes([1; 16]), // in earnest, each of these is drawn at random
///     SessionId::from_bytes([2; 16]),
///     SessionSecret::from_bytes([3; 32]),
///     Nonce::from_bytes([4; 32]),
/// );
/// let mut client = Connection::client(config, Time::ZERO);
/// let config = ServerConfig::new(InstanceId::from_bytes([5; 16]), Nonce::from_bytes([6; 32]));
/// let mut server = Connection::server(config, Time::ZERO);
///
/// let call = client.call(&OutgoingCall {
///     target: DAEMON_TARGET,
///     method_index: 0,
///     method_hash: fnv1a32(b"Daemon.ping"),
///     shape: 0,
///     codec: 1,
///     extensions: Extensions::NONE,
///     table: &[],
///     body: b"hello",
///     attachments: &[],
/// })?;
/// carry(&mut client, &mut server)?;
/// while let Some(event) = server.poll_event() {
///     if let Event::Call(arrived) = event {
///         let fault = FaultMessage::new(FaultKind::NoSuchMethod, Outcome::NotStarted, "no such method");
///         server.reply_fault(arrived.id, &fault)?;
///     }
/// }
/// carry(&mut server, &mut client)?;
/// assert!(matches!(client.poll_event(), Some(Event::Established(_))));
/// let Some(Event::Reply(reply)) = client.poll_event() else { panic!("no reply") };
/// assert_eq!((reply.call, reply.status), (call, ReplyStatus::Fault));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # States
///
/// ```text
///  Preamble --> Handshake --> Open ------------------> Closed
///      |            |          | ^                       ^
///      +------------+----------|-|-----------------------+   an error, a refusal, a goodbye, close()
///                              | |                       |
///             disconnected()   v | another connection    |
///                            Suspended ------------------+   no other connection came in time
/// ```
///
/// While it is suspended, everything that the application asks for is still taken; it goes out over the next
/// connection. A client begins one with [`resume`](Self::resume), a server's session is handed one with
/// [`accept_resume`](Self::accept_resume).
#[derive(Debug)]
pub struct Connection {
    state: State,
    limits: Limits,
    is_client: bool,
    preamble_seen: bool,
    /// A server writes its preamble before its first frame, once it has seen the client's.
    preamble_due: bool,
    /// How the session is taken up again, if it can be.
    resumption: Option<Box<Resumption>>,
    /// Until when another connection may come.
    suspended_until: Time,
    /// How many connections this one has had.
    link: u32,
    /// Somebody was turned away for the bytes that are kept.
    keeps_waiting: bool,
    peer: Option<Arc<PeerInfo>>,
    session: Session,
    questions: Questions,
    own_credit: OwnCredit,
    errors: Errors,
    answers: Answers,
    given_credit: GivenCredit,
    exports: Exports,
    aliases: Aliases,
    imports: Imports,
    produced: Produced,
    consumed: Consumed,
    events: VecDeque<Event>,
    handshake_deadline: Time,
    /// When the frame was begun that is not complete.
    frame_begun: Option<Time>,
    /// How many bytes at the front of the input are of a frame that is thrown away.
    skip: usize,
    /// Session frames were thrown away, since their sender was not known yet.
    skipped_any: bool,
    batch_out: Option<BatchOut>,
    batches_sent: u32,
    batch_in: Option<BatchIn>,
    /// This side takes no new calls; told when the handshake is done.
    draining: bool,
    drain_due: Option<DrainReason>,
    peer_draining: bool,
    /// The other side refused the handshake, so nothing that was sent has run.
    nothing_ran: bool,
}

#[derive(Debug)]
enum State {
    Preamble(Handshake),
    Handshake(Handshake),
    Open,
    /// The session has no connection.
    Suspended,
    Closed,
}

impl Connection {
    /// Begins as the side that dialled. The preamble and the hello are ready to be transmitted, and unless there is a
    /// token, calls may be made at once that travel in the same flight.
    pub fn client(config: ClientConfig, now: Time) -> Self {
        let limits = config.limits.clone();
        let mut session = Session::new(&limits, now);
        let resumption = Resumption::of_client(&config);
        session.ahead().reserve(512);
        let handshake = ClientHandshake::begin(config, now, session.ahead());
        let state = State::Preamble(Handshake::Client(Box::new(handshake)));
        let mut connection = Self::new(state, true, limits, session, now);
        if !resumption.linger.is_zero() {
            connection.resumption = Some(Box::new(resumption));
        }
        connection
    }

    /// Begins as the side that was dialled.
    pub fn server(config: ServerConfig, now: Time) -> Self {
        let limits = config.limits.clone();
        let session = Session::new(&limits, now);
        let handshake = ServerHandshake::new(config);
        Self::new(
            State::Preamble(Handshake::Server(Box::new(handshake))),
            false,
            limits,
            session,
            now,
        )
    }

    fn new(state: State, is_client: bool, limits: Limits, session: Session, now: Time) -> Self {
        let handshake_deadline = now + limits.handshake_timeout;
        let grants = limits.grants();
        Self {
            state,
            limits,
            is_client,
            preamble_seen: false,
            preamble_due: false,
            resumption: None,
            suspended_until: Time::from_micros(u64::MAX),
            link: 0,
            keeps_waiting: false,
            peer: None,
            session,
            questions: Questions::default(),
            own_credit: OwnCredit::new(Grants::FLOOR),
            errors: Errors::default(),
            answers: Answers::default(),
            given_credit: GivenCredit::new(grants),
            exports: Exports::default(),
            aliases: Aliases::default(),
            imports: Imports::default(),
            produced: Produced::default(),
            consumed: Consumed::default(),
            events: VecDeque::new(),
            handshake_deadline,
            frame_begun: None,
            skip: 0,
            skipped_any: false,
            batch_out: None,
            batches_sent: 0,
            batch_in: None,
            draining: false,
            drain_due: None,
            peer_draining: false,
            nothing_ran: false,
        }
    }

    /// Tells whether the handshake is done and the conversation has not ended. It may be between two connections.
    pub fn is_established(&self) -> bool {
        self.peer.is_some() && !self.is_closed()
    }

    /// Tells whether frames go to and fro: the handshake is done, and the connection is there.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Tells whether the conversation has ended. What waits to be transmitted may still be.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Returns who is at the other end, once the handshake is done.
    pub fn peer(&self) -> Option<&PeerInfo> {
        self.peer.as_deref()
    }

    /// Returns how much there is of everything.
    pub fn tables(&self) -> TableSizes {
        TableSizes {
            calls_out: self.questions.len(),
            calls_in: self.answers.len(),
            exports: self.exports.len(),
            aliases: self.aliases.len(),
            imports: self.imports.len(),
            streams_out: self.produced.len(),
            streams_in: self.consumed.len(),
            promises_out: self.questions.kept(),
            promises_in: self.answers.kept(),
            unsent: self.session.unsent(),
            unacknowledged: self.session.unacknowledged(),
            events: self.events.len(),
        }
    }

    /// Returns how many grants of this export the other side holds.
    pub fn grants_of(&self, id: ExportId) -> u32 {
        self.exports.grants(id.index())
    }

    /// Returns how many calls and binds this side made that are not answered.
    pub fn calls_out(&self) -> usize {
        self.questions.len()
    }

    /// Returns how many streams are open, of both sides.
    pub fn streams(&self) -> usize {
        self.produced.len() + self.consumed.len()
    }

    /// Returns how many calls and binds of the other side are not answered.
    pub fn calls_in(&self) -> usize {
        self.answers.len()
    }

    /// Tells what would be true of an open call if the connection ended now: that it has not started, as long as its
    /// frame was not polled for transmission or the other side refused the handshake, and else that nobody knows.
    pub fn outcome_if_lost(&self, call: CallId) -> Outcome {
        match self.questions.find(call) {
            Some(question) if !self.nothing_ran && question.end <= self.session.transmitted() => {
                Outcome::Unknown
            }
            _ => Outcome::NotStarted,
        }
    }

    /// Takes what came from the other side: all whole frames at the front of `input`. What is left there is the
    /// beginning of a frame, to be kept and added to.
    ///
    /// No byte is copied: bodies and attachments share the memory of `input`.
    ///
    /// # Errors
    ///
    /// Why the conversation cannot go on. The connection is closed then; what is left to transmit tells the other side.
    /// Events of the frames before the broken one are still there.
    pub fn handle_bytes(&mut self, now: Time, input: &mut BytesMut) -> Result<(), ConnectionError> {
        let mut events = std::mem::take(&mut self.events);
        let result = loop {
            match self.take_event(now, input) {
                Ok(Some(request @ Event::ResumeRequested(_))) => {
                    // What follows is not for this connection.
                    events.push_back(request);
                    break Ok(());
                }
                Ok(Some(event)) => events.push_back(event),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        events.append(&mut self.events);
        self.events = events;
        result
    }

    /// Returns what happened next: an event that waited, or else what the next whole frames at the front of `input`
    /// bring about, of which no more is taken than that. `None` if they bring nothing more.
    ///
    /// This is [`handle_bytes`](Self::handle_bytes) and [`poll_event`](Self::poll_event) in one, without a queue between
    /// them.
    ///
    /// # Errors
    ///
    /// As [`handle_bytes`](Self::handle_bytes).
    pub fn take_event(
        &mut self,
        now: Time,
        input: &mut BytesMut,
    ) -> Result<Option<Event>, ConnectionError> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        self.session.heard(now);
        let result = self.take_frames(now, input);
        self.conclude(now, input, result)
    }

    /// Draws the conclusions from what came of some input.
    fn conclude(
        &mut self,
        now: Time,
        input: &mut BytesMut,
        mut result: Result<Option<Event>, ConnectionError>,
    ) -> Result<Option<Event>, ConnectionError> {
        // Once for a read is often enough: what one brings is bounded by the credit.
        if matches!(result, Ok(None)) && self.is_open() {
            result = self.errors.check(self.limits.errors).map(|()| None);
        }
        if let Err(error) = &result {
            self.fail(error);
        }
        if self.is_closed() {
            input.clear();
        }
        if matches!(result, Ok(None)) {
            if input.is_empty() {
                self.frame_begun = None;
            } else {
                self.frame_begun.get_or_insert(now);
            }
        }
        result
    }

    /// Returns how many bytes are missing of the frame that begins with what [`handle_bytes`](Self::handle_bytes) left;
    /// `None` as long as its length is not known. The length is the other side's word, so do not make much more room
    /// for it than it has filled already.
    pub fn missing(input: &[u8]) -> Option<usize> {
        let length = u32::from_le_bytes(*input.first_chunk::<LENGTH_FIELD>()?) as usize;
        Some((LENGTH_FIELD + length).saturating_sub(input.len()))
    }

    fn take_frames(
        &mut self,
        now: Time,
        input: &mut BytesMut,
    ) -> Result<Option<Event>, ConnectionError> {
        if matches!(self.state, State::Preamble(_)) && !self.take_preamble(input)? {
            return Ok(None);
        }
        while matches!(self.state, State::Handshake(_)) {
            if !self.take_handshake_frame(now, input)? {
                return Ok(self.events.pop_front());
            }
            self.frame_begun = None;
        }
        while self.is_open() && self.events.is_empty() {
            let limit = self.given_credit.grants().max_message;
            let Some(header) = Header::peek(input, limit)? else {
                return Ok(None);
            };
            if header.frame_length() > input.len() {
                return Ok(None);
            }
            self.frame_begun = None;
            if header.is_bare_call() {
                if let Some(event) = self.handle_bare_call(header, input)? {
                    return Ok(Some(event));
                }
            } else if header.is_bare_reply() {
                return self.handle_bare_reply(header, input);
            } else {
                let frame = input.split_to(header.frame_length()).freeze();
                self.handle_frame(now, header, frame)?;
            }
        }
        Ok(self.events.pop_front())
    }

    /// Returns the instant at which [`handle_timeout`](Self::handle_timeout) should be called; `None` once the
    /// connection is closed.
    ///
    /// The instant changes with everything that is done; it only ever comes earlier through a mutator or through
    /// `handle_*`, so it is enough to ask after those.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Preamble(_) | State::Handshake(_) => {
                Some(self.handshake_deadline.min(self.suspended_until))
            }
            State::Suspended => Some(self.suspended_until),
            State::Open => {
                let frame = self
                    .frame_begun
                    .map_or(Time::from_micros(u64::MAX), |begun| {
                        begun + self.limits.frame_timeout
                    });
                Some(self.session.timeout().min(frame))
            }
            State::Closed => None,
        }
    }

    /// Takes the other side's silence for nothing: what it may have sent has not been read yet, since whoever reads is held
    /// up. To be called before [`handle_timeout`](Self::handle_timeout) as long as that is so.
    pub fn excuse_silence(&mut self, now: Time) {
        self.session.heard(now);
        if let Some(begun) = &mut self.frame_begun {
            *begun = now;
        }
    }

    /// Takes the passing of time. Does nothing if it is too early.
    ///
    /// # Errors
    ///
    /// The other side is too slow, or silent. The connection is closed then, or if its session may outlive it,
    /// [suspended](Self::is_suspended).
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), ConnectionError> {
        let result = match self.state {
            State::Closed => Ok(()),
            State::Open => self.handle_open_timeout(now),
            _ if now >= self.suspended_until => Err(ConnectionError::Abandoned),
            State::Preamble(_) | State::Handshake(_) if now >= self.handshake_deadline => {
                Err(ConnectionError::HandshakeTimeout)
            }
            State::Preamble(_) | State::Handshake(_) | State::Suspended => Ok(()),
        };
        match &result {
            // A network that has gone tells nobody.
            Err(ConnectionError::PeerTimeout) if self.disconnected(now) => {}
            Err(error) => self.fail(error),
            Ok(()) => {}
        }
        result
    }

    fn handle_open_timeout(&mut self, now: Time) -> Result<(), ConnectionError> {
        if !self.session.handle_timeout(now) {
            return Err(ConnectionError::PeerTimeout);
        }
        match self.frame_begun {
            Some(begun) if now >= begun + self.limits.frame_timeout => {
                Err(ConnectionError::FrameTimeout)
            }
            _ => Ok(()),
        }
    }

    /// Returns what happened next, in order; `None` if there is nothing more.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Counts an error of the other side's making: a call or a bind that it should never have made, for instance one
    /// that names what is not there, or whose arguments cannot be read. What is refused here is counted already. When
    /// there are more than [`Limits::errors`], what comes next from the other side ends the conversation.
    pub fn blame(&mut self) {
        self.errors
            .add(self.session.last_heard(), self.limits.error_pardon);
    }

    /// Ends the conversation and tells the other side why, behind what waits to be transmitted.
    pub fn close(&mut self, reason: &CloseReason) {
        match self.state {
            State::Open => {
                if self.session.is_linked() {
                    self.write_counted();
                }
                reason.encode(self.session.behind());
            }
            State::Preamble(_) | State::Handshake(_) if self.is_client => {
                reason.encode(self.session.behind());
            }
            State::Handshake(_) => {
                self.refuse(&Refusal::new(RefusalCode::ShuttingDown, reason.to_string()));
            }
            State::Preamble(_) | State::Suspended | State::Closed => {}
        }
        self.state = State::Closed;
    }

    /// Ends the conversation and tells the other side why, in place of everything that waits to be transmitted.
    pub fn abort(&mut self, reason: &CloseReason) {
        if self.is_open() {
            self.session.unlink();
        }
        self.close(reason);
    }

    /// Ends the conversation because of an error, of which the other side is told where it can understand.
    fn fail(&mut self, error: &ConnectionError) {
        let was_open = self.is_open();
        if self.peer.is_some() && !was_open && !error.ends_session() {
            // An attempt to take the session up again has failed; the next one may not.
            self.suspend();
            return;
        }
        self.state = State::Closed;
        match error {
            _ if was_open => {
                let reason = CloseReason::new(error.close_code(), error.to_string());
                reason.encode(self.session.behind());
            }
            _ if self.peer.is_some() => self.session.unlink(),
            ConnectionError::Refused { .. } | ConnectionError::TokenRequired => {
                self.nothing_ran = true
            }
            ConnectionError::Stranger(Stranger::Http) if !self.is_client => {
                self.session.ahead().put_slice(ANSWER_TO_HTTP);
            }
            // Whoever does not know the preamble does not know what a refusal is.
            ConnectionError::Stranger(_) => {}
            ConnectionError::Refusing(refusal) => self.refuse(&refusal.clone()),
            _ if !self.is_client => {
                self.refuse(&Refusal::new(error.refusal_code(), error.to_string()));
            }
            _ => {}
        }
    }

    /// Tells the client that nothing ran, if it has shown that it understands.
    fn refuse(&mut self, refusal: &Refusal) {
        if self.preamble_seen {
            self.greet();
            refusal.encode(self.session.ahead());
        }
    }

    /// Writes the preamble, if it is due.
    fn greet(&mut self) {
        if std::mem::take(&mut self.preamble_due) {
            self.session.ahead().put_slice(&PREAMBLE);
        }
    }

    fn tell_of_credit(&mut self, depth: u16) {
        if self.own_credit.take_awaited(depth) {
            self.events.push_back(Event::CreditAvailable { depth });
        }
    }
}
