//! References: counted, come home, released, revoked.

use farref_proto::message::{Message, Release, ReleaseEntry};
use farref_proto::{
    ALIAS_BIT, Connection, EntryKind, Event, ExportId, FaultKind, FaultMessage, ImportId,
    IncomingRef, Outcome, OutgoingCall, OutgoingReply, ReplyStatus, SendError, TableEntry,
    Violation,
};

use crate::pair::{
    CLIENT, Pair, SERVER, call, client_config, describe, frame, reply, server_config,
};

const INTERFACE: u32 = 0xfedc_ba98;

/// The client calls with one of its objects; returns what the server is given.
fn give(pair: &mut Pair, object: u64) -> (ExportId, ImportId) {
    let (export, entry) = pair
        .client
        .connection
        .export(object, INTERFACE, CLIENT)
        .unwrap();
    let outgoing = OutgoingCall {
        table: &[entry],
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.drive();
    let arrived = pair.server.incoming_call();
    let [
        IncomingRef::Import {
            import,
            object: seen,
            interface,
            owner,
        },
    ] = arrived.table[..]
    else {
        panic!("{:?}", arrived.table)
    };
    assert_eq!((seen, interface, owner), (object, INTERFACE, CLIENT));
    pair.server
        .connection
        .reply(arrived.id, &reply(b""))
        .unwrap();
    pair.drive();
    pair.client.incoming_reply();
    (export, import)
}

#[test]
fn a_reference_lives_until_its_last_grant_is_released() {
    let mut pair = Pair::established();
    let (export, import) = give(&mut pair, 40);
    let (again, same) = give(&mut pair, 40);
    assert_eq!((export, import), (again, same), "one object has one id");
    assert_eq!(pair.server.connection.tables().imports, 1);
    pair.server.connection.release(import, 1);
    pair.drive();
    assert!(pair.client.events().is_empty());
    pair.server.connection.release(import, 1);
    pair.drive();
    let Event::Released(released) = pair.client.event() else {
        panic!("not released")
    };
    assert_eq!(released, export);
    pair.assert_idle();
}

#[test]
fn a_reference_comes_home() {
    let mut pair = Pair::established();
    let (export, import) = give(&mut pair, 40);
    let home = pair.server.connection.home_entry(import);
    assert_eq!(
        (home.kind, home.object, home.owner),
        (EntryKind::Home, 40, CLIENT)
    );
    let outgoing = OutgoingCall {
        table: &[home],
        ..call(b"")
    };
    pair.server.connection.call(&outgoing).unwrap();
    // It is released right behind the call that carries it home.
    pair.server.connection.release(import, 1);
    pair.drive();
    let events = pair.client.events();
    let [Event::Call(arrived), Event::Released(released)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(arrived.table, [IncomingRef::Home(export)]);
    assert_eq!(*released, export);
    assert_eq!(pair.server.connection.home_entry(import), TableEntry::DEAD);
}

#[test]
fn a_grant_that_crosses_the_release_keeps_the_object() {
    let mut pair = Pair::established();
    let (export, import) = give(&mut pair, 40);
    pair.server.connection.release(import, 1);
    let (again, entry) = pair
        .client
        .connection
        .export(40, INTERFACE, CLIENT)
        .unwrap();
    assert_eq!(again, export);
    let outgoing = OutgoingCall {
        table: &[entry],
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.drive();
    assert!(pair.client.events().is_empty(), "the object is still held");
    let arrived = pair.server.incoming_call();
    assert!(
        matches!(arrived.table[..], [IncomingRef::Import { import: same, .. }] if same == import)
    );
    pair.server
        .connection
        .reply(arrived.id, &reply(b""))
        .unwrap();
    pair.server.connection.release(import, 1);
    pair.drive();
    let events = pair.client.events();
    assert!(
        matches!(events[..], [Event::Reply(_), Event::Released(_)]),
        "{events:?}"
    );
    pair.assert_idle();
}

#[test]
fn an_encoding_that_fails_takes_its_exports_back() {
    let mut pair = Pair::established();
    let (export, _) = pair
        .client
        .connection
        .export(40, INTERFACE, CLIENT)
        .unwrap();
    let (other, _) = pair
        .client
        .connection
        .export(41, INTERFACE, CLIENT)
        .unwrap();
    pair.client
        .connection
        .export(40, INTERFACE, CLIENT)
        .unwrap();
    assert!(!pair.client.connection.unexport(export));
    assert!(pair.client.connection.unexport(export));
    assert!(pair.client.connection.unexport(other));
    assert!(
        !pair.client.connection.unexport(other),
        "there is none left"
    );
    pair.assert_idle();
}

#[test]
fn what_a_refused_call_carried_is_released() {
    let mut server = server_config();
    server.codecs = 0b0010;
    let mut pair = Pair::new(client_config(), server);
    let (_, entry) = pair
        .client
        .connection
        .export(40, INTERFACE, CLIENT)
        .unwrap();
    let outgoing = OutgoingCall {
        codec: 2,
        table: &[entry],
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.drive();
    let events = pair.client.events();
    let released = events
        .iter()
        .any(|event| matches!(event, Event::Released(_)));
    assert!(released, "{events:?}");
    pair.assert_idle();
}

#[test]
fn a_forged_number_names_nothing() {
    let mut pair = Pair::established();
    let forged = [3, 77, ALIAS_BIT | 5, u32::MAX].map(|id| TableEntry {
        kind: EntryKind::Home,
        id,
        ..TableEntry::DEAD
    });
    let outgoing = OutgoingCall {
        table: &forged,
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.drive();
    assert_eq!(
        pair.server.incoming_call().table,
        [const { IncomingRef::Dead }; 4]
    );

    let later = TableEntry {
        kind: EntryKind::StreamIn,
        id: 1,
        ..TableEntry::DEAD
    };
    let outgoing = OutgoingCall {
        table: &[TableEntry::DEAD, later],
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.drive();
    let expected = [IncomingRef::Dead, IncomingRef::Unsupported];
    assert_eq!(pair.server.incoming_call().table, expected);
}

#[test]
fn a_forged_grant_ends_the_connection() {
    let forge = |entries: &[TableEntry]| {
        let mut pair = Pair::established();
        let outgoing = OutgoingCall {
            table: entries,
            ..call(b"")
        };
        pair.client.connection.call(&outgoing).unwrap();
        pair.carry_to_server();
        pair.server.error
    };
    let grant = |id, object| TableEntry {
        kind: EntryKind::Export,
        id,
        object,
        ..TableEntry::DEAD
    };
    assert_eq!(
        forge(&[grant(0, 1)]),
        Some(Violation::BadAlias(0).into()),
        "0 is the daemon"
    );
    assert_eq!(
        forge(&[grant(ALIAS_BIT, 1)]),
        Some(Violation::BadAlias(ALIAS_BIT).into())
    );
    let changed = forge(&[grant(4, 1), grant(4, 2)]);
    assert_eq!(changed, Some(Violation::ReferenceChanged(4).into()));
}

#[test]
fn more_than_was_given_cannot_be_released() {
    let forge = |entries: Vec<ReleaseEntry>| {
        let mut pair = Pair::established();
        give(&mut pair, 40);
        pair.forge_to_client(&frame(&Message::Release(Release { entries })))
    };
    let release = |id, count| ReleaseEntry { id, count };
    assert_eq!(forge(vec![release(1, 1)]), None);
    for (id, entries) in [
        (1, vec![release(1, 2)]),
        (1, vec![release(1, 1), release(1, 1)]),
        (0, vec![release(0, 1)]),
        (2, vec![release(2, 1)]),
        (ALIAS_BIT, vec![release(ALIAS_BIT, 1)]),
    ] {
        assert_eq!(forge(entries), Some(Violation::OverReleased(id).into()));
    }
}

#[test]
fn references_are_bounded() {
    let (client, mut server) = (client_config(), server_config());
    server.limits.exports = 64;
    let mut pair = Pair::established_with(client, server);
    for object in 0..64 {
        pair.client
            .connection
            .export(object, INTERFACE, CLIENT)
            .unwrap();
    }
    let full = pair.client.connection.export(64, INTERFACE, CLIENT);
    assert_eq!(full, Err(SendError::TooManyExports { limit: 64 }));
    pair.client
        .connection
        .export(63, INTERFACE, CLIENT)
        .unwrap();
}

#[test]
fn a_name_is_bound_and_called_in_one_flight() {
    let mut pair = Pair::new(client_config(), server_config());
    let (bind, jukebox) = pair.client.connection.bind("jukebox", INTERFACE).unwrap();
    assert!(jukebox.is_alias());
    let outgoing = OutgoingCall {
        target: jukebox.index(),
        ..call(b"play")
    };
    let play = pair.client.connection.call(&outgoing).unwrap();
    pair.carry_to_server();
    let mut events = pair.server.events();
    let [
        Event::Established(_),
        Event::Bind(bound),
        Event::Call(arrived),
    ] = &mut events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (bound.name.as_str(), bound.interface),
        ("jukebox", INTERFACE)
    );
    assert_eq!(arrived.target, bound.alias);
    let entry = Connection::alias_entry(bound.alias, 40, INTERFACE, SERVER);
    pair.server
        .connection
        .reply(bound.call, &describe(&[entry]))
        .unwrap();
    pair.server
        .connection
        .reply(arrived.id, &reply(b""))
        .unwrap();
    pair.drive();
    let events = pair.client.events();
    let [
        Event::Established(_),
        Event::Reply(described),
        Event::Reply(played),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((described.call, played.call), (bind, play));
    let import = IncomingRef::Import {
        import: jukebox,
        object: 40,
        interface: INTERFACE,
        owner: SERVER,
    };
    assert_eq!(described.table, [import]);
    let home = pair.client.connection.home_entry(jukebox);
    assert_eq!((home.object, home.owner), (40, SERVER));
    let outgoing = OutgoingCall {
        table: &[home],
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.client.connection.release(jukebox, 1);
    pair.drive();
    let events = pair.server.events();
    let [Event::Call(carrier), Event::AliasReleased(alias)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        carrier.table,
        [IncomingRef::Home(ExportId::new(jukebox.index()))]
    );
    assert_eq!(alias.index(), jukebox.index());
    pair.server
        .connection
        .reply(carrier.id, &reply(b""))
        .unwrap();
    pair.drive();
    pair.assert_idle();
    let (_, again) = pair.client.connection.bind("other", INTERFACE).unwrap();
    assert_eq!(again, jukebox, "the number is used again");
}

#[test]
fn a_name_that_is_not_there_is_released_all_the_same() {
    let mut pair = Pair::established();
    let (_, nothing) = pair.client.connection.bind("nothing", INTERFACE).unwrap();
    pair.drive();
    let Event::Bind(bind) = pair.server.event() else {
        panic!("no bind")
    };
    let fault = FaultMessage::new(
        FaultKind::NoSuchObject,
        Outcome::NotStarted,
        "no such object",
    );
    pair.server
        .connection
        .reply_fault(bind.call, &fault)
        .unwrap();
    pair.drive();
    assert_eq!(pair.client.incoming_reply().status, ReplyStatus::Fault);
    pair.client.connection.release(nothing, 1);
    pair.drive();
    assert!(matches!(pair.server.event(), Event::AliasReleased(_)));
    pair.assert_idle();
}

#[test]
fn a_bind_is_answered_by_its_own_name() {
    let wrong_alias = |alias: ExportId| ExportId::new(alias.index() + 1);
    let entries: [fn(ExportId) -> Vec<TableEntry>; 3] = [
        |_| vec![],
        |alias| vec![Connection::alias_entry(alias, 1, 1, SERVER); 2],
        |_| vec![TableEntry::DEAD],
    ];
    let mut answers: Vec<Box<dyn Fn(ExportId) -> Vec<TableEntry>>> = entries
        .into_iter()
        .map(|answer| Box::new(answer) as _)
        .collect();
    answers.push(Box::new(move |alias| {
        vec![Connection::alias_entry(wrong_alias(alias), 1, 1, SERVER)]
    }));
    for answer in answers {
        let mut pair = Pair::established();
        pair.client.connection.bind("jukebox", INTERFACE).unwrap();
        pair.drive();
        let Event::Bind(bind) = pair.server.event() else {
            panic!("no bind")
        };
        let table = answer(bind.alias);
        let described = OutgoingReply {
            table: &table,
            ..describe(&[])
        };
        pair.server.connection.reply(bind.call, &described).unwrap();
        pair.drive();
        assert_eq!(pair.client.error, Some(Violation::BadBindReply(0).into()));
    }
}

#[test]
fn names_are_bounded_and_used_once() {
    let (client, mut server) = (client_config(), server_config());
    server.limits.aliases = 16;
    let mut pair = Pair::established_with(client, server);
    for _ in 0..16 {
        pair.client.connection.bind("jukebox", INTERFACE).unwrap();
    }
    let full = pair.client.connection.bind("jukebox", INTERFACE);
    assert_eq!(full, Err(SendError::TooManyAliases { limit: 16 }));
    assert!(matches!(
        pair.client.connection.bind(&"x".repeat(1025), INTERFACE),
        Err(SendError::TooLarge { limit: 1024, .. })
    ));

    let forge = |aliases: &[u32]| {
        let mut pair = Pair::established();
        let binds = aliases.iter().zip(0..).map(|(alias, id)| {
            frame(&Message::Bind(farref_proto::message::Bind {
                id,
                alias: *alias,
                interface: INTERFACE,
                name: "jukebox".to_owned(),
                extensions: None,
                unknown_extension: None,
            }))
        });
        let bytes: Vec<_> = binds.collect();
        pair.forge_to_server(&bytes.concat())
    };
    assert_eq!(forge(&[ALIAS_BIT, ALIAS_BIT | 1]), None);
    for aliases in [&[7][..], &[ALIAS_BIT, ALIAS_BIT], &[u32::MAX]] {
        let last = *aliases.last().unwrap();
        assert_eq!(forge(aliases), Some(Violation::BadAlias(last).into()));
    }
}

#[test]
fn a_revoked_object_is_told_of_once() {
    let mut pair = Pair::established();
    let (export, import) = give(&mut pair, 40);
    pair.client.connection.revoke(export);
    pair.client.connection.revoke(export);
    pair.drive();
    let Event::Revoked(revoked) = pair.server.event() else {
        panic!("not revoked")
    };
    assert_eq!(revoked, import);
    pair.server.connection.release(import, 1);
    pair.drive();
    assert!(matches!(pair.client.event(), Event::Released(_)));
    pair.assert_idle();
}

#[test]
fn an_object_held_by_name_can_be_revoked() {
    let mut pair = Pair::established();
    let (_, jukebox) = pair.client.connection.bind("jukebox", INTERFACE).unwrap();
    pair.drive();
    let Event::Bind(bind) = pair.server.event() else {
        panic!("no bind")
    };
    let entry = Connection::alias_entry(bind.alias, 40, INTERFACE, SERVER);
    pair.server
        .connection
        .reply(bind.call, &describe(&[entry]))
        .unwrap();
    pair.server.connection.revoke(bind.alias);
    pair.drive();
    let events = pair.client.events();
    let [Event::Reply(_), Event::Revoked(revoked)] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(revoked, jukebox);
}

#[test]
fn a_oneway_to_what_was_revoked_is_refused_until_its_number_names_something_else() {
    let mut pair = Pair::established();
    let (export, import) = give(&mut pair, 40);
    pair.client.connection.revoke(export);
    let to = |import: ImportId| OutgoingCall {
        target: import.index(),
        ..call(b"tick")
    };
    let server = &mut pair.server.connection;
    server.oneway(&to(import), false).unwrap();
    pair.drive();
    assert!(matches!(pair.server.event(), Event::Revoked(_)));
    let server = &mut pair.server.connection;
    let refused = server.oneway(&to(import), false);
    assert_eq!(refused.unwrap_err(), SendError::Revoked);
    // A call is told by its answer.
    server.call(&to(import)).unwrap();
    server.release(import, 1);
    pair.drive();
    let events = pair.client.events();
    assert!(
        matches!(
            events[..],
            [Event::Oneway(..), Event::Call(_), Event::Released(_), ..]
        ),
        "{events:?}"
    );
    let (_, next) = give(&mut pair, 41);
    assert_eq!(next, import, "the number is free");
    pair.server.connection.oneway(&to(next), false).unwrap();
}
