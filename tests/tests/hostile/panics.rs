//! Input at which a handler panics.

use bytes::Bytes;
use farref_proto::message::{Cancel, Message};
use farref_proto::{FaultKind, FaultMessage, Outcome};

use crate::arena::Arena;
use crate::attacker::{Answer, Attacker, POSTCARD, answer, call, export, with_table};
use crate::target::{SECRET, TRIPS, TRIPS_LATER};

/// Calls `method` with `input` again and again, with good calls between, and returns what the last call failed with.
fn trip(method: &str, input: u32) -> FaultMessage {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let mut last = None;
        for _ in 0..20 {
            last = Some(attacker.ask(method, POSTCARD, &[input as u8]).fault());
            let four = Answer::Value(Bytes::from_static(&[4]));
            assert_eq!(attacker.ask(method, POSTCARD, &[4]), four);
        }
        last.expect("some calls were made")
    });
    assert!(endured.peak < 512 << 10, "{} bytes", endured.peak);
    endured.saw
}

#[track_caller]
fn assert_opaque(fault: &FaultMessage) {
    assert_eq!(
        (fault.kind, fault.outcome),
        (FaultKind::Panicked, Outcome::Ran)
    );
    let all = format!("{fault:?}");
    assert!(!all.contains(SECRET) && !all.contains(".rs"), "{all}");
    assert_eq!((&fault.causes, &fault.backtrace), (&vec![], &None));
}

#[test]
fn a_panic_at_once_fails_its_call_alone() {
    assert_opaque(&trip("trip", TRIPS));
}

#[test]
fn a_panic_in_a_task_fails_its_call_alone() {
    assert_opaque(&trip("trip", TRIPS_LATER));
}

#[test]
fn a_panic_in_the_decoding_of_an_argument_fails_its_call_alone() {
    assert_opaque(&trip("brittle", TRIPS));
}

#[test]
fn a_panic_on_a_thread_for_blocking_fails_its_call_alone() {
    assert_opaque(&trip("trip_blocking", TRIPS));
}

#[test]
fn a_panic_of_a_oneway_is_nobody_elses_affair() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        for _ in 0..100 {
            let oneway = call(0, "trip_oneway", POSTCARD, &[TRIPS as u8]);
            attacker.send_message(&Message::Oneway(oneway));
        }
        attacker.make_another_good_call();
    });
}

#[test]
fn a_panic_of_a_cancelled_handler_is_told_as_its_cancellation() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let visit = call(0, "visit_and_break", POSTCARD, &[0]);
        let visit = with_table(visit, vec![export(1, "Visitor")]);
        attacker.send_message(&Message::Call(visit));
        attacker.callback();
        attacker.send_message(&Message::Cancel(Cancel { calls: vec![0] }));
        let fault = answer(attacker.reply()).fault();
        attacker.make_another_good_call();
        fault
    });
    let fault = &endured.saw;
    assert_eq!(
        (fault.kind, fault.outcome),
        (FaultKind::Cancelled, Outcome::Unknown)
    );
    assert!(!format!("{fault:?}").contains(SECRET), "{fault:?}");
}

/// While a panicking type is decoded, the references of its call are at hand; they must not be at the next call's.
#[test]
fn a_panic_in_decoding_leaves_no_references_behind() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let brittle = call(0, "brittle", POSTCARD, &[TRIPS as u8]);
        let brittle = with_table(brittle, vec![export(1, "Visitor")]);
        let panicked = attacker.ask_for(brittle).fault();
        let stolen = attacker.ask("visit", POSTCARD, &[0]).fault();
        (panicked.kind, stolen.kind)
    });
    assert_eq!(endured.saw, (FaultKind::Panicked, FaultKind::BadArguments));
}
