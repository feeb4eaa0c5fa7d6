//! What the fuzz targets do with their input.
//!
//! The targets themselves are one line each. This file needs neither a fuzzer nor a nightly compiler, so that the tests
//! of `farref-proto` include it and replay the corpus.

mod session;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farref_proto::frame::Header;
use farref_proto::message::Message;
use farref_proto::{
    BatchMode, CallFlags, CallId, ClientConfig, CloseCode, CloseReason, Connection, DrainCode,
    DrainReason, Event, ExportId, Extensions, FaultMessage, ImportId, IncomingRef, InstanceId,
    Limits, Nonce, OnewayReceipt, OutgoingCall, OutgoingItems, OutgoingReplies, OutgoingReply,
    OutgoingRun, ReplyStatus, ServerConfig, SessionId, SessionSecret, StreamNumber, TableEntry,
    Time, Token, features,
};

pub use self::session::session;

const CLIENT: InstanceId = InstanceId::from_bytes([0xc1; 16]);
const SERVER: InstanceId = InstanceId::from_bytes([0x5e; 16]);
const CODEC: u8 = 1;

/// Reads the input as one frame; what decodes must survive being encoded.
pub fn frames(data: &[u8]) {
    let grants = Limits::default().grants();
    let bytes = Bytes::copy_from_slice(data);
    let _ = Header::peek(&bytes, 1000);
    let _ = FaultMessage::decode(&bytes);
    if let Ok(message) = Message::decode(&bytes, &grants) {
        let mut encoded = BytesMut::new();
        message.encode(&mut encoded);
        let encoded = encoded.freeze();
        let mut again = BytesMut::new();
        match Message::decode(&encoded, &grants) {
            Ok(decoded) => decoded.encode(&mut again),
            Err(error) => panic!("{message:?} does not survive its encoding: {error}"),
        }
        assert_eq!(again, encoded);
    }
}

fn client_config(token: bool) -> ClientConfig {
    let session = SessionId::from_bytes([0x51; 16]);
    let secret = SessionSecret::from_bytes([0x52; 32]);
    let mut config = ClientConfig::new(CLIENT, session, secret, Nonce::from_bytes([0x0c; 32]));
    config.token = token.then(|| Token::new("sesame"));
    config.features = features::RUNS | features::GATHERED;
    config
}

fn server_config(token: bool) -> ServerConfig {
    let mut config = ServerConfig::new(SERVER, Nonce::from_bytes([0x05; 32]));
    config.token = token.then(|| Token::new("sesame"));
    config.features = features::RUNS | features::GATHERED;
    config
}

/// Gives the input to a connection that has just begun: the first byte says which, and how the rest is cut.
pub fn handshake(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let mut now = Time::from_micros(1_000_000);
    let token = first & 2 != 0;
    let mut connection = match first & 1 {
        0 => Connection::client(client_config(token), now),
        _ => Connection::server(server_config(token), now),
    };
    let mut input = BytesMut::new();
    for piece in rest.chunks(usize::from(first >> 2) + 1) {
        input.extend_from_slice(piece);
        let _ = connection.handle_bytes(now, &mut input);
        while connection.poll_event().is_some() {}
        connection.poll_transmit(now, &mut Vec::new());
        now = now + Duration::from_millis(10);
    }
    let _ = connection.handle_timeout(now + Duration::from_secs(100));
    assert!(
        connection.poll_timeout().is_none(),
        "the time for it has passed"
    );
}

/// Plays against the server's end of an established connection.
pub fn connection_server(data: &[u8]) {
    let (_, server) = established();
    Play::new(server).run(data);
}

/// Plays against the client's end of an established connection.
pub fn connection_client(data: &[u8]) {
    let (client, _) = established();
    Play::new(client).run(data);
}

fn established() -> (Connection, Connection) {
    let now = Time::from_micros(1_000_000);
    let mut client = Connection::client(client_config(false), now);
    let mut server = Connection::server(server_config(false), now);
    carry(&mut client, &mut server, now);
    carry(&mut server, &mut client, now);
    assert!(client.is_established() && server.is_established());
    while client.poll_event().is_some() {}
    while server.poll_event().is_some() {}
    (client, server)
}

fn carry(from: &mut Connection, to: &mut Connection, now: Time) {
    let mut pieces = Vec::new();
    from.poll_transmit(now, &mut pieces);
    let mut bytes = BytesMut::from(&pieces.concat()[..]);
    assert_eq!(to.handle_bytes(now, &mut bytes), Ok(()), "both are honest");
}

/// One end of a connection, whose peer and application both do what the input says.
struct Play {
    connection: Connection,
    now: Time,
    input: BytesMut,
    calls: Vec<CallId>,
    asked: Vec<CallId>,
    binds: Vec<(CallId, ExportId)>,
    receipts: Vec<OnewayReceipt>,
    imports: Vec<ImportId>,
    exports: Vec<ExportId>,
    /// Calls whose answers are kept at the other side.
    kept: Vec<CallId>,
    produced: Vec<StreamNumber>,
    consumed: Vec<StreamNumber>,
}

impl Play {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            now: Time::from_micros(2_000_000),
            input: BytesMut::new(),
            calls: Vec::new(),
            asked: Vec::new(),
            binds: Vec::new(),
            receipts: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            kept: Vec::new(),
            produced: Vec::new(),
            consumed: Vec::new(),
        }
    }

    fn run(mut self, mut data: &[u8]) {
        while let Some((action, rest)) = data.split_first() {
            let (argument, rest) = rest
                .split_first()
                .map_or((0, rest), |(byte, rest)| (*byte, rest));
            data = self.act(*action, argument, rest);
            self.take_events();
            if self.connection.is_established() {
                let tables = self.connection.tables();
                assert_eq!(tables.calls_in, self.calls.len() + self.binds.len());
                assert_eq!(tables.calls_out, self.asked.len());
            }
        }
        self.connection
            .close(&CloseReason::new(CloseCode::Done, ""));
        assert!(self.connection.poll_timeout().is_none());
    }

    /// Does one thing. Returns the input behind what it used.
    fn act<'a>(&mut self, action: u8, argument: u8, data: &'a [u8]) -> &'a [u8] {
        let which = usize::from(argument);
        match action % 17 {
            // The peer sends a frame whose length is right, or bytes as they come.
            0 | 1 => {
                let (content, rest) = data.split_at(data.len().min(which + 4));
                let length = content.len().max(4) as u32;
                self.input.extend_from_slice(&length.to_le_bytes());
                self.input.extend_from_slice(content);
                self.input
                    .extend_from_slice(&[0; 4][content.len().min(4)..]);
                self.receive();
                return rest;
            }
            2 => {
                let (bytes, rest) = data.split_at(data.len().min(which));
                self.input.extend_from_slice(bytes);
                self.receive();
                return rest;
            }
            3 => {
                let exported = self.connection.export(u64::from(argument), 1, CLIENT);
                let table: Vec<TableEntry> = exported.iter().map(|(_, entry)| *entry).collect();
                let outgoing = OutgoingCall {
                    table: &table,
                    ..call(data)
                };
                match self.connection.call(&outgoing) {
                    Ok(id) => self.asked.push(id),
                    Err(_) => drop(
                        exported
                            .as_ref()
                            .map(|(id, _)| self.connection.unexport(*id)),
                    ),
                }
                self.exports.extend(exported.map(|(id, _)| id));
            }
            4 => drop(self.connection.oneway(&call(data), argument & 1 == 0)),
            5 => {
                let bound = match argument {
                    0x80.. => self.connection.claim([argument; 16], CLIENT, 1),
                    _ => self.connection.bind("jukebox", 1),
                };
                if let Ok((id, import)) = bound {
                    self.asked.push(id);
                    self.imports.push(import);
                }
            }
            6 => self.answer(which),
            7 => {
                if let Some(receipt) = self.receipts.pop() {
                    self.connection.oneway_done(receipt);
                }
            }
            8 => {
                if let Some(id) = self.asked.get(which % self.asked.len().max(1)) {
                    self.connection.cancel(*id);
                }
            }
            9 => {
                if let Some(import) = self.imports.pop() {
                    self.connection.release(import, 1);
                }
                if let Some(export) = self.exports.get(which % self.exports.len().max(1)) {
                    self.connection.revoke(*export);
                }
            }
            10 => {
                let promised = self.connection.has_transmit();
                let length = self.connection.poll_transmit(self.now, &mut Vec::new());
                assert!(promised || length == 0);
                assert!(!self.connection.has_transmit());
            }
            11 if argument == 0xff => {
                self.connection
                    .drain(DrainReason::new(DrainCode::ShuttingDown, ""));
            }
            12 => {
                if let Ok((stream, entry)) = self.connection.open_stream() {
                    let outgoing = OutgoingCall {
                        table: &[entry],
                        ..call(data)
                    };
                    match self.connection.call(&outgoing) {
                        Ok(id) => {
                            self.asked.push(id);
                            self.produced.push(stream);
                        }
                        Err(_) => self.connection.unopen_stream(stream),
                    }
                }
            }
            13 => self.produce(which),
            14 => {
                if let Some(stream) = self.consumed.get(which % self.consumed.len().max(1)) {
                    match argument & 0x81 {
                        0x81 => self.connection.cancel_stream(*stream),
                        _ => self.connection.grant_stream(*stream, 2, 600),
                    }
                }
            }
            15 => self.send_batch(which % 8, data),
            16 => self.keep_answer(which, data),
            _ => {
                self.now = self.now + Duration::from_millis(u64::from(argument) * 100);
                let _ = self.connection.handle_timeout(self.now);
            }
        }
        data
    }

    /// Sends what there is room for, or ends the stream.
    fn produce(&mut self, which: usize) {
        let Some(stream) = self.produced.get(which % self.produced.len().max(1)) else {
            return;
        };
        if which >= 0xc0 {
            return self.connection.end_stream(*stream);
        }
        while matches!(self.connection.stream_room(*stream), Ok((1.., 1..))) {
            let items = OutgoingItems {
                codec: CODEC,
                extensions: Extensions::NONE,
                lengths: &[1],
                table: &[],
                body: b"i",
                attachments: &[],
            };
            if self.connection.send_items(*stream, &items).is_err() {
                return;
            }
        }
    }

    fn send_batch(&mut self, calls: usize, data: &[u8]) {
        let begun = self.connection.begin_batch(BatchMode::GoOn, calls as u32);
        if begun.is_err() {
            return;
        }
        for number in 0..calls {
            if number % 3 == 2 {
                let _ = self.connection.oneway(&call(data), true);
            } else if number == 4 && !data.is_empty() {
                self.send_run(data);
            } else if let Ok(id) = self.connection.call(&call(data)) {
                self.asked.push(id);
            }
        }
        self.connection.end_batch();
    }

    fn send_run(&mut self, data: &[u8]) {
        let lengths = [0, data.len() as u32];
        let run = OutgoingRun {
            target: 0,
            method_index: 0,
            method_hash: 1,
            shape: 0,
            codec: CODEC,
            extensions: Extensions::NONE,
            lengths: &lengths,
            body: data,
        };
        if let Ok(id) = self.connection.call_run(&run) {
            self.asked.push(id);
        }
    }

    /// Has an answer kept, calls on one that is, or gives one up.
    fn keep_answer(&mut self, which: usize, data: &[u8]) {
        match (which % 3, self.kept.last()) {
            (1, Some(kept)) => {
                let on_it = OutgoingCall {
                    target: kept.index(),
                    ..call(data)
                };
                let flags = CallFlags {
                    pipelined: true,
                    keep_answer: false,
                };
                if let Ok(id) = self.connection.call_with(&on_it, flags) {
                    self.asked.push(id);
                }
            }
            (2, Some(_)) => {
                if let Some(kept) = self.kept.pop() {
                    self.connection.finish(kept);
                }
            }
            _ => {
                let flags = CallFlags {
                    pipelined: false,
                    keep_answer: true,
                };
                if let Ok(id) = self.connection.call_with(&call(data), flags) {
                    self.asked.push(id);
                    self.kept.push(id);
                }
            }
        }
    }

    fn receive(&mut self) {
        let _ = self.connection.handle_bytes(self.now, &mut self.input);
        assert!(!self.connection.is_closed() || self.input.is_empty());
    }

    fn answer(&mut self, which: usize) {
        if let Some((id, alias)) = self.binds.pop() {
            let entry = Connection::alias_entry(alias, 7, 1, SERVER);
            let described = OutgoingReply {
                table: &[entry],
                ..reply()
            };
            let answered = self.connection.reply(id, &described);
            assert!(
                answered.is_ok() || self.connection.is_closed(),
                "{answered:?}"
            );
        } else if !self.calls.is_empty() {
            let id = self.calls.swap_remove(which % self.calls.len());
            let gathered = OutgoingReplies {
                codec: CODEC,
                calls: &[(id, 0)],
                body: &[],
            };
            let answered = match which & 8 {
                // Not if it is one of a run.
                8 if self.connection.reply_gathered(&gathered).is_ok() => Ok(()),
                _ => self.connection.reply(id, &reply()),
            };
            assert!(
                answered.is_ok() || self.connection.is_closed(),
                "{answered:?}"
            );
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Call(call) => {
                    self.calls.push(call.id);
                    self.keep(&call.table);
                }
                Event::Oneway(call, receipt) => {
                    self.receipts.push(receipt);
                    self.keep(&call.table);
                }
                Event::Calls(calls) if calls.oneway => {
                    let receipts = calls.calls.iter().map(OnewayReceipt::of_gathered);
                    self.receipts.extend(receipts);
                }
                Event::Calls(calls) => {
                    self.calls.extend(calls.calls.iter().map(|call| call.id));
                }
                Event::Batch(batch) => {
                    for one in batch.calls {
                        self.keep(&one.call.table);
                        match one.receipt {
                            Some(receipt) => self.receipts.push(receipt),
                            None => {
                                let calls = one.run.map_or(1, |lengths| lengths.len());
                                self.calls.extend(vec![one.call.id; calls]);
                            }
                        }
                    }
                }
                Event::StreamItems(items) => self.keep(&items.table),
                Event::StreamEnded(stream, _) => self.consumed.retain(|known| *known != stream),
                Event::StreamCancelled(stream) => {
                    self.connection.end_stream(stream);
                    self.produced.retain(|known| *known != stream);
                }
                Event::Bind(bind) => self.binds.push((bind.call, bind.alias)),
                Event::Claim(claim) => self.binds.push((claim.call, claim.alias)),
                Event::Provide(provide) => self.calls.push(provide.call),
                Event::Reply(reply) => {
                    let at = self.asked.iter().position(|id| *id == reply.call);
                    let at = at.expect("a reply comes to a call");
                    if !reply.more {
                        self.asked.swap_remove(at);
                    }
                    self.keep(&reply.table);
                }
                Event::Replies(replies) => {
                    for reply in replies.replies {
                        let at = self.asked.iter().position(|id| *id == reply.id);
                        self.asked.swap_remove(at.expect("a reply comes to a call"));
                    }
                }
                Event::Results(results) => {
                    let at = self.asked.iter().position(|id| *id == results.call);
                    let at = at.expect("results come to a run");
                    if !results.more {
                        self.asked.swap_remove(at);
                    }
                }
                Event::Released(id) => self.exports.retain(|export| *export != id),
                _ => {}
            }
        }
    }

    fn keep(&mut self, table: &[IncomingRef]) {
        for reference in table {
            match reference {
                IncomingRef::Import { import, .. } if !import.is_alias() => {
                    self.imports.push(*import);
                }
                IncomingRef::Stream(stream) => self.consumed.push(*stream),
                IncomingRef::Introduced(introduced) => self.imports.push(introduced.import),
                _ => {}
            }
        }
    }
}

fn call(data: &[u8]) -> OutgoingCall<'_> {
    OutgoingCall {
        target: 0,
        method_index: 0,
        method_hash: 0,
        shape: 0,
        codec: CODEC,
        extensions: Extensions::NONE,
        table: &[],
        body: &data[..data.len().min(16)],
        attachments: &[],
    }
}

fn reply() -> OutgoingReply<'static> {
    OutgoingReply {
        status: ReplyStatus::Ok,
        codec: CODEC,
        extensions: Extensions::NONE,
        table: &[],
        body: b"result",
        attachments: &[],
    }
}
