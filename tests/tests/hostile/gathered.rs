//! Gathered calls as no honest peer sends them: lengths that lie, ids that repeat, and replies that nobody asked for.

use farref_proto::message::{
    BatchBegin, BatchMode, ClientHello, Gathered, GatheredCalls, GatheredReplies, Message,
};
use farref_proto::{CallId, CloseCode, features};

use crate::arena::Arena;
use crate::attacker::{Answer, Attacker, POSTCARD, answer, call, hello};
use crate::target::TRIPS;

/// Somebody who takes gathered calls.
fn settle(address: std::net::SocketAddr) -> Attacker {
    let mut attacker = Attacker::connect(address);
    attacker.say_hello(ClientHello {
        features: features::GATHERED,
        ..hello()
    });
    let Some(Message::ServerHello(hello)) = attacker.receive() else {
        panic!("no hello")
    };
    assert_eq!(hello.features, features::GATHERED);
    attacker.make_good_call();
    attacker
}

fn gathered(members: &[(u32, &[u8])]) -> Vec<Gathered> {
    let members = members.iter().map(|(id, body)| Gathered {
        id: CallId::new(*id),
        body: bytes::Bytes::copy_from_slice(body).into(),
    });
    members.collect()
}

fn calls(method: &str, members: &[(u32, &[u8])]) -> GatheredCalls {
    let call = call(0, method, POSTCARD, &[]);
    GatheredCalls {
        target: call.target,
        method_hash: call.method_hash,
        shape: call.shape,
        method_index: call.method_index,
        codec: call.codec,
        oneway: false,
        calls: gathered(members),
    }
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    message.encode(&mut bytes);
    bytes.to_vec()
}

#[test]
fn gathered_calls_that_lie_end_the_connection_and_take_no_memory() {
    let two = || calls("add", &[(0, &[1, 1]), (1, &[1, 1])]);
    let good = encoded(&Message::GatheredCalls(two()));
    let last = good.len() - 2;
    // The length of the last arguments, of the first ones, and of the frame.
    let too_long = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] = 0xff;
        bytes
    };
    let mut cut = good[..last - 5].to_vec();
    cut[0] = (cut.len() - 4) as u8;
    let oneway = Message::GatheredCalls(GatheredCalls {
        oneway: true,
        ..two()
    });
    let mut many = calls("add", &[]);
    many.calls = gathered(&vec![(0, &[1, 1][..]); 10_000]);
    many.oneway = true;
    // More than there is credit for.
    let mut more = many.clone();
    more.calls.truncate(4096);
    let replies = |replies| {
        Message::GatheredReplies(GatheredReplies {
            codec: POSTCARD,
            replies,
        })
    };
    let begin = Message::BatchBegin(BatchBegin {
        batch: 1,
        mode: BatchMode::Stop,
        calls: 2,
    });
    let mut in_a_batch = encoded(&begin);
    in_a_batch.extend_from_slice(&good);
    let repeated = calls("add", &[(0, &[1, 1]), (0, &[1, 1])]);
    let forgeries: Vec<(Vec<u8>, CloseCode)> = vec![
        (too_long(last - 4), CloseCode::Malformed),
        (too_long(last - 1), CloseCode::Malformed),
        (too_long(26), CloseCode::Malformed),
        (too_long(27), CloseCode::Malformed),
        (too_long(7), CloseCode::Malformed),
        (cut, CloseCode::Malformed),
        (encoded(&oneway), CloseCode::Malformed),
        (encoded(&replies(Vec::new())), CloseCode::Malformed),
        (
            encoded(&replies(gathered(&[(0, &[1])]))),
            CloseCode::Violation,
        ),
        (
            encoded(&Message::GatheredCalls(repeated)),
            CloseCode::Violation,
        ),
        (encoded(&Message::GatheredCalls(many)), CloseCode::Malformed),
        (encoded(&Message::GatheredCalls(more)), CloseCode::Violation),
        (in_a_batch, CloseCode::Violation),
    ];
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        for (bytes, code) in &forgeries {
            let mut attacker = settle(address);
            attacker.try_send(bytes);
            let ending = attacker.goodbye();
            assert_eq!(ending.code, *code, "{ending}: {bytes:?}");
        }
        // Whoever did not say that it takes them must not send any.
        let mut attacker = Attacker::settle(address);
        attacker.send_message(&Message::GatheredCalls(two()));
        assert_eq!(attacker.goodbye().code, CloseCode::Violation);
    });
    assert!(endured.peak < 2 << 20, "{} bytes", endured.peak);
}

#[test]
fn every_gathered_call_is_answered_whatever_is_wrong_with_one() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = settle(address);
        // The arguments of the second are cut short, or make its handler fail; or they all fail.
        let cases: [(GatheredCalls, usize); 5] = [
            (calls("add", &[(0, &[1, 1]), (1, &[1]), (2, &[1, 1])]), 1),
            (
                calls("trip", &[(0, &[2]), (1, &[TRIPS as u8]), (2, &[2])]),
                1,
            ),
            (calls("nowhere", &[(0, &[]), (1, &[]), (2, &[])]), 3),
            (
                GatheredCalls {
                    target: 4711,
                    ..calls("add", &[(0, &[1, 1]), (1, &[1, 1]), (2, &[1, 1])])
                },
                3,
            ),
            (
                GatheredCalls {
                    codec: 200,
                    ..calls("add", &[(0, &[1, 1]), (1, &[1, 1]), (2, &[1, 1])])
                },
                3,
            ),
        ];
        for (wrong, faults) in cases {
            attacker.send_message(&Message::GatheredCalls(wrong.clone()));
            let (mut good, mut bad) = (0, 0);
            while good + bad < 3 {
                match attacker.receive() {
                    Some(Message::GatheredReplies(replies)) => good += replies.replies.len(),
                    Some(Message::Reply(reply)) => match answer(reply) {
                        Answer::Fault(_) => bad += 1,
                        _ => good += 1,
                    },
                    other => panic!("{other:?} is no answer"),
                }
            }
            assert_eq!(bad, faults, "{wrong:?}");
        }
        attacker.make_another_good_call();
    });
}
