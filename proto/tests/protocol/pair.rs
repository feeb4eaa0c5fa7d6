//! Two connections with a wire between them, in memory.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farref_proto::{
    CallId, ClientConfig, Connection, ConnectionError, Event, Extensions, IncomingCall,
    IncomingCalls, IncomingReply, InstanceId, Nonce, OnewayReceipt, OutgoingCall, OutgoingReply,
    OutgoingResults, OutgoingRun, ReplyStatus, ResumeRequest, Seldom, SendError, ServerConfig,
    SessionId, SessionSecret, TableEntry, Time,
};

pub(crate) const CLIENT: InstanceId = InstanceId::from_bytes([0xc1; 16]);
pub(crate) const SERVER: InstanceId = InstanceId::from_bytes([0x5e; 16]);
pub(crate) const CODEC: u8 = 1;

pub(crate) fn client_config() -> ClientConfig {
    ClientConfig::new(
        CLIENT,
        SessionId::from_bytes([0x51; 16]),
        SessionSecret::from_bytes([0x52; 32]),
        Nonce::from_bytes([0x0c; 32]),
    )
}

pub(crate) fn server_config() -> ServerConfig {
    ServerConfig::new(SERVER, Nonce::from_bytes([0x05; 32]))
}

/// One end: a connection, and the bytes that have reached it.
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) inbox: BytesMut,
    /// Everything that it ever sent.
    pub(crate) sent: Vec<u8>,
    /// What its clock shows beyond the pair's.
    pub(crate) clock_ahead: Duration,
    pub(crate) error: Option<ConnectionError>,
}

impl End {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            inbox: BytesMut::new(),
            sent: Vec::new(),
            clock_ahead: Duration::ZERO,
            error: None,
        }
    }

    /// Takes what reached it.
    fn receive(&mut self, now: Time) {
        if !self.inbox.is_empty()
            && let Err(error) = self
                .connection
                .handle_bytes(now + self.clock_ahead, &mut self.inbox)
        {
            self.error = Some(error);
        }
    }

    /// Returns what it sends now, as one piece.
    pub(crate) fn transmit(&mut self, now: Time) -> Vec<u8> {
        let mut pieces = Vec::new();
        let promised = self.connection.has_transmit();
        let length = self
            .connection
            .poll_transmit(now + self.clock_ahead, &mut pieces);
        assert!(promised || length == 0, "bytes came that were not promised");
        let bytes = pieces.concat();
        assert_eq!(bytes.len(), length);
        assert!(
            !self.connection.has_transmit(),
            "poll_transmit takes everything"
        );
        self.sent.extend_from_slice(&bytes);
        bytes
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    /// Returns the only event there is.
    pub(crate) fn event(&mut self) -> Event {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    pub(crate) fn incoming_call(&mut self) -> IncomingCall {
        match self.event() {
            Event::Call(call) => call,
            other => panic!("not a call: {other:?}"),
        }
    }

    pub(crate) fn incoming_reply(&mut self) -> IncomingReply {
        match self.event() {
            Event::Reply(reply) => reply,
            other => panic!("not a reply: {other:?}"),
        }
    }

    /// Answers all calls that have arrived with their own arguments.
    pub(crate) fn echo(&mut self) -> usize {
        let mut answered = 0;
        for event in self.events() {
            if let Event::Call(call) = event {
                self.connection.reply(call.id, &reply(&call.body)).unwrap();
                answered += 1;
            }
        }
        answered
    }
}

/// Two ends and the time.
pub(crate) struct Pair {
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) now: Time,
}

impl Pair {
    pub(crate) fn new(client: ClientConfig, server: ServerConfig) -> Self {
        let now = Time::from_micros(1_000_000);
        Self {
            client: End::new(Connection::client(client, now)),
            server: End::new(Connection::server(server, now)),
            now,
        }
    }

    /// Makes a pair whose handshake is done, with the events of that polled.
    pub(crate) fn established() -> Self {
        Self::established_with(client_config(), server_config())
    }

    pub(crate) fn established_with(client: ClientConfig, server: ServerConfig) -> Self {
        let mut pair = Self::new(client, server);
        pair.drive();
        assert!(matches!(pair.client.event(), Event::Established(_)));
        assert!(matches!(pair.server.event(), Event::Established(_)));
        pair
    }

    /// Carries what waits from the client to the server.
    pub(crate) fn carry_to_server(&mut self) -> usize {
        let bytes = self.client.transmit(self.now);
        self.server.inbox.extend_from_slice(&bytes);
        self.server.receive(self.now);
        bytes.len()
    }

    /// Carries what waits from the server to the client.
    pub(crate) fn carry_to_client(&mut self) -> usize {
        let bytes = self.server.transmit(self.now);
        self.client.inbox.extend_from_slice(&bytes);
        self.client.receive(self.now);
        bytes.len()
    }

    /// Carries bytes both ways until none move.
    pub(crate) fn drive(&mut self) {
        while self.carry_to_server() + self.carry_to_client() > 0 {}
    }

    /// Cuts the connection; what was on the wire is lost.
    pub(crate) fn cut(&mut self) {
        for end in [&mut self.client, &mut self.server] {
            end.inbox.clear();
            assert!(end.connection.disconnected(self.now + end.clock_ahead));
        }
    }

    /// Has the client dial again. Returns what it says.
    pub(crate) fn dial_again(&mut self, nonce: u8) -> Vec<u8> {
        let nonce = Nonce::from_bytes([nonce; 32]);
        let now = self.now + self.client.clock_ahead;
        assert!(self.client.connection.resume(nonce, now));
        self.client.transmit(self.now)
    }

    /// Has a client's request to take a session up arrive at the server's process, which gives it to the session.
    pub(crate) fn ask_to_resume(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let now = self.now + self.server.clock_ahead;
        let request = resume_request(bytes, now).expect("it is a whole request");
        self.server.connection.accept_resume(&request, now)
    }

    /// Takes the session up again over another connection, and carries bytes until none move.
    pub(crate) fn resume(&mut self, nonce: u8) {
        let hello = self.dial_again(nonce);
        self.ask_to_resume(&hello).unwrap();
        self.drive();
    }

    /// Lets time pass. Returns what the two ends make of it.
    pub(crate) fn pass(
        &mut self,
        time: Duration,
    ) -> (Result<(), ConnectionError>, Result<(), ConnectionError>) {
        self.now = self.now + time;
        let client = self
            .client
            .connection
            .handle_timeout(self.now + self.client.clock_ahead);
        let server = self
            .server
            .connection
            .handle_timeout(self.now + self.server.clock_ahead);
        (client, server)
    }

    /// Puts bytes onto the wire to the server, as a client that does not use this crate might.
    pub(crate) fn forge_to_server(&mut self, bytes: &[u8]) -> Option<ConnectionError> {
        self.server.inbox.extend_from_slice(bytes);
        self.server.receive(self.now);
        self.server.error.clone()
    }

    /// Puts bytes onto the wire to the client.
    pub(crate) fn forge_to_client(&mut self, bytes: &[u8]) -> Option<ConnectionError> {
        self.client.inbox.extend_from_slice(bytes);
        self.client.receive(self.now);
        self.client.error.clone()
    }

    /// Checks that nothing is left in any table.
    pub(crate) fn assert_idle(&self) {
        for end in [&self.client, &self.server] {
            assert_eq!(end.error, None);
            let tables = end.connection.tables();
            assert_eq!(tables.calls_out + tables.calls_in, 0, "{tables:?}");
            assert_eq!(
                tables.exports + tables.imports + tables.aliases,
                0,
                "{tables:?}"
            );
            assert_eq!(tables.unsent, 0, "{tables:?}");
        }
    }
}

/// Reads a request to take up a session, as a new connection of the server's process does.
pub(crate) fn resume_request(bytes: &[u8], now: Time) -> Option<ResumeRequest> {
    let mut connection = Connection::server(server_config(), now);
    connection
        .handle_bytes(now, &mut BytesMut::from(bytes))
        .unwrap();
    match connection.poll_event() {
        Some(Event::ResumeRequested(request)) => Some(request),
        _ => None,
    }
}

/// What is gathered as what it would be alone.
pub(crate) fn unfolded(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let one_by_one = |event| match event {
        Event::Calls(IncomingCalls {
            target,
            method_hash,
            shape,
            method_index,
            codec,
            oneway,
            calls,
        }) => calls
            .into_iter()
            .map(|one| {
                let receipt = OnewayReceipt::of_gathered(&one);
                let call = IncomingCall {
                    id: one.id,
                    target,
                    method_hash,
                    shape,
                    method_index,
                    codec,
                    pipelined: false,
                    keep_answer: false,
                    ordered: false,
                    extensions: None,
                    table: Seldom::new(),
                    body: one.body,
                    attachments: Seldom::new(),
                };
                match oneway {
                    true => Event::Oneway(call, receipt),
                    false => Event::Call(call),
                }
            })
            .collect(),
        Event::Replies(gathered) => gathered
            .replies
            .into_iter()
            .map(|one| {
                Event::Reply(IncomingReply {
                    call: one.id,
                    more: false,
                    status: ReplyStatus::Ok,
                    codec: gathered.codec,
                    extensions: None,
                    table: Seldom::new(),
                    body: one.body,
                    attachments: Seldom::new(),
                })
            })
            .collect(),
        event => vec![event],
    };
    events.into_iter().flat_map(one_by_one).collect()
}

/// A call of the daemon with these arguments.
pub(crate) fn call(body: &[u8]) -> OutgoingCall<'_> {
    OutgoingCall {
        target: 0,
        method_index: 3,
        method_hash: 0x1234_5678,
        shape: 0x9abc_def0,
        codec: CODEC,
        extensions: Extensions::NONE,
        table: &[],
        body,
        attachments: &[],
    }
}

/// A reply with this result.
pub(crate) fn reply(body: &[u8]) -> OutgoingReply<'_> {
    OutgoingReply {
        status: ReplyStatus::Ok,
        codec: CODEC,
        extensions: Extensions::NONE,
        table: &[],
        body,
        attachments: &[],
    }
}

/// A reply that describes the object which a bind names.
pub(crate) fn describe(entry: &[TableEntry]) -> OutgoingReply<'_> {
    OutgoingReply {
        codec: 0,
        table: entry,
        ..reply(&[])
    }
}

/// Makes calls until there is no credit left. Returns their ids.
pub(crate) fn exhaust(connection: &mut Connection, outgoing: &OutgoingCall<'_>) -> Vec<CallId> {
    let mut ids = Vec::new();
    loop {
        match connection.call(outgoing) {
            Ok(id) => ids.push(id),
            Err(SendError::NoCredit) => return ids,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Returns one message as a frame.
pub(crate) fn frame(message: &farref_proto::message::Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

/// Calls of a run, whose arguments have these lengths.
pub(crate) fn run<'a>(lengths: &'a [u32], body: &'a [u8]) -> OutgoingRun<'a> {
    let OutgoingCall {
        target,
        method_index,
        method_hash,
        shape,
        codec,
        extensions,
        ..
    } = call(body);
    OutgoingRun {
        target,
        method_index,
        method_hash,
        shape,
        codec,
        extensions,
        lengths,
        body,
    }
}

/// What calls of a run have returned.
pub(crate) fn results<'a>(lengths: &'a [u32], body: &'a [u8]) -> OutgoingResults<'a> {
    OutgoingResults {
        codec: CODEC,
        lengths,
        body,
    }
}
