//! Numbers that were never given out: sessions, targets, references, table indexes, codecs of calls.

use bytes::Bytes;
use farref_proto::message::{Bind, Message, SessionRequest};
use farref_proto::{
    ALIAS_BIT, CloseCode, EntryKind, FaultKind, FaultMessage, Outcome, RefusalCode, ReplyStatus,
    SessionId, TableEntry, fnv1a32,
};

use crate::arena::Arena;
use crate::attacker::{Attacker, POSTCARD, answer, call, export, hello, with_table};

#[test]
fn a_guessed_session_is_as_lost_as_one_that_never_was() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut living = Attacker::settle(address);
        // The first session lives, under an id that its owner knows; the second never did.
        let refusals = [[0xa7; 16], [0x11; 16]].map(|id| {
            let mut guess = hello();
            guess.session = SessionRequest::Resume {
                id: SessionId::from_bytes(id),
                epoch: 1,
                mac: [0; 32],
                received: 0,
            };
            let mut attacker = Attacker::connect(address);
            attacker.say_hello(guess);
            attacker.refusal()
        });
        living.ask("add", POSTCARD, &[2, 3]);
        refusals
    });
    let [living, absent] = endured.saw;
    assert_eq!(living.code, RefusalCode::SessionLost);
    assert_eq!(living, absent, "nothing tells the two apart");
}

#[test]
fn a_session_id_that_is_taken_opens_nothing_of_it() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut first = Attacker::settle(address);
        let id = first.new_call();
        first.send_message(&Message::Call(call(id, "child", POSTCARD, &[])));
        let child = first.reply().sections.table[0].id;
        // The same id and the same secret, on another connection: a session of its own, or none.
        let mut second = Attacker::connect(address);
        second.say_hello(hello());
        let greeted = matches!(second.receive(), Some(Message::ServerHello(_)));
        let mut theirs = call(0, "add", POSTCARD, &[2, 3]);
        theirs.target = child;
        greeted.then(|| second.ask_for(theirs).fault().kind)
    });
    assert!(
        matches!(endured.saw, None | Some(FaultKind::StaleReference)),
        "{:?}",
        endured.saw
    );
}

#[test]
fn forged_targets_get_the_answer_of_absent_ones() {
    let mut arena = Arena::new();
    // The victim holds the first reference of its own session.
    let held = arena.run(arena.victim().child()).expect("a call");
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let targets = [1, 2, 77, ALIAS_BIT - 1, ALIAS_BIT | 1, u32::MAX];
        targets.map(|target| {
            let mut forged = call(0, "add", POSTCARD, &[2, 3]);
            forged.target = target;
            attacker.ask_for(forged).fault()
        })
    });
    let [first, others @ ..] = endured.saw;
    assert_eq!(
        (first.kind, first.outcome),
        (FaultKind::StaleReference, Outcome::NotStarted)
    );
    assert_eq!(others, [(); 5].map(|()| first.clone()));
    assert_eq!(
        arena
            .run(held.add(20, 22))
            .expect("the victim's reference lives"),
        42
    );
    drop(held);
}

#[test]
fn a_reference_that_was_given_back_is_absent() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        attacker.send_message(&Message::Call(call(0, "child", POSTCARD, &[])));
        let child = attacker.reply().sections.table[0].id;
        let mut used = call(0, "add", POSTCARD, &[2, 3]);
        used.target = child;
        let before = attacker.ask_for(used.clone());
        let entries = vec![farref_proto::message::ReleaseEntry {
            id: child,
            count: 1,
        }];
        attacker.send_message(&Message::Release(farref_proto::message::Release {
            entries,
        }));
        let after = attacker.ask_for(used).fault();
        let mut absent = call(0, "add", POSTCARD, &[2, 3]);
        absent.target = 99;
        (before, after == attacker.ask_for(absent).fault())
    });
    assert_eq!(
        endured.saw,
        (
            crate::attacker::Answer::Value(Bytes::from_static(&[5])),
            true
        )
    );
}

/// Makes the daemon call a reference that came in this table under this index.
fn visit(attacker: &mut Attacker, table: Vec<TableEntry>, index: &[u8]) -> FaultMessage {
    let call = with_table(call(0, "visit", POSTCARD, index), table);
    attacker.ask_for(call).fault()
}

#[test]
fn forged_indexes_name_nothing() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let one = || vec![export(1, "Visitor")];
        [
            visit(&mut attacker, vec![], &[0]),
            visit(&mut attacker, one(), &[1]),
            visit(&mut attacker, one(), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            visit(&mut attacker, one(), &[0xff; 10]),
        ]
    });
    for fault in &endured.saw {
        assert_eq!(
            (fault.kind, fault.outcome),
            (FaultKind::BadArguments, Outcome::NotStarted),
            "{fault:?}"
        );
    }
    assert!(
        endured.saw[1].message.contains("no reference of number 1"),
        "{:?}",
        endured.saw[1]
    );
}

#[test]
fn forged_homecomings_are_dead_references() {
    let mut arena = Arena::new();
    let held = arena.run(arena.victim().child()).expect("a call");
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        // The victim's reference, one that nobody has, the daemon itself, and an alias that was never bound.
        [1, 77, 0, ALIAS_BIT | 9].map(|id| {
            let home = TableEntry {
                kind: EntryKind::Home,
                id,
                ..export(1, "Visitor")
            };
            let call = with_table(call(0, "visit", POSTCARD, &[0]), vec![home]);
            attacker.ask_for(call)
        })
    });
    let [first, others @ ..] = endured.saw;
    assert_eq!(
        others,
        [&first; 3].map(|answer| match answer {
            crate::attacker::Answer::Error(body) => crate::attacker::Answer::Error(body.clone()),
            other => panic!("the handler's own error was expected, and {other:?} came"),
        })
    );
    drop(held);
}

#[test]
fn an_export_with_a_number_of_the_others_choice_ends_the_connection() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        [0, ALIAS_BIT, ALIAS_BIT | 3].map(|id| {
            let mut attacker = Attacker::settle(address);
            let call = with_table(
                call(0, "visit", POSTCARD, &[0]),
                vec![export(id, "Visitor")],
            );
            attacker.send_message(&Message::Call(call));
            attacker.goodbye().code
        })
    });
    assert_eq!(endured.saw, [CloseCode::Violation; 3]);
}

#[test]
fn a_reference_that_becomes_another_object_ends_the_connection() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let changed = TableEntry {
            object: 99,
            ..export(1, "Visitor")
        };
        let table = vec![export(1, "Visitor"), changed];
        let call = with_table(call(0, "visit", POSTCARD, &[0]), table);
        attacker.send_message(&Message::Call(call));
        attacker.goodbye()
    });
    assert_eq!(endured.saw.code, CloseCode::Violation);
    assert!(
        endured.saw.text.contains("became another object"),
        "{}",
        endured.saw.text
    );
}

#[test]
fn references_that_are_not_taken_are_given_back_at_once() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let table: Vec<_> = (1..=4096).map(|id| export(id, "Visitor")).collect();
        for id in 0..50 {
            // The handler takes the first, calls it and waits.
            let call = call(id, "visit", POSTCARD, &[0]);
            attacker.send_message(&Message::Call(with_table(call, table.clone())));
            attacker.callback();
        }
    });
    // The frames are kept, 7 MiB in buffers of up to twice that. Kept until the handlers end, the references would be of
    // some 50 MiB more.
    assert!(endured.peak < 20 << 20, "{} bytes", endured.peak);
}

#[test]
fn a_name_that_is_not_there_is_not_told_from_one_of_another_interface() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let mut bind = |alias: u32, interface: &str, name: &str| {
            let id = 0;
            attacker.send_message(&Message::Bind(Bind {
                id,
                alias: ALIAS_BIT | alias,
                interface: fnv1a32(interface.as_bytes()),
                name: name.to_owned(),
                extensions: None,
                unknown_extension: None,
            }));
            let reply = attacker.reply();
            assert_eq!(reply.status, ReplyStatus::Fault);
            answer(reply).fault().kind
        };
        [bind(1, "Target", "citadel"), bind(2, "Visitor", "bastion")]
    });
    // Names are no secrets; the kinds of error are what a caller needs.
    assert_eq!(
        endured.saw,
        [FaultKind::NoSuchObject, FaultKind::Incompatible]
    );
}

#[test]
fn an_export_in_the_name_of_the_daemon_is_still_the_attackers() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let (mut attacker, hello) = Attacker::greet(address);
        attacker.make_good_call();
        let forged = TableEntry {
            owner: hello.instance,
            ..export(1, "Visitor")
        };
        let call = with_table(call(0, "visit", POSTCARD, &[0]), vec![forged]);
        attacker.send_message(&Message::Call(call));
        // It is the attacker that is called, whatever it says of the owner.
        attacker.callback().target
    });
    assert_eq!(endured.saw, 1);
}
