//! Conversations whose connection is cut, at every byte and again while they are resumed: nothing above notices.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use farref_proto::{Connection, Event, Limits, Nonce, Outcome, Time, Token, features};

use crate::conversation::{Client, Server};
use crate::pair::{client_config, server_config};

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
    /// What the server got of the stream that the client sent, and its answer.
    uploaded: Vec<String>,
    answered: Vec<String>,
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
        client.features = features::RUNS | features::GATHERED;
        server.features = client.features;
        if plan.token {
            client.token = Some(Token::new("sesame"));
            server.token = Some(Token::new("sesame"));
        }
        World {
            plan: plan.clone(),
            client: Client::new(Connection::client(client, now)),
            server: Server::new(Connection::server(server, now)),
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
            if let Some(wrong) = self.server.wrong {
                return Err(wrong.to_owned());
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

    fn told(mut self) -> Told {
        // What goes out with which write depends on the cuts.
        self.client.released.sort_unstable();
        self.server.released.sort_unstable();
        Told {
            client: self.client.events,
            streamed: self.client.streamed,
            server: self.server.events,
            uploaded: self.server.uploaded,
            answered: self.client.answered,
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
        for connection in [&mut world.client.connection, &mut world.server.connection] {
            if connection.room(0) != Limits::CALLS {
                return Err(format!("credit is lost: {}", connection.room(0)));
            }
            let tables = connection.tables();
            let left = tables.calls_in + tables.calls_out + tables.exports + tables.imports;
            let streams = tables.streams_in + tables.streams_out;
            let kept = tables.promises_in + tables.promises_out;
            if left + streams + kept + tables.aliases + tables.unsent > 0 {
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
fn uncut(plan: &Plan) -> Result<(Told, (usize, usize)), String> {
    let mut world = World::new(plan, &[]);
    world.run()?;
    assert!(
        world.client.is_done(),
        "{:?} {:?} {:?}",
        world.client.events,
        world.client.streamed,
        world.client.connection.tables()
    );
    let lengths = world.lengths[0];
    Ok((world.told(), lengths))
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
    let (uncut, lengths) = uncut(plan)?;
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
