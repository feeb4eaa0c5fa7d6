//! Errors without end: each is answered, until there are too many of them.

use std::time::Duration;

use farref::Limits;
use farref_proto::message::{Bind, Message, ReplyStatus};
use farref_proto::{ALIAS_BIT, CloseCode};

use crate::arena::Arena;
use crate::attacker::{Answer, Attacker, JSON, POSTCARD, call};

/// How many errors the attacked daemon bears.
const BORNE: u32 = 200;

/// A daemon that bears few errors, and forgets none of them while the test runs.
fn arena() -> Arena {
    let mut limits = Limits::default();
    limits.errors = BORNE;
    limits.error_pardon = Duration::from_secs(3600);
    Arena::with(|daemon| daemon.limits(limits))
}

/// What an attacker sends the `n`th time. The call id 0 is always free.
type Nonsense = fn(n: u32) -> Vec<Message>;

fn unknown_method(_: u32) -> Vec<Message> {
    vec![Message::Call(call(0, "no such method", POSTCARD, &[]))]
}

fn unknown_object(n: u32) -> Vec<Message> {
    let mut call = call(0, "add", POSTCARD, &[2, 3]);
    call.target = 77 + n;
    vec![Message::Call(call)]
}

fn unreadable_arguments(_: u32) -> Vec<Message> {
    vec![Message::Call(call(0, "add", JSON, b"[2, {}]"))]
}

fn unknown_codec(_: u32) -> Vec<Message> {
    vec![Message::Call(call(0, "add", 200, &[2, 3]))]
}

fn other_types(_: u32) -> Vec<Message> {
    let mut call = call(0, "add", POSTCARD, &[2, 3]);
    call.shape = 1;
    vec![Message::Call(call)]
}

/// The good call behind it shows that it was served.
fn unreadable_oneway(_: u32) -> Vec<Message> {
    vec![
        Message::Oneway(call(0, "trip_oneway", POSTCARD, &[])),
        Message::Call(call(0, "add", POSTCARD, &[2, 3])),
    ]
}

fn unknown_name(n: u32) -> Vec<Message> {
    vec![Message::Bind(Bind {
        id: 0,
        alias: ALIAS_BIT | (n + 1),
        interface: 0,
        name: "nobody".to_owned(),
        extensions: None,
        unknown_extension: None,
    })]
}

#[test]
fn errors_without_end_end_the_connection() {
    let kinds: [Nonsense; 7] = [
        unknown_method,
        unknown_object,
        unreadable_arguments,
        unknown_codec,
        other_types,
        unreadable_oneway,
        unknown_name,
    ];
    let mut arena = arena();
    for nonsense in kinds {
        let endured = arena.endure(|address| {
            let mut attacker = Attacker::settle(address);
            for n in 0..=BORNE {
                // At once: a good call that comes after the last error was served would be one too many.
                let mut bytes = bytes::BytesMut::new();
                for message in nonsense(n) {
                    message.encode(&mut bytes);
                }
                attacker.send(&bytes);
                let is_good = attacker.reply().status == ReplyStatus::Ok;
                assert_eq!(is_good, nonsense(n).len() == 2);
            }
            // One that would be served, were it not one too many.
            attacker.send_message(&Message::Call(call(0, "add", POSTCARD, &[2, 3])));
            attacker.goodbye()
        });
        assert_eq!(endured.saw.code, CloseCode::Excess, "{:?}", endured.saw);
        assert!(endured.saw.text.contains("200"), "{:?}", endured.saw);
    }
}

#[test]
fn errors_that_were_sent_at_once_are_no_more_than_the_credit() {
    let mut arena = arena();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let mut bytes = bytes::BytesMut::new();
        for id in 0..Limits::CALLS {
            Message::Call(call(id, "no such method", POSTCARD, &[])).encode(&mut bytes);
        }
        attacker.try_send(&bytes);
        attacker.goodbye()
    });
    assert_eq!(endured.saw.code, CloseCode::Excess, "{:?}", endured.saw);
}

#[test]
fn what_a_method_says_is_no_error_of_the_caller() {
    let mut arena = arena();
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        for _ in 0..4 * BORNE {
            let failed = attacker.ask("refuse", POSTCARD, &[]);
            assert!(matches!(failed, Answer::Error(_)), "{failed:?}");
        }
        attacker.make_another_good_call();
    });
}
