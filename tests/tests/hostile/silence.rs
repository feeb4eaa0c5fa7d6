//! Strangers who connect and say nothing.

use std::time::Duration;

use farref_proto::frame::PREAMBLE;
use farref_proto::message::{ClientHello, Message};
use farref_proto::{Limits, RefusalCode};

use crate::arena::Arena;
use crate::attacker::{Attacker, Ending, first_bytes, hello};

/// How long a handshake may take here.
const HANDSHAKE: Duration = Duration::from_millis(300);

fn arena() -> Arena {
    let mut limits = Limits::default();
    limits.handshake_timeout = HANDSHAKE;
    Arena::with(|daemon| daemon.limits(limits))
}

#[test]
fn the_handshake_has_a_deadline_wherever_it_stops() {
    let mut arena = arena();
    let endured = arena.endure(|address| {
        let silent = Attacker::connect(address);
        let mut preamble = Attacker::connect(address);
        preamble.send(&PREAMBLE);
        let mut half = Attacker::connect(address);
        half.send(&PREAMBLE[..3]);
        let mut torn = Attacker::connect(address);
        let bytes = first_bytes(hello());
        torn.send(&bytes[..bytes.len() - 1]);
        [silent, preamble, half, torn].map(|mut attacker| attacker.ending())
    });
    let too_slow = |ending: &Ending| match ending {
        Ending::Refused(refusal) => refusal.code == RefusalCode::Timeout,
        _ => false,
    };
    let [silent, preamble, half, torn] = &endured.saw;
    // Nothing is said to somebody who may not speak farref.
    assert_eq!((silent, half), (&Ending::Silent, &Ending::Silent));
    assert!(
        too_slow(preamble) && too_slow(torn),
        "{preamble:?}, {torn:?}"
    );
    assert!(endured.peak < 256 << 10, "{} bytes", endured.peak);
}

#[test]
fn a_proof_that_never_comes_is_not_waited_for() {
    let mut limits = Limits::default();
    limits.handshake_timeout = HANDSHAKE;
    // The victim holds no token either, so it works on a daemon of its own.
    let mut arena = Arena::new();
    let guarded = arena.run(async {
        let daemon = farref::Daemon::builder()
            .listen("far://127.0.0.1:0")
            .token("sesame");
        daemon
            .limits(limits)
            .bind()
            .await
            .expect("loopback can be bound")
    });
    let address = crate::arena::socket_address(&guarded);
    let endured = arena.endure(|_| {
        let mut attacker = Attacker::connect(address);
        attacker.say_hello(hello());
        let challenged = matches!(attacker.receive(), Some(Message::Challenge(_)));
        // Early frames are neither run nor kept.
        attacker.send(&[&crate::attacker::header(60 << 10, 0x10)[..], &[0; 4096]].concat());
        (challenged, attacker.refusal().code)
    });
    assert_eq!(endured.saw, (true, RefusalCode::Timeout));
}

#[test]
fn the_silent_do_not_keep_others_from_coming_in() {
    let mut arena = arena();
    let endured = arena.endure(|address| {
        let silent: Vec<_> = (0..100).map(|_| Attacker::connect(address)).collect();
        let settled = Attacker::settle(address);
        let endings: Vec<_> = silent
            .into_iter()
            .map(|mut silent| silent.ending())
            .collect();
        drop(settled);
        endings
            .iter()
            .filter(|ending| **ending == Ending::Silent)
            .count()
    });
    assert_eq!(endured.saw, 100);
    assert!(endured.peak < 4 << 20, "{} bytes", endured.peak);
}

#[test]
fn a_name_of_many_bytes_is_no_hello() {
    let mut arena = arena();
    let endured = arena.endure(|address| {
        let name = "x".repeat(255);
        let mut bytes = first_bytes(ClientHello { name, ..hello() });
        // The name's length says 65 535 where there are 255 bytes.
        let option = bytes.len() - 255 - 2;
        bytes[option..option + 2].copy_from_slice(&u16::MAX.to_le_bytes());
        let mut attacker = Attacker::connect(address);
        attacker.send(&bytes);
        attacker.refusal().code
    });
    assert_eq!(endured.saw, RefusalCode::Malformed);
    assert!(endured.peak < 128 << 10, "{} bytes", endured.peak);
}
