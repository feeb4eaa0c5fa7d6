//! Calls on answers that do not exist, and chains of them.

use farref_proto::message::{Call, Finish, Message};
use farref_proto::{CloseCode, FaultKind, Outcome};

use crate::arena::Arena;
use crate::attacker::{Answer, Attacker, POSTCARD, answer, call};

/// A call whose answer is kept.
fn kept(call: Call) -> Call {
    Call {
        keep_answer: true,
        ..call
    }
}

/// A call on the answer of the call of this id.
fn on(promise: u32, call: Call) -> Call {
    Call {
        pipelined: true,
        target: promise,
        ..call
    }
}

#[test]
fn a_promise_that_does_not_exist_fails_that_call_only() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        // Of nobody, of a call whose answer is not kept, and of itself.
        for promise in [0, 7, u32::MAX] {
            let fault = attacker
                .ask_for(on(promise, call(0, "add", POSTCARD, &[1, 1])))
                .fault();
            assert_eq!(
                (fault.kind, fault.outcome),
                (FaultKind::BrokenPromise, Outcome::NotStarted)
            );
        }
        let own = attacker
            .ask_for(on(0, kept(call(0, "add", POSTCARD, &[1, 1]))))
            .fault();
        assert_eq!(own.kind, FaultKind::BrokenPromise);
        attacker.send_message(&Message::Finish(Finish { calls: vec![0] }));
        // A result that is no reference is no target.
        attacker.send_message(&Message::Call(kept(call(0, "add", POSTCARD, &[1, 1]))));
        attacker.send_message(&Message::Call(on(0, call(1, "add", POSTCARD, &[1, 1]))));
        let answers = [(); 2].map(|()| answer(attacker.reply()));
        let [Answer::Value(_), Answer::Fault(fault)] = answers else {
            panic!("{answers:?}")
        };
        assert_eq!(fault.kind, FaultKind::BrokenPromise);
        attacker.send_message(&Message::Finish(Finish { calls: vec![0] }));
        attacker.make_another_good_call();
    });
}

#[test]
fn a_chain_of_a_thousand_promises_is_climbed_without_a_stack() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        attacker.send_message(&Message::Call(kept(call(0, "child", POSTCARD, &[]))));
        for id in 1..1000 {
            attacker.send_message(&Message::Call(kept(on(
                id - 1,
                call(id, "child", POSTCARD, &[]),
            ))));
        }
        for _ in 0..1000 {
            assert!(matches!(answer(attacker.reply()), Answer::Value(_)));
        }
        // One more than is granted.
        for id in 1000..1025 {
            attacker.send_message(&Message::Call(kept(call(id, "child", POSTCARD, &[]))));
        }
        attacker.goodbye().code
    });
    assert_eq!(endured.saw, CloseCode::Violation);
    assert!(endured.peak < 8 << 20, "{} bytes", endured.peak);
}

#[test]
fn an_answer_that_is_not_kept_cannot_be_given_up() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        for id in [0, 5, u32::MAX] {
            let mut attacker = Attacker::settle(address);
            attacker.send_message(&Message::Finish(Finish { calls: vec![id] }));
            let goodbye = attacker.goodbye();
            assert_eq!(goodbye.code, CloseCode::Violation);
            assert!(goodbye.text.contains("is not kept"), "{goodbye}");
        }
    });
}
