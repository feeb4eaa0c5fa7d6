//! No bytes make this crate panic, spin, or reserve memory ahead of them.

use bytes::{Bytes, BytesMut};
use farref_proto::message::Message;
use farref_proto::{Connection, Limits, Time};
use proptest::prelude::*;

use crate::pair::{Pair, call, client_config, server_config};

/// Gives bytes to a fresh connection of either side, and polls what comes of it.
fn survive(mut connection: Connection, pieces: &[&[u8]]) {
    let now = Time::from_micros(1_000_000);
    let mut input = BytesMut::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        let _ = connection.handle_bytes(now, &mut input);
        while connection.poll_event().is_some() {}
        connection.poll_transmit(now, &mut Vec::new());
    }
    // First the other side is silent for too long, then the session has waited for too long.
    for seconds in [100, 200] {
        let _ = connection.handle_timeout(now + std::time::Duration::from_secs(seconds));
    }
    assert!(
        connection.poll_timeout().is_none(),
        "in the end it is closed"
    );
}

fn connections() -> [Connection; 2] {
    let now = Time::from_micros(1_000_000);
    [
        Connection::client(client_config(), now),
        Connection::server(server_config(), now),
    ]
}

/// A client's half of a conversation.
fn recorded() -> Vec<u8> {
    let mut pair = Pair::new(client_config(), server_config());
    pair.client.connection.bind("jukebox", 1).unwrap();
    pair.client.connection.call(&call(b"play")).unwrap();
    pair.client
        .connection
        .oneway(&call(b"tick"), false)
        .unwrap();
    pair.drive();
    pair.client.sent
}

proptest! {
    #[test]
    fn noise_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for connection in connections() {
            survive(connection, &[&bytes]);
        }
        for connection in connections() {
            survive(connection, &[b"\x89farref\n", &bytes]);
        }
        let _ = Message::decode(&Bytes::from(bytes), &Limits::default().grants());
    }

    #[test]
    fn noise_behind_a_handshake_is_survived(
        kind in any::<u8>(),
        flags in any::<u8>(),
        content in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = (content.len() as u32 + 4).to_le_bytes().to_vec();
        bytes.extend_from_slice(&[kind, flags, 1, 0]);
        bytes.extend_from_slice(&content);
        let mut pair = Pair::established();
        let _ = pair.forge_to_server(&bytes);
        let _ = pair.forge_to_client(&bytes);
        let _ = Message::decode(&Bytes::from(bytes), &Limits::default().grants());
    }

    #[test]
    fn a_damaged_conversation_is_survived(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = recorded();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for connection in connections() {
            survive(connection, &[&bytes]);
        }
    }
}
