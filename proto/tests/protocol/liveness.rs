//! Beats, acknowledgements and silence.

use std::time::Duration;

use farref_proto::message::{Ack, Beat, Message};
use farref_proto::{CloseCode, ConnectionError, Event, Time, Violation};

use crate::pair::{Pair, call, client_config, frame, server_config};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_idle_connection_beats_and_lives() {
    let mut pair = Pair::established();
    for _ in 0..100 {
        assert_eq!(pair.pass(10 * SECOND), (Ok(()), Ok(())));
        assert!(pair.client.connection.has_transmit());
        let sent = pair.client.sent.len();
        pair.drive();
        assert_eq!(pair.client.sent.len() - sent, 24, "one beat");
    }
    assert!(pair.server.events().is_empty());
}

#[test]
fn silence_is_found_out() {
    let mut pair = Pair::established();
    let due = pair.client.connection.poll_timeout().unwrap();
    assert_eq!(due, pair.now + 10 * SECOND);
    assert_eq!(pair.pass(10 * SECOND), (Ok(()), Ok(())));
    // The beats are lost.
    let _ = (
        pair.client.transmit(pair.now),
        pair.server.transmit(pair.now),
    );
    assert_eq!(
        pair.client.connection.poll_timeout(),
        Some(pair.now + 10 * SECOND)
    );
    let silent = Err(ConnectionError::PeerTimeout);
    assert_eq!(pair.pass(10 * SECOND), (silent.clone(), silent));
    pair.carry_to_client();
    let goodbye = pair.client.events();
    assert!(
        goodbye.is_empty(),
        "a closed connection listens no more: {goodbye:?}"
    );
}

#[test]
fn silence_is_excused_while_nothing_is_read_and_counts_again_afterwards() {
    let mut pair = Pair::established();
    // Half a frame has come, and whoever would read the rest is held up.
    pair.forge_to_server(&[200]);
    for _ in 0..100 {
        pair.now = pair.now + 10 * SECOND;
        pair.server.connection.excuse_silence(pair.now);
        assert_eq!(pair.server.connection.handle_timeout(pair.now), Ok(()));
        let _ = pair.server.transmit(pair.now);
    }
    pair.now = pair.now + 10 * SECOND;
    assert_eq!(pair.server.connection.handle_timeout(pair.now), Ok(()));
    pair.now = pair.now + 10 * SECOND;
    assert_eq!(
        pair.server.connection.handle_timeout(pair.now),
        Err(ConnectionError::PeerTimeout)
    );
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut pair = Pair::established();
    pair.server.connection.call(&call(&[0; 100])).unwrap();
    let bytes = pair.server.transmit(pair.now);
    for byte in &bytes[..25] {
        let _ = pair.pass(SECOND);
        assert_eq!(pair.client.error, None);
        pair.forge_to_client(&[*byte]);
    }
    assert!(pair.client.connection.is_established());
}

#[test]
fn a_frame_must_arrive_in_time() {
    let mut pair = Pair::established();
    let mut bytes = frame(&Message::Ack(Ack { received: 0 })).to_vec();
    bytes[0] = 200;
    for byte in bytes.iter().cycle().take(29) {
        pair.forge_to_server(&[*byte]);
        let _ = pair.pass(SECOND);
        pair.carry_to_client();
        assert!(pair.server.connection.is_established());
    }
    pair.forge_to_server(&[0]);
    let (_, server) = pair.pass(SECOND);
    assert_eq!(server, Err(ConnectionError::FrameTimeout));
    pair.carry_to_client();
    let Event::Closed(reason) = pair.client.event() else {
        panic!("no goodbye")
    };
    assert_eq!(reason.code, CloseCode::Timeout);
}

#[test]
fn many_frames_may_take_long() {
    let mut pair = Pair::established();
    // A frame and a half at a time: there is always one that is not complete, and never the same.
    let beat = frame(&Message::Beat(Beat {
        clock: Time::ZERO,
        received: 0,
    }));
    let bytes = beat.repeat(40);
    for piece in bytes.chunks(beat.len() * 3 / 2) {
        assert_eq!(pair.forge_to_server(piece), None);
        let (_, server) = pair.pass(10 * SECOND);
        assert_eq!(server, Ok(()));
    }
}

#[test]
fn an_impatient_peer_is_beaten_for_more_often() {
    let mut server = server_config();
    server.limits.peer_timeout = 4 * SECOND;
    let mut pair = Pair::established_with(client_config(), server);
    for _ in 0..10 {
        assert_eq!(pair.pass(2 * SECOND), (Ok(()), Ok(())));
        pair.drive();
    }
}

#[test]
fn what_was_received_is_acknowledged() {
    let mut pair = Pair::established();
    for _ in 0..3 {
        pair.client.connection.call(&call(&[0; 100_000])).unwrap();
    }
    let sent = pair.client.transmit(pair.now);
    assert_eq!(
        pair.client.connection.tables().unacknowledged,
        sent.len() as u64
    );
    pair.forge_to_server(&sent[..sent.len() - 1]);
    assert!(
        !pair.server.connection.has_transmit(),
        "two frames are not enough"
    );
    pair.forge_to_server(&sent[sent.len() - 1..]);
    assert_eq!(pair.carry_to_client(), 16, "an acknowledgement");
    assert_eq!(pair.client.connection.tables().unacknowledged, 0);

    pair.client.connection.call(&call(b"little")).unwrap();
    pair.drive();
    assert!(pair.client.connection.tables().unacknowledged > 0);
    let _ = pair.pass(10 * SECOND);
    pair.drive();
    assert_eq!(
        pair.client.connection.tables().unacknowledged,
        0,
        "the beat tells the rest"
    );
}

#[test]
fn what_is_written_anyway_takes_an_acknowledgement_along() {
    for (received, is_told) in [(60_000, false), (70_000, true)] {
        let mut pair = Pair::established();
        let body = vec![0; received];
        pair.client.connection.call(&call(&body)).unwrap();
        pair.carry_to_server();
        assert!(!pair.server.connection.has_transmit(), "alone it waits");
        pair.server.connection.call(&call(b"callback")).unwrap();
        pair.carry_to_client();
        let unacknowledged = pair.client.connection.tables().unacknowledged;
        assert_eq!(unacknowledged == 0, is_told, "{unacknowledged} bytes");
    }
}

#[test]
fn impossible_acknowledgements_end_the_connection() {
    let mut pair = Pair::established();
    let ack = |received| frame(&Message::Ack(Ack { received }));
    let error = pair.forge_to_client(&ack(1));
    assert_eq!(error, Some(Violation::BadAcknowledgement(1).into()));

    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"")).unwrap();
    let sent = pair.client.transmit(pair.now).len() as u64;
    assert_eq!(pair.forge_to_client(&ack(sent)), None);
    let error = pair.forge_to_client(&ack(sent - 1));
    assert_eq!(error, Some(Violation::BadAcknowledgement(sent - 1).into()));
}

#[test]
fn beats_without_end_are_not_answered() {
    let mut pair = Pair::established();
    let beat = frame(&Message::Beat(Beat {
        clock: Time::ZERO,
        received: 0,
    }));
    assert_eq!(pair.forge_to_server(&beat.repeat(100_000)), None);
    assert!(!pair.server.connection.has_transmit());
    assert!(pair.server.events().is_empty());
}
