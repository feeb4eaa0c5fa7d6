//! Batches: calls that travel as one group.

use farref_proto::message::{BatchBegin, BatchEnd, Message};
use farref_proto::{
    BatchMode, ConnectionError, Event, FaultKind, IncomingBatch, OutgoingCall, SendError,
    TableEntry, Violation,
};

use crate::pair::{Pair, call, client_config, frame, reply, server_config};

fn batch_at_server(pair: &mut Pair) -> IncomingBatch {
    match pair.server.event() {
        Event::Batch(batch) => batch,
        other => panic!("not a batch: {other:?}"),
    }
}

#[test]
fn a_batch_arrives_whole_and_in_order() {
    let mut pair = Pair::established();
    let client = &mut pair.client.connection;
    client.begin_batch(BatchMode::GoOn, 3).unwrap();
    let first = client.call(&call(b"one")).unwrap();
    client.oneway(&call(b"two"), true).unwrap();
    let last = client.call(&call(b"three")).unwrap();
    // Nothing is seen of it before its end.
    pair.drive();
    assert!(pair.server.events().is_empty());
    pair.client.connection.end_batch();
    pair.drive();
    let batch = batch_at_server(&mut pair);
    assert_eq!(batch.mode, BatchMode::GoOn);
    let [one, two, three] = &batch.calls[..] else {
        panic!("{batch:?}")
    };
    assert_eq!((one.call.id, &one.call.body[..]), (first, &b"one"[..]));
    assert!(one.receipt.is_none() && two.receipt.is_some() && two.call.ordered);
    assert_eq!((three.call.id, &three.call.body[..]), (last, &b"three"[..]));
    for call in batch.calls {
        match call.receipt {
            Some(receipt) => pair.server.connection.oneway_done(receipt),
            None => pair
                .server
                .connection
                .reply(call.call.id, &reply(b"yes"))
                .unwrap(),
        }
    }
    pair.drive();
    assert_eq!(pair.client.events().len(), 2);
    pair.assert_idle();
}

#[test]
fn what_cannot_be_sent_leaves_the_batch_as_it_was() {
    let mut pair = Pair::established();
    let client = &mut pair.client.connection;
    let limit = farref_proto::Limits::CALLS;
    assert!(matches!(
        client.begin_batch(BatchMode::Stop, limit + 1),
        Err(SendError::TooMany { .. })
    ));
    client.begin_batch(BatchMode::Stop, 2).unwrap();
    client.call(&call(b"one")).unwrap();
    let large = vec![0; 5 << 20];
    assert!(matches!(
        client.call(&call(&large)),
        Err(SendError::TooLarge { .. })
    ));
    client.call(&call(b"two")).unwrap();
    assert!(matches!(
        client.call(&call(b"three")),
        Err(SendError::TooMany { .. })
    ));
    client.end_batch();
    // What follows belongs to none.
    client.call(&call(b"alone")).unwrap();
    pair.drive();
    let events = pair.server.events();
    let [Event::Batch(batch), Event::Call(alone)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((batch.calls.len(), &alone.body[..]), (2, &b"alone"[..]));
}

#[test]
fn an_empty_batch_is_none() {
    let mut pair = Pair::established();
    pair.client
        .connection
        .begin_batch(BatchMode::Stop, 7)
        .unwrap();
    pair.client.connection.end_batch();
    pair.client.connection.end_batch();
    pair.drive();
    pair.assert_idle();
    assert!(pair.server.events().is_empty());
}

#[test]
fn a_call_that_is_refused_keeps_its_place_and_no_reference() {
    let mut pair = Pair::established();
    let client = &mut pair.client.connection;
    let (_, entry): (_, TableEntry) = client.export(1, 2, crate::pair::CLIENT).unwrap();
    let table = [entry];
    client.begin_batch(BatchMode::Stop, 2).unwrap();
    client
        .call(&OutgoingCall {
            table: &table,
            ..call(b"")
        })
        .unwrap();
    client.call(&call(b"")).unwrap();
    client.end_batch();
    let reason = farref_proto::DrainReason::new(farref_proto::DrainCode::ShuttingDown, "later");
    pair.server.connection.drain(reason);
    pair.carry_to_server();
    let batch = batch_at_server(&mut pair);
    for batched in &batch.calls {
        let refusal = batched.refusal.as_ref().unwrap();
        assert_eq!(refusal.kind, FaultKind::ShuttingDown);
        assert!(batched.call.table.is_empty());
        pair.server
            .connection
            .reply_fault(batched.call.id, refusal)
            .unwrap();
    }
    pair.drive();
    pair.client.events();
    pair.assert_idle();
}

#[test]
fn early_batches_keep_within_the_floor() {
    let mut pair = Pair::new(client_config(), server_config());
    let client = &mut pair.client.connection;
    assert!(client.begin_batch(BatchMode::Stop, 17).is_err());
    assert_eq!(client.room(0), 16);
    client.begin_batch(BatchMode::Stop, 16).unwrap();
    for _ in 0..16 {
        client.call(&call(b"")).unwrap();
    }
    assert_eq!(client.room(0), 0);
    client.end_batch();
    pair.drive();
    let events = pair.server.events();
    assert!(
        matches!(&events[..], [Event::Established(_), Event::Batch(batch)] if batch.calls.len() == 16),
        "{events:?}"
    );
}

#[test]
fn frames_of_a_batch_that_do_not_fit_together_are_refused() {
    let begin = |calls| {
        frame(&Message::BatchBegin(BatchBegin {
            batch: 5,
            mode: BatchMode::Stop,
            calls,
        }))
    };
    let end = |batch| frame(&Message::BatchEnd(BatchEnd { batch }));
    let cases = [
        (
            vec![end(5)],
            Violation::BadBatch("an end without a beginning"),
        ),
        (
            vec![begin(1), end(4)],
            Violation::BadBatch("the end of another"),
        ),
        (vec![begin(1), begin(1)], Violation::OutOfTurn(0x28)),
        (vec![begin(2000)], Violation::BatchTooLong(2000)),
    ];
    for (frames, violation) in cases {
        let mut pair = Pair::established();
        let error = pair.forge_to_server(&frames.concat());
        assert_eq!(error, Some(ConnectionError::Violation(violation)));
    }
    // A beat may come at any time.
    let mut pair = Pair::established();
    assert_eq!(pair.forge_to_server(&begin(1)), None);
    let (client, _) = pair.pass(std::time::Duration::from_secs(10));
    client.unwrap();
    pair.carry_to_server();
    assert_eq!(pair.forge_to_server(&end(5)), None);
    assert!(pair.server.connection.is_established());
}
