//! Hand-off: claims of what nobody promised, grants of others, introductions to somebody else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use farref::HandOff;
use farref_proto::message::{Bind, Claim, ClientHello, FaultMessage, Message, Provide, Reply};
use farref_proto::{
    ALIAS_BIT, EntryKind, Extensions, FaultKind, InstanceId, Introduction, Outcome, ReplyStatus,
    TableEntry, features, fnv1a32,
};

use crate::arena::Arena;
use crate::attacker::{
    Answer, Attacker, NAME, POSTCARD, answer, call, export, hello, with_extensions, with_table,
};

const PROVIDER: InstanceId = InstanceId::from_bytes([0xa1; 16]);
const CLAIMANT: InstanceId = InstanceId::from_bytes([0xc1; 16]);
const GRANT: [u8; 16] = [0x6a; 16];
const ALIAS: u32 = ALIAS_BIT | 1;

/// Long enough that no test comes near it, unless it wants to.
const LONG: Duration = Duration::from_secs(60);

fn patient(patience: Duration) -> Arena {
    Arena::with(|daemon| daemon.hand_off(HandOff::same_host().patience(patience)))
}

fn hello_of(instance: InstanceId) -> ClientHello {
    ClientHello {
        instance,
        features: features::HAND_OFF,
        ..hello()
    }
}

/// Somebody who takes part in hand-offs under this name.
fn greet(address: SocketAddr, instance: InstanceId) -> Attacker {
    let mut attacker = Attacker::connect(address);
    attacker.say_hello(hello_of(instance));
    let Some(Message::ServerHello(hello)) = attacker.receive() else {
        panic!("no hello")
    };
    assert_eq!(hello.features, features::HAND_OFF);
    attacker
}

/// Holds the attacked object under the alias 0.
fn bind(attacker: &mut Attacker) {
    let id = attacker.new_call();
    attacker.send_message(&Message::Bind(Bind {
        id,
        alias: ALIAS_BIT,
        interface: fnv1a32(b"Target"),
        name: NAME.to_owned(),
        extensions: None,
        unknown_extension: None,
    }));
    assert_eq!(attacker.reply().status, ReplyStatus::Ok);
}

fn provide(id: u32, grant: [u8; 16], recipient: InstanceId) -> Message {
    Message::Provide(Provide {
        id,
        target: ALIAS_BIT,
        grant,
        recipient,
        lifetime_ms: u32::MAX,
    })
}

fn claim(id: u32, alias: u32, grant: [u8; 16]) -> Message {
    Message::Claim(Claim {
        id,
        alias,
        grant,
        provider: PROVIDER,
    })
}

/// What a fault says; `None` if the reply is none.
fn fault_of(reply: Reply) -> Option<FaultMessage> {
    match answer(reply) {
        Answer::Fault(fault) => Some(fault),
        Answer::Value(_) | Answer::Error(_) => None,
    }
}

/// Whether the alias answers as the attacked object does.
fn reaches_the_object(attacker: &mut Attacker, id: u32, alias: u32) -> bool {
    let mut add = call(id, "add", POSTCARD, &[2, 3]);
    add.target = alias;
    attacker.send_message(&Message::Call(add));
    matches!(answer(attacker.reply()), Answer::Value(value) if value[..] == [5])
}

#[test]
fn a_claim_that_comes_first_waits_for_its_grant() {
    let mut arena = patient(LONG);
    let endured = arena.endure(|address| {
        let mut claimant = greet(address, CLAIMANT);
        claimant.send_message(&claim(0, ALIAS, GRANT));
        // Another call behind it is answered, so the claim has been taken.
        let mut early = call(1, "add", POSTCARD, &[2, 3]);
        early.target = ALIAS;
        claimant.send_message(&Message::Call(early));
        let before = fault_of(claimant.reply()).map(|fault| fault.kind);
        let mut provider = greet(address, PROVIDER);
        bind(&mut provider);
        provider.send_message(&provide(1, GRANT, CLAIMANT));
        let provided = fault_of(provider.reply());
        let found = claimant.reply();
        let entry = found.sections.table.clone();
        (
            before,
            provided,
            entry,
            reaches_the_object(&mut claimant, 1, ALIAS),
        )
    });
    let (before, provided, entry, reaches) = endured.saw;
    assert_eq!(before, Some(FaultKind::StaleReference));
    assert_eq!(provided, None);
    assert_eq!((entry[0].kind, entry[0].id), (EntryKind::Export, ALIAS));
    assert!(reaches);
}

#[test]
fn what_was_promised_is_good_for_one_and_once_and_outlives_its_provider() {
    let mut arena = patient(LONG);
    let endured = arena.endure(|address| {
        let mut provider = greet(address, PROVIDER);
        // A transient object, which nobody else holds.
        bind(&mut provider);
        provider.send_message(&Message::Call(call(1, "child", POSTCARD, &[])));
        let child = provider.reply().sections.table[0].id;
        provider.send_message(&Message::Provide(Provide {
            id: 1,
            target: child,
            grant: GRANT,
            recipient: CLAIMANT,
            lifetime_ms: u32::MAX,
        }));
        assert_eq!(fault_of(provider.reply()), None);
        drop(provider);
        // Somebody else has got hold of the grant.
        let mut thief = greet(address, InstanceId::from_bytes([0x77; 16]));
        thief.send_message(&claim(0, ALIAS, GRANT));
        let stolen = fault_of(thief.reply()).map(|fault| (fault.kind, fault.outcome));
        let mut claimant = greet(address, CLAIMANT);
        // One who names another provider.
        claimant.send_message(&Message::Claim(Claim {
            id: 0,
            alias: ALIAS,
            grant: GRANT,
            provider: CLAIMANT,
        }));
        let misnamed = fault_of(claimant.reply()).map(|fault| (fault.kind, fault.outcome));
        claimant.send_message(&claim(0, ALIAS_BIT | 2, GRANT));
        let claimed = fault_of(claimant.reply());
        let reached = reaches_the_object(&mut claimant, 0, ALIAS_BIT | 2);
        (stolen, misnamed, claimed, reached)
    });
    let refused = Some((FaultKind::NoSuchObject, Outcome::NotStarted));
    assert_eq!(endured.saw, (refused, refused, None, true));
}

#[test]
fn a_claim_is_refused_when_its_time_is_over() {
    let mut arena = patient(Duration::from_millis(100));
    let endured = arena.endure(|address| {
        let mut claimant = greet(address, CLAIMANT);
        let begun = Instant::now();
        claimant.send_message(&claim(0, ALIAS, GRANT));
        let fault = fault_of(claimant.reply()).map(|fault| (fault.kind, fault.outcome));
        let waited = begun.elapsed();
        // And what nobody claims is forgotten, however long its provider wishes it were kept.
        let mut provider = greet(address, PROVIDER);
        bind(&mut provider);
        provider.send_message(&provide(1, GRANT, CLAIMANT));
        assert_eq!(fault_of(provider.reply()), None);
        loop {
            // A grant that is in use is refused.
            provider.send_message(&provide(1, GRANT, CLAIMANT));
            match fault_of(provider.reply()) {
                Some(fault) => assert_eq!(fault.kind, FaultKind::Misuse),
                None => break,
            }
        }
        (fault, waited)
    });
    let (fault, waited) = endured.saw;
    assert_eq!(fault, Some((FaultKind::NoSuchObject, Outcome::NotStarted)));
    assert!(waited >= Duration::from_millis(100), "{waited:?}");
}

#[test]
fn a_flood_of_claims_and_promises_ends_at_the_limits() {
    let limits = HandOff::same_host()
        .patience(Duration::from_secs(5))
        .max_parked(8)
        .max_provided(8);
    let mut arena = Arena::with(|daemon| daemon.hand_off(limits));
    let endured = arena.endure(|address| {
        let grant = |number: u16| {
            let mut grant = [0; 16];
            grant[..2].copy_from_slice(&number.to_le_bytes());
            grant
        };
        let mut claimant = greet(address, CLAIMANT);
        let mut refused = Vec::new();
        for number in 0..8 {
            claimant.send_message(&claim(
                number.into(),
                ALIAS_BIT | u32::from(number),
                grant(number),
            ));
        }
        for number in 8..500 {
            // Each is answered at once, and its number is free again.
            claimant.send_message(&claim(8, ALIAS_BIT | u32::from(number), grant(number)));
            refused.extend(fault_of(claimant.reply()).map(|fault| fault.kind));
        }
        let mut provider = greet(address, PROVIDER);
        bind(&mut provider);
        let mut promised = Vec::new();
        for number in 1000..1500 {
            provider.send_message(&provide(1, grant(number), CLAIMANT));
            promised.push(fault_of(provider.reply()).map(|fault| fault.kind));
        }
        (refused, promised)
    });
    let (refused, promised) = endured.saw;
    assert_eq!(refused, vec![FaultKind::Overloaded; 492]);
    assert_eq!(promised[..8], [None; 8]);
    assert!(
        promised[8..]
            .iter()
            .all(|fault| *fault == Some(FaultKind::Overloaded))
    );
    assert!(endured.peak < 2 << 20, "{}", endured.peak);
}

#[test]
fn a_claim_whose_alias_was_given_back_names_nothing() {
    let mut arena = patient(LONG);
    let endured = arena.endure(|address| {
        let mut claimant = greet(address, CLAIMANT);
        claimant.send_message(&claim(0, ALIAS, GRANT));
        let entries = vec![farref_proto::message::ReleaseEntry {
            id: ALIAS,
            count: 1,
        }];
        claimant.send_message(&Message::Release(farref_proto::message::Release {
            entries,
        }));
        // The same number is a name now, of something that is not there.
        claimant.send_message(&Message::Bind(Bind {
            id: 1,
            alias: ALIAS,
            interface: fnv1a32(b"Target"),
            name: "nothing".to_owned(),
            extensions: None,
            unknown_extension: None,
        }));
        assert!(fault_of(claimant.reply()).is_some());
        let mut provider = greet(address, PROVIDER);
        bind(&mut provider);
        provider.send_message(&provide(1, GRANT, CLAIMANT));
        assert_eq!(fault_of(provider.reply()), None);
        // The claim is answered, and the name is what it was.
        let answered = claimant.reply().id;
        (answered, reaches_the_object(&mut claimant, 0, ALIAS))
    });
    assert_eq!(endured.saw, (0, false));
}

/// Introduces the daemon to a `Visitor` that is to be claimed elsewhere, and has it called. Returns whether the call comes
/// here.
fn is_called_through(attacker: &mut Attacker, holder: InstanceId, uri: &str) -> bool {
    let id = attacker.new_call();
    let entry = TableEntry {
        kind: EntryKind::Introduced,
        owner: holder,
        ..export(1, "Visitor")
    };
    let extensions = Extensions {
        introductions: vec![Introduction {
            index: 0,
            grant: GRANT,
            holder,
            address: uri.to_owned(),
        }],
        ..Extensions::default()
    };
    let visit = with_table(call(id, "visit", POSTCARD, &[0]), vec![entry]);
    attacker.send_message(&Message::Call(with_extensions(visit, extensions)));
    attacker.callback().target == 1
}

#[test]
fn who_is_introduced_to_somebody_else_calls_through_the_middleman() {
    let mut arena = patient(LONG);
    let endured = arena.endure(|address| {
        // Another process lives at the address; nobody does; it may not be dialled; it is no address.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let nobody = listener.local_addr().expect("it is bound");
        drop(listener);
        let holder = InstanceId::from_bytes([0x55; 16]);
        let uris = [
            format!("far://{address}"),
            format!("far://{nobody}"),
            "far://192.0.2.1:9".to_owned(),
            "far+mem:elsewhere".to_owned(),
            "http://127.0.0.1/".to_owned(),
            String::new(),
        ];
        uris.map(|uri| {
            let mut attacker = greet(address, PROVIDER);
            attacker.make_good_call();
            let through = is_called_through(&mut attacker, holder, &uri);
            (through, uri)
        })
    });
    for (through, uri) in endured.saw {
        assert!(through, "{uri}");
    }
}

#[test]
fn a_flood_of_introductions_dials_no_more_than_is_allowed() {
    let limits = HandOff::same_host()
        .patience(Duration::from_secs(1))
        .max_pending(4);
    let mut arena = Arena::with(|daemon| daemon.hand_off(limits));
    let endured = arena.endure(|address| {
        // Takes connections and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let uri = format!("far://{}", silent.local_addr().expect("it is bound"));
        let mut attacker = greet(address, PROVIDER);
        attacker.make_good_call();
        let introductions = (0..64).map(|index| Introduction {
            index,
            grant: [index as u8; 16],
            holder: InstanceId::from_bytes([index as u8; 16]),
            address: uri.clone(),
        });
        let extensions = Extensions {
            introductions: introductions.collect(),
            ..Extensions::default()
        };
        let table = (1..=64).map(|id| TableEntry {
            kind: EntryKind::Introduced,
            ..export(id, "Visitor")
        });
        // The fifth is not followed, and is called at once.
        let visit = with_table(call(0, "visit", POSTCARD, &[4]), table.collect());
        let begun = Instant::now();
        attacker.send_message(&Message::Call(with_extensions(visit, extensions)));
        let target = attacker.callback().target;
        let took = begun.elapsed();
        silent.set_nonblocking(true).expect("a socket");
        let dialled = silent.incoming().take_while(Result::is_ok).count();
        (target, took, dialled)
    });
    let (target, took, dialled) = endured.saw;
    assert_eq!(target, 5);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(dialled <= 4, "{dialled}");
}
