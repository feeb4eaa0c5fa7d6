//! Hand-off: what is provided, introduced and claimed.

use farref_proto::message::{Message, Provide};
use farref_proto::{
    Connection, EntryKind, Event, Extensions, FaultKind, FaultMessage, IncomingRef, InstanceId,
    Introduction, Outcome, OutgoingCall, ReplyStatus, SendError, TableEntry, Violation, features,
};

use crate::pair::{
    CLIENT, Pair, SERVER, call, client_config, describe, frame, reply, server_config,
};

const INTERFACE: u32 = 0xfedc_ba98;
const HOLDER: InstanceId = InstanceId::from_bytes([0x77; 16]);
const GRANT: [u8; 16] = [0x6a; 16];

fn introduction(index: u16) -> Introduction {
    Introduction {
        index,
        grant: GRANT,
        holder: HOLDER,
        address: "far://127.0.0.1:9999".to_owned(),
    }
}

/// The client introduces the server to an object; returns its entry and what the server is given for it.
fn introduce(pair: &mut Pair, introductions: Vec<Introduction>) -> (TableEntry, Vec<IncomingRef>) {
    let (_, entry) = pair
        .client
        .connection
        .export(40, INTERFACE, HOLDER)
        .unwrap();
    let entry = Connection::introduced_entry(entry);
    let extensions = Extensions {
        introductions,
        ..Extensions::default()
    };
    let outgoing = OutgoingCall {
        extensions: &extensions,
        table: &[TableEntry::DEAD, entry],
        ..call(b"")
    };
    pair.client.connection.call(&outgoing).unwrap();
    pair.drive();
    let arrived = pair.server.incoming_call();
    pair.server
        .connection
        .reply(arrived.id, &reply(b""))
        .unwrap();
    pair.drive();
    pair.client.incoming_reply();
    (entry, arrived.table.into_vec())
}

#[test]
fn an_introduction_is_a_grant_and_says_where_there_is_a_better_one() {
    let mut pair = Pair::established();
    let (entry, table) = introduce(&mut pair, vec![introduction(1)]);
    assert_eq!(entry.kind, EntryKind::Introduced);
    let [IncomingRef::Dead, IncomingRef::Introduced(introduced)] = &table[..] else {
        panic!("{table:?}")
    };
    assert_eq!(
        (introduced.object, introduced.interface, introduced.owner),
        (40, INTERFACE, HOLDER)
    );
    assert_eq!((introduced.holder, introduced.grant), (HOLDER, GRANT));
    assert_eq!(introduced.address, "far://127.0.0.1:9999");
    assert_eq!(pair.server.connection.tables().imports, 1);
    pair.server.connection.release(introduced.import, 1);
    pair.drive();
    assert!(matches!(pair.client.event(), Event::Released(_)));
    pair.assert_idle();
}

#[test]
fn an_entry_without_its_introduction_is_as_good_as_an_export() {
    let mut pair = Pair::established();
    // None, one for an entry that is no reference, one for none, and a second one.
    for introductions in [vec![], vec![introduction(0)], vec![introduction(7)]] {
        let (_, table) = introduce(&mut pair, introductions);
        let [IncomingRef::Dead, IncomingRef::Import { import, .. }] = table[..] else {
            panic!("{table:?}")
        };
        pair.server.connection.release(import, 1);
        pair.drive();
        assert!(matches!(pair.client.event(), Event::Released(_)));
    }
    let second = Introduction {
        address: "far://10.0.0.1:1".to_owned(),
        ..introduction(1)
    };
    let (_, table) = introduce(&mut pair, vec![introduction(1), second]);
    let [_, IncomingRef::Introduced(introduced)] = &table[..] else {
        panic!("{table:?}")
    };
    assert_eq!(introduced.address, "far://127.0.0.1:9999");
}

#[test]
fn an_introduction_that_nobody_looks_at_is_given_back() {
    let mut pair = Pair::established();
    let (_, entry) = pair
        .client
        .connection
        .export(40, INTERFACE, HOLDER)
        .unwrap();
    let extensions = Extensions {
        introductions: vec![introduction(0)],
        ..Extensions::default()
    };
    let unknown_codec = frame(&Message::Call(farref_proto::message::Call {
        codec: 40,
        sections: farref_proto::message::Sections {
            extensions: Some(Box::new(extensions)),
            table: vec![Connection::introduced_entry(entry)],
            ..Default::default()
        },
        ..crate::calls::forged_call(0)
    }));
    assert!(pair.forge_to_server(&unknown_codec).is_none());
    assert_eq!(pair.server.connection.tables().imports, 1);
    assert!(pair.server.events().is_empty());
    pair.server.transmit(pair.now);
    assert_eq!(pair.server.connection.tables().imports, 0);
}

#[test]
fn an_object_is_provided_and_claimed() {
    let mut pair = Pair::established();
    // The server owns an object that the client holds by a name.
    let (bind, import) = pair.client.connection.bind("it", INTERFACE).unwrap();
    pair.drive();
    let Event::Bind(bound) = pair.server.event() else {
        panic!("no bind")
    };
    let entry = Connection::alias_entry(bound.alias, 40, INTERFACE, SERVER);
    pair.server
        .connection
        .reply(bound.call, &describe(&[entry]))
        .unwrap();
    pair.drive();
    assert_eq!(pair.client.incoming_reply().call, bind);
    let provided = pair
        .client
        .connection
        .provide(import, GRANT, HOLDER, 10_000)
        .unwrap();
    let (claimed, alias) = pair
        .client
        .connection
        .claim(GRANT, HOLDER, INTERFACE)
        .unwrap();
    pair.client.connection.claimed(GRANT);
    pair.drive();
    let events = pair.server.events();
    let [
        Event::Provide(provide),
        Event::Claim(claim),
        Event::Claimed { grant: GRANT },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (provide.target, provide.grant, provide.recipient),
        (bound.alias, GRANT, HOLDER)
    );
    assert_eq!(provide.lifetime_ms, 10_000);
    assert_eq!((claim.grant, claim.provider), (GRANT, HOLDER));
    pair.server
        .connection
        .reply(provide.call, &reply(b""))
        .unwrap();
    let entry = Connection::alias_entry(claim.alias, 40, INTERFACE, SERVER);
    pair.server
        .connection
        .reply(claim.call, &describe(&[entry]))
        .unwrap();
    pair.drive();
    let answered = pair.client.events();
    let [Event::Reply(first), Event::Reply(second)] = &answered[..] else {
        panic!("{answered:?}")
    };
    assert_eq!((first.call, second.call), (provided, claimed));
    assert!(
        matches!(second.table[..], [IncomingRef::Import { import, object: 40, owner: SERVER, .. }] if import == alias)
    );
    pair.client.connection.release(alias, 1);
    pair.client.connection.release(import, 1);
    pair.drive();
    assert_eq!(pair.server.events().len(), 2);
    pair.assert_idle();
}

#[test]
fn provides_and_claims_cost_credit_and_end_with_the_draining() {
    let mut pair = Pair::established();
    let (_, import) = pair.client.connection.bind("it", INTERFACE).unwrap();
    let mut asked = 1;
    loop {
        match pair.client.connection.provide(import, GRANT, HOLDER, 1) {
            Ok(_) => asked += 1,
            Err(error) => break assert_eq!(error, SendError::NoCredit),
        }
    }
    assert_eq!(
        pair.client.connection.claim(GRANT, HOLDER, INTERFACE),
        Err(SendError::NoCredit)
    );
    pair.drive();
    assert_eq!(pair.server.connection.tables().calls_in, asked);
    let mut pair = Pair::established();
    pair.server.connection.drain(farref_proto::DrainReason::new(
        farref_proto::DrainCode::ShuttingDown,
        "",
    ));
    let (provided, _) = pair
        .client
        .connection
        .claim(GRANT, HOLDER, INTERFACE)
        .unwrap();
    pair.drive();
    assert!(pair.server.events().is_empty());
    let answered = pair.client.events();
    let fault = answered.iter().find_map(|event| match event {
        Event::Reply(reply) if reply.call == provided => {
            assert_eq!(reply.status, ReplyStatus::Fault);
            FaultMessage::decode(&reply.body).ok()
        }
        _ => None,
    });
    let fault = fault.unwrap();
    assert_eq!(
        (fault.kind, fault.outcome),
        (FaultKind::ShuttingDown, Outcome::NotStarted)
    );
}

#[test]
fn forged_numbers_end_the_connection() {
    let provide = Provide {
        id: 9,
        target: 1,
        grant: GRANT,
        recipient: CLIENT,
        lifetime_ms: 1,
    };
    let mut pair = Pair::established();
    let error = pair.forge_to_server(&frame(&Message::Provide(provide)));
    assert!(matches!(
        error,
        Some(farref_proto::ConnectionError::Violation(
            Violation::CallIdOutOfSequence(9)
        ))
    ));
    let mut pair = Pair::established();
    let claim = farref_proto::message::Claim {
        id: 0,
        alias: 3,
        grant: GRANT,
        provider: HOLDER,
    };
    let error = pair.forge_to_server(&frame(&Message::Claim(claim)));
    assert!(matches!(
        error,
        Some(farref_proto::ConnectionError::Violation(
            Violation::BadAlias(3)
        ))
    ));
}

#[test]
fn both_sides_must_know_of_hand_offs() {
    for (ours, theirs, agreed) in [
        (features::HAND_OFF, features::HAND_OFF, features::HAND_OFF),
        (features::HAND_OFF, 0, 0),
        (0, features::HAND_OFF, 0),
    ] {
        let (mut client, mut server) = (client_config(), server_config());
        client.features = ours;
        server.features = theirs;
        let pair = Pair::established_with(client, server);
        for end in [&pair.client, &pair.server] {
            assert_eq!(end.connection.peer().unwrap().features, agreed);
        }
    }
}
