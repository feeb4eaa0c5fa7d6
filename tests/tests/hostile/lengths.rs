//! Frames that claim to be long, and frames that take long.

use std::io::Read;
use std::time::Duration;

use farref_proto::message::Message;
use farref_proto::{CloseCode, CloseReason, Limits, RefusalCode};

use crate::arena::Arena;
use crate::attacker::{Attacker, Ending, POSTCARD, call, header};

/// The kind of frame that is a call.
const CALL: u8 = 0x10;

#[test]
fn the_greatest_length_is_refused_at_the_header() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        // The length alone: the rest of the header never comes.
        attacker.send(&u32::MAX.to_le_bytes());
        attacker.ending()
    });
    let text = "a broken frame arrived: its length 4294967295 is above the limit of 4194304 bytes";
    assert_eq!(
        endured.saw,
        Ending::Goodbye(CloseReason::new(CloseCode::Malformed, text))
    );
    assert!(endured.peak < 128 << 10, "{} bytes", endured.peak);
}

#[test]
fn a_stranger_may_send_less() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let too_long = [(16 << 10) + 1, u32::MAX].map(|length| {
            let mut attacker = Attacker::connect(address);
            attacker.send(&farref_proto::frame::PREAMBLE);
            attacker.send(&header(length, 1));
            attacker.refusal().code
        });
        let mut attacker = Attacker::connect(address);
        attacker.send(&farref_proto::frame::PREAMBLE);
        attacker.send(&header(3, 1));
        (too_long, attacker.refusal().code)
    });
    let malformed = RefusalCode::Malformed;
    assert_eq!(endured.saw, ([malformed; 2], malformed));
    assert!(endured.peak < 128 << 10, "{} bytes", endured.peak);
}

#[test]
fn a_claim_of_many_bytes_reserves_nothing_and_has_a_deadline() {
    let mut limits = Limits::default();
    limits.frame_timeout = Duration::from_millis(200);
    let mut arena = Arena::with(|daemon| daemon.limits(limits));
    let endured = arena.endure(|address| {
        let mut attackers = [(); 16].map(|()| Attacker::settle(address));
        for attacker in &mut attackers {
            attacker.send(&header(4 << 20, CALL));
            attacker.send(&[0; 100]);
        }
        attackers.map(|mut attacker| attacker.goodbye().code)
    });
    assert_eq!(endured.saw, [CloseCode::Timeout; 16]);
    // Sixteen connections have buffers of some 16 KiB; the claims are of 64 MiB.
    assert!(endured.peak < 1 << 20, "{} bytes", endured.peak);
}

#[test]
fn bytes_that_drip_do_not_put_the_deadline_off() {
    let mut limits = Limits::default();
    limits.frame_timeout = Duration::from_millis(300);
    let mut arena = Arena::with(|daemon| daemon.limits(limits));
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        attacker.send(&header(4 << 20, CALL));
        // A byte whenever nothing has come back for a while, until something does.
        let patience = attacker.stream.read_timeout().expect("a socket");
        let pace = Some(Duration::from_millis(5));
        attacker.stream.set_read_timeout(pace).expect("a socket");
        let mut byte = [0];
        let mut sent = 0;
        while attacker.stream.peek(&mut byte).is_err() && attacker.try_send(&[0]) {
            sent += 1;
        }
        attacker
            .stream
            .set_read_timeout(patience)
            .expect("a socket");
        (attacker.goodbye(), sent)
    });
    let text = "a frame was begun and not finished in time";
    assert_eq!(endured.saw.0, CloseReason::new(CloseCode::Timeout, text));
    // Noticed within a second of the deadline.
    assert!(
        (10..1000).contains(&endured.saw.1),
        "{} bytes",
        endured.saw.1
    );
    assert!(endured.peak < 128 << 10, "{} bytes", endured.peak);
}

#[test]
fn memory_grows_with_the_bytes_that_came() {
    let mut limits = Limits::default();
    limits.frame_timeout = Duration::from_millis(500);
    let mut arena = Arena::with(|daemon| daemon.limits(limits));
    for come in [64 << 10, 512 << 10, 2 << 20] {
        let endured = arena.endure(|address| {
            let mut attacker = Attacker::settle(address);
            attacker.send(&header(4 << 20, CALL));
            attacker.send(&vec![0; come]);
            attacker.goodbye().code
        });
        assert_eq!(endured.saw, CloseCode::Timeout);
        let bound = 4 * come as u64 + (128 << 10);
        assert!(endured.peak < bound, "{} of {come} bytes", endured.peak);
    }
}

#[test]
fn memory_for_a_byte_string_grows_with_the_bytes_that_came() {
    let mut limits = Limits::default();
    limits.frame_timeout = Duration::from_millis(500);
    let mut arena = Arena::with(|daemon| daemon.limits(limits));
    let mut frame = bytes::BytesMut::new();
    let mut announced = call(0, "add", POSTCARD, &[]);
    announced.sections.attachments = vec![vec![0; 3 << 20].into()];
    Message::Call(announced).encode(&mut frame);
    for come in [100, 64 << 10, 512 << 10, 2 << 20] {
        let endured = arena.endure(|address| {
            let mut attacker = Attacker::settle(address);
            attacker.send(&frame[..come]);
            attacker.goodbye().code
        });
        assert_eq!(endured.saw, CloseCode::Timeout);
        let bound = 4 * come as u64 + (128 << 10);
        assert!(endured.peak < bound, "{} of {come} bytes", endured.peak);
    }
}

#[test]
fn whole_frames_one_byte_at_a_time_are_served() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let mut bytes = bytes::BytesMut::new();
        Message::Call(call(0, "add", POSTCARD, &[40, 2])).encode(&mut bytes);
        for byte in &bytes {
            attacker.send(&[*byte]);
        }
        assert_eq!(&attacker.reply().sections.body[..], [42]);
    });
}

#[test]
fn kinds_and_bits_of_no_meaning_end_the_connection() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let unknown = header(4, 0x7f);
        let mut reserved = header(24, CALL);
        reserved[5] = 0x80;
        let out_of_turn = header(4, 0x01);
        [
            &unknown[..],
            &[&reserved[..], &[0; 20]].concat(),
            &out_of_turn,
        ]
        .map(|bytes| {
            let mut attacker = Attacker::settle(address);
            attacker.send(bytes);
            let CloseReason { code, text } = attacker.goodbye();
            (code, text)
        })
    });
    let expected = [
        (
            CloseCode::Malformed,
            "a broken frame arrived: the kind 0x7f is unknown",
        ),
        (
            CloseCode::Malformed,
            "a broken frame arrived: reserved bits of the flags are set",
        ),
        (
            CloseCode::Violation,
            "the other side broke the protocol: a frame of kind 0x01 came out of its turn",
        ),
    ];
    assert_eq!(
        endured.saw,
        expected.map(|(code, text)| (code, text.to_owned()))
    );
}

#[test]
fn strangers_are_told_so() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let greetings: [&[u8]; 3] = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00",
            b"SSH-2.0-x\r\n",
        ];
        greetings.map(|greeting| {
            let mut attacker = Attacker::connect(address);
            attacker.send(greeting);
            let mut answer = String::new();
            attacker.stream.read_to_string(&mut answer).expect("an end");
            answer
        })
    });
    let [http, tls, ssh] = endured.saw;
    assert!(http.starts_with("HTTP/1.1 400 Bad Request"), "{http}");
    assert_eq!((tls.as_str(), ssh.as_str()), ("", ""));
}
