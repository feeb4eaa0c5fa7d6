//! The messages whose bytes are pinned.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farref_proto::message::{
    Ack, BatchBegin, BatchEnd, BatchMode, Beat, Bind, Call, CallRun, Cancel, Challenge, Claim,
    Claimed, ClientHello, Credit, CreditEntry, Finish, Gathered, GatheredCalls, GatheredReplies,
    Message, Proof, Provide, Release, ReleaseEntry, Reply, ReplyRun, Revoked, Sections,
    ServerHello, SessionRequest, StreamCancel, StreamCredit, StreamEnd, StreamError, StreamItems,
};
use farref_proto::{
    ALIAS_BIT, CallId, Chain, ChainId, CloseCode, CloseReason, DrainCode, DrainReason, EntryKind,
    Extensions, FaultKind, FaultMessage, InstanceId, Introduction, Limits, Nonce, Outcome, Refusal,
    RefusalCode, ReplyStatus, SessionId, TableEntry, Time, TraceContext,
};

use crate::pair::{CLIENT, SERVER};

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
        introductions: Vec::new(),
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

fn gathered(ones: &[(u32, &'static [u8])]) -> Vec<Gathered> {
    ones.iter()
        .map(|(id, body)| Gathered {
            id: CallId::new(*id),
            body: Bytes::from_static(body).into(),
        })
        .collect()
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
        linger: Duration::ZERO,
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
        linger: Duration::ZERO,
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
pub(super) fn messages() -> Vec<(&'static str, Message)> {
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
        linger: Duration::from_secs(30),
        name: "player".to_owned(),
        ..client_hello()
    };
    let proved_server = ServerHello {
        proof: Some([0x9f; 32]),
        linger: Duration::from_secs(30),
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
    let introducing = Sections {
        extensions: Some(Box::new(Extensions {
            introductions: vec![Introduction {
                index: 1,
                grant: [0x6a; 16],
                holder: SERVER,
                address: "far://127.0.0.1:9999".to_owned(),
            }],
            ..Extensions::default()
        })),
        table: vec![entry(EntryKind::Home, 1), entry(EntryKind::Introduced, 2)],
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
            "call-that-introduces",
            Message::Call(plain_call(introducing.clone())),
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
            "stream-items-introducing",
            Message::StreamItems(StreamItems {
                stream: 4,
                codec: 1,
                lengths: vec![0],
                sections: introducing,
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
        (
            "call-run",
            Message::CallRun(CallRun {
                id: 5,
                target: 7,
                method_hash: 0x0123_4567,
                shape: 0x89ab_cdef,
                method_index: 3,
                codec: 1,
                lengths: vec![2, 0, 1],
                sections: body(b"\x01\x02\x03"),
            }),
        ),
        (
            "call-run-in-a-chain",
            Message::CallRun(CallRun {
                id: 5,
                target: 7,
                method_hash: 0x0123_4567,
                shape: 0,
                method_index: 3,
                codec: 2,
                lengths: vec![1],
                sections: Sections {
                    extensions: Some(Box::new(Extensions {
                        chain: Some(Chain {
                            id: ChainId::from_bytes([0xab; 16]),
                            depth: 2,
                        }),
                        ..Extensions::default()
                    })),
                    ..body(b"\x90")
                },
            }),
        ),
        (
            "reply-run",
            Message::ReplyRun(ReplyRun {
                id: 5,
                codec: 1,
                lengths: vec![0, 2],
                body: Bytes::from_static(b"\x01\x02"),
            }),
        ),
        (
            "gathered-calls",
            Message::GatheredCalls(GatheredCalls {
                target: 7,
                method_hash: 0x0123_4567,
                shape: 0x89ab_cdef,
                method_index: 3,
                codec: 1,
                oneway: false,
                calls: gathered(&[(5, b"\x01\x02"), (6, b""), (2, b"\x03")]),
            }),
        ),
        (
            "gathered-oneways",
            Message::GatheredCalls(GatheredCalls {
                target: 7,
                method_hash: 0x0123_4567,
                shape: 0,
                method_index: 3,
                codec: 2,
                oneway: true,
                calls: gathered(&[(0, b"\x90"), (0, b"\x90")]),
            }),
        ),
        (
            "gathered-replies",
            Message::GatheredReplies(GatheredReplies {
                codec: 1,
                replies: gathered(&[(6, b"\x01"), (5, b"")]),
            }),
        ),
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
