//! Batches as no honest peer sends them: forged numbers, lengths that lie, and frames that come between.

use farref_proto::message::{BatchBegin, BatchEnd, BatchMode, Call, Cancel, Message};
use farref_proto::{CloseCode, FaultKind, Outcome, ReplyStatus};

use crate::arena::Arena;
use crate::attacker::{Answer, Attacker, POSTCARD, answer, call};
use crate::target::TRIPS;

fn begin(batch: u32, calls: u32) -> Message {
    Message::BatchBegin(BatchBegin {
        batch,
        mode: BatchMode::Stop,
        calls,
    })
}

fn end(batch: u32) -> Message {
    Message::BatchEnd(BatchEnd { batch })
}

fn batched(id: u32) -> Message {
    Message::Call(batched_call(call(id, "add", POSTCARD, &[1, 1])))
}

fn batched_call(call: Call) -> Call {
    Call {
        batched: true,
        ..call
    }
}

#[test]
fn frames_of_a_batch_that_do_not_fit_together_end_the_connection() {
    let plain = || Message::Call(call(0, "add", POSTCARD, &[1, 1]));
    let forgeries: Vec<(Vec<Message>, &str)> = vec![
        (vec![end(0)], "an end without a beginning"),
        (vec![batched(0)], "a call of no batch"),
        (vec![begin(7, 2), batched(0), end(8)], "the end of another"),
        (vec![begin(7, 2), plain()], "another call within it"),
        (
            vec![begin(7, 1), batched(0), batched(1)],
            "more calls than it announced",
        ),
        (vec![begin(7, 1), begin(8, 1)], "came out of its turn"),
        (
            vec![
                begin(7, 2),
                batched(0),
                Message::Cancel(Cancel { calls: vec![0] }),
            ],
            "came out of its turn",
        ),
        (vec![begin(7, 1_000_000)], "longer than was granted"),
        (vec![begin(7, u32::MAX)], "longer than was granted"),
    ];
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        for (messages, why) in &forgeries {
            let mut attacker = Attacker::settle(address);
            for message in messages {
                attacker.send_message(message);
            }
            let goodbye = attacker.goodbye();
            assert_eq!(goodbye.code, CloseCode::Violation, "{why}");
            assert!(goodbye.text.contains(why), "{goodbye} instead of {why}");
        }
    });
    assert!(endured.peak < 2 << 20, "{} bytes", endured.peak);
}

#[test]
fn a_batch_that_never_ends_is_bounded_by_its_credit() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        attacker.send_message(&begin(1, 1024));
        for id in 0..1024 {
            attacker.send_message(&batched(id));
        }
        attacker.send_message(&batched(1024));
        attacker.goodbye().code
    });
    assert_eq!(endured.saw, CloseCode::Violation);
    assert!(endured.peak < 4 << 20, "{} bytes", endured.peak);
}

#[test]
fn a_batch_that_is_cut_off_has_not_begun_and_one_that_lies_about_its_length_runs() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        attacker.send_message(&begin(3, 2));
        attacker.send_message(&batched(0));
        drop(attacker);
        // Fewer calls than announced are well.
        let mut attacker = Attacker::settle(address);
        for message in [begin(3, 1000), batched(0), batched(1), end(3)] {
            attacker.send_message(&message);
        }
        for id in 0..2 {
            let reply = attacker.reply();
            assert_eq!((reply.id, reply.status), (id, ReplyStatus::Ok));
        }
        // None at all, too.
        attacker.send_message(&begin(4, 0));
        attacker.send_message(&end(4));
        attacker.make_another_good_call();
    });
}

#[test]
fn every_call_of_a_batch_is_answered_whatever_is_wrong_with_one() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let wrong = [
            call(1, "trip", POSTCARD, &[TRIPS as u8]),
            call(1, "nowhere", POSTCARD, &[]),
            call(1, "add", POSTCARD, &[]),
            call(1, "add", 200, &[1, 1]),
            Call {
                target: 4711,
                ..call(1, "add", POSTCARD, &[1, 1])
            },
        ];
        for wrong in wrong {
            attacker.send_message(&begin(1, 3));
            attacker.send_message(&batched(0));
            attacker.send_message(&Message::Call(batched_call(wrong)));
            attacker.send_message(&batched(2));
            attacker.send_message(&end(1));
            let answers = [(); 3].map(|()| answer(attacker.reply()));
            let [
                Answer::Value(_),
                Answer::Fault(fault),
                Answer::Fault(skipped),
            ] = answers
            else {
                panic!("{answers:?}")
            };
            assert_ne!(fault.kind, FaultKind::Skipped);
            assert_eq!(
                (skipped.kind, skipped.outcome),
                (FaultKind::Skipped, Outcome::NotStarted)
            );
        }
        attacker.make_another_good_call();
    });
}
