//! Messages that are well formed and make no sense: answers that nobody asked for, credit that was not spent, names that
//! are not there, clocks beyond reason.

use bytes::Bytes;
use farref_proto::message::{
    Ack, Beat, Bind, Cancel, Credit, CreditEntry, Message, Release, ReleaseEntry, Reply,
    ReplyStatus, Revoked, Sections,
};
use farref_proto::{
    ALIAS_BIT, CloseCode, Extensions, FaultKind, FaultMessage, Grants, Limits, Outcome, Time,
};

use crate::arena::Arena;
use crate::attacker::{
    Answer, Attacker, BASTION, POSTCARD, call, export, hello, with_extensions, with_table,
};

/// An answer of the attacker's to the daemon's call of this id.
fn reply(id: u32, status: ReplyStatus, codec: u8, sections: Sections) -> Message {
    Message::Reply(Reply {
        id,
        status,
        codec,
        sections,
    })
}

fn body(bytes: &[u8]) -> Sections {
    Sections {
        body: Bytes::copy_from_slice(bytes),
        ..Sections::default()
    }
}

/// A bind of an object that is not there.
fn bind(id: u32, alias: u32, name: String) -> Message {
    Message::Bind(Bind {
        id,
        alias: ALIAS_BIT | alias,
        interface: 0,
        name,
        extensions: None,
        unknown_extension: None,
    })
}

#[test]
fn impossible_messages_end_the_connection() {
    let release = |id, count| {
        Message::Release(Release {
            entries: vec![ReleaseEntry { id, count }],
        })
    };
    let credit = |depth, calls, bytes| {
        Message::Credit(Credit {
            entries: vec![CreditEntry {
                depth,
                calls,
                bytes,
            }],
        })
    };
    let messages = [
        (
            reply(0, ReplyStatus::Ok, POSTCARD, body(&[])),
            "the call 0, which is not open",
        ),
        (
            reply(u32::MAX, ReplyStatus::Ok, POSTCARD, body(&[])),
            "4294967295, which is not open",
        ),
        (release(1, 1), "was released than was given"),
        (release(BASTION, 2), "was released than was given"),
        (release(0, 1), "was released than was given"),
        (credit(0, 1, 1), "credit of depth 0 came back"),
        (
            credit(255, u32::MAX, u64::MAX),
            "credit of depth 255 came back",
        ),
        (Message::Ack(Ack { received: u64::MAX }), "is impossible"),
        (
            Message::Beat(Beat {
                clock: Time::ZERO,
                received: u64::MAX,
            }),
            "is impossible",
        ),
        (
            Message::Call(call(7, "add", POSTCARD, &[2, 3])),
            "the call id 7 is out of sequence",
        ),
        (
            bind(0, 0, "bastion".to_owned()),
            "the name 0x80000000 cannot be bound",
        ),
        (
            bind(0, ALIAS_BIT - 1, "bastion".to_owned()),
            "the name 0xffffffff cannot be bound",
        ),
    ];
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        messages.map(|(message, because)| {
            let mut attacker = Attacker::settle(address);
            attacker.send_message(&message);
            (attacker.goodbye(), because)
        })
    });
    for (goodbye, because) in endured.saw {
        assert_eq!(goodbye.code, CloseCode::Violation, "{goodbye}");
        assert!(goodbye.text.contains(because), "{goodbye}");
    }
}

#[test]
fn a_call_id_that_is_in_use_ends_the_connection() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let visit = with_table(call(0, "visit", POSTCARD, &[0]), vec![export(1, "Visitor")]);
        attacker.send_message(&Message::Call(visit));
        attacker.callback();
        attacker.send_message(&Message::Call(call(0, "add", POSTCARD, &[2, 3])));
        attacker.goodbye()
    });
    assert_eq!(endured.saw.code, CloseCode::Violation);
    assert!(
        endured.saw.text.ends_with("the call id 0 is in use"),
        "{}",
        endured.saw.text
    );
}

#[test]
fn notices_of_what_is_gone_are_ignored() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let many: Vec<u32> = (0..100_000).collect();
        attacker.send_message(&Message::Cancel(Cancel {
            calls: many.clone(),
        }));
        attacker.send_message(&Message::Revoked(Revoked { exports: many }));
        for _ in 0..10_000 {
            attacker.send_message(&Message::Beat(Beat {
                clock: Time::ZERO,
                received: 0,
            }));
        }
        attacker.make_another_good_call();
    });
}

#[test]
fn answers_that_make_no_sense_fail_their_call() {
    let fault = |kind: u8, outcome: u8| [kind, outcome, 0, 0, 0, 0, 0, 0, 0, 0];
    let garbled = [
        (
            reply(0, ReplyStatus::Ok, POSTCARD, body(&[])),
            "cannot be decoded",
        ),
        (
            reply(0, ReplyStatus::Ok, POSTCARD, body(&[0xff; 10])),
            "cannot be decoded",
        ),
        (
            reply(0, ReplyStatus::Ok, POSTCARD, body(&[1, 2])),
            "cannot be decoded",
        ),
        (reply(0, ReplyStatus::Ok, 77, body(&[1])), ""),
        (
            reply(0, ReplyStatus::Error, POSTCARD, body(&[1])),
            "failed with an error of its own",
        ),
        (reply(0, ReplyStatus::Fault, 0, body(&[])), ""),
        (reply(0, ReplyStatus::Fault, 0, body(&fault(0xee, 9))), ""),
        (reply(0, ReplyStatus::Fault, 0, body(&[0xff; 100])), ""),
    ];
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        garbled.map(|(garbled, because)| {
            let visit = with_table(call(0, "visit", POSTCARD, &[0]), vec![export(1, "Visitor")]);
            attacker.send_message(&Message::Call(visit));
            assert_eq!(attacker.callback().id, 0);
            attacker.send_message(&garbled);
            let answer = crate::attacker::answer(attacker.reply());
            attacker.make_another_good_call();
            (answer, because)
        })
    });
    for (answer, because) in endured.saw {
        // The handler's callback failed, and it says so with an error of its own.
        let Answer::Error(text) = answer else {
            panic!("an error was expected, and {answer:?} came")
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains(because), "{text}");
    }
}

#[test]
fn clocks_beyond_reason_are_borne() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::connect(address);
        let mut late = hello();
        late.clock = Time::from_micros(u64::MAX);
        attacker.say_hello(late);
        attacker.receive().expect("a hello");
        attacker.make_good_call();
        let mut outcomes = Vec::new();
        for clock in [u64::MAX, 0, u64::MAX / 2, 1] {
            let clock = Time::from_micros(clock);
            attacker.send_message(&Message::Beat(Beat { clock, received: 0 }));
            for deadline in [0, 1, u64::MAX / 2, u64::MAX] {
                let deadline = Some(Time::from_micros(deadline));
                let extensions = Extensions {
                    deadline,
                    ..Extensions::default()
                };
                // One that stays pending for a moment, so that the deadline is waited for.
                let call = with_extensions(call(0, "trip", POSTCARD, &[4]), extensions);
                outcomes.push(attacker.ask_for(call));
            }
        }
        outcomes
    });
    for answer in endured.saw {
        let is_late = |fault: &FaultMessage| fault.kind == FaultKind::DeadlineExceeded;
        match answer {
            Answer::Value(value) => assert_eq!(&value[..], [4]),
            Answer::Fault(fault) => assert!(is_late(&fault), "{fault:?}"),
            Answer::Error(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn names_that_are_not_there_are_not_kept() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        for alias in 1..4096 {
            attacker.send_message(&bind(0, alias, "x".repeat(1024)));
            let fault = crate::attacker::answer(attacker.reply()).fault();
            assert_eq!(
                (fault.kind, fault.outcome),
                (FaultKind::NoSuchObject, Outcome::NotStarted)
            );
        }
        // A call to one of them still says what is wrong.
        let mut absent = call(0, "add", POSTCARD, &[2, 3]);
        absent.target = ALIAS_BIT | 4095;
        attacker.ask_for(absent).fault().kind
    });
    assert_eq!(endured.saw, FaultKind::NoSuchObject);
    // Some 160 bytes for each; their names alone are 4 MiB.
    assert!(endured.peak < 1 << 20, "{} bytes", endured.peak);
}

#[test]
fn names_have_a_limit() {
    let mut limits = Limits::default();
    limits.aliases = 100;
    let mut arena = Arena::with(|daemon| daemon.limits(limits));
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        for alias in 1..100 {
            attacker.send_message(&bind(0, alias, "citadel".to_owned()));
            attacker.reply();
        }
        attacker.send_message(&bind(0, 100, "citadel".to_owned()));
        attacker.goodbye().code
    });
    assert_eq!(endured.saw, CloseCode::Violation);
}

/// Calls and cancels without end: HTTP/2's rapid reset.
#[test]
fn calls_that_are_cancelled_at_once_leave_nothing() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let mut fault = None;
        for _ in 0..5_000 {
            let visit = with_table(call(0, "visit", POSTCARD, &[0]), vec![export(1, "Visitor")]);
            attacker.send_message(&Message::Call(visit));
            let callback = attacker.callback();
            attacker.send_message(&Message::Cancel(Cancel { calls: vec![0] }));
            // The daemon gives its own call up in turn, and ends the one that was cancelled.
            let mut cancelled = false;
            loop {
                match attacker.receive() {
                    Some(Message::Cancel(cancel)) => {
                        assert_eq!(cancel.calls, [callback.id]);
                        cancelled = true;
                    }
                    Some(Message::Reply(reply)) => {
                        fault = Some(crate::attacker::answer(reply).fault())
                    }
                    other => panic!("a cancel and a reply were expected, and {other:?} came"),
                }
                if cancelled && fault.is_some() {
                    break;
                }
            }
            attacker.send_message(&reply(callback.id, ReplyStatus::Ok, POSTCARD, body(&[1])));
            let fault = fault.take().expect("it came");
            assert_eq!(
                (fault.kind, fault.outcome),
                (FaultKind::Cancelled, Outcome::Unknown)
            );
        }
    });
    assert!(endured.peak < 256 << 10, "{} bytes", endured.peak);
}

/// The same without ever answering the callbacks of the cancelled handlers, although as many as can be are granted.
#[test]
fn callbacks_that_are_never_answered_are_few() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::connect(address);
        let mut generous = hello();
        generous.grants.depth_calls = Grants::MAX_CALLS;
        generous.grants.depth_bytes = Grants::MAX_BYTES;
        attacker.say_hello(generous);
        attacker.receive().expect("a hello");
        attacker.make_good_call();
        for _ in 0..5_000 {
            let visit = with_table(call(0, "visit", POSTCARD, &[0]), vec![export(1, "Visitor")]);
            attacker.send_message(&Message::Call(visit));
            attacker.send_message(&Message::Cancel(Cancel { calls: vec![0] }));
            while !matches!(attacker.receive(), Some(Message::Reply(_))) {}
        }
    });
    // The daemon has no more of its own calls unanswered than it would serve.
    assert!(endured.peak < 256 << 10, "{} bytes", endured.peak);
}
