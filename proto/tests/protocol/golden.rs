//! The bytes of every message, pinned.
//!
//! `vectors.txt` holds one frame for each name: the header on the first line, field by field, and the content below it.
//! After a deliberate change of the wire, run the tests with `FARREF_WRITE_VECTORS=1` and review the difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use farref_proto::frame::{HEADER_LENGTH, Kind, PREAMBLE};
use farref_proto::message::{
    Ack, BatchBegin, BatchEnd, BatchMode, Beat, Bind, Call, Cancel, Challenge, Claim, Claimed,
    ClientHello, Credit, CreditEntry, Finish, Message, Proof, Provide, Release, ReleaseEntry,
    Reply, Revoked, Sections, ServerHello, SessionRequest, StreamCancel, StreamCredit, StreamEnd,
    StreamError, StreamItems,
};
use farref_proto::{
    ALIAS_BIT, Chain, ChainId, CloseCode, CloseReason, DrainCode, DrainReason, EntryKind,
    Extensions, FaultKind, FaultMessage, InstanceId, Limits, Nonce, Outcome, Refusal, RefusalCode,
    ReplyStatus, SessionId, TableEntry, Time, Token, TraceContext,
};

use crate::pair::{
    CLIENT, Pair, SERVER, call, client_config, describe, frame, reply, server_config,
};

const VECTORS: &str = include_str!("vectors.txt");

const HEAD: &str = "\
# The bytes of farref's wire, version 1: one frame for each name.
#
# The first line of a frame is its header: length, kind, flags, codec, aux. Then comes its content.
# The last entries are whole conversations: everything that one side sends.
";

fn entry(kind: EntryKind, id: u32) -> TableEntry {
    TableEntry {
        kind,
        id,
        object: 0x0102_0304_0506_0708,
        interface: 0xfedc_ba98,
        owner: InstanceId::from_bytes([0xee; 16]),
    }
}

fn extensions() -> Extensions {
    Extensions {
        deadline: Some(Time::from_micros(5_000_000)),
        chain: Some(Chain {
            id: ChainId::from_bytes([0xcc; 16]),
            depth: 2,
        }),
        trace: Some(TraceContext {
            trace_id: [0x1a; 16],
            span_id: [0x2b; 8],
            flags: 1,
            state: "vendor=1".to_owned(),
        }),
        annotations: vec![
            ("user".to_owned(), Bytes::from_static(b"ada")),
            ("empty".to_owned(), Bytes::new()),
        ],
    }
}

fn sections() -> Sections {
    Sections {
        extensions: Some(Box::new(extensions())),
        unknown_extension: None,
        table: vec![entry(EntryKind::Export, 7), entry(EntryKind::Home, 9)],
        body: Bytes::from_static(b"arguments"),
        attachments: vec![Bytes::from_static(b"first"), Bytes::from_static(b"second")],
    }
}

fn body(bytes: &'static [u8]) -> Sections {
    Sections {
        body: Bytes::from_static(bytes),
        ..Sections::default()
    }
}

fn plain_call(sections: Sections) -> Call {
    Call {
        id: 5,
        target: 0x21,
        method_hash: 0x1234_5678,
        shape: 0x9abc_def0,
        method_index: 3,
        codec: 1,
        pipelined: false,
        keep_answer: false,
        batched: false,
        ordered: false,
        sections,
    }
}

fn client_hello() -> ClientHello {
    ClientHello {
        version_min: 1,
        version_max: 1,
        codecs: 0b1110,
        features: 0,
        instance: CLIENT,
        grants: Limits::default().grants(),
        clock: Time::from_micros(1_000_000),
        nonce: Nonce::from_bytes([0x0c; 32]),
        session: SessionRequest::New {
            id: SessionId::from_bytes([0x51; 16]),
            secret: [0x52; 32],
        },
        expected_instance: None,
        name: String::new(),
    }
}

fn server_hello() -> ServerHello {
    ServerHello {
        version: 1,
        codecs: 0b0010,
        features: 0,
        instance: SERVER,
        grants: Limits::default().grants(),
        clock: Time::from_micros(9_000_000),
        session: SessionId::from_bytes([0x51; 16]),
        received: 0,
        proof: None,
        name: String::new(),
    }
}

fn fault() -> Bytes {
    let fault = FaultMessage {
        causes: vec!["the record is locked".to_owned()],
        hops: vec!["jukebox".to_owned()],
        backtrace: Some("0: main".to_owned()),
        ..FaultMessage::new(
            FaultKind::Panicked,
            Outcome::Ran,
            "the method panicked: no needle",
        )
    };
    let mut out = BytesMut::new();
    fault.encode(&mut out);
    out.freeze()
}

/// Every message, with every option and flag in one of them.
fn messages() -> Vec<(&'static str, Message)> {
    let resume = ClientHello {
        session: SessionRequest::Resume {
            id: SessionId::from_bytes([0x51; 16]),
            epoch: 3,
            mac: [0x3a; 32],
            received: 4096,
        },
        ..client_hello()
    };
    let named_client = ClientHello {
        expected_instance: Some(SERVER),
        name: "player".to_owned(),
        ..client_hello()
    };
    let proved_server = ServerHello {
        proof: Some([0x9f; 32]),
        name: "jukebox".to_owned(),
        ..server_hello()
    };
    let all_kinds = [
        EntryKind::Export,
        EntryKind::Home,
        EntryKind::Dead,
        EntryKind::Introduced,
        EntryKind::StreamOut,
        EntryKind::StreamIn,
        EntryKind::Promise,
    ];
    let every_entry = Sections {
        table: all_kinds
            .into_iter()
            .zip(1..)
            .map(|(kind, id)| entry(kind, id))
            .collect(),
        ..Sections::default()
    };
    let reply = |status, codec, sections| Reply {
        id: 5,
        status,
        codec,
        sections,
    };
    let oneway = |call: Call| Message::Oneway(Call { id: 0, ..call });
    let items = Sections {
        table: vec![entry(EntryKind::Export, 7)],
        ..body(b"onetwo")
    };
    vec![
        (
            "client-hello",
            Message::ClientHello(Box::new(client_hello())),
        ),
        (
            "client-hello-with-options",
            Message::ClientHello(Box::new(named_client)),
        ),
        (
            "client-hello-resume",
            Message::ClientHello(Box::new(resume)),
        ),
        (
            "server-hello",
            Message::ServerHello(Box::new(server_hello())),
        ),
        (
            "server-hello-with-options",
            Message::ServerHello(Box::new(proved_server)),
        ),
        (
            "challenge",
            Message::Challenge(Challenge {
                nonce: Nonce::from_bytes([0x05; 32]),
            }),
        ),
        ("proof", Message::Proof(Proof { mac: [0x7c; 32] })),
        (
            "refuse",
            Message::Refuse(Refusal::new(RefusalCode::BadToken, "the token is wrong")),
        ),
        ("ack", Message::Ack(Ack { received: 262_144 })),
        (
            "beat",
            Message::Beat(Beat {
                clock: Time::from_micros(12_345_678),
                received: 77,
            }),
        ),
        (
            "goodbye",
            Message::Goodbye(CloseReason::new(CloseCode::ShuttingDown, "good night")),
        ),
        ("call", Message::Call(plain_call(body(b"\x05\x2a")))),
        ("call-empty", Message::Call(plain_call(Sections::default()))),
        (
            "call-with-everything",
            Message::Call(plain_call(sections())),
        ),
        (
            "call-with-every-entry",
            Message::Call(plain_call(every_entry)),
        ),
        (
            "call-pipelined-kept-batched",
            Message::Call(Call {
                pipelined: true,
                keep_answer: true,
                batched: true,
                ..plain_call(Sections::default())
            }),
        ),
        ("oneway", oneway(plain_call(body(b"\x01")))),
        (
            "oneway-ordered",
            oneway(Call {
                ordered: true,
                ..plain_call(body(b"\x01"))
            }),
        ),
        (
            "reply",
            Message::Reply(reply(ReplyStatus::Ok, 1, body(b"result"))),
        ),
        (
            "reply-with-everything",
            Message::Reply(reply(ReplyStatus::Ok, 1, sections())),
        ),
        (
            "reply-error",
            Message::Reply(reply(ReplyStatus::Error, 1, body(b"error"))),
        ),
        (
            "reply-fault",
            Message::Reply(reply(
                ReplyStatus::Fault,
                0,
                Sections {
                    body: fault(),
                    ..Sections::default()
                },
            )),
        ),
        (
            "bind",
            Message::Bind(Bind {
                id: 5,
                alias: ALIAS_BIT | 2,
                interface: 0xfedc_ba98,
                name: "jukebox".to_owned(),
                extensions: None,
                unknown_extension: None,
            }),
        ),
        (
            "bind-with-extensions",
            Message::Bind(Bind {
                id: 5,
                alias: ALIAS_BIT | 2,
                interface: 0xfedc_ba98,
                name: "jukebox".to_owned(),
                extensions: Some(Box::new(extensions())),
                unknown_extension: None,
            }),
        ),
        ("cancel", Message::Cancel(Cancel { calls: vec![5, 6] })),
        (
            "credit",
            Message::Credit(Credit {
                entries: vec![
                    CreditEntry {
                        depth: 0,
                        calls: 3,
                        bytes: 120,
                    },
                    CreditEntry {
                        depth: 2,
                        calls: 1,
                        bytes: 1 << 40,
                    },
                ],
            }),
        ),
        (
            "release",
            Message::Release(Release {
                entries: vec![
                    ReleaseEntry { id: 7, count: 2 },
                    ReleaseEntry {
                        id: ALIAS_BIT | 2,
                        count: 1,
                    },
                ],
            }),
        ),
        (
            "drain",
            Message::Drain(DrainReason::new(DrainCode::Restarting, "back in a minute")),
        ),
        (
            "revoked",
            Message::Revoked(Revoked {
                exports: vec![7, ALIAS_BIT | 2],
            }),
        ),
        (
            "stream-items",
            Message::StreamItems(StreamItems {
                stream: 4,
                codec: 1,
                lengths: vec![3, 3, 0],
                sections: items,
            }),
        ),
        (
            "stream-credit",
            Message::StreamCredit(StreamCredit {
                stream: ALIAS_BIT | 4,
                items: 16,
                bytes: 65_536,
            }),
        ),
        (
            "stream-end",
            Message::StreamEnd(StreamEnd {
                stream: 4,
                items: 1000,
            }),
        ),
        (
            "stream-error",
            Message::StreamError(StreamError {
                stream: 4,
                status: ReplyStatus::Error,
                codec: 1,
                sections: body(b"error"),
            }),
        ),
        (
            "stream-cancel",
            Message::StreamCancel(StreamCancel {
                stream: ALIAS_BIT | 4,
            }),
        ),
        (
            "batch-begin",
            Message::BatchBegin(BatchBegin {
                batch: 2,
                mode: BatchMode::GoOn,
                calls: 3,
            }),
        ),
        ("batch-end", Message::BatchEnd(BatchEnd { batch: 2 })),
        ("finish", Message::Finish(Finish { calls: vec![5] })),
        (
            "provide",
            Message::Provide(Provide {
                id: 5,
                target: 7,
                grant: [0x6a; 16],
                recipient: CLIENT,
                lifetime_ms: 10_000,
            }),
        ),
        (
            "claim",
            Message::Claim(Claim {
                id: 5,
                alias: ALIAS_BIT | 2,
                grant: [0x6a; 16],
                provider: SERVER,
            }),
        ),
        ("claimed", Message::Claimed(Claimed { grant: [0x6a; 16] })),
    ]
}

/// A bind and a call in the first flight, a reply with a reference, and its release.
fn conversation() -> Pair {
    let mut client = client_config();
    client.codecs = 0b1110;
    let mut server = server_config();
    server.codecs = 0b0010;
    let mut pair = Pair::new(client, server);
    let (_, jukebox) = pair.client.connection.bind("jukebox", 0xfedc_ba98).unwrap();
    let load = farref_proto::OutgoingCall {
        target: jukebox.index(),
        ..call(b"\x04jazz")
    };
    pair.client.connection.call(&load).unwrap();
    pair.carry_to_server();
    let server = &mut pair.server.connection;
    while let Some(event) = server.poll_event() {
        match event {
            farref_proto::Event::Bind(bind) => {
                let entry =
                    farref_proto::Connection::alias_entry(bind.alias, 40, 0xfedc_ba98, SERVER);
                server.reply(bind.call, &describe(&[entry])).unwrap();
            }
            farref_proto::Event::Call(call) => {
                let (_, entry) = server.export(41, 0x0123_4567, SERVER).unwrap();
                let result = farref_proto::OutgoingReply {
                    table: &[entry],
                    ..reply(b"\x00")
                };
                server.reply(call.id, &result).unwrap();
            }
            _ => {}
        }
    }
    pair.carry_to_client();
    for event in pair.client.events() {
        if let farref_proto::Event::Reply(reply) = event
            && let [farref_proto::IncomingRef::Import { import, .. }] = reply.table[..]
        {
            pair.client.connection.release(import, 1);
        }
    }
    pair.carry_to_server();
    pair.assert_error_free();
    pair
}

impl Pair {
    fn assert_error_free(&self) {
        assert_eq!((&self.client.error, &self.server.error), (&None, &None));
    }
}

/// Puts the frames of `bytes` into the readable form.
fn render(bytes: &[u8], out: &mut String) {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let mut rest = bytes;
    if let Some(frames) = rest.strip_prefix(&PREAMBLE) {
        writeln!(out, "  {}", hex(&PREAMBLE)).unwrap();
        rest = frames;
    }
    while !rest.is_empty() {
        let length = 4 + u32::from_le_bytes(*rest.first_chunk().unwrap()) as usize;
        let (frame, behind) = rest.split_at(length);
        let fields = [
            &frame[..4],
            &frame[4..5],
            &frame[5..6],
            &frame[6..7],
            &frame[7..8],
        ];
        writeln!(out, "  {}", fields.map(hex).join(" ")).unwrap();
        for line in frame[HEADER_LENGTH..].chunks(32) {
            let words: Vec<_> = line.chunks(4).map(hex).collect();
            writeln!(out, "    {}", words.join(" ")).unwrap();
        }
        rest = behind;
    }
}

/// Reads the readable form.
fn parse(text: &str) -> BTreeMap<String, Vec<u8>> {
    let mut vectors = BTreeMap::new();
    let mut name = String::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if !line.starts_with(' ') {
            name = line.to_owned();
            assert!(
                vectors.insert(name.clone(), Vec::new()).is_none(),
                "{name} comes twice"
            );
            continue;
        }
        let digits: String = line.split_whitespace().collect();
        let bytes = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
        vectors
            .get_mut(&name)
            .unwrap()
            .extend(bytes.map(Result::unwrap));
    }
    vectors
}

#[test]
fn every_message_has_its_bytes() {
    let mut expected = String::from(HEAD);
    let mut add = |name: &str, bytes: &[u8]| {
        write!(expected, "\n{name}\n").unwrap();
        render(bytes, &mut expected);
    };
    for (name, message) in messages() {
        add(name, &frame(&message));
    }
    let pair = conversation();
    add("conversation-client", &pair.client.sent);
    add("conversation-server", &pair.server.sent);
    let (mut client, mut server) = (client_config(), server_config());
    client.token = Some(Token::new("sesame"));
    server.token = Some(Token::new("sesame"));
    let pair = Pair::established_with(client, server);
    add("conversation-with-token-client", &pair.client.sent);
    add("conversation-with-token-server", &pair.server.sent);
    if std::env::var_os("FARREF_WRITE_VECTORS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocol/vectors.txt");
        std::fs::write(path, &expected).unwrap();
    } else {
        assert_eq!(expected, VECTORS, "the wire has changed");
    }
}

#[test]
fn every_byte_has_its_message() {
    let vectors = parse(VECTORS);
    let grants = Limits::default().grants();
    for (name, message) in messages() {
        let bytes = Bytes::from(vectors[name].clone());
        assert_eq!(Message::decode(&bytes, &grants), Ok(message), "{name}");
        for length in 0..bytes.len() {
            let cut = Message::decode(&bytes.slice(..length), &grants);
            assert!(cut.is_err(), "{name} cut to {length} bytes is {cut:?}");
        }
    }
}

#[test]
fn every_kind_of_frame_is_pinned() {
    let pinned: Vec<Kind> = messages()
        .iter()
        .map(|(_, message)| message.kind())
        .collect();
    for kind in Kind::ALL {
        assert!(pinned.contains(kind), "{kind:?} has no vector");
    }
}
