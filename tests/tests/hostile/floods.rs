//! More connections than there is room for, and connections that are reset.

use bytes::BytesMut;
use farref_proto::message::Message;
use farref_proto::{FaultKind, Limits, Outcome, RefusalCode, ReplyStatus};

use crate::arena::Arena;
use crate::attacker::{Attacker, Ending, POSTCARD, call, first_bytes, hello};

#[test]
fn connections_above_the_cap_are_refused_in_words() {
    let mut arena = Arena::with(|daemon| daemon.max_connections(8));
    let endured = arena.endure(|address| {
        // The victim has one of the eight.
        let mut settled: Vec<_> = (0..7).map(|_| Attacker::settle(address)).collect();
        let codes: Vec<_> = (0..20)
            .map(|_| {
                let mut attacker = Attacker::connect(address);
                attacker.say_hello(hello());
                attacker.refusal().code
            })
            .collect();
        for attacker in &mut settled {
            attacker.make_another_good_call();
        }
        codes
    });
    assert_eq!(endured.saw, [RefusalCode::Busy; 20]);
    assert!(endured.peak < 2 << 20, "{} bytes", endured.peak);
}

#[test]
fn a_place_is_free_again_when_its_connection_is_closed() {
    let mut arena = Arena::with(|daemon| daemon.max_connections(2));
    arena.endure(|address| {
        let mut place = Attacker::settle(address);
        for _ in 0..10 {
            let mut other = Attacker::connect(address);
            other.say_hello(hello());
            assert_eq!(other.refusal().code, RefusalCode::Busy);
            place.send(&[0xff; 4]);
            place.goodbye();
            drop(place);
            // The daemon takes the place back when it sees that this side closed, too; until then it refuses.
            place = loop {
                let mut next = Attacker::connect(address);
                next.say_hello(hello());
                match next.receive() {
                    Some(Message::ServerHello(_)) => break next,
                    Some(Message::Refuse(refusal)) => assert_eq!(refusal.code, RefusalCode::Busy),
                    other => panic!("an answer was expected, and {other:?} came"),
                }
            };
            place.make_good_call();
        }
    });
}

#[test]
fn who_does_not_hang_up_keeps_the_place_that_it_had() {
    let mut arena = Arena::with(|daemon| daemon.max_connections(8));
    let endured = arena.endure(|address| {
        let mut most = 0;
        let mut attackers = Vec::new();
        // Each breaks the protocol, reads its goodbye, and leaves its side of the connection open.
        for _ in 0..200 {
            let mut attacker = Attacker::connect(address);
            attacker.try_send(&[&first_bytes(hello())[..], &[0xff; 4]].concat());
            attacker.outlast();
            attackers.push(attacker);
            most = most.max(crate::arena::open_descriptors() - attackers.len());
        }
        most
    });
    // Were places given back too early, the daemon would hold two hundred sockets.
    assert!(endured.saw < 120, "{} descriptors", endured.saw);
}

#[test]
fn the_silent_are_counted_too() {
    let mut arena = Arena::with(|daemon| daemon.max_connections(8).max_handshakes(16));
    let endured = arena.endure(|address| {
        let silent: Vec<_> = (0..300).map(|_| Attacker::connect(address)).collect();
        // Those for whom there is not even room to be refused are hung up on; the last of them surely is.
        let mut last = Attacker::connect(address);
        (
            last.outlast(),
            crate::arena::open_descriptors() - silent.len(),
        )
    });
    assert_eq!(endured.saw.0, 0);
    assert!(endured.saw.1 < 128, "{} descriptors", endured.saw.1);
    assert!(endured.peak < 4 << 20, "{} bytes", endured.peak);
}

#[test]
fn connections_that_are_reset_disturb_nobody() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        for round in 0..300 {
            let mut attacker = Attacker::connect(address);
            match round % 3 {
                0 => {}
                1 => attacker.say_hello(hello()),
                _ => {
                    attacker = Attacker::settle(address);
                    attacker.send(&[0; 3]);
                }
            }
            attacker.reset();
        }
    });
}

#[test]
fn connections_that_are_closed_in_their_hello_disturb_nobody() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        for sent in 0..9 {
            let mut attacker = Attacker::connect(address);
            attacker.send(&farref_proto::frame::PREAMBLE[..sent.min(8)]);
            attacker
                .stream
                .shutdown(std::net::Shutdown::Write)
                .expect("a socket");
            assert_eq!(attacker.ending(), Ending::Silent);
        }
    });
    assert!(endured.peak < 128 << 10, "{} bytes", endured.peak);
}

#[test]
fn calls_without_end_leave_room_for_others() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let mut window = BytesMut::new();
        for id in 0..1000 {
            Message::Call(call(id, "add", POSTCARD, &[2, 3])).encode(&mut window);
        }
        for _ in 0..50 {
            attacker.send(&window);
            for _ in 0..1000 {
                attacker.reply();
            }
        }
    });
    // The reader's buffer, and replies that wait to be written.
    assert!(endured.peak < 1 << 20, "{} bytes", endured.peak);
}

#[test]
fn newcomers_are_told_when_strangers_fill_the_door() {
    let mut arena = Arena::with(|daemon| daemon.max_handshakes(16));
    let endured = arena.endure(|address| {
        let silent: Vec<_> = (0..16).map(|_| Attacker::connect(address)).collect();
        // Connections are accepted in the order in which they came.
        let mut newcomer = Attacker::connect(address);
        newcomer.say_hello(hello());
        let refused = newcomer.refusal().code;
        drop((silent, newcomer));
        refused
    });
    assert_eq!(endured.saw, RefusalCode::Busy);
}

#[test]
fn references_given_out_have_a_limit() {
    let mut limits = Limits::default();
    limits.exports = 100;
    let mut arena = Arena::with(|daemon| daemon.limits(limits));
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        for _ in 0..100 {
            attacker.send_message(&Message::Call(call(0, "child", POSTCARD, &[])));
            assert_eq!(attacker.reply().status, ReplyStatus::Ok);
        }
        let fault = attacker.ask("child", POSTCARD, &[]).fault();
        attacker.make_another_good_call();
        (fault.kind, fault.outcome)
    });
    assert_eq!(endured.saw, (FaultKind::Overloaded, Outcome::Ran));
    assert!(endured.peak < 256 << 10, "{} bytes", endured.peak);
}
