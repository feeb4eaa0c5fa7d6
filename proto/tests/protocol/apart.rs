//! A large byte string may be read to memory of its own; what comes of its frame is the same.

use bytes::{Bytes, BytesMut};
use farref_proto::message::{Call, Message, Reply, Sections};
use farref_proto::{
    Connection, ConnectionError, Event, Extensions, OutgoingCall, OutgoingReply, ReplyStatus,
    TableEntry, Time,
};
use proptest::prelude::*;

use crate::pair::{CODEC, End, Pair, call, frame, reply};

/// Parts in every combination, with so many attachments.
fn sections(attachments: usize) -> Vec<Sections> {
    let deadline = Some(Time::from_micros(9_000_000));
    let extensions = Extensions {
        deadline,
        ..Extensions::default()
    };
    let mut all = Vec::new();
    for extensions in [None, Some(Box::new(extensions))] {
        for table in [vec![], vec![TableEntry::DEAD; 2]] {
            for body in [&b""[..], b"ten and two"] {
                all.push(Sections {
                    extensions: extensions.clone(),
                    unknown_extension: None,
                    table: table.clone(),
                    body: Bytes::from_static(body),
                    attachments: vec![Bytes::from(vec![7; 300]); attachments],
                });
            }
        }
    }
    all
}

/// The frames that may have attachments, with these parts.
fn frames(sections: &Sections) -> [Bytes; 3] {
    let call = Call {
        id: 0,
        target: 0,
        method_hash: 0x1234_5678,
        shape: 0,
        method_index: 3,
        codec: CODEC,
        pipelined: false,
        keep_answer: false,
        batched: false,
        ordered: false,
        sections: sections.clone(),
    };
    let reply = Reply {
        id: 0,
        status: ReplyStatus::Ok,
        codec: CODEC,
        sections: sections.clone(),
    };
    [
        Message::Call(call.clone()),
        Message::Oneway(call),
        Message::Reply(reply),
    ]
    .map(|message| frame(&message))
}

#[test]
fn the_place_of_an_attachment_is_known_as_soon_as_all_before_it_has_come() {
    for sections in sections(1) {
        for frame in frames(&sections) {
            let start = frame.len() - 300;
            for come in 0..=frame.len() {
                let place = Connection::attachment(&frame[..come]);
                let known = (come >= start).then_some(start..frame.len());
                assert_eq!(place, known, "{come} bytes of {}", frame.len());
            }
        }
    }
}

#[test]
fn none_and_several_attachments_are_not_read_apart() {
    for sections in [sections(0), sections(2)].concat() {
        for frame in frames(&sections) {
            for come in 0..=frame.len() {
                assert_eq!(Connection::attachment(&frame[..come]), None);
            }
        }
    }
}

/// Hands a frame over as it is. Returns what comes of it.
fn whole(end: &mut End, now: Time, frame: &[u8]) -> (String, Option<ConnectionError>) {
    let error = end
        .connection
        .handle_bytes(now, &mut BytesMut::from(frame))
        .err();
    (format!("{:?}", end.events()), error)
}

/// Hands a frame over with its end, from `start` on, apart.
fn apart(
    end: &mut End,
    now: Time,
    frame: &[u8],
    start: usize,
) -> (String, Option<ConnectionError>) {
    let mut head = BytesMut::from(&frame[..start]);
    let attachment = Bytes::copy_from_slice(&frame[start..]);
    let link = end.connection.link();
    let taken = end
        .connection
        .take_apart_of(link, now, &mut head, attachment);
    let mut events: Vec<Event> = Vec::new();
    let error = match taken {
        Ok(event) => {
            events.extend(event);
            None
        }
        Err(error) => Some(error),
    };
    assert!(head.is_empty(), "{} bytes are left", head.len());
    events.extend(end.events());
    (format!("{events:?}"), error)
}

#[test]
fn calls_and_replies_are_the_same_and_the_bytes_stay_where_they_are() {
    let mut pair = Pair::established();
    let (link, now) = (0, pair.now);
    let bytes = Bytes::from(vec![7; 10_000]);
    let outgoing = OutgoingCall {
        attachments: std::slice::from_ref(&bytes),
        ..call(b"play")
    };
    pair.client.connection.call(&outgoing).unwrap();
    let frame = pair.client.transmit(now);
    let start = Connection::attachment(&frame).unwrap().start;
    let attachment = Bytes::copy_from_slice(&frame[start..]);
    let memory = attachment.as_ptr();
    let mut head = BytesMut::from(&frame[..start]);
    let server = &mut pair.server.connection;
    let event = server.take_apart_of(link, now, &mut head, attachment);
    let Ok(Some(Event::Call(arrived))) = event else {
        panic!("not a call: {event:?}");
    };
    assert_eq!(&arrived.body[..], b"play");
    let mut attachments = arrived.attachments;
    let attachment = attachments.pop().unwrap();
    assert_eq!((&attachment, attachment.as_ptr()), (&bytes, memory));
    assert!(attachments.is_empty() && attachment.is_unique());

    let outgoing = OutgoingReply {
        attachments: &[attachment],
        ..reply(b"played")
    };
    server.reply(arrived.id, &outgoing).unwrap();
    let frame = pair.server.transmit(now);
    let start = Connection::attachment(&frame).unwrap().start;
    let (events, error) = apart(&mut pair.client, now, &frame, start);
    assert_eq!(error, None);
    assert!(events.starts_with("[Reply("), "{events}");
    pair.assert_idle();
}

#[test]
fn what_comes_over_the_connection_before_is_thrown_away() {
    let mut pair = Pair::established();
    let frame = &frames(&sections(1)[0])[0];
    let (start, now) = (frame.len() - 300, pair.now);
    let old = pair.server.connection.link().wrapping_sub(1);
    let mut head = BytesMut::from(&frame[..start]);
    let attachment = frame.slice(start..);
    let server = &mut pair.server.connection;
    let taken = server.take_apart_of(old, now, &mut head, attachment);
    assert!(matches!(taken, Ok(None)), "{taken:?}");
    assert!(head.is_empty() && server.calls_in() == 0);
}

#[test]
fn what_is_no_frame_ends_the_conversation() {
    let frame = &frames(&sections(1)[0])[0];
    let start = frame.len() - 300;
    let two = &frames(&sections(2)[0])[0];
    for (head, attachment) in [
        (&frame[..start], &frame[start + 1..]),
        (&frame[..start - 1], &frame[start..]),
        (&frame[..start - 1], &frame[start - 1..]),
        (&two[..two.len() - 300], &two[two.len() - 300..]),
        (&two[..two.len() - 600], &two[two.len() - 600..]),
        (&frame[..4], &frame[start..]),
    ] {
        let mut pair = Pair::established();
        let server = &mut pair.server.connection;
        let attachment = Bytes::copy_from_slice(attachment);
        let error = server
            .take_apart_of(0, pair.now, &mut BytesMut::from(head), attachment)
            .unwrap_err();
        assert!(matches!(error, ConnectionError::Malformed(_)), "{error:?}");
        assert!(server.is_closed());
    }
}

proptest! {
    #[test]
    fn whatever_the_head_it_comes_to_the_same(
        which in any::<prop::sample::Index>(),
        kind in 0..3_usize,
        bits in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 0..4),
    ) {
        let sections = sections(1);
        let mut frame = frames(&sections[which.index(sections.len())])[kind].to_vec();
        let start = frame.len() - 300;
        for (at, bit) in bits {
            frame[at.index(start)] ^= 1 << bit;
        }
        if let Some(place) = Connection::attachment(&frame) && place.end == frame.len() {
            let (mut one, mut other) = (Pair::established(), Pair::established());
            for end in [&mut one.client, &mut other.client] {
                end.connection.call(&call(b"play")).unwrap();
                end.transmit(Time::from_micros(2_000_000));
            }
            let (one, other) = match kind {
                2 => (&mut one.client, &mut other.client),
                _ => (&mut one.server, &mut other.server),
            };
            let now = Time::from_micros(3_000_000);
            prop_assert_eq!(whole(one, now, &frame), apart(other, now, &frame, place.start));
        }
    }
}
