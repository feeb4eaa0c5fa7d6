//! Streams: items one way, credit the other, and one end from each side.

use bytes::Bytes;
use farref_proto::message::{Message, StreamCancel, StreamCredit, StreamEnd, StreamItems};
use farref_proto::{
    ConnectionError, Event, Extensions, FaultKind, FaultMessage, IncomingItems, IncomingRef,
    Outcome, OutgoingCall, OutgoingItems, OutgoingReply, SendError, StreamEnding, StreamNumber,
    TableEntry, Violation,
};
use proptest::prelude::*;

use crate::pair::{CODEC, Pair, SERVER, call, client_config, frame, reply, server_config};

const FIRST: StreamNumber = StreamNumber::new(0);
const THEIRS: u32 = 1 << 31;

/// Items without references or attachments.
fn items<'a>(lengths: &'a [u32], body: &'a [u8]) -> OutgoingItems<'a> {
    OutgoingItems {
        codec: CODEC,
        extensions: Extensions::NONE,
        lengths,
        table: &[],
        body,
        attachments: &[],
    }
}

/// Two ends, and a stream from the server to the client that has no credit yet.
fn streaming() -> Pair {
    let mut pair = Pair::established();
    let number = answer_with_stream(&mut pair);
    assert_eq!(number, FIRST);
    pair
}

/// Makes a call from the client that is answered with a stream. Returns its number.
fn answer_with_stream(pair: &mut Pair) -> StreamNumber {
    pair.client.connection.call(&call(b"tracks")).unwrap();
    pair.drive();
    let id = pair.server.incoming_call().id;
    let (number, entry) = pair.server.connection.open_stream().unwrap();
    let answer = OutgoingReply {
        table: &[entry],
        ..reply(b"")
    };
    pair.server.connection.reply(id, &answer).unwrap();
    pair.drive();
    assert_eq!(
        pair.client.incoming_reply().table,
        [IncomingRef::Stream(number)]
    );
    number
}

fn arrived(event: Event) -> IncomingItems {
    match event {
        Event::StreamItems(items) => items,
        other => panic!("no items: {other:?}"),
    }
}

fn assert_no_streams(pair: &Pair) {
    pair.assert_idle();
    for end in [&pair.client, &pair.server] {
        let tables = end.connection.tables();
        assert_eq!(tables.streams_in + tables.streams_out, 0, "{tables:?}");
    }
}

#[test]
fn items_flow_within_the_credit_and_end() {
    let mut pair = streaming();
    let server = &mut pair.server.connection;
    assert_eq!(server.stream_room(FIRST), Ok((0, 0)));
    assert_eq!(
        server.send_items(FIRST, &items(&[1], b"a")),
        Err(SendError::NoCredit)
    );
    pair.client.connection.grant_stream(FIRST, 3, 600);
    pair.drive();
    assert!(matches!(pair.server.event(), Event::StreamCredit(FIRST)));
    let server = &mut pair.server.connection;
    assert_eq!(server.stream_room(FIRST), Ok((3, 600)));
    server.send_items(FIRST, &items(&[1, 2], b"abb")).unwrap();
    assert_eq!(server.stream_room(FIRST), Ok((1, 536)));
    pair.drive();
    let got = arrived(pair.client.event());
    assert_eq!((got.stream, got.codec), (FIRST, CODEC));
    assert_eq!((got.lengths, &got.body[..]), (vec![1, 2], &b"abb"[..]));
    pair.server.connection.end_stream(FIRST);
    pair.server.connection.end_stream(FIRST);
    assert_eq!(
        pair.server.connection.send_items(FIRST, &items(&[], b"")),
        Err(SendError::Unknown("stream"))
    );
    pair.drive();
    let ended = pair.client.event();
    assert!(
        matches!(ended, Event::StreamEnded(FIRST, StreamEnding::Complete)),
        "{ended:?}"
    );
    assert!(
        pair.server.events().is_empty(),
        "the consumer's end is no news"
    );
    assert_no_streams(&pair);
    assert_eq!(answer_with_stream(&mut pair), FIRST, "the number is free");
}

#[test]
fn an_item_larger_than_its_window_passes_and_overdraws_it() {
    let mut pair = streaming();
    let picture = Bytes::from(vec![7; 1 << 20]);
    pair.client.connection.grant_stream(FIRST, 10, 64 << 10);
    pair.drive();
    pair.server.events();
    let outgoing = OutgoingItems {
        attachments: std::slice::from_ref(&picture),
        ..items(&[0], b"")
    };
    let server = &mut pair.server.connection;
    server.send_items(FIRST, &outgoing).unwrap();
    assert_eq!(server.stream_room(FIRST), Ok((9, 0)));
    assert_eq!(
        server.send_items(FIRST, &outgoing),
        Err(SendError::NoCredit)
    );
    pair.drive();
    assert_eq!(
        arrived(pair.client.event()).attachments,
        std::slice::from_ref(&picture)
    );
    pair.client.connection.grant_stream(FIRST, 1, 1 << 20);
    pair.drive();
    assert!(matches!(pair.server.event(), Event::StreamCredit(FIRST)));
    let room = pair.server.connection.stream_room(FIRST);
    assert_eq!(room, Ok((10, 64 << 10)));
}

#[test]
fn a_cancelled_stream_ends_and_what_was_on_its_way_is_given_back() {
    let mut pair = streaming();
    pair.client.connection.grant_stream(FIRST, 10, 10_000);
    pair.drive();
    pair.server.events();
    let (_, entry) = pair.server.connection.export(7, 8, SERVER).unwrap();
    let outgoing = OutgoingItems {
        table: &[entry],
        ..items(&[1], b"x")
    };
    pair.server.connection.send_items(FIRST, &outgoing).unwrap();
    pair.client.connection.cancel_stream(FIRST);
    pair.carry_to_server();
    assert!(matches!(pair.server.event(), Event::StreamCancelled(FIRST)));
    let error = pair.server.connection.send_items(FIRST, &outgoing);
    assert_eq!(error, Err(SendError::Unknown("stream")));
    pair.server.connection.end_stream(FIRST);
    pair.drive();
    assert!(pair.client.events().is_empty());
    assert!(
        matches!(pair.server.event(), Event::Released(_)),
        "the reference that nobody saw"
    );
    assert_no_streams(&pair);
}

#[test]
fn a_failed_stream_says_why() {
    let mut pair = streaming();
    let fault = FaultMessage::new(FaultKind::Panicked, Outcome::Ran, "it broke");
    pair.server.connection.fail_stream(FIRST, &fault);
    pair.server.connection.fail_stream(FIRST, &fault);
    pair.server.connection.end_stream(FIRST);
    pair.drive();
    let Event::StreamEnded(FIRST, StreamEnding::Failed { body, .. }) = pair.client.event() else {
        panic!("it did not fail")
    };
    assert_eq!(FaultMessage::decode(&body).unwrap().message, "it broke");
    assert_no_streams(&pair);
}

#[test]
fn streams_in_messages_that_nobody_looks_at_are_cancelled() {
    let mut pair = Pair::established();
    let (number, entry) = pair.client.connection.open_stream().unwrap();
    let refused = OutgoingCall {
        table: &[entry],
        extensions: &farref_proto::Extensions {
            chain: Some(farref_proto::Chain {
                id: farref_proto::ChainId::from_bytes([1; 16]),
                depth: 0,
            }),
            ..farref_proto::Extensions::default()
        },
        ..call(b"")
    };
    pair.server.connection.drain(farref_proto::DrainReason::new(
        farref_proto::DrainCode::ShuttingDown,
        "",
    ));
    pair.client.connection.call(&refused).unwrap();
    pair.carry_to_server();
    pair.carry_to_client();
    let cancelled = pair
        .client
        .events()
        .into_iter()
        .any(|event| matches!(event, Event::StreamCancelled(cancelled) if cancelled == number));
    assert!(cancelled);
    pair.client.connection.end_stream(number);
    pair.drive();
    assert_no_streams(&pair);
}

#[test]
fn a_stream_that_was_not_announced_is_taken_back() {
    let mut pair = Pair::established();
    let (number, _) = pair.client.connection.open_stream().unwrap();
    pair.client.connection.unopen_stream(number);
    assert_no_streams(&pair);
    assert_eq!(
        answer_with_stream(&mut pair),
        FIRST,
        "the sides number apart"
    );
}

#[test]
fn as_many_streams_are_open_as_may_be() {
    let mut server = server_config();
    server.limits.exports = 64;
    let mut pair = Pair::established_with(client_config(), server);
    for _ in 0..64 {
        pair.client.connection.open_stream().unwrap();
    }
    assert_eq!(
        pair.client.connection.open_stream(),
        Err(SendError::TooManyStreams { limit: 64 })
    );
}

#[test]
fn who_breaks_the_rules_of_a_stream_is_told_which() {
    let forged = |message: Message| {
        let mut pair = streaming();
        pair.client.connection.grant_stream(FIRST, 2, 300);
        pair.drive();
        pair.forge_to_client(&frame(&message))
    };
    let send = |stream, lengths: &[u32]| {
        let total = lengths.iter().sum::<u32>() as usize;
        Message::StreamItems(StreamItems {
            stream,
            codec: CODEC,
            lengths: lengths.to_vec(),
            sections: farref_proto::message::Sections {
                body: vec![0; total].into(),
                ..farref_proto::message::Sections::default()
            },
        })
    };
    let end = |stream, items| Message::StreamEnd(StreamEnd { stream, items });
    let credit = |stream| {
        Message::StreamCredit(StreamCredit {
            stream,
            items: 1,
            bytes: 1,
        })
    };
    let cancel = |stream| Message::StreamCancel(StreamCancel { stream });
    for (message, violation) in [
        (send(0, &[1, 1, 1]), Violation::StreamCreditOverspent(0)),
        (send(0, &[300, 1]), Violation::StreamCreditOverspent(0)),
        (send(1, &[1]), Violation::UnknownStream(1)),
        (send(THEIRS, &[1]), Violation::UnknownStream(THEIRS)),
        (end(0, 1), Violation::StreamItemsMissing(0)),
        (end(7, 0), Violation::UnknownStream(7)),
        (credit(0), Violation::UnknownStream(0)),
        (credit(THEIRS), Violation::UnknownStream(0)),
        (cancel(0), Violation::UnknownStream(0)),
        (cancel(THEIRS | 5), Violation::UnknownStream(5)),
    ] {
        let text = format!("{message:?}");
        assert_eq!(forged(message), Some(violation.into()), "{text}");
    }
    assert_eq!(forged(send(0, &[1, 300])), None);
    assert_eq!(forged(end(0, 0)), None);
}

#[test]
fn a_number_out_of_sequence_opens_nothing() {
    let open = |ids: &[u32]| {
        let mut pair = Pair::established();
        let table: Vec<_> = ids
            .iter()
            .map(|id| TableEntry {
                kind: farref_proto::EntryKind::StreamOut,
                id: *id,
                ..TableEntry::DEAD
            })
            .collect();
        let outgoing = OutgoingCall {
            table: &table,
            ..call(b"")
        };
        pair.client.connection.call(&outgoing).unwrap();
        pair.carry_to_server();
        pair.server.error
    };
    assert_eq!(open(&[0, 1, 2]), None);
    for ids in [&[1][..], &[0, 0], &[u32::MAX]] {
        let last = ids[ids.len() - 1];
        let expected: ConnectionError = Violation::StreamOutOfSequence(last).into();
        assert_eq!(open(ids), Some(expected));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Grant(u32, u64),
    Send(Vec<u32>),
    End,
    Cancel,
    ToServer,
    ToClient,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u32..4, 0u64..2000).prop_map(|(items, bytes)| Step::Grant(items, bytes)),
        3 => prop::collection::vec(0u32..900, 1..4).prop_map(Step::Send),
        1 => Just(Step::End),
        1 => Just(Step::Cancel),
        3 => Just(Step::ToServer),
        3 => Just(Step::ToClient),
    ]
}

proptest! {
    /// Whatever the two sides do and however it crosses: no violation, items in order, and nothing left at the end.
    #[test]
    fn honest_sides_never_break_the_rules(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = streaming();
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        let mut cancelled = false;
        let mut ended = false;
        for step in steps {
            match step {
                Step::Grant(count, bytes) if !ended => {
                    pair.client.connection.grant_stream(FIRST, count, bytes);
                }
                Step::Send(lengths) => {
                    let body = vec![sent.len() as u8; lengths.iter().sum::<u32>() as usize];
                    if pair.server.connection.send_items(FIRST, &items(&lengths, &body)).is_ok() {
                        sent.push(body);
                    }
                }
                Step::End => pair.server.connection.end_stream(FIRST),
                Step::Cancel if !ended => {
                    cancelled = true;
                    pair.client.connection.cancel_stream(FIRST);
                }
                Step::ToServer => drop(pair.carry_to_server()),
                Step::ToClient => drop(pair.carry_to_client()),
                Step::Grant(..) | Step::Cancel => {}
            }
            for event in pair.client.events() {
                match event {
                    Event::StreamItems(items) => got.push(items.body.to_vec()),
                    Event::StreamEnded(..) => ended = true,
                    other => panic!("{other:?}"),
                }
            }
            prop_assert_eq!(&got[..], &sent[..got.len()]);
        }
        pair.server.connection.end_stream(FIRST);
        if !ended {
            pair.client.connection.cancel_stream(FIRST);
        }
        pair.drive();
        for event in pair.client.events() {
            if let Event::StreamItems(items) = event {
                got.push(items.body.to_vec());
            }
        }
        if !cancelled && ended {
            prop_assert_eq!(got, sent);
        }
        assert_no_streams(&pair);
    }
}
