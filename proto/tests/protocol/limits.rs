//! What is beyond its bound is refused, on both sides.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farref_proto::message::{Call, Message, Sections};
use farref_proto::{
    CloseCode, ConnectionError, DecodeError, Event, Extensions, FaultKind, FaultMessage, Grants,
    Outcome, OutgoingCall, SendError, TableEntry,
};

use crate::pair::{CODEC, Pair, call, client_config, frame, server_config};

#[test]
fn a_length_beyond_the_limit_is_refused_at_the_header() {
    let mut pair = Pair::established();
    let mut input = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
    let before = input.capacity();
    let error = pair
        .server
        .connection
        .handle_bytes(pair.now, &mut input)
        .unwrap_err();
    let limit = 4 << 20;
    assert_eq!(
        error,
        DecodeError::TooLong {
            length: u32::MAX,
            limit
        }
        .into()
    );
    assert!(input.capacity() <= before, "nothing is reserved");
    pair.carry_to_client();
    let farref_proto::Event::Closed(reason) = pair.client.event() else {
        panic!("no goodbye")
    };
    assert_eq!(reason.code, farref_proto::CloseCode::Malformed);
}

#[test]
fn errors_at_once_are_borne_up_to_their_limit_and_forgotten_with_time() {
    let mut server = server_config();
    server.limits.errors = 3;
    server.limits.error_pardon = Duration::from_secs(1);
    let mut pair = Pair::established_with(client_config(), server);
    let err = |pair: &mut Pair, count: u32| {
        for _ in 0..count {
            pair.client.connection.call(&call(b"?")).unwrap();
            pair.drive();
            let call = pair.server.incoming_call();
            pair.server.connection.blame();
            let fault = FaultMessage::new(FaultKind::NoSuchObject, Outcome::NotStarted, "");
            pair.server.connection.reply_fault(call.id, &fault).unwrap();
            pair.drive();
            pair.client.incoming_reply();
        }
    };
    err(&mut pair, 3);
    pair.now = pair.now + Duration::from_secs(2);
    err(&mut pair, 2);
    assert_eq!(pair.server.error, None);
    err(&mut pair, 1);
    pair.client.connection.call(&call(b"!")).unwrap();
    pair.drive();
    let spent = ConnectionError::TooManyErrors { limit: 3 };
    assert_eq!(pair.server.error, Some(spent));
    assert!(pair.client.connection.is_closed());
    match pair.client.event() {
        Event::Closed(reason) => assert_eq!(reason.code, CloseCode::Excess),
        other => panic!("no goodbye: {other:?}"),
    }
}

#[test]
fn frames_before_a_broken_one_count() {
    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"good")).unwrap();
    let mut bytes = pair.client.transmit(pair.now);
    bytes.extend_from_slice(&[4, 0, 0, 0, 0xfe, 0, 0, 0]);
    let error = pair.forge_to_server(&bytes);
    assert_eq!(error, Some(DecodeError::UnknownKind(0xfe).into()));
    assert_eq!(&pair.server.incoming_call().body[..], b"good");
}

#[test]
fn senders_keep_to_what_was_granted() {
    let mut server = server_config();
    server.limits.max_references = 64;
    server.limits.max_attachments = 64;
    server.limits.max_annotations = 1024;
    let mut pair = Pair::established_with(client_config(), server);
    let client = &mut pair.client.connection;

    let table = [TableEntry::DEAD; 65];
    let full = OutgoingCall {
        table: &table,
        ..call(b"")
    };
    let error = client.call(&full).unwrap_err();
    assert_eq!(
        error,
        SendError::TooMany {
            what: "references",
            count: 65,
            limit: 64
        }
    );

    let attachments = vec![Bytes::new(); 65];
    let full = OutgoingCall {
        attachments: &attachments,
        ..call(b"")
    };
    let error = client.call(&full).unwrap_err();
    assert_eq!(
        error,
        SendError::TooMany {
            what: "attachments",
            count: 65,
            limit: 64
        }
    );

    let annotated = |bytes: usize| Extensions {
        annotations: vec![("key".to_owned(), Bytes::from(vec![0; bytes]))],
        ..Extensions::default()
    };
    let too_much = annotated(958);
    let error = client
        .call(&OutgoingCall {
            extensions: &too_much,
            ..call(b"")
        })
        .unwrap_err();
    assert_eq!(
        error,
        SendError::TooMany {
            what: "bytes of annotations",
            count: 1025,
            limit: 1024
        }
    );
    let enough = annotated(957);
    client
        .call(&OutgoingCall {
            extensions: &enough,
            ..call(b"")
        })
        .unwrap();
    pair.drive();
    assert_eq!(*pair.server.incoming_call().extensions(), enough);
}

#[test]
fn receivers_check_what_they_granted() {
    let call = |sections| {
        let call = Call {
            id: 0,
            target: 0,
            method_hash: 0,
            shape: 0,
            method_index: 0,
            codec: CODEC,
            pipelined: false,
            keep_answer: false,
            batched: false,
            ordered: false,
            sections,
        };
        let mut server = server_config();
        server.limits.max_references = 0;
        server.limits.max_attachments = 0;
        server.limits.max_annotations = 0;
        let mut pair = Pair::established_with(client_config(), server);
        match pair.forge_to_server(&frame(&Message::Call(call))) {
            Some(ConnectionError::Malformed(error)) => error,
            other => panic!("not malformed: {other:?}"),
        }
    };
    let floor = Grants::FLOOR;
    let table = vec![TableEntry::DEAD; usize::from(floor.max_references) + 1];
    let error = call(Sections {
        table,
        ..Sections::default()
    });
    assert!(
        matches!(
            error,
            DecodeError::TooMany {
                what: "references",
                ..
            }
        ),
        "{error}"
    );

    let attachments = vec![Bytes::new(); usize::from(floor.max_attachments) + 1];
    let error = call(Sections {
        attachments,
        ..Sections::default()
    });
    assert!(
        matches!(
            error,
            DecodeError::TooMany {
                what: "attachments",
                ..
            }
        ),
        "{error}"
    );

    let annotations = vec![("k".to_owned(), Bytes::new()); 1000];
    let extensions = Some(Box::new(Extensions {
        annotations,
        ..Extensions::default()
    }));
    let error = call(Sections {
        extensions,
        ..Sections::default()
    });
    assert!(
        matches!(
            error,
            DecodeError::TooMany {
                what: "bytes of annotations",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn reserved_bits_are_checked() {
    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"")).unwrap();
    let good = pair.client.transmit(pair.now);
    // The reserved flag, the auxiliary number, and the two bytes behind the method's index.
    for (at, bit) in [(5, 0x80), (7, 1), (26, 1), (27, 1)] {
        let mut bytes = good.clone();
        bytes[at] |= bit;
        let error = Pair::established().forge_to_server(&bytes);
        assert!(
            matches!(
                error,
                Some(ConnectionError::Malformed(DecodeError::Reserved(_)))
            ),
            "byte {at}: {error:?}"
        );
    }
}

#[test]
fn early_calls_that_are_too_large_wait_for_the_hello() {
    let mut pair = Pair::new(client_config(), server_config());
    let table = [TableEntry::DEAD; 65];
    let full = OutgoingCall {
        table: &table,
        ..call(b"")
    };
    assert_eq!(pair.client.connection.call(&full), Err(SendError::NoCredit));
    pair.drive();
    pair.client.connection.call(&full).unwrap();
}
