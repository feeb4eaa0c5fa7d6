//! Calls, replies and cancels, in both directions.

use bytes::Bytes;
use farref_proto::message::{Call, Cancel, Message, Reply, Sections};
use farref_proto::{
    CallId, Chain, ChainId, Event, Extensions, FaultKind, FaultMessage, Outcome, OutgoingCall,
    OutgoingReply, ReplyStatus, SendError, TraceContext, Violation,
};

use crate::pair::{CODEC, Pair, call, frame, reply};

#[test]
fn both_sides_call() {
    let mut pair = Pair::established();
    let to_server = pair.client.connection.call(&call(b"ping")).unwrap();
    let to_client = pair.server.connection.call(&call(b"back")).unwrap();
    pair.drive();
    let at_server = pair.server.incoming_call();
    let at_client = pair.client.incoming_call();
    assert_eq!(
        (&at_server.body[..], at_server.target.index()),
        (&b"ping"[..], 0)
    );
    assert_eq!(
        (at_server.method_index, at_server.method_hash),
        (3, 0x1234_5678)
    );
    assert_eq!((at_server.shape, at_server.codec), (0x9abc_def0, CODEC));
    assert!(at_server.extensions.is_none());
    assert_eq!(&at_client.body[..], b"back");
    pair.server
        .connection
        .reply(at_server.id, &reply(b"pong"))
        .unwrap();
    pair.client
        .connection
        .reply(at_client.id, &reply(b"forth"))
        .unwrap();
    pair.drive();
    let answer = pair.client.incoming_reply();
    assert_eq!((answer.call, &answer.body[..]), (to_server, &b"pong"[..]));
    let answer = pair.server.incoming_reply();
    assert_eq!((answer.call, &answer.body[..]), (to_client, &b"forth"[..]));
    pair.assert_idle();
}

#[test]
fn everything_that_travels_arrives() {
    let mut pair = Pair::established();
    let extensions = Extensions {
        deadline: Some(pair.now),
        chain: Some(Chain {
            id: ChainId::from_bytes([7; 16]),
            depth: 1,
        }),
        trace: Some(TraceContext {
            trace_id: [1; 16],
            span_id: [2; 8],
            flags: 1,
            state: "a=b".to_owned(),
        }),
        annotations: vec![("user".to_owned(), Bytes::from_static(b"ada"))],
        introductions: Vec::new(),
    };
    let large = Bytes::from(vec![9; 100_000]);
    let attachments = [Bytes::from_static(b"small"), large.clone(), Bytes::new()];
    let outgoing = OutgoingCall {
        extensions: &extensions,
        attachments: &attachments,
        ..call(b"body")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.drive();
    let arrived = pair.server.incoming_call();
    assert_eq!(
        *arrived.extensions(),
        extensions,
        "both clocks are the same here"
    );
    assert_eq!(arrived.depth(), 1);
    assert_eq!(arrived.attachments, attachments);
    assert_eq!(&arrived.body[..], b"body");
    let answer = OutgoingReply {
        status: ReplyStatus::Error,
        extensions: &extensions,
        attachments: &attachments,
        ..reply(b"why")
    };
    pair.server.connection.reply(arrived.id, &answer).unwrap();
    pair.drive();
    let answer = pair.client.incoming_reply();
    assert_eq!(
        (answer.status, &answer.body[..]),
        (ReplyStatus::Error, &b"why"[..])
    );
    assert_eq!(answer.attachments, attachments);
    assert_eq!(answer.extensions.as_deref(), Some(&extensions));
}

#[test]
fn large_attachments_are_not_copied() {
    let mut pair = Pair::established();
    let large = Bytes::from(vec![9; 4096]);
    let outgoing = OutgoingCall {
        attachments: std::slice::from_ref(&large),
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    let mut pieces = Vec::new();
    pair.client.connection.poll_transmit(pair.now, &mut pieces);
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[1].as_ptr(), large.as_ptr());
}

#[test]
fn replies_come_in_any_order() {
    let mut pair = Pair::established();
    let ids: Vec<CallId> = (0..4)
        .map(|_| pair.client.connection.call(&call(b"")).unwrap())
        .collect();
    pair.drive();
    let arrived = pair.server.events();
    for event in arrived.iter().rev() {
        let Event::Call(arrived) = event else {
            panic!("{event:?}")
        };
        pair.server
            .connection
            .reply(arrived.id, &reply(b""))
            .unwrap();
    }
    pair.drive();
    let answered: Vec<CallId> = pair
        .client
        .events()
        .iter()
        .map(|event| match event {
            Event::Reply(reply) => reply.call,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answered, ids.into_iter().rev().collect::<Vec<_>>());
    pair.assert_idle();
}

#[test]
fn a_fault_tells_everything() {
    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"")).unwrap();
    pair.drive();
    let id = pair.server.incoming_call().id;
    let fault = FaultMessage {
        causes: vec!["no needle".to_owned()],
        hops: vec!["jukebox".to_owned()],
        ..FaultMessage::new(FaultKind::Panicked, Outcome::Ran, "it panicked")
    };
    pair.server.connection.reply_fault(id, &fault).unwrap();
    pair.drive();
    let answer = pair.client.incoming_reply();
    assert_eq!((answer.status, answer.codec), (ReplyStatus::Fault, 0));
    assert_eq!(FaultMessage::decode(&answer.body), Ok(fault));
}

#[test]
fn each_call_is_answered_once() {
    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"")).unwrap();
    pair.drive();
    let id = pair.server.incoming_call().id;
    let server = &mut pair.server.connection;
    server.reply(id, &reply(b"")).unwrap();
    assert_eq!(
        server.reply(id, &reply(b"")),
        Err(SendError::Unknown("call"))
    );
    assert_eq!(
        server.reply(CallId::new(9), &reply(b"")),
        Err(SendError::Unknown("call"))
    );
}

#[test]
fn oneways_give_their_credit_back_when_they_end() {
    let mut pair = Pair::established();
    pair.client.connection.oneway(&call(b"tick"), true).unwrap();
    pair.drive();
    let Event::Oneway(arrived, receipt) = pair.server.event() else {
        panic!("no oneway")
    };
    assert!(arrived.ordered);
    assert_eq!(&arrived.body[..], b"tick");
    assert_eq!(
        pair.carry_to_client(),
        0,
        "nothing comes back before it has ended"
    );
    pair.server.connection.oneway_done(receipt);
    assert!(pair.server.connection.has_transmit());
    pair.drive();
    pair.assert_idle();
}

#[test]
fn a_cancelled_call_is_answered_all_the_same() {
    let mut pair = Pair::established();
    let id = pair.client.connection.call(&call(b"")).unwrap();
    pair.drive();
    let arrived = pair.server.incoming_call().id;
    pair.client.connection.cancel(id);
    pair.client.connection.cancel(id);
    pair.drive();
    let Event::Cancel(cancelled) = pair.server.event() else {
        panic!("no cancel")
    };
    assert_eq!(cancelled, arrived);
    let fault = FaultMessage::new(FaultKind::Cancelled, Outcome::Ran, "cancelled");
    pair.server.connection.reply_fault(arrived, &fault).unwrap();
    pair.drive();
    assert_eq!(pair.client.incoming_reply().call, id);
    pair.assert_idle();
}

#[test]
fn a_cancel_that_crosses_the_reply_is_ignored() {
    let mut pair = Pair::established();
    let id = pair.client.connection.call(&call(b"first")).unwrap();
    pair.drive();
    let arrived = pair.server.incoming_call().id;
    pair.server.connection.reply(arrived, &reply(b"")).unwrap();
    pair.client.connection.cancel(id);
    // The cancel leaves before the reply comes, and reaches the server after it has left.
    let cancel = pair.client.transmit(pair.now);
    pair.carry_to_client();
    assert_eq!(pair.client.incoming_reply().call, id);
    assert_eq!(pair.forge_to_server(&cancel), None);
    // The slot's next call is not the one that was given up.
    assert_eq!(pair.client.connection.call(&call(b"second")).unwrap(), id);
    pair.drive();
    assert_eq!(&pair.server.incoming_call().body[..], b"second");
}

#[test]
fn a_cancel_before_its_call_was_sent_follows_it() {
    let mut pair = Pair::established();
    let id = pair.client.connection.call(&call(b"")).unwrap();
    assert_eq!(
        pair.client.connection.outcome_if_lost(id),
        Outcome::NotStarted
    );
    pair.client.connection.cancel(id);
    pair.drive();
    let events = pair.server.events();
    assert!(
        matches!(events[..], [Event::Call(_), Event::Cancel(_)]),
        "{events:?}"
    );
    assert_eq!(pair.client.connection.outcome_if_lost(id), Outcome::Unknown);
}

#[test]
fn what_is_too_large_leaves_no_trace() {
    let mut server = crate::pair::server_config();
    server.limits.max_message = 100_000;
    let mut pair = Pair::established_with(crate::pair::client_config(), server);
    let body = vec![0; 100_000];
    let error = pair.client.connection.call(&call(&body)).unwrap_err();
    assert!(matches!(error, SendError::TooLarge { limit: 100_000, .. }));
    // One that is too large only with its header.
    let body = vec![0; 99_990];
    let error = pair.client.connection.call(&call(&body)).unwrap_err();
    assert_eq!(
        error,
        SendError::TooLarge {
            size: 4 + 20 + 99_990,
            limit: 100_000
        }
    );
    let body = vec![0; 100_000 - 24];
    pair.client.connection.call(&call(&body)).unwrap();
    pair.drive();
    let id = pair.server.incoming_call().id;
    let large = vec![0; 5 << 20];
    let error = pair
        .server
        .connection
        .reply(id, &reply(&large))
        .unwrap_err();
    assert!(matches!(error, SendError::TooLarge { .. }));
    let fault = FaultMessage::new(FaultKind::TooLarge, Outcome::Ran, "too large");
    pair.server.connection.reply_fault(id, &fault).unwrap();
    pair.drive();
    assert_eq!(pair.client.incoming_reply().status, ReplyStatus::Fault);
    pair.assert_idle();
}

#[test]
fn a_codec_that_was_not_agreed_on_fails_the_call() {
    let (mut client, mut server) = (crate::pair::client_config(), crate::pair::server_config());
    client.codecs = 0b0110;
    server.codecs = 0b0010;
    let mut pair = Pair::new(client, server);
    let early = OutgoingCall {
        codec: 2,
        ..call(b"")
    };
    pair.client.connection.call(&early).unwrap();
    pair.drive();
    assert!(
        matches!(pair.server.event(), Event::Established(_)),
        "the call is not shown"
    );
    let events = pair.client.events();
    let [Event::Established(_), Event::Reply(answer)] = &events[..] else {
        panic!("{events:?}")
    };
    let fault = FaultMessage::decode(&answer.body).unwrap();
    assert_eq!(
        (fault.kind, fault.outcome),
        (FaultKind::UnsupportedCodec, Outcome::NotStarted)
    );
    assert_eq!(
        pair.client.connection.call(&early),
        Err(SendError::UnsupportedCodec(2))
    );
    let absurd = OutgoingCall {
        codec: 255,
        ..call(b"")
    };
    assert_eq!(
        pair.client.connection.call(&absurd),
        Err(SendError::UnsupportedCodec(255))
    );
    pair.assert_idle();
}

pub(crate) fn forged_call(id: u32) -> Call {
    Call {
        id,
        target: 0,
        method_hash: 0,
        shape: 0,
        method_index: 0,
        codec: CODEC,
        pipelined: false,
        keep_answer: false,
        batched: false,
        ordered: false,
        sections: Sections::default(),
    }
}

/// Sends a call that the server refuses by itself, and returns the fault.
fn refused(pair: &mut Pair, bytes: &[u8]) -> FaultMessage {
    assert_eq!(pair.forge_to_server(bytes), None);
    assert!(pair.server.events().is_empty(), "the call is not shown");
    let answer = pair.server.transmit(pair.now);
    let grants = farref_proto::Limits::default().grants();
    match Message::decode(&Bytes::from(answer), &grants) {
        Ok(Message::Reply(Reply {
            status: ReplyStatus::Fault,
            sections,
            ..
        })) => FaultMessage::decode(&sections.body).unwrap(),
        other => panic!("not a fault: {other:?}"),
    }
}

#[test]
fn extensions_that_must_be_understood_fail_that_call_only() {
    let mut pair = Pair::established();
    let extended = |id: u8, tag: u8| {
        let mut bytes = frame(&Message::Call(forged_call(id.into()))).to_vec();
        bytes[5] = 1;
        bytes.extend_from_slice(&[4, 0, tag, 1, 0, 9]);
        bytes[0] += 6;
        bytes
    };
    let fault = refused(&mut pair, &extended(0, 0x80));
    assert_eq!(
        (fault.kind, fault.outcome),
        (FaultKind::Unsupported, Outcome::NotStarted)
    );
    assert_eq!(pair.forge_to_server(&extended(0, 0x7f)), None);
    assert!(
        matches!(pair.server.event(), Event::Call(_)),
        "others are skipped"
    );
}

#[test]
fn a_place_in_a_trace_that_makes_no_sense_is_as_if_it_were_not_there() {
    let mut pair = Pair::established();
    let mut arrived = |id: u8, field: &[u8]| {
        let mut bytes = frame(&Message::Call(forged_call(id.into()))).to_vec();
        bytes[5] = 1;
        let length = field.len() as u16;
        bytes.extend_from_slice(&(length + 3).to_le_bytes());
        bytes.push(3);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(field);
        let frame_length = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        let longer = frame_length + u32::from(length) + 5;
        bytes[..4].copy_from_slice(&longer.to_le_bytes());
        assert_eq!(pair.forge_to_server(&bytes), None);
        pair.server.incoming_call().extensions().trace.clone()
    };
    let place = [7; 25];
    let whole = arrived(0, &place).unwrap();
    assert_eq!((whole.trace_id, whole.span_id), ([7; 16], [7; 8]));
    assert_eq!((whole.flags, whole.state.as_str()), (7, ""));
    assert_eq!(arrived(1, &place[..24]), None, "too short");
    assert_eq!(arrived(2, &[]), None, "nothing at all");
    assert_eq!(arrived(3, &[&place[..], &[0xff]].concat()), None);
    assert_eq!(arrived(4, &[&place[..], &[b'a'; 513]].concat()), None);
    assert!(arrived(5, &[&place[..], &[b'a'; 512]].concat()).is_some());
}

#[test]
fn forged_ids_end_the_connection() {
    let forged = |id| frame(&Message::Call(forged_call(id)));
    let mut pair = Pair::established();
    let error = pair.forge_to_server(&forged(1));
    assert_eq!(error, Some(Violation::CallIdOutOfSequence(1).into()));

    let mut pair = Pair::established();
    let twice = [forged(0), forged(0)].concat();
    assert_eq!(
        pair.forge_to_server(&twice),
        Some(Violation::CallIdInUse(0).into())
    );
    assert!(
        matches!(pair.server.event(), Event::Call(_)),
        "the first one is still there"
    );

    let mut pair = Pair::established();
    pair.forge_to_server(&forged(0));
    let id = pair.server.incoming_call().id;
    pair.server.connection.reply(id, &reply(b"")).unwrap();
    let error = pair.forge_to_server(&forged(0));
    assert_eq!(
        error,
        Some(Violation::CallIdInUse(0).into()),
        "the reply has not left yet"
    );

    let mut pair = Pair::established();
    let unasked = Reply {
        id: 3,
        status: ReplyStatus::Ok,
        codec: 1,
        sections: Sections::default(),
    };
    let error = pair.forge_to_server(&frame(&Message::Reply(unasked)));
    assert_eq!(error, Some(Violation::UnknownReply(3).into()));

    let mut pair = Pair::established();
    let idle = frame(&Message::Cancel(Cancel {
        calls: vec![0, 99, u32::MAX],
    }));
    assert_eq!(pair.forge_to_server(&idle), None, "a cancel may come late");
    assert!(pair.server.events().is_empty());
}
