//! Deadlines travel as instants of the sender's clock.

use std::time::Duration;

use farref_proto::{Event, Extensions, OutgoingCall, Time};

use crate::pair::{Pair, call, client_config, server_config};

fn deadline(at: Time) -> Extensions {
    Extensions {
        deadline: Some(at),
        ..Extensions::default()
    }
}

/// Makes a call with this deadline, on the client's clock, and returns it on the server's.
fn carry(pair: &mut Pair, at: Time) -> Time {
    let extensions = deadline(at);
    let outgoing = OutgoingCall {
        extensions: &extensions,
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.drive();
    let events = pair.server.events();
    let Some(Event::Call(arrived)) = events.last() else {
        panic!("{events:?}")
    };
    arrived.extensions().deadline.unwrap()
}

#[test]
fn clocks_that_differ_are_converted() {
    let mut pair = Pair::established();
    assert_eq!(
        carry(&mut pair, Time::from_micros(7_000_000)),
        Time::from_micros(7_000_000)
    );

    let mut pair = Pair::new(client_config(), server_config());
    pair.server.clock_ahead = Duration::from_secs(3600);
    let at = pair.now + Duration::from_secs(2);
    assert_eq!(
        carry(&mut pair, at),
        at + Duration::from_secs(3600),
        "also in the first flight"
    );
}

#[test]
fn a_faster_beat_mends_a_slow_hello() {
    let mut pair = Pair::new(client_config(), server_config());
    let hello = pair.client.transmit(pair.now);
    pair.now = pair.now + Duration::from_secs(3);
    assert_eq!(pair.forge_to_server(&hello), None);
    pair.drive();
    let at = pair.now + Duration::from_secs(1);
    assert_eq!(
        carry(&mut pair, at),
        at + Duration::from_secs(3),
        "late by the delay, never early"
    );
    let _ = pair.pass(Duration::from_secs(10));
    pair.drive();
    let at = pair.now + Duration::from_secs(1);
    assert_eq!(carry(&mut pair, at), at);
}

#[test]
fn absurd_deadlines_do_no_harm() {
    let mut pair = Pair::new(client_config(), server_config());
    pair.server.clock_ahead = Duration::from_secs(3600);
    assert_eq!(
        carry(&mut pair, Time::from_micros(u64::MAX)),
        Time::from_micros(u64::MAX)
    );
    assert_eq!(
        carry(&mut pair, Time::ZERO),
        Time::ZERO + Duration::from_secs(3600)
    );
}
