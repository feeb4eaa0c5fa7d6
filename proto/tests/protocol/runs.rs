//! Runs: calls of a batch in one frame, and their results in one frame.

use farref_proto::message::{BatchBegin, BatchEnd, CallRun, Message, ReplyRun, Sections};
use farref_proto::{
    BatchMode, ConnectionError, DrainCode, DrainReason, Event, FaultKind, FaultMessage, Limits,
    Outcome, ReplyStatus, SendError, Violation, features,
};

use crate::pair::{CODEC, Pair, call, client_config, reply, results, run, server_config};

fn established() -> Pair {
    with_limits(Limits::default())
}

fn with_limits(limits: Limits) -> Pair {
    let (mut client, mut server) = (client_config(), server_config());
    client.features = features::RUNS;
    server.features = features::RUNS;
    server.limits = limits;
    let mut pair = Pair::new(client, server);
    pair.drive();
    pair.client.events();
    pair.server.events();
    pair
}

/// Sends a batch of one run with so many calls, whose argument is a byte each.
fn send_run(pair: &mut Pair, calls: u8) -> farref_proto::CallId {
    let body: Vec<u8> = (0..calls).collect();
    let lengths = vec![1; body.len()];
    let client = &mut pair.client.connection;
    client
        .begin_batch(BatchMode::Stop, u32::from(calls))
        .unwrap();
    let id = client.call_run(&run(&lengths, &body)).unwrap();
    client.end_batch();
    id
}

#[test]
fn a_run_is_answered_in_order_together_and_one_by_one() {
    let mut pair = established();
    let id = send_run(&mut pair, 5);
    assert_eq!(pair.client.connection.calls_out(), 1);
    pair.drive();
    let Event::Batch(batch) = pair.server.event() else {
        panic!("not a batch");
    };
    let [one] = &batch.calls[..] else {
        panic!("{batch:?}")
    };
    assert_eq!(one.run.as_deref(), Some(&[1; 5][..]));
    assert_eq!(one.call.body[..], [0, 1, 2, 3, 4]);
    let server = &mut pair.server.connection;
    server
        .reply_run(one.call.id, &results(&[2, 0], b"ab"))
        .unwrap();
    let fault = FaultMessage::new(FaultKind::Panicked, Outcome::Ran, "no");
    server.reply_fault(one.call.id, &fault).unwrap();
    // There are only two left.
    let many = server.reply_run(one.call.id, &results(&[0; 3], b""));
    assert_eq!(many, Err(SendError::Unknown("call")));
    server.reply_run(one.call.id, &results(&[1], b"c")).unwrap();
    assert_eq!(server.calls_in(), 1);
    server.reply(one.call.id, &reply(b"d")).unwrap();
    let late = server.reply(one.call.id, &reply(b"e"));
    assert_eq!(late, Err(SendError::Unknown("call")));
    pair.drive();
    let events = pair.client.events();
    let [
        Event::Results(first),
        Event::Reply(second),
        Event::Results(third),
        Event::Reply(last),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (&first.lengths[..], &first.body[..]),
        (&[2, 0][..], &b"ab"[..])
    );
    assert_eq!((second.status, second.more), (ReplyStatus::Fault, true));
    assert_eq!((&third.body[..], third.more), (&b"c"[..], true));
    assert_eq!(
        (last.call, &last.body[..], last.more),
        (id, &b"d"[..], false)
    );
    pair.assert_idle();
    // The id is free again.
    assert_eq!(pair.client.connection.call(&call(b"")).unwrap(), id);
}

#[test]
fn a_run_costs_as_many_calls_and_gives_them_back_with_its_last_reply() {
    let mut limits = Limits::default();
    limits.calls = 16;
    let mut pair = with_limits(limits);
    assert_eq!(pair.client.connection.room(0), 16);
    send_run(&mut pair, 10);
    assert_eq!(pair.client.connection.room(0), 6);
    let client = &mut pair.client.connection;
    client.begin_batch(BatchMode::Stop, 7).unwrap();
    let lengths = [0; 7];
    assert_eq!(
        client.call_run(&run(&lengths, b"")),
        Err(SendError::NoCredit)
    );
    client.end_batch();
    pair.drive();
    let Event::Batch(batch) = pair.server.event() else {
        panic!("not a batch");
    };
    let id = batch.calls[0].call.id;
    let server = &mut pair.server.connection;
    server.reply_run(id, &results(&[0; 9], b"")).unwrap();
    pair.drive();
    assert_eq!(pair.client.connection.room(0), 6);
    pair.server.connection.reply(id, &reply(b"")).unwrap();
    pair.drive();
    assert!(matches!(
        &pair.client.events()[..],
        [
            Event::Results(_),
            Event::Reply(_),
            Event::CreditAvailable { depth: 0 }
        ]
    ));
    assert_eq!(pair.client.connection.room(0), 16);
    pair.assert_idle();
}

#[test]
fn a_run_is_only_sent_within_a_batch_that_has_room_to_a_peer_that_takes_it() {
    let mut pair = established();
    let outside = pair.client.connection.call_run(&run(&[0], b""));
    assert!(matches!(outside, Err(SendError::TooMany { .. })));
    let client = &mut pair.client.connection;
    client.begin_batch(BatchMode::Stop, 2).unwrap();
    let many = client.call_run(&run(&[0; 3], b""));
    assert!(matches!(many, Err(SendError::TooMany { .. })));
    let large = vec![0; 5 << 20];
    let large = client.call_run(&run(&[5 << 20], &large));
    assert!(matches!(large, Err(SendError::TooLarge { .. })));
    client.call_run(&run(&[0; 2], b"")).unwrap();
    client.end_batch();
    pair.drive();
    assert!(matches!(pair.server.event(), Event::Batch(batch) if batch.calls.len() == 1));

    let mut pair = Pair::established();
    assert!(!pair.client.connection.takes_runs());
    let client = &mut pair.client.connection;
    client.begin_batch(BatchMode::Stop, 2).unwrap();
    assert!(client.call_run(&run(&[0; 2], b"")).is_err());
}

#[test]
fn a_run_that_is_refused_and_one_that_is_cancelled_are_answered_call_by_call() {
    let mut pair = established();
    let id = send_run(&mut pair, 2);
    let reason = DrainReason::new(DrainCode::ShuttingDown, "later");
    pair.server.connection.drain(reason);
    pair.client.connection.cancel(id);
    pair.carry_to_server();
    let events = pair.server.events();
    let [Event::Batch(batch), Event::Cancel(cancelled)] = &events[..] else {
        panic!("{events:?}")
    };
    let one = &batch.calls[0];
    assert_eq!(*cancelled, one.call.id);
    let refusal = one.refusal.as_ref().unwrap();
    assert_eq!(refusal.kind, FaultKind::ShuttingDown);
    for _ in 0..2 {
        let server = &mut pair.server.connection;
        server.reply_fault(one.call.id, refusal).unwrap();
    }
    pair.drive();
    pair.client.events();
    pair.assert_idle();
}

/// Gives the server these messages, and returns what it says to them.
fn told(pair: &mut Pair, messages: &[Message]) -> Option<ConnectionError> {
    for message in messages {
        message.encode(&mut pair.server.inbox);
    }
    let now = pair.now;
    let server = &mut pair.server;
    server.connection.handle_bytes(now, &mut server.inbox).err()
}

fn call_run(id: u32, calls: usize) -> Message {
    Message::CallRun(CallRun {
        id,
        target: 0,
        method_hash: 1,
        shape: 0,
        method_index: 0,
        codec: CODEC,
        lengths: vec![0; calls],
        sections: Sections::default(),
    })
}

fn begin(calls: u32) -> Message {
    Message::BatchBegin(BatchBegin {
        batch: 1,
        mode: BatchMode::Stop,
        calls,
    })
}

#[test]
fn runs_that_break_the_rules_end_the_connection() {
    let end = || Message::BatchEnd(BatchEnd { batch: 1 });
    let bad_batch = |what| ConnectionError::from(Violation::BadBatch(what));
    let cases = [
        (vec![call_run(0, 1)], bad_batch("a run of no batch")),
        (
            vec![begin(2), call_run(0, 3)],
            bad_batch("more calls than it announced"),
        ),
        (
            vec![begin(4), call_run(0, 2), call_run(0, 2)],
            Violation::CallIdInUse(0).into(),
        ),
        (
            vec![begin(4), call_run(7, 2)],
            Violation::CallIdOutOfSequence(7).into(),
        ),
        (
            vec![
                begin(1024),
                call_run(0, 1000),
                end(),
                begin(1024),
                call_run(1, 25),
            ],
            Violation::CreditOverspent(0).into(),
        ),
    ];
    for (messages, error) in cases {
        assert_eq!(told(&mut established(), &messages), Some(error));
    }
    let mut pair = Pair::established();
    let error = Violation::OutOfTurn(0x2a).into();
    assert_eq!(told(&mut pair, &[begin(4), call_run(0, 2)]), Some(error));
}

#[test]
fn results_that_nobody_asked_for_end_the_connection() {
    let results = |id, calls| {
        Message::ReplyRun(ReplyRun {
            id,
            codec: CODEC,
            lengths: vec![0; calls],
            body: bytes::Bytes::new(),
        })
    };
    for (id, calls) in [(0, 1), (1, 3), (2, 1)] {
        let mut pair = established();
        pair.client.connection.call(&call(b"")).unwrap();
        send_run(&mut pair, 2);
        pair.drive();
        results(id, calls).encode(&mut pair.client.inbox);
        let now = pair.now;
        let client = &mut pair.client;
        let told = client.connection.handle_bytes(now, &mut client.inbox);
        assert_eq!(told.err(), Some(Violation::UnknownReply(id).into()));
    }
}
