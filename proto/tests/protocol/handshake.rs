//! Who may talk to whom, and what the refused are told.

use std::time::Duration;

use farref_proto::message::{Challenge, ClientHello, Message, ServerHello, SessionRequest};
use farref_proto::{
    ConnectionError, DecodeError, Event, Grants, InstanceId, Nonce, Outcome, Refusal, RefusalCode,
    ReplyStatus, SendError, SessionId, Stranger, Time, Token, Violation,
};

use crate::pair::{
    CLIENT, Pair, SERVER, call, client_config, exhaust, frame, reply, server_config,
};

const PREAMBLE: &[u8] = b"\x89farref\n";

fn refused(pair: &mut Pair) -> RefusalCode {
    pair.drive();
    assert!(pair.client.connection.is_closed());
    assert!(pair.server.connection.is_closed());
    match &pair.client.error {
        Some(ConnectionError::Refused { code, .. }) => *code,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn both_sides_learn_who_the_other_is() {
    let (mut client, mut server) = (client_config(), server_config());
    client.name = "player".to_owned();
    client.codecs = 0b0110;
    server.codecs = 0b1010;
    server.limits.calls = 77;
    let mut pair = Pair::new(client, server);
    pair.drive();
    let Event::Established(peer) = pair.client.event() else {
        panic!("not established")
    };
    assert_eq!(
        (peer.instance, peer.codecs, peer.grants.calls),
        (SERVER, 0b0010, 77)
    );
    let Event::Established(peer) = pair.server.event() else {
        panic!("not established")
    };
    assert_eq!(
        (peer.instance, peer.name.as_str(), peer.codecs),
        (CLIENT, "player", 0b0010)
    );
    assert_eq!(pair.server.connection.peer(), Some(&*peer));
    pair.assert_idle();
}

#[test]
fn a_first_call_travels_with_the_hello() {
    let mut pair = Pair::new(client_config(), server_config());
    let id = pair.client.connection.call(&call(b"early")).unwrap();
    pair.carry_to_server();
    let mut events = pair.server.events();
    assert!(matches!(events.remove(0), Event::Established(_)));
    let Event::Call(arrived) = events.remove(0) else {
        panic!("no call")
    };
    assert_eq!(&arrived.body[..], b"early");
    pair.server
        .connection
        .reply(arrived.id, &reply(b"done"))
        .unwrap();
    pair.carry_to_client();
    let mut events = pair.client.events();
    assert!(matches!(events.remove(0), Event::Established(_)));
    let Event::Reply(answer) = events.remove(0) else {
        panic!("no reply")
    };
    assert_eq!(
        (answer.call, answer.status, &answer.body[..]),
        (id, ReplyStatus::Ok, &b"done"[..])
    );
    pair.assert_idle();
}

#[test]
fn early_calls_keep_to_the_floor() {
    let mut pair = Pair::new(client_config(), server_config());
    let client = &mut pair.client.connection;
    let large = vec![0; Grants::FLOOR.max_message as usize];
    assert_eq!(
        client.call(&call(&large)),
        Err(SendError::NoCredit),
        "the hello may allow it"
    );
    let ids = exhaust(client, &call(b"early"));
    assert_eq!(ids.len() as u32, Grants::FLOOR.calls);
    pair.drive();
    let events = pair.client.events();
    assert!(
        matches!(
            events[..],
            [Event::Established(_), Event::CreditAvailable { depth: 0 }]
        ),
        "{events:?}"
    );
    pair.client.connection.call(&call(&large)).unwrap();
    assert_eq!(pair.server.echo(), 16);
    pair.drive();
    assert_eq!(pair.server.echo(), 1);
    pair.drive();
    pair.assert_idle();
}

#[test]
fn a_shared_token_is_proved_by_both() {
    let (mut client, mut server) = (client_config(), server_config());
    client.token = Some(Token::new("sesame"));
    server.token = Some(Token::new("sesame"));
    let mut pair = Pair::new(client, server);
    assert_eq!(
        pair.client.connection.call(&call(b"")),
        Err(SendError::NotEstablished)
    );
    pair.drive();
    assert!(matches!(pair.client.event(), Event::Established(_)));
    assert!(matches!(pair.server.event(), Event::Established(_)));
    for sent in [&pair.client.sent, &pair.server.sent] {
        assert!(
            !sent.windows(6).any(|bytes| bytes == b"sesame"),
            "the token is never on the wire"
        );
    }
}

#[test]
fn a_wrong_token_is_refused() {
    let (mut client, mut server) = (client_config(), server_config());
    client.token = Some(Token::new("sesam"));
    server.token = Some(Token::new("sesame"));
    let mut pair = Pair::new(client, server);
    assert_eq!(refused(&mut pair), RefusalCode::BadToken);
    assert_eq!(pair.server.error, Some(ConnectionError::BadToken));
    assert!(pair.server.events().is_empty());
}

#[test]
fn a_client_without_the_token_runs_nothing() {
    let mut server = server_config();
    server.token = Some(Token::new("sesame"));
    let mut pair = Pair::new(client_config(), server);
    let large = vec![0; 40_000];
    let id = pair.client.connection.call(&call(&large)).unwrap();
    pair.client.connection.call(&call(b"early")).unwrap();
    let bytes = pair.client.transmit(pair.now);
    assert_eq!(pair.client.connection.outcome_if_lost(id), Outcome::Unknown);
    for piece in bytes.chunks(1000) {
        assert_eq!(pair.forge_to_server(piece), None);
        assert!(
            pair.server.inbox.len() < 2000,
            "what is thrown away is not kept"
        );
    }
    pair.carry_to_client();
    assert_eq!(pair.client.error, Some(ConnectionError::TokenRequired));
    assert_eq!(
        pair.client.connection.outcome_if_lost(id),
        Outcome::NotStarted
    );
    assert!(pair.server.events().is_empty());
}

#[test]
fn early_frames_and_a_proof_do_not_go_together() {
    let mut server = server_config();
    server.token = Some(Token::new("sesame"));
    let mut pair = Pair::new(client_config(), server);
    pair.client.connection.call(&call(b"early")).unwrap();
    pair.carry_to_server();
    let proof = frame(&Message::Proof(farref_proto::message::Proof {
        mac: [0; 32],
    }));
    let error = pair.forge_to_server(&proof);
    assert_eq!(error, Some(Violation::OutOfTurn(0x04).into()));
}

#[test]
fn a_server_must_know_the_token_too() {
    let mut client = client_config();
    client.token = Some(Token::new("sesame"));
    let mut pair = Pair::new(client.clone(), server_config());
    pair.drive();
    assert_eq!(
        pair.client.error,
        Some(ConnectionError::ServerNotAuthenticated)
    );

    let mut pair = Pair::new(client, server_config());
    let challenge = Message::Challenge(Challenge {
        nonce: Nonce::from_bytes([1; 32]),
    });
    let hello = Message::ServerHello(Box::new(forged_server_hello()));
    let bytes = [PREAMBLE, &frame(&challenge), &frame(&hello)].concat();
    let error = pair.forge_to_client(&bytes);
    assert_eq!(error, Some(ConnectionError::ServerNotAuthenticated));
    assert!(pair.client.events().is_empty());
}

fn forged_server_hello() -> ServerHello {
    ServerHello {
        version: 1,
        codecs: 2,
        features: 0,
        instance: SERVER,
        grants: Grants::FLOOR,
        clock: Time::ZERO,
        session: SessionId::from_bytes([0x51; 16]),
        received: 0,
        proof: Some([7; 32]),
        linger: std::time::Duration::ZERO,
        name: String::new(),
    }
}

#[test]
fn a_server_cannot_answer_another_hello() {
    let good = ServerHello {
        proof: None,
        ..forged_server_hello()
    };
    let wrong = [
        ServerHello {
            session: SessionId::from_bytes([9; 16]),
            ..good.clone()
        },
        ServerHello {
            received: 1,
            ..good.clone()
        },
        ServerHello {
            codecs: 0,
            ..good.clone()
        },
    ];
    for hello in wrong {
        let mut pair = Pair::new(client_config(), server_config());
        let bytes = [PREAMBLE, &frame(&Message::ServerHello(Box::new(hello)))].concat();
        assert_eq!(
            pair.forge_to_client(&bytes),
            Some(Violation::BadHello.into())
        );
    }
    let mut pair = Pair::new(client_config(), server_config());
    let bytes = [PREAMBLE, &frame(&Message::ServerHello(Box::new(good)))].concat();
    assert_eq!(pair.forge_to_client(&bytes), None);
    assert!(pair.client.connection.is_established());
}

#[test]
fn a_client_may_insist_on_one_process() {
    let mut client = client_config();
    client.expected_instance = Some(SERVER);
    let _ = Pair::established_with(client.clone(), server_config());

    client.expected_instance = Some(InstanceId::from_bytes([1; 16]));
    let mut pair = Pair::new(client, server_config());
    assert_eq!(refused(&mut pair), RefusalCode::WrongInstance);
}

#[test]
fn codecs_must_have_one_in_common() {
    let (mut client, mut server) = (client_config(), server_config());
    client.codecs = 0b0010;
    server.codecs = 0b0100;
    let mut pair = Pair::new(client, server);
    assert_eq!(refused(&mut pair), RefusalCode::Codec);
}

#[test]
fn a_busy_server_says_so() {
    let mut server = server_config();
    server.refusal = Some(Refusal::new(
        RefusalCode::Busy,
        "1024 connections are enough",
    ));
    let mut pair = Pair::new(client_config(), server);
    let id = pair.client.connection.call(&call(b"early")).unwrap();
    assert_eq!(refused(&mut pair), RefusalCode::Busy);
    assert_eq!(
        pair.client.connection.outcome_if_lost(id),
        Outcome::NotStarted
    );
    assert!(pair.server.events().is_empty());
}

fn forged_client_hello() -> ClientHello {
    ClientHello {
        version_min: 1,
        version_max: 1,
        codecs: 2,
        features: 0,
        instance: CLIENT,
        grants: Grants::FLOOR,
        clock: Time::ZERO,
        nonce: Nonce::from_bytes([0; 32]),
        session: SessionRequest::New {
            id: SessionId::from_bytes([1; 16]),
            secret: [2; 32],
        },
        expected_instance: None,
        linger: std::time::Duration::ZERO,
        name: String::new(),
    }
}

fn answer_to(hello: ClientHello) -> (Option<ConnectionError>, Vec<u8>) {
    let mut pair = Pair::new(client_config(), server_config());
    let bytes = [PREAMBLE, &frame(&Message::ClientHello(Box::new(hello)))].concat();
    let error = pair.forge_to_server(&bytes);
    (error, pair.server.transmit(pair.now))
}

#[test]
fn a_server_refuses_what_it_does_not_speak() {
    let hello = ClientHello {
        version_min: 2,
        version_max: 7,
        ..forged_client_hello()
    };
    let (error, answer) = answer_to(hello);
    assert_eq!(
        error,
        Some(ConnectionError::Version {
            min: 2,
            max: 7,
            ours: 1
        })
    );
    let text = "the other side speaks versions 2 to 7 of the protocol, this side speaks version 1";
    let refusal = Message::Refuse(Refusal::new(RefusalCode::Version, text));
    assert_eq!(answer, [PREAMBLE, &frame(&refusal)].concat());

    let id = SessionId::from_bytes([1; 16]);
    let resume = SessionRequest::Resume {
        id,
        epoch: 1,
        mac: [0; 32],
        received: 0,
    };
    let hello = ClientHello {
        session: resume,
        ..forged_client_hello()
    };
    let mut pair = Pair::new(client_config(), server_config());
    let hello = frame(&Message::ClientHello(Box::new(hello)));
    assert_eq!(pair.forge_to_server(&[PREAMBLE, &hello].concat()), None);
    let Event::ResumeRequested(request) = pair.server.event() else {
        panic!("it is asked for");
    };
    assert_eq!(request.session(), id);
    assert_eq!(pair.server.transmit(pair.now), b"", "it is not decided");
    pair.server.connection.refuse_resume();
    let text = "the session to resume is not known here";
    let refusal = Message::Refuse(Refusal::new(RefusalCode::SessionLost, text));
    assert_eq!(
        pair.server.transmit(pair.now),
        [PREAMBLE, &frame(&refusal)].concat()
    );

    let newer = ClientHello {
        version_max: 9,
        features: u64::MAX,
        ..forged_client_hello()
    };
    assert_eq!(
        answer_to(newer).0,
        None,
        "a newer client finds the common version"
    );
}

#[test]
fn grants_below_the_floor_are_malformed() {
    let stingy = ClientHello {
        grants: Grants {
            calls: 1,
            ..Grants::FLOOR
        },
        ..forged_client_hello()
    };
    let (error, _) = answer_to(stingy);
    assert!(matches!(
        error,
        Some(ConnectionError::Malformed(DecodeError::BadValue { .. }))
    ));
}

#[test]
fn unknown_options_are_skipped_unless_they_must_be_understood() {
    let with_option = |tag: u8| {
        let mut bytes = frame(&Message::ClientHello(Box::new(forged_client_hello()))).to_vec();
        bytes.extend_from_slice(&[tag, 2, 0, 9, 9]);
        let length = bytes.len() as u32 - 4;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        let mut pair = Pair::new(client_config(), server_config());
        pair.forge_to_server(&[PREAMBLE, &bytes].concat())
    };
    assert_eq!(with_option(0x7f), None);
    assert_eq!(
        with_option(0x80),
        Some(DecodeError::UnknownOption(0x80).into())
    );
}

#[test]
fn strangers_are_turned_away_at_the_first_byte() {
    let mut pair = Pair::new(client_config(), server_config());
    let error = pair.forge_to_server(b"G");
    assert_eq!(error, Some(ConnectionError::Stranger(Stranger::Http)));
    let answer = pair.server.transmit(pair.now);
    assert!(answer.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));

    let mut pair = Pair::new(client_config(), server_config());
    let error = pair.forge_to_server(&[0x16, 0x03, 0x01]);
    assert_eq!(error, Some(ConnectionError::Stranger(Stranger::Tls)));
    assert!(pair.server.transmit(pair.now).is_empty());

    let mut pair = Pair::new(client_config(), server_config());
    let error = pair.forge_to_client(b"SSH-2.0-OpenSSH_10");
    assert_eq!(error, Some(ConnectionError::Stranger(Stranger::Ssh)));
}

#[test]
fn a_silent_client_is_given_up() {
    let mut pair = Pair::new(client_config(), server_config());
    let deadline = pair.server.connection.poll_timeout().unwrap();
    assert_eq!(deadline, pair.now + Duration::from_secs(10));
    assert_eq!(pair.pass(Duration::from_millis(9_999)), (Ok(()), Ok(())));
    pair.forge_to_server(&PREAMBLE[..4]);
    let timeout = Err(ConnectionError::HandshakeTimeout);
    assert_eq!(
        pair.pass(Duration::from_millis(1)),
        (timeout.clone(), timeout)
    );
    assert_eq!(pair.server.connection.poll_timeout(), None);
}

#[test]
fn nothing_large_passes_before_the_handshake() {
    let mut pair = Pair::new(client_config(), server_config());
    let hello = [PREAMBLE, &16_385_u32.to_le_bytes()].concat();
    let error = pair.forge_to_server(&hello);
    assert_eq!(
        error,
        Some(
            DecodeError::TooLong {
                length: 16_385,
                limit: 16_384
            }
            .into()
        )
    );
}

#[test]
fn session_frames_wait_for_the_hello() {
    let mut pair = Pair::new(client_config(), server_config());
    let cancel = frame(&Message::Cancel(farref_proto::message::Cancel {
        calls: vec![1],
    }));
    let error = pair.forge_to_server(&[PREAMBLE, &cancel].concat());
    assert_eq!(error, Some(Violation::OutOfTurn(0x14).into()));
}

#[test]
fn a_second_hello_is_out_of_turn() {
    let mut pair = Pair::established();
    let hello = frame(&Message::ClientHello(Box::new(forged_client_hello())));
    assert_eq!(
        pair.forge_to_server(&hello),
        Some(Violation::OutOfTurn(0x01).into())
    );
}
