//! Input at which a handler panics.

use bytes::Bytes;
use farref_proto::{FaultKind, FaultMessage, Outcome};

use crate::arena::Arena;
use crate::attacker::{Answer, Attacker, POSTCARD};
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
