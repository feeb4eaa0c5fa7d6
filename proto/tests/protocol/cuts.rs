//! Conversations whose connection is cut, at every byte and again while they are resumed: nothing above notices.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farref_proto::{
    CallId, Connection, Event, ImportId, IncomingRef, Limits, Nonce, Outcome, OutgoingCall,
    OutgoingItems, OutgoingReply, StreamEnding, Time, Token,
};

use crate::pair::{CLIENT, CODEC, SERVER, call, client_config, describe, reply, server_config};

/// Where a connection is cut: once so many bytes have passed in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    to_server: bool,
    after: usize,
}

/// What became of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    client: Vec<String>,
    streamed: Vec<String>,
    server: Vec<String>,
    /// What each was given back. When that is said depends on who is written to when.
    released: [Vec<&'static str>; 2],
}

/// How the conversation goes, and what is wrong with the protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) token: bool,
    pub(crate) limits: Limits,
}

impl Plan {
    fn limits(&self) -> Limits {
        let mut limits = self.limits.clone();
        // Acknowledgements are to be among what is cut.
        limits.ack_every = 150;
        limits
    }
}

/// The client's part: binds a name, passes a reference, is called back, uses what it is given, sends oneways, gives
/// up a call, consumes a stream, and returns everything.
struct Client {
    connection: Connection,
    events: Vec<String>,
    /// What came of the stream, in its own order.
    streamed: Vec<String>,
    released: Vec<&'static str>,
    jukebox: Option<ImportId>,
    play: Option<CallId>,
    stop: Option<CallId>,
    queue: Option<ImportId>,
    others: Vec<CallId>,
    tracks: Option<CallId>,
    is_streaming: bool,
}

impl Client {
    fn begin(&mut self) {
        let connection = &mut self.connection;
        let (_, jukebox) = connection.bind("jukebox", 1).unwrap();
        let (_, listener) = connection.export(40, 2, CLIENT).unwrap();
        let play = OutgoingCall {
            target: jukebox.index(),
            table: &[listener],
            ..call(b"play")
        };
        self.play = Some(connection.call(&play).unwrap());
        connection.oneway(&call(b"tick"), true).unwrap();
        self.jukebox = Some(jukebox);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Reply(arrived) => {
                self.events.push(format!("reply {:?}", arrived.body));
                self.answered(arrived.call, &arrived.table);
            }
            Event::Call(arrived) => {
                self.events.push(format!("call {:?}", arrived.body));
                let body = reply(&arrived.body);
                self.connection.reply(arrived.id, &body).unwrap();
            }
            Event::Released(_) => self.released.push("object"),
            Event::StreamItems(items) => {
                // How many come at once is nobody's promise.
                for item in items.body.chunks(1) {
                    self.streamed.push(format!("item {item:?}"));
                    self.connection.grant_stream(items.stream, 1, 300);
                }
            }
            Event::StreamEnded(_, StreamEnding::Complete) => {
                self.streamed.push("no more".to_owned());
                self.is_streaming = false;
            }
            _ => {}
        }
    }

    /// Whether everything has come that was asked for.
    fn is_done(&self) -> bool {
        self.others.is_empty()
            && self.jukebox.is_none()
            && self.stop.is_none()
            && self.tracks.is_none()
            && !self.is_streaming
    }

    fn answered(&mut self, id: CallId, table: &[IncomingRef]) {
        let connection = &mut self.connection;
        if self.play == Some(id) {
            self.play = None;
            let [IncomingRef::Import { import, .. }] = table[..] else {
                panic!("a queue was promised");
            };
            self.queue = Some(import);
            let large = [Bytes::from(vec![7; 4096])];
            let push = OutgoingCall {
                target: import.index(),
                attachments: &large,
                ..call(b"push")
            };
            self.others.push(connection.call(&push).unwrap());
            connection.oneway(&call(b"tock"), false).unwrap();
            let stop = connection.call(&call(b"stop")).unwrap();
            connection.cancel(stop);
            self.stop = Some(stop);
            self.tracks = Some(connection.call(&call(b"tracks")).unwrap());
        } else if self.tracks == Some(id) {
            self.tracks = None;
            let [IncomingRef::Stream(stream)] = table[..] else {
                panic!("a stream was promised");
            };
            connection.grant_stream(stream, 2, 600);
        } else if self.stop == Some(id) {
            self.stop = None;
            let jukebox = self.jukebox.take().unwrap();
            connection.release(jukebox, 1);
            self.others.push(connection.call(&call(b"bye")).unwrap());
        } else if let Some(place) = self.others.iter().position(|other| *other == id) {
            self.others.remove(place);
            if let Some(queue) = self.queue.take() {
                connection.release(queue, 1);
            }
        }
    }
}

/// The server's part.
struct Server {
    connection: Connection,
    events: Vec<String>,
    released: Vec<&'static str>,
    /// Calls that wait for a call back to the listener.
    playing: VecDeque<(CallId, CallId, ImportId)>,
    stopping: Option<CallId>,
    /// The next item of the stream.
    item: u8,
}

impl Server {
    fn handle(&mut self, event: Event) {
        let connection = &mut self.connection;
        match event {
            Event::Bind(bind) => {
                self.events.push(format!("bind {}", bind.name));
                let entry = Connection::alias_entry(bind.alias, 50, 1, SERVER);
                connection.reply(bind.call, &describe(&[entry])).unwrap();
            }
            Event::Call(arrived) => {
                self.events.push(format!("call {:?}", arrived.body));
                match &arrived.body[..] {
                    b"play" => {
                        let [IncomingRef::Import { import, .. }] = arrived.table[..] else {
                            panic!("a listener was promised");
                        };
                        let changed = OutgoingCall {
                            target: import.index(),
                            ..call(b"changed")
                        };
                        let back = connection.call(&changed).unwrap();
                        self.playing.push_back((back, arrived.id, import));
                    }
                    b"stop" => self.stopping = Some(arrived.id),
                    b"tracks" => {
                        let (stream, entry) = connection.open_stream().unwrap();
                        let result = OutgoingReply {
                            table: &[entry],
                            ..reply(b"")
                        };
                        connection.reply(arrived.id, &result).unwrap();
                        // Who has asked is told when there is room.
                        assert_eq!(connection.stream_room(stream), Ok((0, 0)));
                    }
                    body => connection.reply(arrived.id, &reply(body)).unwrap(),
                }
            }
            Event::Oneway(arrived, receipt) => {
                self.events.push(format!("oneway {:?}", arrived.body));
                connection.oneway_done(receipt);
            }
            Event::Reply(arrived) => {
                self.events.push(format!("reply {:?}", arrived.body));
                let (back, play, listener) = self.playing.pop_front().unwrap();
                assert_eq!(back, arrived.call);
                let (_, queue) = connection.export(60, 3, SERVER).unwrap();
                let result = OutgoingReply {
                    table: &[queue],
                    ..reply(b"played")
                };
                connection.reply(play, &result).unwrap();
                connection.release(listener, 1);
            }
            Event::Cancel(id) => {
                self.events.push("cancel".to_owned());
                assert_eq!(self.stopping.take(), Some(id));
                connection.reply(id, &reply(b"stopped")).unwrap();
            }
            Event::StreamCredit(stream) => {
                while self.item < 5 && connection.stream_room(stream).unwrap().0 > 0 {
                    let items = OutgoingItems {
                        codec: CODEC,
                        lengths: &[1],
                        table: &[],
                        body: &[self.item],
                        attachments: &[],
                    };
                    connection.send_items(stream, &items).unwrap();
                    self.item += 1;
                }
                if self.item == 5 {
                    connection.end_stream(stream);
                }
            }
            Event::Released(_) => self.released.push("object"),
            Event::AliasReleased(_) => self.released.push("name"),
            _ => {}
        }
    }
}

/// The bytes that pass in one direction of one connection.
#[derive(Debug, Default)]
struct Passed {
    bytes: usize,
    input: BytesMut,
}

/// Two processes and the network between them.
struct World {
    plan: Plan,
    client: Client,
    server: Server,
    /// A connection of the server's process that has not said yet which session it is for.
    newcomer: Option<Connection>,
    now: Time,
    to_server: Passed,
    to_client: Passed,
    links: [u32; 2],
    nonce: u8,
    cuts: VecDeque<Cut>,
    /// How many bytes passed in each direction over each connection.
    lengths: Vec<(usize, usize)>,
    began: bool,
    is_cut: bool,
    /// What was on its way to the server when the connection was cut, and comes after the next one has begun.
    late: BytesMut,
}

impl World {
    fn new(plan: &Plan, cuts: &[Cut]) -> Self {
        let now = Time::from_micros(1_000_000);
        let (mut client, mut server) = (client_config(), server_config());
        client.limits = plan.limits();
        server.limits = plan.limits();
        if plan.token {
            client.token = Some(Token::new("sesame"));
            server.token = Some(Token::new("sesame"));
        }
        World {
            plan: plan.clone(),
            client: Client {
                connection: Connection::client(client, now),
                events: Vec::new(),
                streamed: Vec::new(),
                released: Vec::new(),
                jukebox: None,
                play: None,
                stop: None,
                queue: None,
                others: Vec::new(),
                tracks: None,
                is_streaming: true,
            },
            server: Server {
                connection: Connection::server(server, now),
                events: Vec::new(),
                released: Vec::new(),
                playing: VecDeque::new(),
                stopping: None,
                item: 0,
            },
            newcomer: None,
            now,
            to_server: Passed::default(),
            to_client: Passed::default(),
            links: [0, 0],
            nonce: 0,
            cuts: cuts.iter().copied().collect(),
            lengths: Vec::new(),
            began: false,
            is_cut: false,
            late: BytesMut::new(),
        }
    }

    /// Lets both sides do what they can, until nothing moves any more.
    fn run(&mut self) -> Result<(), String> {
        loop {
            if !self.began && (!self.plan.token || self.client.connection.is_established()) {
                self.began = true;
                self.client.begin();
            }
            while let Some(event) = self.client.connection.poll_event() {
                self.client.handle(event);
            }
            while let Some(event) = self.server.connection.poll_event() {
                self.server.handle(event);
            }
            self.now = self.now + Duration::from_micros(1);
            let moved = self.carry_to_server()? + self.carry_to_client()?;
            if self.is_cut && self.client.connection.is_suspended() {
                self.dial_again();
            } else if moved == 0 {
                self.lengths
                    .push((self.to_server.bytes, self.to_client.bytes));
                return Ok(());
            }
        }
    }

    fn cut_in(&self, to_server: bool) -> Option<usize> {
        let cut = self.cuts.front()?;
        (cut.to_server == to_server).then_some(cut.after)
    }

    fn carry_to_server(&mut self) -> Result<usize, String> {
        if self.is_cut {
            return Ok(0);
        }
        let mut out = Vec::new();
        self.client.connection.poll_transmit(self.now, &mut out);
        let bytes = out.concat();
        let limit = self.cut_in(true);
        let passed = &mut self.to_server;
        let room = limit.map_or(usize::MAX, |limit| limit - passed.bytes);
        let arrived = bytes.len().min(room);
        passed.bytes += arrived;
        passed.input.extend_from_slice(&bytes[..arrived]);
        let is_cut = limit == Some(passed.bytes);
        self.server_reads()?;
        if is_cut {
            self.cut();
            self.late = BytesMut::from(&bytes[arrived..]);
        }
        Ok(arrived)
    }

    fn server_reads(&mut self) -> Result<(), String> {
        let input = &mut self.to_server.input;
        if input.is_empty() {
            return Ok(());
        }
        let Some(newcomer) = &mut self.newcomer else {
            return self
                .server
                .connection
                .handle_bytes_of(self.links[1], self.now, input)
                .map_err(|error| format!("the server says: {error}"));
        };
        newcomer
            .handle_bytes(self.now, input)
            .map_err(|error| format!("the newcomer says: {error}"))?;
        if let Some(Event::ResumeRequested(request)) = newcomer.poll_event() {
            self.newcomer = None;
            self.server
                .connection
                .accept_resume(&request, self.now)
                .map_err(|error| format!("resuming: {error}"))?;
            let old = std::mem::replace(&mut self.links[1], self.server.connection.link());
            let mut late = std::mem::take(&mut self.late);
            return self
                .server
                .connection
                .handle_bytes_of(old, self.now, &mut late)
                .map_err(|error| format!("the server says of what came late: {error}"));
        }
        Ok(())
    }

    fn carry_to_client(&mut self) -> Result<usize, String> {
        if self.is_cut || self.newcomer.is_some() {
            return Ok(0);
        }
        let mut out = Vec::new();
        self.server.connection.poll_transmit(self.now, &mut out);
        let bytes = out.concat();
        let limit = self.cut_in(false);
        let passed = &mut self.to_client;
        let room = limit.map_or(usize::MAX, |limit| limit - passed.bytes);
        let arrived = bytes.len().min(room);
        passed.bytes += arrived;
        passed.input.extend_from_slice(&bytes[..arrived]);
        let is_cut = limit == Some(passed.bytes);
        if !passed.input.is_empty() {
            self.client
                .connection
                .handle_bytes_of(self.links[0], self.now, &mut passed.input)
                .map_err(|error| format!("the client says: {error}"))?;
        }
        if is_cut {
            self.cut();
        }
        Ok(arrived)
    }

    fn cut(&mut self) {
        self.cuts.pop_front();
        self.is_cut = true;
        self.lengths
            .push((self.to_server.bytes, self.to_client.bytes));
        self.newcomer = None;
        self.late.clear();
        self.client.connection.disconnected(self.now);
        // The server may hear of it only when the client comes back: then that fences the old connection.
        if (self.to_server.bytes + usize::from(self.nonce)).is_multiple_of(2) {
            self.server.connection.disconnected(self.now);
        }
    }

    fn dial_again(&mut self) {
        self.nonce += 1;
        self.is_cut = false;
        self.to_server = Passed::default();
        self.to_client = Passed::default();
        let nonce = Nonce::from_bytes([self.nonce; 32]);
        assert!(self.client.connection.resume(nonce, self.now));
        self.links[0] = self.client.connection.link();
        self.newcomer = Some(Connection::server(server_config(), self.now));
    }

    fn told(self) -> Told {
        Told {
            client: self.client.events,
            streamed: self.client.streamed,
            server: self.server.events,
            released: [self.client.released, self.server.released],
        }
    }

    /// Checks what must hold if the connection was cut before the server's hello had come: nothing ran that is said not
    /// to have.
    fn check_outcomes(&self, uncut: &Told) -> Result<(), String> {
        if !uncut.server.starts_with(&self.server.events) {
            return Err(format!("the server saw {:?}", self.server.events));
        }
        let Some(play) = self.client.play else {
            return Ok(());
        };
        let ran = self
            .server
            .events
            .iter()
            .any(|event| event.ends_with("\"play\""));
        match self.client.connection.outcome_if_lost(play) {
            Outcome::NotStarted if ran => Err("it ran, and is said not to have".to_owned()),
            Outcome::Ran => Err("nobody can know that it ran".to_owned()),
            Outcome::NotStarted | Outcome::Unknown => Ok(()),
        }
    }
}

/// Runs the conversation with these cuts, and compares it with the one without. Returns how many bytes passed in each
/// direction over each connection.
fn converse(plan: &Plan, cuts: &[Cut], uncut: &Told) -> Result<Vec<(usize, usize)>, String> {
    let mut world = World::new(plan, cuts);
    let mut check = || -> Result<(), String> {
        world.run()?;
        let was_known = world.client.connection.is_established();
        if !was_known {
            return world.check_outcomes(uncut);
        }
        if !world.client.is_done() {
            return Err("the conversation did not end".to_owned());
        }
        for connection in [&world.client.connection, &world.server.connection] {
            let tables = connection.tables();
            let left = tables.calls_in + tables.calls_out + tables.exports + tables.imports;
            let streams = tables.streams_in + tables.streams_out;
            if left + streams + tables.aliases + tables.unsent > 0 {
                return Err(format!("something is left: {tables:?}"));
            }
        }
        Ok(())
    };
    check().map_err(|error| format!("{cuts:?}: {error}"))?;
    let lengths = world.lengths.clone();
    let is_whole = world.client.connection.is_established();
    let told = world.told();
    if is_whole && told != *uncut {
        return Err(format!("{cuts:?}: {told:#?}\ninstead of {uncut:#?}"));
    }
    Ok(lengths)
}

/// The conversation without any cut.
fn uncut(plan: &Plan) -> (Told, (usize, usize)) {
    let mut world = World::new(plan, &[]);
    world.run().unwrap();
    assert!(
        world.client.is_done(),
        "{:?} {:?} {:?}",
        world.client.events,
        world.client.streamed,
        world.client.connection.tables()
    );
    let lengths = world.lengths[0];
    (world.told(), lengths)
}

fn cuts_of(lengths: (usize, usize)) -> impl Iterator<Item = Cut> {
    let cuts = |to_server, length| (0..=length).map(move |after| Cut { to_server, after });
    cuts(true, lengths.0).chain(cuts(false, lengths.1))
}

/// Cuts a conversation at every byte of each direction, and again at every `stride`th byte of each direction of the
/// connection on which it was resumed, beginning with another one each time. Returns how many conversations were cut
/// once, and twice.
pub(crate) fn cut_everywhere(plan: &Plan, stride: usize) -> Result<(usize, usize), String> {
    /// Bytes of a resumed connection in each direction that its handshake does not reach beyond.
    const HANDSHAKE: usize = 280;
    let (uncut, lengths) = uncut(plan);
    let (mut once, mut twice) = (0, 0);
    for (turn, first) in cuts_of(lengths).enumerate() {
        let lengths = converse(plan, &[first], &uncut)?;
        once += 1;
        let [_, second] = lengths[..] else {
            continue;
        };
        let second = (second.0.min(HANDSHAKE), second.1.min(HANDSHAKE));
        for again in cuts_of(second).skip(turn % stride).step_by(stride) {
            converse(plan, &[first, again], &uncut)?;
            twice += 1;
        }
    }
    Ok((once, twice))
}

/// How many of the second cuts are left out: none with `FARREF_ALL_CUTS`.
fn stride() -> usize {
    match std::env::var_os("FARREF_ALL_CUTS") {
        Some(_) => 1,
        None => 397,
    }
}

#[test]
fn a_conversation_cut_anywhere_and_cut_again_while_it_is_resumed_is_the_same() {
    for token in [false, true] {
        let plan = Plan {
            token,
            ..Plan::default()
        };
        let (once, twice) = cut_everywhere(&plan, stride()).unwrap();
        println!("with a token: {token}; cut once: {once}, cut twice: {twice}");
        assert!(once > 10_000 / 2, "{once}");
        assert!(twice > once, "{twice}");
    }
}
