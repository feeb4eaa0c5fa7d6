//! Batches as no honest peer sends them: forged numbers, lengths that lie, and frames that come between.

use farref_proto::message::{
    BatchBegin, BatchEnd, BatchMode, Call, CallRun, Cancel, ClientHello, Message, ReplyRun,
};
use farref_proto::{CloseCode, FaultKind, Outcome, ReplyStatus, features};

use crate::arena::Arena;
use crate::attacker::{Answer, Attacker, POSTCARD, answer, call, hello};
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

/// Somebody who takes runs.
fn settle_with_runs(address: std::net::SocketAddr) -> Attacker {
    let mut attacker = Attacker::connect(address);
    attacker.say_hello(ClientHello {
        features: features::RUNS,
        ..hello()
    });
    let Some(Message::ServerHello(hello)) = attacker.receive() else {
        panic!("no hello")
    };
    assert_eq!(hello.features, features::RUNS);
    attacker.make_good_call();
    attacker
}

fn run(id: u32, method: &str, lengths: &[u32], body: &[u8]) -> CallRun {
    let call = call(id, method, POSTCARD, body);
    CallRun {
        id,
        target: call.target,
        method_hash: call.method_hash,
        shape: call.shape,
        method_index: call.method_index,
        codec: call.codec,
        lengths: lengths.to_vec(),
        sections: call.sections,
    }
}

#[test]
fn runs_that_lie_end_the_connection_and_take_no_memory() {
    let add = |id, calls: usize| {
        let body = vec![1; 2 * calls];
        Message::CallRun(run(id, "add", &vec![2; calls], &body))
    };
    let forgeries: Vec<(Vec<Message>, CloseCode)> = vec![
        (vec![add(0, 2)], CloseCode::Violation),
        (vec![begin(7, 2), add(0, 3)], CloseCode::Violation),
        (vec![begin(7, 4), add(5, 2)], CloseCode::Violation),
        (
            vec![begin(7, 4), add(0, 2), add(0, 2)],
            CloseCode::Violation,
        ),
        // What is in it is not what it says.
        (
            vec![
                begin(7, 4),
                Message::CallRun(run(0, "add", &[2, 3], &[1; 4])),
            ],
            CloseCode::Malformed,
        ),
        (
            vec![
                begin(7, 4),
                Message::CallRun(run(0, "add", &[u32::MAX, 5], &[1; 4])),
            ],
            CloseCode::Malformed,
        ),
        (
            vec![begin(7, 4), Message::CallRun(run(0, "add", &[], &[]))],
            CloseCode::Malformed,
        ),
        // Nobody asked.
        (
            vec![Message::ReplyRun(ReplyRun {
                id: 0,
                codec: POSTCARD,
                lengths: vec![0],
                body: bytes::Bytes::new(),
            })],
            CloseCode::Violation,
        ),
    ];
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        for (messages, code) in &forgeries {
            let mut attacker = settle_with_runs(address);
            for message in messages {
                if !attacker.try_send(&encoded(message)) {
                    break;
                }
            }
            let ending = attacker.goodbye();
            assert_eq!(ending.code, *code, "{ending}: {messages:?}");
        }
        // Whoever did not say that it takes them must not send any.
        let mut attacker = Attacker::settle(address);
        attacker.send_message(&begin(1, 2));
        attacker.send_message(&add(0, 2));
        assert_eq!(attacker.goodbye().code, CloseCode::Violation);
    });
    assert!(endured.peak < 2 << 20, "{} bytes", endured.peak);
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    message.encode(&mut bytes);
    bytes.to_vec()
}

#[test]
fn every_call_of_a_run_is_answered_whatever_is_wrong_with_one() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = settle_with_runs(address);
        // The arguments of the second are cut short.
        let wrong = [
            run(0, "add", &[2, 1, 2], &[1, 1, 1, 1, 1]),
            run(0, "trip", &[1, 1, 1], &[2, TRIPS as u8, 2]),
            run(0, "refuse", &[0, 1, 0], &[1]),
        ];
        for wrong in wrong {
            attacker.send_message(&begin(1, 3));
            attacker.send_message(&Message::CallRun(wrong.clone()));
            attacker.send_message(&end(1));
            let mut answers = Vec::new();
            while answers.len() < 3 {
                match attacker.receive() {
                    Some(Message::Reply(reply)) => answers.push(reply.status),
                    Some(Message::ReplyRun(results)) => {
                        answers.extend(results.lengths.iter().map(|_| ReplyStatus::Ok));
                    }
                    other => panic!("{other:?} is no answer"),
                }
            }
            assert_ne!(answers[0], ReplyStatus::Fault, "{answers:?} {wrong:?}");
            assert_eq!(answers[2], ReplyStatus::Fault, "{answers:?} {wrong:?}");
        }
        for wrong in [
            run(0, "nowhere", &[0, 0], &[]),
            CallRun {
                target: 4711,
                ..run(0, "add", &[2, 2], &[1; 4])
            },
            CallRun {
                codec: 200,
                ..run(0, "add", &[2, 2], &[1; 4])
            },
        ] {
            attacker.send_message(&begin(1, 3));
            attacker.send_message(&Message::CallRun(wrong));
            attacker.send_message(&end(1));
            let [Answer::Fault(fault), Answer::Fault(skipped)] =
                [(); 2].map(|()| answer(attacker.reply()))
            else {
                panic!("two faults were expected")
            };
            assert_ne!(fault.kind, FaultKind::Skipped);
            assert_eq!(skipped.kind, FaultKind::Skipped);
        }
        attacker.make_another_good_call();
    });
}
