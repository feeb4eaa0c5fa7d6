//! However the bytes are cut, they mean the same; and every message survives its encoding.

use bytes::{Bytes, BytesMut};
use farref_proto::message::{Call, Cancel, Message, Reply, Sections};
use farref_proto::{
    Chain, ChainId, Connection, EntryKind, Event, Extensions, FaultKind, FaultMessage, InstanceId,
    Introduction, Limits, Outcome, OutgoingCall, ReplyStatus, TableEntry, Time, Token,
    TraceContext,
};
use proptest::prelude::*;

use crate::pair::{CLIENT, Pair, call, client_config, describe, frame, reply, server_config};

/// A conversation with something of everything. Returns what each side sent.
fn conversation(token: bool) -> (Vec<u8>, Vec<u8>) {
    let (client, server) = configs(token);
    let mut pair = Pair::new(client, server);
    if token {
        pair.drive();
    }
    let (_, jukebox) = pair.client.connection.bind("jukebox", 1).unwrap();
    let large = Bytes::from(vec![5; 5000]);
    let (_, entry) = pair.client.connection.export(40, 2, CLIENT).unwrap();
    let chain = Some(Chain {
        id: ChainId::from_bytes([7; 16]),
        depth: 0,
    });
    let extensions = Extensions {
        chain,
        deadline: Some(Time::from_micros(9_000_000)),
        ..Extensions::default()
    };
    let outgoing = OutgoingCall {
        target: jukebox.index(),
        extensions: &extensions,
        table: &[entry],
        attachments: &[large],
        ..call(b"play")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.client.connection.oneway(&call(b"tick"), true).unwrap();
    let stop = pair.client.connection.call(&call(b"stop")).unwrap();
    pair.carry_to_server();
    pair.client.connection.cancel(stop);
    pair.carry_to_server();
    answer(&mut pair.server.connection);
    pair.drive();
    pair.client.connection.release(jukebox, 1);
    pair.server.connection.call(&call(b"callback")).unwrap();
    pair.drive();
    answer(&mut pair.client.connection);
    pair.drive();
    let _ = pair.pass(std::time::Duration::from_secs(10));
    pair.client.connection.drain(farref_proto::DrainReason::new(
        farref_proto::DrainCode::ShuttingDown,
        "",
    ));
    pair.drive();
    pair.client
        .connection
        .close(&farref_proto::CloseReason::new(
            farref_proto::CloseCode::Done,
            "",
        ));
    pair.drive();
    assert_eq!((pair.client.error, pair.server.error), (None, None));
    (pair.client.sent, pair.server.sent)
}

fn configs(token: bool) -> (farref_proto::ClientConfig, farref_proto::ServerConfig) {
    let (mut client, mut server) = (client_config(), server_config());
    if token {
        client.token = Some(Token::new("sesame"));
        server.token = Some(Token::new("sesame"));
    }
    (client, server)
}

/// Takes what has arrived, and answers all of it. Returns what it was.
fn answer(connection: &mut Connection) -> Vec<String> {
    let events: Vec<Event> = std::iter::from_fn(|| connection.poll_event()).collect();
    let seen = events
        .iter()
        .map(|event| strip_time(&format!("{event:?}")))
        .collect();
    for event in events {
        answer_one(connection, event);
    }
    seen
}

fn answer_one(connection: &mut Connection, event: Event) {
    match event {
        Event::Call(arrived) => {
            for reference in &arrived.table {
                if let farref_proto::IncomingRef::Import { import, .. } = reference {
                    connection.release(*import, 1);
                }
            }
            connection.reply(arrived.id, &reply(&arrived.body)).unwrap();
        }
        Event::Oneway(_, receipt) => connection.oneway_done(receipt),
        Event::Bind(bind) => {
            let entry = Connection::alias_entry(bind.alias, 50, 1, CLIENT);
            connection.reply(bind.call, &describe(&[entry])).unwrap();
        }
        _ => {}
    }
}

/// Gives the client's half of the conversation to a server, cut at these places. Returns all events.
///
/// The server says what it said when the conversation was recorded, before it hears the reply to its own call: else
/// that would be a reply to nothing.
fn listen(token: bool, bytes: &[u8], mut cuts: Vec<usize>) -> Vec<String> {
    let (_, config) = configs(token);
    let mut now = Time::from_micros(1_000_000);
    let mut server = Connection::server(config, now);
    let mut input = BytesMut::new();
    let mut seen = Vec::new();
    let before_reply = bytes
        .windows(8)
        .rposition(|window| window == b"callback")
        .unwrap()
        - 12;
    cuts.extend([before_reply, bytes.len()]);
    cuts.sort_unstable();
    let mut from = 0;
    for to in cuts {
        input.extend_from_slice(&bytes[from..to]);
        server.handle_bytes(now, &mut input).unwrap();
        if to == before_reply && from < to {
            seen.extend(answer(&mut server));
            server.call(&call(b"callback")).unwrap();
        }
        from = to;
        server.poll_transmit(now, &mut Vec::new());
        now = now + std::time::Duration::from_micros(1);
    }
    assert!(input.is_empty());
    seen.extend(answer(&mut server));
    seen
}

/// Removes the deadline's instant: the cuts take their time, which shows there.
fn strip_time(event: &str) -> String {
    match event.split_once("deadline: Some(Time(") {
        Some((before, rest)) => {
            let after = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{before}deadline: Some(Time({after}")
        }
        None => event.to_owned(),
    }
}

#[test]
fn every_single_cut_gives_the_same_events() {
    for token in [false, true] {
        let (bytes, _) = conversation(token);
        let uncut = listen(token, &bytes, vec![]);
        for kind in [
            "Bind", "Call", "Cancel", "Oneway", "Alias", "Reply", "Draining", "Closed",
        ] {
            assert!(
                uncut.iter().any(|event| event.starts_with(kind)),
                "no {kind}"
            );
        }
        for cut in 0..bytes.len() {
            let events = listen(token, &bytes, vec![cut]);
            assert!(events == uncut, "cut at {cut}");
        }
    }
}

#[test]
fn bytes_one_by_one_give_the_same_events() {
    for token in [false, true] {
        let (bytes, _) = conversation(token);
        let uncut = listen(token, &bytes, vec![]);
        assert!(listen(token, &bytes, (1..bytes.len()).collect()) == uncut);
    }
}

fn blob() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn table_entry() -> impl Strategy<Value = TableEntry> {
    let kinds = prop::sample::select(vec![
        EntryKind::Export,
        EntryKind::Home,
        EntryKind::Dead,
        EntryKind::Introduced,
        EntryKind::StreamOut,
        EntryKind::StreamIn,
        EntryKind::Promise,
    ]);
    (
        kinds,
        any::<u32>(),
        any::<u64>(),
        any::<u32>(),
        any::<[u8; 16]>(),
    )
        .prop_map(|(kind, id, object, interface, owner)| TableEntry {
            kind,
            id,
            object,
            interface,
            owner: InstanceId::from_bytes(owner),
        })
}

fn introduction() -> impl Strategy<Value = Introduction> {
    (
        any::<u16>(),
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        ".{0,20}",
    )
        .prop_map(|(index, grant, holder, address)| Introduction {
            index,
            grant,
            holder: InstanceId::from_bytes(holder),
            address,
        })
}

fn extensions() -> impl Strategy<Value = Extensions> {
    let chain = (any::<[u8; 16]>(), any::<u16>()).prop_map(|(id, depth)| Chain {
        id: ChainId::from_bytes(id),
        depth,
    });
    let trace = (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<u8>(), ".{0,40}").prop_map(
        |(trace_id, span_id, flags, state)| TraceContext {
            trace_id,
            span_id,
            flags,
            state,
        },
    );
    (
        prop::option::of(any::<u64>().prop_map(Time::from_micros)),
        prop::option::of(chain),
        prop::option::of(trace),
        prop::collection::vec((".{0,10}", blob()), 0..4),
        prop::collection::vec(introduction(), 0..4),
    )
        .prop_map(
            |(deadline, chain, trace, annotations, introductions)| Extensions {
                deadline,
                chain,
                trace,
                annotations,
                introductions,
            },
        )
}

fn sections() -> impl Strategy<Value = Sections> {
    (
        extensions(),
        prop::collection::vec(table_entry(), 0..4),
        blob(),
        prop::collection::vec(blob(), 0..4),
    )
        .prop_map(|(extensions, table, body, attachments)| Sections {
            extensions: (!extensions.is_empty()).then(|| Box::new(extensions)),
            unknown_extension: None,
            table,
            body,
            attachments,
        })
}

fn message() -> impl Strategy<Value = Message> {
    let call = (
        any::<[u32; 4]>(),
        any::<u16>(),
        any::<u8>(),
        any::<[bool; 3]>(),
        sections(),
    )
        .prop_map(|(numbers, method_index, codec, flags, sections)| {
            let [id, target, method_hash, shape] = numbers;
            let [pipelined, batched, kept] = flags;
            Call {
                id,
                target,
                method_hash,
                shape,
                method_index,
                codec,
                pipelined,
                keep_answer: kept,
                batched,
                ordered: false,
                sections,
            }
        })
        .boxed();
    let oneway = call.clone().prop_map(|call| {
        Message::Oneway(Call {
            id: 0,
            ordered: call.keep_answer,
            keep_answer: false,
            ..call
        })
    });
    let status = prop::sample::select(vec![
        ReplyStatus::Ok,
        ReplyStatus::Error,
        ReplyStatus::Fault,
    ]);
    let reply = (any::<u32>(), status, any::<u8>(), sections()).prop_map(
        |(id, status, codec, sections)| {
            Message::Reply(Reply {
                id,
                status,
                codec,
                sections,
            })
        },
    );
    let cancel = prop::collection::vec(any::<u32>(), 1..9)
        .prop_map(|calls| Message::Cancel(Cancel { calls }));
    prop_oneof![call.prop_map(Message::Call), oneway, reply, cancel]
}

proptest! {
    #[test]
    fn messages_survive_their_encoding(message in message()) {
        let bytes = frame(&message);
        prop_assert_eq!(Message::decode(&bytes, &Limits::default().grants()), Ok(message));
    }

    #[test]
    fn bytes_that_decode_encode_to_the_same_if_they_are_canonical(
        message in message(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut bytes = frame(&message).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let grants = Limits::default().grants();
        if let Ok(mutated) = Message::decode(&Bytes::from(bytes), &grants) {
            let again = frame(&mutated);
            prop_assert_eq!(Message::decode(&again, &grants).map(|message| frame(&message)), Ok(again));
        }
    }

    #[test]
    fn faults_survive_their_encoding(
        message in ".{0,80}",
        causes in prop::collection::vec(".{0,40}", 0..8),
        hops in prop::collection::vec(".{0,20}", 0..9),
        backtrace in prop::option::of(".{0,80}"),
        kind in prop::sample::select(FaultKind::ALL),
    ) {
        let fault = FaultMessage { kind, outcome: Outcome::Unknown, message, causes, hops, backtrace };
        let mut out = BytesMut::new();
        fault.encode(&mut out);
        prop_assert_eq!(FaultMessage::decode(&out.freeze()), Ok(fault));
    }

    #[test]
    fn any_cuts_give_the_same_events(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30)) {
        let (bytes, _) = conversation(false);
        let uncut = listen(false, &bytes, vec![]);
        let cuts = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        prop_assert!(listen(false, &bytes, cuts) == uncut);
    }
}
