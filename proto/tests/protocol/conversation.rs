//! A conversation of everything that sessions carry: both parts of it, as applications on top of connections.

use std::collections::VecDeque;

use bytes::Bytes;
use farref_proto::{
    BatchMode, CallFlags, CallId, Connection, Event, Extensions, ImportId, IncomingRef,
    IncomingResults, OutgoingCall, OutgoingItems, OutgoingReplies, OutgoingReply, StreamEnding,
    StreamNumber,
};

use crate::pair::{CLIENT, CODEC, SERVER, call, describe, reply, results, run, unfolded};

/// The client's part: binds a name, passes a reference, is called back, uses what it is given, sends oneways, gives
/// up a call, calls on an answer that has not come, consumes a stream, sends a batch and a stream, and returns everything.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) events: Vec<String>,
    /// What came of the stream, in its own order.
    pub(crate) streamed: Vec<String>,
    pub(crate) released: Vec<&'static str>,
    pub(crate) jukebox: Option<ImportId>,
    pub(crate) play: Option<CallId>,
    pub(crate) stop: Option<CallId>,
    pub(crate) queue: Option<ImportId>,
    /// The call that is answered with the queue once more, and the last one that uses it.
    pub(crate) push: Option<CallId>,
    pub(crate) peek: Option<CallId>,
    pub(crate) others: Vec<CallId>,
    /// The call whose answer is kept, and the one on that answer.
    pub(crate) kept: Option<(CallId, CallId)>,
    pub(crate) tracks: Option<CallId>,
    pub(crate) is_streaming: bool,
    /// The call that a stream went with, the next item of it, and the answer.
    pub(crate) sum: Option<CallId>,
    pub(crate) item: u8,
    pub(crate) answered: Vec<String>,
}

impl Client {
    pub(crate) fn new(connection: Connection) -> Self {
        Client {
            connection,
            events: Vec::new(),
            streamed: Vec::new(),
            released: Vec::new(),
            jukebox: None,
            play: None,
            stop: None,
            queue: None,
            push: None,
            peek: None,
            others: Vec::new(),
            kept: None,
            tracks: None,
            is_streaming: true,
            sum: None,
            item: 0,
            answered: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self) {
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

    pub(crate) fn handle(&mut self, event: Event) {
        unfolded([event])
            .into_iter()
            .for_each(|event| self.handle_one(event));
    }

    fn handle_one(&mut self, event: Event) {
        match event {
            Event::Reply(arrived) if self.sum == Some(arrived.call) => {
                self.answered.push(format!("reply {:?}", arrived.body));
                self.sum = None;
            }
            Event::Reply(arrived) => {
                self.events.push(format!("reply {:?}", arrived.body));
                if !arrived.more {
                    self.answered(arrived.call, &arrived.table);
                }
            }
            Event::Results(results) => {
                let IncomingResults { lengths, body, .. } = &results;
                self.events.push(format!("results {lengths:?} {body:?}"));
                if !results.more {
                    self.answered(results.call, &[]);
                }
            }
            Event::StreamCredit(stream) => {
                self.item = send_items(&mut self.connection, stream, self.item, 4);
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
    pub(crate) fn is_done(&self) -> bool {
        self.others.is_empty()
            && self.queue.is_none()
            && self.jukebox.is_none()
            && self.stop.is_none()
            && self.kept.is_none()
            && self.tracks.is_none()
            && !self.is_streaming
            && self.sum.is_none()
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
            self.push = Some(connection.call(&push).unwrap());
            connection.oneway(&call(b"tock"), false).unwrap();
            let stop = connection.call(&call(b"stop")).unwrap();
            connection.cancel(stop);
            self.stop = Some(stop);
            for body in [b"gather", b"these!"] {
                self.others.push(connection.call(&call(body)).unwrap());
            }
            self.tracks = Some(connection.call(&call(b"tracks")).unwrap());
            connection.oneway(&call(b"tick"), false).unwrap();
            connection.oneway(&call(b"tack"), false).unwrap();
            connection.begin_batch(BatchMode::GoOn, 6).unwrap();
            self.others.push(connection.call(&call(b"one")).unwrap());
            let run = run(&[1, 0, 2], b"abb");
            self.others.push(connection.call_run(&run).unwrap());
            connection.oneway(&call(b"two"), true).unwrap();
            self.others.push(connection.call(&call(b"three")).unwrap());
            connection.end_batch();
            let keep = CallFlags {
                keep_answer: true,
                ..CallFlags::default()
            };
            let shelf = connection.call_with(&call(b"shelf"), keep).unwrap();
            let on_it = CallFlags {
                pipelined: true,
                ..CallFlags::default()
            };
            let take = OutgoingCall {
                target: shelf.index(),
                ..call(b"take")
            };
            let taken = connection.call_with(&take, on_it).unwrap();
            self.kept = Some((shelf, taken));
            let (stream, entry) = connection.open_stream().unwrap();
            let sum = OutgoingCall {
                table: &[entry],
                ..call(b"sum")
            };
            self.sum = Some(connection.call(&sum).unwrap());
            assert_eq!(connection.stream_room(stream), Ok((0, 0)));
        } else if self.tracks == Some(id) {
            self.tracks = None;
            let [IncomingRef::Stream(stream)] = table[..] else {
                panic!("a stream was promised");
            };
            connection.grant_stream(stream, 2, 600);
        } else if self.stop == Some(id) {
            self.stop = None;
            // What is given back is behind its last use.
            let jukebox = self.jukebox.take().unwrap();
            let bye = OutgoingCall {
                target: jukebox.index(),
                ..call(b"bye")
            };
            self.others.push(connection.call(&bye).unwrap());
            connection.release(jukebox, 1);
        } else if self.push == Some(id) {
            self.push = None;
            let [IncomingRef::Import { import, .. }] = table[..] else {
                panic!("the queue was promised once more");
            };
            // One of two is given back, so it lives on.
            connection.release(import, 1);
            let peek = OutgoingCall {
                target: import.index(),
                ..call(b"peek")
            };
            self.peek = Some(connection.call(&peek).unwrap());
        } else if self.peek == Some(id) {
            self.peek = None;
            let queue = self.queue.take().unwrap();
            connection.release(queue, 1);
        } else if let Some((shelf, taken)) = self.kept
            && (shelf == id || taken == id)
        {
            if taken == id {
                self.kept = None;
                connection.finish(shelf);
            }
        } else if let Some(place) = self.others.iter().position(|other| *other == id) {
            self.others.remove(place);
        }
    }
}

/// The server's part.
pub(crate) struct Server {
    pub(crate) connection: Connection,
    pub(crate) events: Vec<String>,
    pub(crate) released: Vec<&'static str>,
    /// Calls that wait for a call back to the listener.
    pub(crate) playing: VecDeque<(CallId, CallId, ImportId)>,
    pub(crate) stopping: Option<CallId>,
    /// Calls that were answered together when they arrived.
    pub(crate) together: Vec<CallId>,
    /// Whether the client holds the name that it was given.
    pub(crate) is_bound: bool,
    /// What no order of bytes excuses.
    pub(crate) wrong: Option<&'static str>,
    /// The next item of the stream.
    pub(crate) item: u8,
    /// The call that waits for the end of a stream, and what came of that.
    pub(crate) summing: Option<CallId>,
    pub(crate) uploaded: Vec<String>,
}

/// Sends as many items of a stream as there is room for, the first of them this one, and ends it behind so many.
/// Returns which is next.
fn send_items(connection: &mut Connection, stream: StreamNumber, mut item: u8, count: u8) -> u8 {
    while item < count && connection.stream_room(stream).unwrap().0 > 0 {
        let items = OutgoingItems {
            codec: CODEC,
            extensions: Extensions::NONE,
            lengths: &[1],
            table: &[],
            body: &[item],
            attachments: &[],
        };
        connection.send_items(stream, &items).unwrap();
        item += 1;
    }
    if item == count {
        connection.end_stream(stream);
    }
    item
}

impl Server {
    pub(crate) fn new(connection: Connection) -> Self {
        Server {
            connection,
            events: Vec::new(),
            released: Vec::new(),
            playing: VecDeque::new(),
            stopping: None,
            together: Vec::new(),
            is_bound: false,
            wrong: None,
            item: 0,
            summing: None,
            uploaded: Vec::new(),
        }
    }

    pub(crate) fn handle(&mut self, event: Event) {
        // Whether they are answered together is the server's choice.
        if let Event::Calls(gathered) = &event
            && let [.., one, other, _] = &gathered.calls[..]
            && &one.body[..] == b"gather"
        {
            let calls = [one, other].map(|one| (one.id, one.body.len() as u32));
            let replies = OutgoingReplies {
                codec: CODEC,
                calls: &calls,
                body: b"gatherthese!",
            };
            self.connection.reply_gathered(&replies).unwrap();
            self.together.extend(calls.map(|(id, _)| id));
        }
        unfolded([event])
            .into_iter()
            .for_each(|event| self.handle_one(event));
    }

    fn handle_one(&mut self, event: Event) {
        let connection = &mut self.connection;
        match event {
            Event::Bind(bind) => {
                self.events.push(format!("bind {}", bind.name));
                self.is_bound = true;
                let entry = Connection::alias_entry(bind.alias, 50, 1, SERVER);
                connection.reply(bind.call, &describe(&[entry])).unwrap();
            }
            Event::Call(arrived) => {
                self.events.push(format!("call {:?}", arrived.body));
                let is_on_answer = &arrived.body[..] == b"take";
                assert_eq!(arrived.pipelined, is_on_answer);
                let is_gone = arrived.target.is_alias() && !self.is_bound;
                if is_gone {
                    self.wrong = Some("a name was called that had been given back");
                }
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
                    b"push" => {
                        let (_, queue) = connection.export(60, 3, SERVER).unwrap();
                        let result = OutgoingReply {
                            table: &[queue],
                            ..reply(b"pushed")
                        };
                        connection.reply(arrived.id, &result).unwrap();
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
                    b"sum" => {
                        let [IncomingRef::Stream(stream)] = arrived.table[..] else {
                            panic!("a stream was promised");
                        };
                        connection.grant_stream(stream, 1, 300);
                        self.summing = Some(arrived.id);
                    }
                    _ if self.together.contains(&arrived.id) => {
                        self.together.retain(|id| *id != arrived.id);
                    }
                    body => connection.reply(arrived.id, &reply(body)).unwrap(),
                }
            }
            Event::Batch(batch) => {
                for one in batch.calls {
                    self.events.push(format!("batched {:?}", one.call.body));
                    if let Some(lengths) = one.run {
                        self.events.push(format!("a run of {lengths:?}"));
                        let (first, others) = lengths.split_at(1);
                        let (one_body, body) = one.call.body.split_at(first[0] as usize);
                        connection.reply(one.call.id, &reply(one_body)).unwrap();
                        let results = results(others, body);
                        connection.reply_run(one.call.id, &results).unwrap();
                        continue;
                    }
                    match one.receipt {
                        Some(receipt) => connection.oneway_done(receipt),
                        None => {
                            let body = reply(&one.call.body);
                            connection.reply(one.call.id, &body).unwrap();
                        }
                    }
                }
            }
            Event::StreamItems(items) => {
                for item in items.body.chunks(1) {
                    self.uploaded.push(format!("item {item:?}"));
                    connection.grant_stream(items.stream, 1, 300);
                }
            }
            Event::StreamEnded(_, StreamEnding::Complete) => {
                let id = self.summing.take().unwrap();
                connection.reply(id, &reply(b"summed")).unwrap();
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
                self.item = send_items(connection, stream, self.item, 5);
            }
            Event::Released(_) => self.released.push("object"),
            Event::Finished(_) => self.released.push("answer"),
            Event::AliasReleased(_) => {
                self.released.push("name");
                self.is_bound = false;
            }
            _ => {}
        }
    }
}
