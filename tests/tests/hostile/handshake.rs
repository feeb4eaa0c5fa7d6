//! Hellos that ask for what is not there.

use bytes::BufMut;
use farref::{Codec, CodecSet};
use farref_proto::frame::PREAMBLE;
use farref_proto::message::{ClientHello, Message};
use farref_proto::{FaultKind, Grants, InstanceId, Outcome, RefusalCode};

use crate::arena::{Arena, socket_address};
use crate::attacker::{Attacker, JSON, MESSAGEPACK, POSTCARD, call, first_bytes, hello};

/// What a daemon says to this hello.
fn refusal_of(arena: &mut Arena, hello: ClientHello) -> (RefusalCode, String) {
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::connect(address);
        attacker.say_hello(hello);
        attacker.refusal()
    });
    assert!(endured.peak < 128 << 10, "{} bytes", endured.peak);
    (endured.saw.code, endured.saw.text)
}

#[test]
fn another_version_is_refused() {
    let mut arena = Arena::new();
    for (version_min, version_max) in [(2, 9), (0, 0), (u16::MAX, u16::MAX)] {
        let (code, text) = refusal_of(
            &mut arena,
            ClientHello {
                version_min,
                version_max,
                ..hello()
            },
        );
        assert_eq!(code, RefusalCode::Version);
        assert!(text.contains("this side speaks version 1"), "{text}");
    }
    let backwards = ClientHello {
        version_min: 2,
        version_max: 1,
        ..hello()
    };
    assert_eq!(refusal_of(&mut arena, backwards).0, RefusalCode::Malformed);
}

#[test]
fn codecs_that_nobody_knows_are_refused() {
    let mut arena = Arena::new();
    for codecs in [0, 1 << 31, !(1 << POSTCARD | 1 << MESSAGEPACK | 1 << JSON)] {
        let (code, _) = refusal_of(&mut arena, ClientHello { codecs, ..hello() });
        assert_eq!(code, RefusalCode::Codec, "{codecs:#x}");
    }
}

#[test]
fn a_codec_that_is_not_allowed_is_refused_in_the_handshake_and_in_each_call() {
    let mut arena = Arena::with(|daemon| daemon.accept_codecs(CodecSet::from(Codec::Postcard)));
    let (code, _) = refusal_of(
        &mut arena,
        ClientHello {
            codecs: 1 << JSON | 1 << MESSAGEPACK,
            ..hello()
        },
    );
    assert_eq!(code, RefusalCode::Codec);
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let mut kinds = Vec::new();
        for (codec, body) in [
            (JSON, &b"[2,3]"[..]),
            (MESSAGEPACK, b"\x92\x02\x03"),
            (0, &[2, 3]),
            (77, &[2, 3]),
        ] {
            let fault = attacker.ask("add", codec, body).fault();
            kinds.push((fault.kind, fault.outcome));
        }
        attacker.ask("add", POSTCARD, &[2, 3]);
        kinds
    });
    let unsupported = (FaultKind::UnsupportedCodec, Outcome::NotStarted);
    assert_eq!(endured.saw, [unsupported; 4]);
}

#[test]
fn another_process_is_not_served() {
    let mut arena = Arena::new();
    let expected_instance = Some(InstanceId::from_bytes([9; 16]));
    let (code, _) = refusal_of(
        &mut arena,
        ClientHello {
            expected_instance,
            ..hello()
        },
    );
    assert_eq!(code, RefusalCode::WrongInstance);
}

#[test]
fn grants_out_of_all_bounds_are_refused() {
    let mut arena = Arena::new();
    let grants = hello().grants;
    let bad = [
        Grants {
            max_message: 0,
            ..grants
        },
        Grants {
            calls: u32::MAX,
            ..grants
        },
        Grants {
            call_bytes: u64::MAX,
            ..grants
        },
        Grants {
            depth_calls: u32::MAX,
            ..grants
        },
        Grants {
            references: u32::MAX,
            ..grants
        },
        Grants {
            peer_timeout_ms: 0,
            ..grants
        },
    ];
    for grants in bad {
        let (code, _) = refusal_of(&mut arena, ClientHello { grants, ..hello() });
        assert_eq!(code, RefusalCode::Malformed, "{grants:?}");
    }
}

#[test]
fn options_that_must_be_understood_are_refused_and_others_skipped() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        [0x7f, 0x80, 0xff].map(|tag: u8| {
            let mut bytes = first_bytes(hello());
            bytes.put_slice(&[tag, 2, 0, 0, 0]);
            let length = (bytes.len() - PREAMBLE.len() - 4) as u32;
            bytes[PREAMBLE.len()..PREAMBLE.len() + 4].copy_from_slice(&length.to_le_bytes());
            let mut attacker = Attacker::connect(address);
            attacker.send(&bytes);
            match attacker.receive() {
                Some(Message::ServerHello(_)) => None,
                Some(Message::Refuse(refusal)) => Some(refusal.code),
                other => panic!("an answer was expected, and {other:?} came"),
            }
        })
    });
    let malformed = Some(RefusalCode::Malformed);
    assert_eq!(endured.saw, [None, malformed, malformed]);
}

#[test]
fn a_second_hello_and_calls_before_the_first_are_out_of_turn() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut early = Attacker::connect(address);
        early.send(&PREAMBLE);
        early.send_message(&Message::Call(call(0, "add", POSTCARD, &[2, 3])));
        let mut again = Attacker::settle(address);
        again.send_message(&Message::ClientHello(Box::new(hello())));
        (early.refusal().code, again.goodbye().code)
    });
    assert_eq!(
        endured.saw,
        (RefusalCode::Malformed, farref_proto::CloseCode::Violation)
    );
}

#[test]
fn a_wrong_proof_is_refused() {
    let mut arena = Arena::new();
    let guarded = arena.run(async {
        let daemon = farref::Daemon::builder()
            .listen("far://127.0.0.1:0")
            .token("sesame");
        daemon.bind().await.expect("loopback can be bound")
    });
    let address = socket_address(&guarded);
    let endured = arena.endure(|_| {
        let mut attacker = Attacker::connect(address);
        attacker.say_hello(hello());
        assert!(matches!(attacker.receive(), Some(Message::Challenge(_))));
        attacker.send_message(&Message::Proof(farref_proto::message::Proof {
            mac: [0; 32],
        }));
        attacker.refusal().code
    });
    assert_eq!(endured.saw, RefusalCode::BadToken);
}
