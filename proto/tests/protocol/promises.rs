//! Kept answers: what a call returns is the target of others, before and after it has been returned.

use farref_proto::message::{Finish, Message};
use farref_proto::{
    CallFlags, CallId, ConnectionError, Event, Limits, OutgoingCall, SendError, Violation,
};

use crate::pair::{Pair, call, client_config, frame, reply, server_config};

const KEPT: CallFlags = CallFlags {
    pipelined: false,
    keep_answer: true,
};
const PIPELINED: CallFlags = CallFlags {
    pipelined: true,
    keep_answer: false,
};

fn keep(pair: &mut Pair) -> CallId {
    pair.client.connection.call_with(&call(b""), KEPT).unwrap()
}

fn answer_all(pair: &mut Pair) -> usize {
    pair.carry_to_server();
    let answered = pair.server.echo();
    pair.drive();
    pair.client.events();
    answered
}

fn kept(pair: &Pair) -> (usize, usize) {
    (
        pair.client.connection.tables().promises_out,
        pair.server.connection.tables().promises_in,
    )
}

#[test]
fn a_call_may_target_the_answer_of_another_in_the_same_flight() {
    let mut pair = Pair::established();
    let promise = keep(&mut pair);
    let target = promise.index();
    let on_it = OutgoingCall {
        target,
        ..call(b"on it")
    };
    let client = &mut pair.client.connection;
    client.call_with(&on_it, PIPELINED).unwrap();
    client.oneway_with(&on_it, true, PIPELINED).unwrap();
    pair.drive();
    let events = pair.server.events();
    let [
        Event::Call(kept),
        Event::Call(first),
        Event::Oneway(second, _),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert!(kept.keep_answer && !kept.pipelined && kept.id == promise);
    for on_it in [first, second] {
        assert!(on_it.pipelined && !on_it.keep_answer && on_it.target.index() == target);
    }
    assert!(second.ordered);
}

#[test]
fn the_id_of_a_kept_answer_is_taken_until_its_reply_and_its_finish() {
    let mut pair = Pair::established();
    // The reply first.
    let first = keep(&mut pair);
    assert_eq!(kept(&pair), (1, 0));
    assert_eq!(answer_all(&mut pair), 1);
    assert_eq!(kept(&pair), (1, 1));
    let second = pair.client.connection.call(&call(b"")).unwrap();
    assert_ne!(second, first);
    answer_all(&mut pair);
    pair.client.connection.finish(first);
    pair.client.connection.finish(first);
    let other = pair.client.connection.call(&call(b"")).unwrap();
    assert_ne!(other, first, "the finish was not sent before it");
    assert!(pair.client.connection.has_transmit());
    pair.carry_to_server();
    assert!(matches!(
        pair.server.events()[..],
        [Event::Call(_), Event::Finished(id)] if id == first
    ));
    pair.server.connection.reply(other, &reply(b"")).unwrap();
    pair.drive();
    pair.client.events();
    assert_eq!(kept(&pair), (0, 0));
    let free = [first, other];
    let first = keep(&mut pair);
    assert!(free.contains(&first));
    // The finish first.
    pair.client.connection.finish(first);
    pair.carry_to_server();
    assert_eq!(kept(&pair), (0, 0));
    assert_ne!(pair.client.connection.call(&call(b"")).unwrap(), first);
    assert_eq!(answer_all(&mut pair), 2);
    pair.assert_idle();
    let again = pair.client.connection.call(&call(b"")).unwrap();
    assert!(free.contains(&again));
}

#[test]
fn no_more_answers_are_kept_than_calls_are_granted() {
    let mut limits = Limits::default();
    limits.calls = 16;
    let mut config = server_config();
    config.limits = limits;
    let mut pair = Pair::established_with(client_config(), config);
    for _ in 0..16 {
        keep(&mut pair);
        answer_all(&mut pair);
    }
    assert_eq!(
        pair.client.connection.call_with(&call(b""), KEPT),
        Err(SendError::TooManyKept { limit: 16 })
    );
    // Who does not care is told.
    let forged = farref_proto::message::Call {
        id: 16,
        target: 0,
        method_hash: 0,
        shape: 0,
        method_index: 0,
        codec: crate::pair::CODEC,
        pipelined: false,
        keep_answer: true,
        batched: false,
        ordered: false,
        sections: farref_proto::message::Sections::default(),
    };
    assert_eq!(
        pair.forge_to_server(&frame(&Message::Call(forged))),
        Some(ConnectionError::Violation(Violation::TooManyKept(16)))
    );
}

#[test]
fn only_what_is_kept_is_finished() {
    for id in [0, 1, u32::MAX] {
        let mut pair = Pair::established();
        pair.client.connection.call(&call(b"")).unwrap();
        pair.drive();
        let finish = frame(&Message::Finish(Finish { calls: vec![id] }));
        assert_eq!(
            pair.forge_to_server(&finish),
            Some(ConnectionError::Violation(Violation::UnknownFinish(id)))
        );
    }
    // Finishing what is not kept is nothing.
    let mut pair = Pair::established();
    let plain = pair.client.connection.call(&call(b"")).unwrap();
    pair.client.connection.finish(plain);
    pair.client.connection.finish(CallId::new(77));
    answer_all(&mut pair);
    pair.assert_idle();
}
