//! Notes beside the arguments, without end.

use bytes::Bytes;
use farref_proto::message::Message;
use farref_proto::{CloseCode, Extensions};

use crate::arena::Arena;
use crate::attacker::{Answer, Attacker, POSTCARD, call, export, with_extensions, with_table};

/// What a daemon takes in one message, in bytes.
const LIMIT: usize = 16 << 10;
/// What an annotation counts beside key and value: about what it takes in memory.
const OVERHEAD: usize = 64;

fn annotated(annotations: Vec<(String, Bytes)>) -> Extensions {
    Extensions {
        annotations,
        ..Extensions::default()
    }
}

fn one_of(bytes: usize) -> Extensions {
    annotated(vec![(
        "k".to_owned(),
        Bytes::from(vec![0; bytes - OVERHEAD - 1]),
    )])
}

#[test]
fn as_many_as_allowed_are_taken_and_one_byte_more_is_not() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let fits = with_extensions(call(0, "add", POSTCARD, &[2, 3]), one_of(LIMIT));
        let fits = attacker.ask_for(fits);
        let exceeds = with_extensions(call(0, "add", POSTCARD, &[2, 3]), one_of(LIMIT + 1));
        attacker.send_message(&Message::Call(exceeds));
        (fits, attacker.goodbye())
    });
    let (fits, goodbye) = endured.saw;
    assert_eq!(fits, Answer::Value(Bytes::from_static(&[5])));
    assert_eq!(goodbye.code, CloseCode::Malformed);
    let text = "16385 bytes of annotations are above the limit of 16384";
    assert!(goodbye.text.ends_with(text), "{}", goodbye.text);
    assert!(endured.peak < 256 << 10, "{} bytes", endured.peak);
}

#[test]
fn a_count_without_annotations_reserves_nothing() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        // A call whose extension block says that 65 535 annotations follow, and none does.
        let block = [&[5, 0][..], &[4, 2, 0], &[0xff, 0xff]].concat();
        let mut frame = crate::attacker::header(24 + block.len() as u32, 0x10);
        frame[5] = 1;
        attacker.send(&[&frame[..], &[0; 20], &block].concat());
        attacker.goodbye().code
    });
    assert_eq!(endured.saw, CloseCode::Malformed);
    assert!(endured.peak < 128 << 10, "{} bytes", endured.peak);
}

#[test]
fn empty_ones_are_charged_what_they_take() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let many = annotated(vec![(String::new(), Bytes::new()); LIMIT / OVERHEAD + 1]);
        let call = with_extensions(call(0, "add", POSTCARD, &[2, 3]), many);
        attacker.send_message(&Message::Call(call));
        attacker.goodbye().code
    });
    assert_eq!(endured.saw, CloseCode::Malformed);
}

#[test]
fn calls_that_wait_hold_no_more_of_them_than_was_sent() {
    let mut arena = Arena::new();
    let many = annotated(vec![(String::new(), Bytes::new()); LIMIT / OVERHEAD]);
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        for id in 0..64 {
            let table = vec![export(1, "Visitor")];
            let visit = with_table(call(id, "visit", POSTCARD, &[0]), table);
            attacker.send_message(&Message::Call(with_extensions(visit, many.clone())));
            attacker.callback();
        }
    });
    let bound = 64 * LIMIT as u64 + (1 << 20);
    assert!(endured.peak < bound, "{} bytes", endured.peak);
}

#[test]
fn call_after_call_of_them_leaves_nothing() {
    let mut arena = Arena::new();
    let empty = (String::new(), Bytes::new());
    // Small ones cost most in memory.
    let many = annotated(vec![empty; LIMIT / OVERHEAD]);
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        for _ in 0..200 {
            let call = with_extensions(call(0, "add", POSTCARD, &[2, 3]), many.clone());
            assert_eq!(
                attacker.ask_for(call),
                Answer::Value(Bytes::from_static(&[5]))
            );
        }
    });
    assert!(endured.peak < 1 << 20, "{} bytes", endured.peak);
}
