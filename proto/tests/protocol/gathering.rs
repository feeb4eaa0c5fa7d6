//! Calls that share a frame since they were made one after the other, and replies that do.

use farref_proto::message::{Gathered, GatheredCalls, GatheredReplies, Message};
use farref_proto::{
    BatchMode, CallId, Connection, ConnectionError, DecodeError, DrainCode, DrainReason, Event,
    Extensions, FaultKind, FaultMessage, IncomingCalls, Limits, OnewayReceipt, Outcome,
    OutgoingCall, OutgoingReplies, ReplyStatus, SendError, Violation, features,
};
use proptest::prelude::*;

use crate::pair::{CODEC, Pair, call, client_config, reply, run, server_config, unfolded};

fn established() -> Pair {
    with_limits(Limits::default())
}

fn with_limits(limits: Limits) -> Pair {
    let (mut client, mut server) = (client_config(), server_config());
    client.features = features::RUNS | features::GATHERED;
    server.features = client.features;
    server.limits = limits;
    Pair::established_with(client, server)
}

fn calls(pair: &mut Pair) -> IncomingCalls {
    match pair.server.event() {
        Event::Calls(calls) => calls,
        other => panic!("not gathered: {other:?}"),
    }
}

fn bodies(gathered: &[Gathered]) -> Vec<&[u8]> {
    gathered.iter().map(|one| &one.body[..]).collect()
}

fn ids(gathered: &[Gathered]) -> Vec<CallId> {
    gathered.iter().map(|one| one.id).collect()
}

#[test]
fn calls_in_a_row_share_a_frame_and_are_answered_together_and_one_by_one() {
    let mut pair = established();
    let client = &mut pair.client.connection;
    let long = [9; 300];
    let made: Vec<_> = [&b"a"[..], b"", &long, b"dd"]
        .map(|body| client.call(&call(body)).unwrap())
        .into();
    assert_eq!(client.calls_out(), 4);
    pair.carry_to_server();
    let arrived = calls(&mut pair);
    assert_eq!((arrived.oneway, arrived.codec), (false, CODEC));
    assert_eq!(ids(&arrived.calls), made);
    assert_eq!(bodies(&arrived.calls), [&b"a"[..], b"", &long, b"dd"]);
    let server = &mut pair.server.connection;
    assert_eq!(server.calls_in(), 4);
    let fault = FaultMessage::new(FaultKind::Panicked, Outcome::Ran, "no");
    server.reply_fault(made[1], &fault).unwrap();
    let together = OutgoingReplies {
        codec: CODEC,
        calls: &[(made[3], 2), (made[0], 0)],
        body: b"xy",
    };
    server.reply_gathered(&together).unwrap();
    // They are answered.
    let again = server.reply_gathered(&together);
    assert_eq!(again, Err(SendError::Unknown("call")));
    server.reply(made[2], &reply(b"z")).unwrap();
    pair.drive();
    let events = pair.client.events();
    let [
        Event::Reply(fault),
        Event::Replies(together),
        Event::Reply(last),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((fault.call, fault.status), (made[1], ReplyStatus::Fault));
    assert_eq!(ids(&together.replies), [made[3], made[0]]);
    assert_eq!(bodies(&together.replies), [&b"xy"[..], b""]);
    assert_eq!((last.call, &last.body[..]), (made[2], &b"z"[..]));
    pair.assert_idle();
}

#[test]
fn gathered_calls_cost_what_they_cost_alone() {
    let mut limits = Limits::default();
    limits.calls = 16;
    limits.call_bytes = 64 << 10;
    let rooms = [0, features::GATHERED].map(|agreed| {
        let (mut client, mut server) = (client_config(), server_config());
        (client.features, server.features) = (agreed, agreed);
        server.limits = limits.clone();
        let mut pair = Pair::established_with(client, server);
        let mut made = 0;
        // 4 KiB and a head each: the bytes are spent before the calls.
        while pair.client.connection.call(&call(&[0; 4096])).is_ok() {
            made += 1;
        }
        pair.carry_to_server();
        assert_eq!(pair.server.error, None);
        assert_eq!(unfolded(pair.server.events()).len(), made);
        made
    });
    assert_eq!(rooms[0], rooms[1]);
    let mut pair = with_limits(limits);
    for _ in 0..16 {
        pair.client.connection.call(&call(b"")).unwrap();
    }
    let more = pair.client.connection.call(&call(b""));
    assert_eq!(more, Err(SendError::NoCredit));
    pair.carry_to_server();
    let arrived = calls(&mut pair);
    let answers: Vec<_> = ids(&arrived.calls).into_iter().map(|id| (id, 0)).collect();
    let replies = OutgoingReplies {
        codec: CODEC,
        calls: &answers,
        body: b"",
    };
    pair.server.connection.reply_gathered(&replies).unwrap();
    pair.drive();
    // Who waits for room is told behind the answers.
    let events = pair.client.events();
    assert!(
        matches!(
            events[..],
            [Event::Replies(_), Event::CreditAvailable { depth: 0 }]
        ),
        "{events:?}"
    );
    assert_eq!(pair.client.connection.room(0), 16);
    pair.assert_idle();
}

#[test]
fn oneways_are_gathered_and_give_their_credit_back_together() {
    let mut limits = Limits::default();
    limits.calls = 16;
    let mut pair = with_limits(limits);
    for number in 0..16 {
        let client = &mut pair.client.connection;
        client.oneway(&call(&[number]), false).unwrap();
    }
    pair.carry_to_server();
    let arrived = calls(&mut pair);
    assert!(arrived.oneway);
    assert_eq!(bodies(&arrived.calls)[15], [15]);
    let mut receipts = arrived.calls.iter().map(OnewayReceipt::of_gathered);
    let mut all = receipts.next().unwrap();
    receipts.for_each(|receipt| all.join(receipt));
    assert_eq!(pair.client.connection.room(0), 0);
    pair.server.connection.oneway_done(all);
    pair.drive();
    assert_eq!(pair.client.connection.room(0), 16);
    pair.client.events();
    pair.assert_idle();
}

/// What is sent between two calls, or instead of the second, and keeps them apart.
type Apart = fn(&mut Pair, &mut OutgoingCall<'_>);

#[test]
fn calls_that_differ_in_more_than_their_arguments_have_frames_of_their_own() {
    let chained = Extensions {
        deadline: Some(farref_proto::Time::from_micros(5_000_000)),
        ..Extensions::default()
    };
    let cases: [(&str, Apart); 8] = [
        ("target", |_, call| call.target = 1),
        ("method", |_, call| call.method_hash += 1),
        ("index", |_, call| call.method_index += 1),
        ("shape", |_, call| call.shape += 1),
        ("transmitted", |pair, _| {
            pair.carry_to_server();
        }),
        ("a oneway between", |pair, _| {
            let client = &mut pair.client.connection;
            client.oneway(&call(b""), false).unwrap();
        }),
        ("a batch", |pair, _| {
            let client = &mut pair.client.connection;
            client.begin_batch(BatchMode::GoOn, 1).unwrap();
        }),
        ("long arguments", |_, call| call.body = &[0; 5000]),
    ];
    for (what, apart) in cases {
        let mut pair = established();
        let first = pair.client.connection.call(&call(b"first")).unwrap();
        let mut second = call(b"second");
        apart(&mut pair, &mut second);
        pair.client.connection.call(&second).unwrap();
        pair.client.connection.end_batch();
        pair.carry_to_server();
        let events = pair.server.events();
        let gathered = events.iter().any(|event| matches!(event, Event::Calls(_)));
        assert!(!gathered, "{what}: {events:?}");
        assert!(matches!(&events[0], Event::Call(call) if call.id == first));
    }
    let mut pair = established();
    pair.client.connection.call(&call(b"first")).unwrap();
    let with_deadline = OutgoingCall {
        extensions: &chained,
        ..call(b"second")
    };
    pair.client.connection.call(&with_deadline).unwrap();
    pair.client.connection.oneway(&call(b""), true).unwrap();
    pair.client.connection.oneway(&call(b""), true).unwrap();
    pair.carry_to_server();
    let events = pair.server.events();
    assert!(
        matches!(
            events[..],
            [
                Event::Call(_),
                Event::Call(_),
                Event::Oneway(..),
                Event::Oneway(..)
            ]
        ),
        "{events:?}"
    );
}

#[test]
fn nothing_is_gathered_for_a_peer_that_does_not_take_it() {
    let mut pair = Pair::established();
    let id = pair.client.connection.call(&call(b"")).unwrap();
    pair.client.connection.call(&call(b"")).unwrap();
    pair.carry_to_server();
    assert_eq!(pair.server.events().len(), 2);
    let replies = OutgoingReplies {
        codec: CODEC,
        calls: &[(id, 0)],
        body: b"",
    };
    let refused = pair.server.connection.reply_gathered(&replies);
    assert_eq!(refused, Err(SendError::Unknown("call")));
}

#[test]
fn a_frame_gathers_until_it_is_full() {
    let mut pair = established();
    for _ in 0..40 {
        pair.client.connection.call(&call(&[7; 2000])).unwrap();
    }
    pair.carry_to_server();
    let events = pair.server.events();
    assert!(events.len() >= 3, "{}", events.len());
    assert_eq!(unfolded(events).len(), 40);
    assert_eq!(pair.server.connection.calls_in(), 40);
}

#[test]
fn gathered_calls_are_refused_one_by_one() {
    let mut pair = established();
    for _ in 0..3 {
        pair.client.connection.call(&call(b"")).unwrap();
    }
    pair.client.connection.oneway(&call(b""), false).unwrap();
    pair.client.connection.oneway(&call(b""), false).unwrap();
    let reason = DrainReason::new(DrainCode::ShuttingDown, "later");
    pair.server.connection.drain(reason);
    pair.drive();
    assert!(pair.server.events().is_empty());
    let refusals = pair.client.events().into_iter().filter(|event| {
        matches!(event, Event::Reply(reply)
            if FaultMessage::decode(&reply.body).unwrap().kind == FaultKind::ShuttingDown)
    });
    assert_eq!(refusals.count(), 3);
    assert_eq!(pair.client.connection.room(0), Limits::CALLS);
    pair.assert_idle();
}

#[test]
fn one_of_several_gathered_calls_is_cancelled() {
    let mut pair = established();
    let made: Vec<_> = (0..3)
        .map(|_| pair.client.connection.call(&call(b"")).unwrap())
        .collect();
    pair.client.connection.cancel(made[1]);
    pair.carry_to_server();
    let events = pair.server.events();
    let [Event::Calls(_), Event::Cancel(cancelled)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*cancelled, made[1]);
    for id in made {
        pair.server.connection.reply(id, &reply(b"")).unwrap();
    }
    pair.drive();
    pair.client.events();
    pair.assert_idle();
}

#[test]
fn gathered_calls_that_were_not_transmitted_have_not_started() {
    let mut pair = established();
    let first = pair.client.connection.call(&call(b"")).unwrap();
    let second = pair.client.connection.call(&call(b"")).unwrap();
    let outcomes =
        |connection: &Connection| [first, second].map(|id| connection.outcome_if_lost(id));
    assert_eq!(outcomes(&pair.client.connection), [Outcome::NotStarted; 2]);
    pair.client.transmit(pair.now);
    assert_eq!(outcomes(&pair.client.connection), [Outcome::Unknown; 2]);
}

/// Calls of these ids without arguments.
fn calls_of(ids: &[u32], oneway: bool) -> Message {
    let calls = ids.iter().map(|id| Gathered {
        id: CallId::new(*id),
        body: bytes::Bytes::new().into(),
    });
    Message::GatheredCalls(GatheredCalls {
        target: 0,
        method_hash: 1,
        shape: 0,
        method_index: 0,
        codec: CODEC,
        oneway,
        calls: calls.collect(),
    })
}

/// Gives the server this message, and returns what it says to it.
fn told(pair: &mut Pair, message: &Message) -> Option<ConnectionError> {
    message.encode(&mut pair.server.inbox);
    let now = pair.now;
    let server = &mut pair.server;
    server.connection.handle_bytes(now, &mut server.inbox).err()
}

#[test]
fn gathered_calls_that_break_the_rules_end_the_connection() {
    let mut limits = Limits::default();
    limits.calls = 16;
    let many: Vec<u32> = (0..17).collect();
    let cases = [
        (calls_of(&[0, 0], false), Violation::CallIdInUse(0)),
        (calls_of(&[0, 2], false), Violation::CallIdOutOfSequence(2)),
        (calls_of(&many, false), Violation::CreditOverspent(0)),
        (calls_of(&[0; 17], true), Violation::CreditOverspent(0)),
    ];
    for (message, error) in cases {
        let mut pair = with_limits(limits.clone());
        assert_eq!(told(&mut pair, &message), Some(error.into()));
    }
    let out_of_turn = ConnectionError::from(Violation::OutOfTurn(0x2c));
    let message = calls_of(&[0], false);
    let not_agreed = told(&mut Pair::established(), &message);
    assert_eq!(not_agreed, Some(out_of_turn.clone()));
    let mut pair = established();
    pair.client
        .connection
        .begin_batch(BatchMode::GoOn, 2)
        .unwrap();
    pair.carry_to_server();
    assert_eq!(told(&mut pair, &message), Some(out_of_turn));
}

#[test]
fn a_frame_has_so_many_calls_and_replies_and_no_more() {
    let mut pair = established();
    let told = told(&mut pair, &calls_of(&[0; 4097], true));
    let error = DecodeError::TooMany {
        what: "calls or replies in one frame",
        count: 4097,
        limit: 4096,
    };
    assert_eq!(told, Some(error.into()));

    let mut limits = Limits::default();
    limits.calls = 5000;
    let (mut client, mut server) = (client_config(), server_config());
    (client.features, server.features) = (features::GATHERED, features::GATHERED);
    (client.limits, server.limits) = (limits.clone(), limits);
    let mut pair = Pair::established_with(client, server);
    for _ in 0..5000 {
        pair.client.connection.call(&call(b"")).unwrap();
    }
    pair.carry_to_server();
    let arrived = unfolded(pair.server.events());
    let answers: Vec<_> = arrived
        .iter()
        .map(|event| match event {
            Event::Call(call) => (call.id, 0),
            other => panic!("{other:?}"),
        })
        .collect();
    let mut reply = |calls| {
        pair.server.connection.reply_gathered(&OutgoingReplies {
            codec: CODEC,
            calls,
            body: b"",
        })
    };
    let refused = SendError::TooMany {
        what: "replies in one frame",
        count: 4097,
        limit: 4096,
    };
    assert_eq!(reply(&answers[..4097]), Err(refused));
    assert_eq!(reply(&answers[..4096]), Ok(()));
    assert_eq!(reply(&answers[4096..]), Ok(()));
    pair.drive();
    pair.client.events();
    pair.assert_idle();
}

#[test]
fn gathered_replies_that_nobody_asked_for_end_the_connection() {
    let cases: [fn(&mut Connection) -> u32; 4] = [
        |_| 0,
        |client| client.call(&call(b"")).unwrap().index() + 1,
        |client| client.bind("name", 1).unwrap().0.index(),
        |client| {
            client.begin_batch(BatchMode::GoOn, 2).unwrap();
            let id = client.call_run(&run(&[0, 0], b"")).unwrap();
            client.end_batch();
            id.index()
        },
    ];
    for asked in cases {
        let mut pair = established();
        let id = asked(&mut pair.client.connection);
        let replies = Message::GatheredReplies(GatheredReplies {
            codec: CODEC,
            replies: vec![Gathered {
                id: CallId::new(id),
                body: bytes::Bytes::new().into(),
            }],
        });
        pair.drive();
        replies.encode(&mut pair.client.inbox);
        let now = pair.now;
        let client = &mut pair.client;
        let told = client.connection.handle_bytes(now, &mut client.inbox);
        assert_eq!(told.err(), Some(Violation::UnknownReply(id).into()));
    }
}

proptest! {
    /// Whatever is called, in whatever order: the other side sees the same calls with gathering as without.
    #[test]
    fn the_other_side_sees_the_same_calls_gathered_or_not(
        calls in prop::collection::vec((0u32..2, 0usize..40, any::<bool>(), 0u8..8), 1..60),
    ) {
        let seen = [0, features::GATHERED].map(|agreed| {
            let (mut client, mut server) = (client_config(), server_config());
            (client.features, server.features) = (agreed, agreed);
            let mut pair = Pair::established_with(client, server);
            let mut seen = Vec::new();
            for (number, &(method, length, oneway, then)) in calls.iter().enumerate() {
                let body = vec![number as u8; length];
                let outgoing = OutgoingCall { method_hash: method, ..call(&body) };
                let client = &mut pair.client.connection;
                match oneway {
                    true => client.oneway(&outgoing, false).unwrap(),
                    false => drop(client.call(&outgoing).unwrap()),
                }
                if then == 0 {
                    pair.carry_to_server();
                    assert_eq!(pair.server.error, None);
                    seen.extend(unfolded(pair.server.events()));
                }
            }
            pair.carry_to_server();
            assert_eq!(pair.server.error, None);
            seen.extend(unfolded(pair.server.events()));
            let mut told = Vec::new();
            for event in seen {
                match event {
                    Event::Call(call) => {
                        told.push((Some(call.id), call.method_hash, call.body.to_vec()));
                        pair.server.connection.reply(call.id, &reply(b"")).unwrap();
                    }
                    Event::Oneway(call, receipt) => {
                        told.push((None, call.method_hash, call.body.to_vec()));
                        pair.server.connection.oneway_done(receipt);
                    }
                    other => panic!("{other:?}"),
                }
            }
            pair.drive();
            pair.client.events();
            pair.assert_idle();
            assert_eq!(pair.client.connection.room(0), Limits::CALLS);
            told
        });
        prop_assert_eq!(&seen[0], &seen[1]);
        prop_assert_eq!(seen[0].len(), calls.len());
    }
}
