//! Draining and closing.

use farref_proto::{
    Chain, ChainId, CloseCode, CloseReason, ConnectionError, DrainCode, DrainReason, Event,
    Extensions, FaultKind, FaultMessage, Outcome, OutgoingCall, RefusalCode, SendError,
};

use crate::pair::{Pair, call, client_config, reply, server_config};

fn restarting() -> DrainReason {
    DrainReason::new(DrainCode::Restarting, "back in a minute")
}

#[test]
fn a_draining_side_finishes_what_it_began() {
    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"before")).unwrap();
    pair.drive();
    let before = pair.server.incoming_call();
    pair.client.connection.call(&call(b"crossing")).unwrap();
    pair.server.connection.drain(restarting());
    pair.server.connection.drain(restarting());
    pair.drive();
    assert!(
        pair.server.events().is_empty(),
        "the crossing call is not shown"
    );
    let events = pair.client.events();
    let (drains, replies): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|event| matches!(event, Event::Draining(_)));
    assert!(matches!(&drains[..], [Event::Draining(reason)] if *reason == restarting()));
    let [Event::Reply(answer)] = &replies[..] else {
        panic!("{replies:?}")
    };
    let fault = FaultMessage::decode(&answer.body).unwrap();
    assert_eq!(
        (fault.kind, fault.outcome),
        (FaultKind::ShuttingDown, Outcome::NotStarted)
    );
    assert_eq!(
        pair.client.connection.call(&call(b"after")),
        Err(SendError::Draining)
    );
    assert_eq!(
        pair.client.connection.bind("jukebox", 1),
        Err(SendError::Draining)
    );
    pair.server
        .connection
        .reply(before.id, &reply(b""))
        .unwrap();
    pair.drive();
    assert_eq!(
        pair.client.incoming_reply().status,
        farref_proto::ReplyStatus::Ok
    );
    pair.assert_idle();
}

#[test]
fn a_draining_side_may_call_and_be_called_back() {
    let mut pair = Pair::established();
    pair.server.connection.drain(restarting());
    pair.drive();
    pair.client.events();
    pair.server.connection.call(&call(b"callback")).unwrap();
    let chain = Some(Chain {
        id: ChainId::from_bytes([7; 16]),
        depth: 2,
    });
    let extensions = Extensions {
        chain,
        ..Extensions::default()
    };
    let nested = OutgoingCall {
        extensions: &extensions,
        ..call(b"nested")
    };
    pair.client.connection.call(&nested).unwrap();
    pair.drive();
    assert_eq!(&pair.server.incoming_call().body[..], b"nested");
    assert_eq!(&pair.client.incoming_call().body[..], b"callback");
}

#[test]
fn draining_waits_for_the_handshake() {
    let mut pair = Pair::new(client_config(), server_config());
    pair.server.connection.drain(restarting());
    pair.client
        .connection
        .oneway(&call(b"lost"), false)
        .unwrap();
    pair.drive();
    assert!(matches!(pair.server.event(), Event::Established(_)));
    let events = pair.client.events();
    assert!(
        matches!(events[..], [Event::Established(_), Event::Draining(_)]),
        "{events:?}"
    );
    pair.assert_idle();
}

#[test]
fn a_goodbye_follows_what_was_said_before() {
    let mut pair = Pair::established();
    pair.client
        .connection
        .oneway(&call(b"last words"), false)
        .unwrap();
    let reason = CloseReason::new(CloseCode::Done, "good night");
    pair.client.connection.close(&reason);
    assert!(pair.client.connection.is_closed());
    assert_eq!(
        pair.client.connection.call(&call(b"")),
        Err(SendError::Closed)
    );
    assert_eq!(pair.client.connection.poll_timeout(), None);
    pair.drive();
    let events = pair.server.events();
    let [Event::Oneway(..), Event::Closed(told)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*told, reason);
    assert!(pair.server.connection.is_closed());
    assert_eq!(pair.server.error, None);
}

#[test]
fn a_server_that_closes_before_the_hello_refuses() {
    let mut pair = Pair::new(client_config(), server_config());
    let hello = pair.client.transmit(pair.now);
    pair.forge_to_server(&hello[..8]);
    pair.server
        .connection
        .close(&CloseReason::new(CloseCode::ShuttingDown, ""));
    pair.carry_to_client();
    let code = RefusalCode::ShuttingDown;
    let text = "shutting down".to_owned();
    assert_eq!(
        pair.client.error,
        Some(ConnectionError::Refused { code, text })
    );
}

#[test]
fn a_client_that_closes_at_once_is_understood() {
    let mut pair = Pair::new(client_config(), server_config());
    pair.client
        .connection
        .close(&CloseReason::new(CloseCode::Done, ""));
    pair.drive();
    let events = pair.server.events();
    assert!(
        matches!(events[..], [Event::Established(_), Event::Closed(_)]),
        "{events:?}"
    );
}
