//! Two honest ends of a session, and a network between them that is not: it passes bytes on when it likes, is cut, and
//! shows old requests again.

use std::time::Duration;

use bytes::BytesMut;
use farref_proto::{
    BatchMode, CallFlags, CallId, Connection, ConnectionError, Event, ExportId, Extensions,
    ImportId, IncomingCall, IncomingRef, Limits, Nonce, OnewayReceipt, OutgoingCall, OutgoingItems,
    OutgoingReplies, OutgoingReply, OutgoingResults, OutgoingRun, ResumeRequest, StreamEnding,
    StreamNumber, Time,
};

use super::{CLIENT, CODEC, call, client_config, reply, server_config};

const CLIENT_SIDE: usize = 0;
const SERVER_SIDE: usize = 1;

/// Has two ends talk as the input says. Whatever happens to the network, each call arrives once and in order, each is
/// answered once, streams have neither gap nor duplicate, and nothing is left at the end.
pub fn session(data: &[u8]) {
    let mut world = World::new();
    for action in data.chunks_exact(2) {
        world.act(action[0], action[1]);
        world.take_events();
    }
    world.finish();
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.calls = 8;
    limits.call_bytes = 4 << 10;
    limits.ack_every = 300;
    limits.kept_bytes = 4 << 10;
    // Nobody is given up, however long a script is.
    limits.peer_timeout = Duration::from_secs(1 << 20);
    limits.linger = Duration::from_secs(1 << 20);
    limits.handshake_timeout = Duration::from_secs(1 << 20);
    limits.frame_timeout = Duration::from_secs(1 << 20);
    limits
}

/// One end, and what its application knows.
struct Side {
    connection: Connection,
    /// What arrived and was not understood yet.
    input: BytesMut,
    /// What was sent and has not arrived.
    wire: Vec<u8>,
    /// The connection that the other end writes to this one over.
    link: u32,
    /// Calls made and seen, by their numbers.
    made: u32,
    seen: u32,
    asked: Vec<(CallId, u32)>,
    kept: Vec<CallId>,
    open: Vec<(CallId, u32)>,
    receipts: Vec<OnewayReceipt>,
    imports: Vec<ImportId>,
    exports: Vec<ExportId>,
    produced: Vec<(StreamNumber, u8)>,
    consumed: Vec<(StreamNumber, u8)>,
}

impl Side {
    fn new(connection: Connection) -> Self {
        Side {
            connection,
            input: BytesMut::new(),
            wire: Vec::new(),
            link: 0,
            made: 0,
            seen: 0,
            asked: Vec::new(),
            kept: Vec::new(),
            open: Vec::new(),
            receipts: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            produced: Vec::new(),
            consumed: Vec::new(),
        }
    }

    fn call(&mut self, argument: u8) {
        let exported = match argument & 2 {
            0 => None,
            _ => self.connection.export(u64::from(argument), 1, CLIENT).ok(),
        };
        let opened = match argument & 4 {
            0 => None,
            _ => self.connection.open_stream().ok(),
        };
        let entries = [
            exported.map(|(_, entry)| entry),
            opened.map(|(_, entry)| entry),
        ];
        let table: Vec<_> = entries.into_iter().flatten().collect();
        let kept = self.kept.last().filter(|_| argument & 16 != 0);
        let flags = CallFlags {
            pipelined: kept.is_some(),
            keep_answer: argument & 8 != 0,
        };
        let number = self.made.to_le_bytes();
        let outgoing = OutgoingCall {
            target: kept.map_or(0, |kept| kept.index()),
            table: &table,
            ..call(&number)
        };
        match self.connection.call_with(&outgoing, flags) {
            Ok(id) => {
                self.asked.push((id, self.made));
                self.made += 1;
                if flags.keep_answer {
                    self.kept.push(id);
                }
                self.exports.extend(exported.map(|(id, _)| id));
                self.produced.extend(opened.map(|(stream, _)| (stream, 0)));
            }
            Err(_) => {
                if let Some((id, _)) = exported {
                    self.connection.unexport(id);
                }
                if let Some((stream, _)) = opened {
                    self.connection.unopen_stream(stream);
                }
            }
        }
    }

    fn oneway(&mut self) {
        let number = self.made.to_le_bytes();
        if self.connection.oneway(&call(&number), true).is_ok() {
            self.made += 1;
        }
    }

    fn batch(&mut self, calls: u32, is_run: bool) {
        if self.connection.begin_batch(BatchMode::GoOn, calls).is_err() {
            return;
        }
        if is_run && calls > 2 {
            self.run(calls - 2);
        }
        let others = if is_run { calls.min(2) } else { calls };
        for index in 0..others {
            match index % 3 {
                2 => self.oneway(),
                _ => self.call(0),
            }
        }
        self.connection.end_batch();
    }

    fn run(&mut self, calls: u32) {
        let numbers: Vec<u32> = (self.made..self.made + calls).collect();
        let body = numbers.iter().flat_map(|number| number.to_le_bytes());
        let body: Vec<u8> = body.collect();
        let sent = self.connection.call_run(&OutgoingRun {
            target: 0,
            method_index: 0,
            method_hash: 1,
            shape: 0,
            codec: CODEC,
            extensions: Extensions::NONE,
            lengths: &vec![4; numbers.len()],
            body: &body,
        });
        if let Ok(id) = sent {
            self.asked
                .extend(numbers.iter().map(|number| (id, *number)));
            self.made += calls;
        }
    }

    /// Takes what was asked with this id first.
    fn answered(&mut self, id: CallId) -> u32 {
        let at = self.asked.iter().position(|(asked, _)| *asked == id);
        self.asked.remove(at.expect("a call is answered once")).1
    }

    fn answer(&mut self, which: usize) {
        if let Some(receipt) = self.receipts.pop() {
            self.connection.oneway_done(receipt);
        }
        if !self.open.is_empty() {
            let (id, _) = self.open[which % self.open.len()];
            let of_id = self.open.iter().filter(|(open, _)| *open == id);
            let numbers: Vec<u32> = of_id.map(|(_, number)| *number).collect();
            // Calls of a run are answered in order, one or two at once.
            let count = if which & 8 == 0 {
                1
            } else {
                numbers.len().min(2)
            };
            let mut left = count;
            self.open.retain(|(open, _)| {
                let goes = *open == id && left > 0;
                left -= usize::from(goes);
                !goes
            });
            if count > 1 {
                let body = numbers[..count].iter();
                let body: Vec<u8> = body.flat_map(|number| number.to_le_bytes()).collect();
                let results = OutgoingResults {
                    codec: CODEC,
                    lengths: &vec![4; count],
                    body: &body,
                };
                assert_eq!(self.connection.reply_run(id, &results), Ok(()));
                return;
            }
            if which & 16 != 0 && self.answer_together(id, numbers[0]) {
                return;
            }
            let body = numbers[0].to_le_bytes();
            let answer = OutgoingReply {
                body: &body,
                ..reply()
            };
            assert_eq!(self.connection.reply(id, &answer), Ok(()));
        }
    }

    /// Answers a call together with another one. Returns whether that may be: neither is of a run.
    fn answer_together(&mut self, id: CallId, number: u32) -> bool {
        let mut calls = vec![(id, 4)];
        let mut body = number.to_le_bytes().to_vec();
        let other = self.open.pop();
        if let Some((id, number)) = other {
            calls.push((id, 4));
            body.extend(number.to_le_bytes());
        }
        let answered = self.connection.reply_gathered(&OutgoingReplies {
            codec: CODEC,
            calls: &calls,
            body: &body,
        });
        if answered.is_err() {
            self.open.extend(other);
        }
        answered.is_ok()
    }

    fn produce(&mut self, which: usize, ends: bool) {
        let count = self.produced.len().max(1);
        let Some((stream, next)) = self.produced.get_mut(which % count) else {
            return;
        };
        while matches!(self.connection.stream_room(*stream), Ok((1.., 1..))) {
            let items = OutgoingItems {
                codec: CODEC,
                extensions: Extensions::NONE,
                lengths: &[1],
                table: &[],
                body: &[*next],
                attachments: &[],
            };
            assert_eq!(self.connection.send_items(*stream, &items), Ok(()));
            *next = next.wrapping_add(1);
        }
        if ends {
            let stream = *stream;
            self.connection.end_stream(stream);
            self.produced.retain(|(known, _)| *known != stream);
        }
    }

    fn consume(&mut self, which: usize, cancels: bool) {
        let Some((stream, _)) = self.consumed.get(which % self.consumed.len().max(1)) else {
            return;
        };
        match cancels {
            false => self.connection.grant_stream(*stream, 3, 900),
            true => {
                let stream = *stream;
                self.connection.cancel_stream(stream);
                self.consumed.retain(|(known, _)| *known != stream);
            }
        }
    }

    fn arrived_with(&mut self, body: &[u8]) -> u32 {
        let number = [0, 1, 2, 3].map(|at| body[at]);
        let number = u32::from_le_bytes(number);
        assert_eq!(number, self.seen, "calls arrive once and in order");
        self.seen += 1;
        number
    }

    fn arrived(&mut self, call: &IncomingCall) -> u32 {
        let number = self.arrived_with(&call.body);
        for reference in &call.table {
            match reference {
                IncomingRef::Import { import, .. } => self.imports.push(*import),
                IncomingRef::Stream(stream) => self.consumed.push((*stream, 0)),
                other => panic!("nobody sent {other:?}"),
            }
        }
        number
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Call(call) => {
                let number = self.arrived(&call);
                self.open.push((call.id, number));
            }
            Event::Oneway(call, receipt) => {
                self.arrived(&call);
                self.receipts.push(receipt);
            }
            Event::Calls(calls) => {
                for call in calls.calls {
                    let number = self.arrived_with(&call.body);
                    match calls.oneway {
                        true => self.receipts.push(OnewayReceipt::of_gathered(&call)),
                        false => self.open.push((call.id, number)),
                    }
                }
            }
            Event::Replies(replies) => {
                for reply in replies.replies {
                    let number = self.answered(reply.id);
                    assert_eq!(reply.body[..], number.to_le_bytes());
                }
            }
            Event::Batch(batch) => {
                for one in batch.calls {
                    if let Some(lengths) = one.run {
                        assert_eq!(lengths.len() * 4, one.call.body.len());
                        for number in one.call.body.as_chunks::<4>().0 {
                            let number = u32::from_le_bytes(*number);
                            assert_eq!(number, self.seen, "calls arrive once and in order");
                            self.seen += 1;
                            self.open.push((one.call.id, number));
                        }
                        continue;
                    }
                    let number = self.arrived(&one.call);
                    match one.receipt {
                        Some(receipt) => self.receipts.push(receipt),
                        None => self.open.push((one.call.id, number)),
                    }
                }
            }
            Event::Reply(reply) => {
                let number = self.answered(reply.call);
                assert_eq!(reply.body[..], number.to_le_bytes());
                let more = self.asked.iter().any(|(id, _)| *id == reply.call);
                assert_eq!(reply.more, more);
            }
            Event::Results(results) => {
                assert_eq!(results.lengths.len() * 4, results.body.len());
                for number in results.body.as_chunks::<4>().0 {
                    let asked = self.answered(results.call);
                    assert_eq!(u32::from_le_bytes(*number), asked);
                }
                let more = self.asked.iter().any(|(id, _)| *id == results.call);
                assert_eq!(results.more, more);
            }
            Event::StreamItems(items) => {
                let mut streams = self.consumed.iter_mut();
                // Else it was given up while they were on their way.
                if let Some((_, next)) = streams.find(|(stream, _)| *stream == items.stream) {
                    for item in items.body.iter() {
                        assert_eq!(*item, *next, "items arrive once and in order");
                        *next = next.wrapping_add(1);
                    }
                }
            }
            Event::StreamEnded(stream, ending) => {
                assert!(matches!(ending, StreamEnding::Complete));
                self.consumed.retain(|(known, _)| *known != stream);
            }
            Event::StreamCancelled(stream) => {
                self.connection.end_stream(stream);
                self.produced.retain(|(known, _)| *known != stream);
            }
            Event::Released(id) => self.exports.retain(|export| *export != id),
            _ => {}
        }
    }
}

struct World {
    sides: [Side; 2],
    /// A connection of the server's process that has not said which session it is for.
    newcomer: Option<Connection>,
    /// Requests to resume that were good once.
    old: Vec<ResumeRequest>,
    is_cut: bool,
    now: Time,
    nonce: u32,
}

impl World {
    fn new() -> Self {
        let now = Time::from_micros(1_000_000);
        let (mut client, mut server) = (client_config(false), server_config(false));
        client.limits = limits();
        server.limits = limits();
        let mut world = World {
            sides: [
                Side::new(Connection::client(client, now)),
                Side::new(Connection::server(server, now)),
            ],
            newcomer: None,
            old: Vec::new(),
            is_cut: false,
            now,
            nonce: 0,
        };
        world.pass_everything();
        assert!(
            world
                .sides
                .iter()
                .all(|side| side.connection.is_established())
        );
        world.take_events();
        world
    }

    fn act(&mut self, action: u8, argument: u8) {
        let which = usize::from(argument >> 1);
        let side = &mut self.sides[usize::from(argument & 1)];
        match action % 16 {
            0 | 1 => side.call(argument),
            2 => side.oneway(),
            3 => side.batch(u32::from(argument >> 1) % 6, argument & 0x40 != 0),
            4 | 5 => side.answer(which),
            6 => {
                if let Some((id, _)) = side.asked.get(which % side.asked.len().max(1)) {
                    side.connection.cancel(*id);
                }
            }
            7 => {
                if let Some(import) = side.imports.pop() {
                    side.connection.release(import, 1);
                }
                if argument & 2 != 0
                    && let Some(kept) = side.kept.pop()
                {
                    side.connection.finish(kept);
                }
            }
            8 => side.produce(which, argument >= 0xc0),
            9 => side.consume(which, argument >= 0xe0),
            10..=12 => drop(self.pass(usize::from(argument & 1), which * which)),
            13 => self.cut(argument & 1 == 0),
            14 => self.dial(),
            _ if argument & 1 == 0 => self.show_again(which),
            _ => {
                self.now = self.now + Duration::from_millis(which as u64 * 50);
                for side in &mut self.sides {
                    assert_eq!(side.connection.handle_timeout(self.now), Ok(()));
                }
            }
        }
    }

    fn take_events(&mut self) {
        for side in &mut self.sides {
            while let Some(event) = side.connection.poll_event() {
                side.handle(event);
            }
        }
    }

    /// Passes so many bytes on that this side has sent.
    fn pass(&mut self, from: usize, bytes: usize) -> usize {
        let mut pieces = Vec::new();
        let sender = &mut self.sides[from];
        let sent = sender.connection.poll_transmit(self.now, &mut pieces);
        if self.is_cut || from == SERVER_SIDE && self.newcomer.is_some() {
            // Nobody hears it.
            return 0;
        }
        sender.wire.extend(pieces.concat());
        let length = bytes.min(sender.wire.len());
        let arrived: Vec<u8> = sender.wire.drain(..length).collect();
        if from == CLIENT_SIDE && self.newcomer.is_some() {
            self.introduce(&arrived);
            return sent + length;
        }
        let receiver = &mut self.sides[1 - from];
        receiver.input.extend_from_slice(&arrived);
        let understood =
            receiver
                .connection
                .handle_bytes_of(receiver.link, self.now, &mut receiver.input);
        assert_eq!(understood, Ok(()), "both are honest");
        sent + length
    }

    /// Gives bytes to the connection that is to be the server's next one.
    fn introduce(&mut self, bytes: &[u8]) {
        let server = &mut self.sides[SERVER_SIDE];
        server.input.extend_from_slice(bytes);
        let Some(newcomer) = &mut self.newcomer else {
            return;
        };
        assert_eq!(newcomer.handle_bytes(self.now, &mut server.input), Ok(()));
        if let Some(Event::ResumeRequested(request)) = newcomer.poll_event() {
            self.newcomer = None;
            server.input.clear();
            assert_eq!(server.connection.accept_resume(&request, self.now), Ok(()));
            server.link = server.connection.link();
            self.old.push(request);
        }
    }

    /// Cuts the connection. What is on its way is lost.
    fn cut(&mut self, server_notices: bool) {
        self.is_cut = true;
        self.newcomer = None;
        for side in &mut self.sides {
            side.wire.clear();
            side.input.clear();
        }
        self.sides[CLIENT_SIDE].connection.disconnected(self.now);
        if server_notices {
            self.sides[SERVER_SIDE].connection.disconnected(self.now);
        }
    }

    fn dial(&mut self) {
        if !self.is_cut {
            return;
        }
        self.nonce += 1;
        let mut nonce = [0; 32];
        nonce[..4].copy_from_slice(&self.nonce.to_le_bytes());
        let client = &mut self.sides[CLIENT_SIDE];
        assert!(client.connection.resume(Nonce::from_bytes(nonce), self.now));
        client.link = client.connection.link();
        self.newcomer = Some(Connection::server(server_config(false), self.now));
        self.is_cut = false;
    }

    /// Asks for the session by what was good once.
    fn show_again(&mut self, which: usize) {
        if let Some(request) = self.old.get(which % self.old.len().max(1)) {
            let server = &mut self.sides[SERVER_SIDE].connection;
            let link = server.link();
            let answer = server.accept_resume(request, self.now);
            assert_eq!(answer, Err(ConnectionError::SessionLost));
            assert_eq!(server.link(), link);
        }
    }

    fn pass_everything(&mut self) {
        while self.pass(CLIENT_SIDE, usize::MAX) + self.pass(SERVER_SIDE, usize::MAX) > 0 {
            self.take_events();
        }
    }

    /// Mends the network, and has both applications come to an end.
    fn finish(mut self) {
        for _ in 0..1000 {
            self.dial();
            self.pass_everything();
            self.take_events();
            for side in &mut self.sides {
                while !side.open.is_empty() || !side.receipts.is_empty() {
                    side.answer(0);
                }
                while let Some(import) = side.imports.pop() {
                    side.connection.release(import, 1);
                }
                while let Some(kept) = side.kept.pop() {
                    side.connection.finish(kept);
                }
                while !side.produced.is_empty() {
                    side.produce(0, true);
                }
            }
            if self.is_done() {
                return;
            }
        }
        let tables = self.sides.map(|side| side.connection.tables());
        panic!("it does not come to an end: {tables:?}");
    }

    fn is_done(&self) -> bool {
        let [client, server] = &self.sides;
        let all_arrived = client.made == server.seen && server.made == client.seen;
        all_arrived
            && self.sides.iter().all(|side| {
                let tables = side.connection.tables();
                let calls = tables.calls_in + tables.calls_out + tables.streams_in;
                side.asked.is_empty()
                    && side.exports.is_empty()
                    && calls + tables.streams_out + tables.exports + tables.imports == 0
            })
    }
}
