//! A session outlives its connection: who may take it up, until when, and what it costs meanwhile.

use std::time::Duration;

use farref_proto::message::{Message, ServerHello};
use farref_proto::{
    ClientConfig, ConnectionError, Event, Limits, Outcome, RefusalCode, SendError, ServerConfig,
    Token,
};

use crate::pair::{
    Pair, call, client_config, exhaust, frame, reply, resume_request, server_config,
};

const SECOND: Duration = Duration::from_secs(1);

fn limited(limits: &Limits) -> (ClientConfig, ServerConfig) {
    let (mut client, mut server) = (client_config(), server_config());
    client.limits = limits.clone();
    server.limits = limits.clone();
    (client, server)
}

fn with_limits(limits: &Limits) -> Pair {
    let (client, server) = limited(limits);
    Pair::established_with(client, server)
}

#[test]
fn calls_made_while_there_is_no_connection_go_out_with_the_next() {
    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"before")).unwrap();
    pair.carry_to_server();
    pair.cut();
    assert!(pair.client.connection.is_established());
    assert!(pair.client.connection.is_suspended());
    pair.client.connection.call(&call(b"meanwhile")).unwrap();
    let arrived = pair.server.incoming_call();
    pair.server
        .connection
        .reply(arrived.id, &reply(b"answer"))
        .unwrap();
    pair.server.connection.call(&call(b"back")).unwrap();
    assert!(!pair.client.connection.has_transmit());
    assert!(!pair.server.connection.has_transmit());
    pair.resume(1);
    assert_eq!(
        pair.client.events().len(),
        3,
        "it goes on, it is answered, it is called"
    );
    assert!(matches!(
        pair.server.events()[..],
        [Event::Resumed, Event::Call(_)]
    ));
}

/// Tries to take a session up with requests that were good once. What it returns is wrong.
pub(crate) fn replay_old_requests(limits: &Limits) -> Result<(), String> {
    let mut pair = with_limits(limits);
    pair.cut();
    let first = pair.dial_again(1);
    pair.ask_to_resume(&first).unwrap();
    pair.drive();
    pair.cut();
    let second = pair.dial_again(2);
    // Its answer is lost, and the client tries once more.
    pair.ask_to_resume(&second).unwrap();
    pair.client.connection.disconnected(pair.now);
    let third = pair.dial_again(3);
    for (name, old) in [("first", &first), ("second", &second)] {
        if name == "second" {
            pair.ask_to_resume(&third).unwrap();
        }
        let link = pair.server.connection.link();
        let answer = pair.ask_to_resume(old);
        if answer != Err(ConnectionError::SessionLost) || pair.server.connection.link() != link {
            return Err(format!("the {name} request was good again: {answer:?}"));
        }
    }
    pair.drive();
    assert!(pair.client.connection.is_open(), "the newest one goes on");
    Ok(())
}

#[test]
fn a_request_is_good_once() {
    replay_old_requests(&Limits::default()).unwrap();
}

/// Tries to take a session up without its secret. What it returns is wrong.
pub(crate) fn guess_the_proof(limits: &Limits) -> Result<(), String> {
    let mut pair = with_limits(limits);
    pair.cut();
    let good = pair.dial_again(1);
    // Any byte of the epoch, the proof, the offset or the nonce.
    for at in [8 + 100, 8 + 149, 8 + 157, 8 + 188, 8 + 189, 8 + 133] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let answer = pair.ask_to_resume(&bad);
        if answer != Err(ConnectionError::SessionLost) || !pair.server.connection.is_suspended() {
            return Err(format!("byte {at} does not count: {answer:?}"));
        }
    }
    pair.ask_to_resume(&good).unwrap();
    pair.drive();
    assert!(pair.client.connection.is_open());

    let mut stranger = client_config();
    stranger.secret = farref_proto::SessionSecret::from_bytes([0x77; 32]);
    let mut other = Pair::established_with(stranger, server_config());
    other.cut();
    let guess = other.dial_again(1);
    match pair.ask_to_resume(&guess) {
        Err(ConnectionError::SessionLost) => Ok(()),
        answer => Err(format!("the secret of another: {answer:?}")),
    }
}

#[test]
fn only_who_knows_the_secret_takes_a_session_up() {
    guess_the_proof(&Limits::default()).unwrap();
}

#[test]
fn the_secret_alone_is_worth_nothing_where_there_is_a_token() {
    let with_token = |token: Option<&str>| {
        let (mut client, mut server) = (client_config(), server_config());
        client.token = token.map(Token::new);
        server.token = token.map(Token::new);
        Pair::established_with(client, server)
    };
    let mut pair = with_token(Some("sesame"));
    pair.cut();
    // Session and secret are the same.
    let mut eavesdropper = with_token(None);
    eavesdropper.cut();
    let guess = eavesdropper.dial_again(1);
    assert_eq!(
        pair.ask_to_resume(&guess),
        Err(ConnectionError::SessionLost)
    );
    pair.resume(1);
    assert!(
        pair.client.connection.is_open(),
        "without another challenge"
    );
}

/// Answers for a server without having the session. What it returns is wrong.
pub(crate) fn answer_for_the_server(limits: &Limits) -> Result<(), String> {
    let mut pair = with_limits(limits);
    let id = pair.client.connection.call(&call(b"one")).unwrap();
    pair.carry_to_server();
    pair.cut();
    pair.dial_again(1);
    let forged = ServerHello {
        version: 1,
        codecs: 2,
        features: 0,
        instance: crate::pair::SERVER,
        grants: Limits::default().grants(),
        clock: pair.now,
        session: client_config().session,
        received: 0,
        proof: Some([7; 32]),
        linger: SECOND,
        name: String::new(),
    };
    let hello = frame(&Message::ServerHello(Box::new(forged)));
    let bytes = [&farref_proto::frame::PREAMBLE[..], &hello].concat();
    let error = pair.forge_to_client(&bytes);
    if error != Some(ConnectionError::ServerNotAuthenticated) {
        return Err(format!("it is believed: {error:?}"));
    }
    assert!(pair.client.connection.is_suspended(), "it tries again");
    pair.client.error = None;
    let hello = pair.dial_again(2);
    pair.ask_to_resume(&hello).unwrap();
    pair.drive();
    assert_eq!(pair.server.echo(), 1);
    pair.drive();
    let events = pair.client.events();
    assert!(matches!(&events[..], [Event::Resumed, Event::Reply(reply)] if reply.call == id));
    Ok(())
}

#[test]
fn a_client_believes_nobody_who_has_not_got_its_session() {
    answer_for_the_server(&Limits::default()).unwrap();
}

#[test]
fn a_server_that_has_not_got_the_session_ends_it() {
    let mut pair = Pair::established();
    let sent = pair.client.connection.call(&call(b"sent")).unwrap();
    pair.carry_to_server();
    pair.cut();
    let unsent = pair.client.connection.call(&call(b"unsent")).unwrap();
    let hello = pair.dial_again(1);
    let mut restarted = Pair::new(client_config(), server_config());
    assert_eq!(restarted.forge_to_server(&hello), None);
    assert!(matches!(
        restarted.server.event(),
        Event::ResumeRequested(_)
    ));
    restarted.server.connection.refuse_resume();
    let answer = restarted.server.transmit(pair.now);
    let Some(ConnectionError::Refused { code, .. }) = pair.forge_to_client(&answer) else {
        panic!("it is refused");
    };
    assert_eq!(code, RefusalCode::SessionLost);
    assert!(pair.client.connection.is_closed());
    let client = &pair.client.connection;
    assert_eq!(client.outcome_if_lost(sent), Outcome::Unknown);
    assert_eq!(client.outcome_if_lost(unsent), Outcome::NotStarted);
}

#[test]
fn what_the_server_never_received_is_known_not_to_have_run() {
    let mut pair = Pair::established();
    let id = pair.client.connection.call(&call(b"lost")).unwrap();
    pair.client.transmit(pair.now);
    assert_eq!(pair.client.connection.outcome_if_lost(id), Outcome::Unknown);
    pair.cut();
    let hello = pair.dial_again(1);
    pair.ask_to_resume(&hello).unwrap();
    pair.carry_to_client();
    let outcome = pair.client.connection.outcome_if_lost(id);
    assert_eq!(
        outcome,
        Outcome::NotStarted,
        "the old connection is read no more"
    );
    pair.carry_to_server();
    assert_eq!(pair.server.echo(), 1);
}

#[test]
fn a_session_without_a_connection_ends_in_time() {
    let mut limits = Limits::default();
    limits.linger = 5 * SECOND;
    let (client, _) = limited(&limits);
    // The shorter of the two times counts, at both ends.
    let mut pair = Pair::established_with(client, server_config());
    pair.cut();
    assert_eq!(pair.pass(4 * SECOND), (Ok(()), Ok(())));
    pair.dial_again(1);
    let abandoned = Err(ConnectionError::Abandoned);
    assert_eq!(pair.pass(SECOND), (abandoned.clone(), abandoned));
    assert!(pair.client.connection.is_closed() && pair.server.connection.is_closed());
    assert_eq!(pair.client.connection.poll_timeout(), None);
    let late = pair.client.connection.call(&call(b"late"));
    assert_eq!(late, Err(SendError::Closed));
}

#[test]
fn an_attempt_that_takes_too_long_is_not_the_last() {
    let mut pair = Pair::established();
    pair.cut();
    let lost = pair.dial_again(1);
    assert_eq!(
        pair.client.connection.poll_timeout(),
        Some(pair.now + 10 * SECOND)
    );
    let (client, server) = pair.pass(10 * SECOND);
    assert_eq!(
        (client, server),
        (Err(ConnectionError::HandshakeTimeout), Ok(()))
    );
    assert!(pair.client.connection.is_suspended());
    pair.resume(2);
    assert!(pair.client.connection.is_open());
    assert!(pair.ask_to_resume(&lost).is_err());
}

#[test]
fn without_a_time_to_linger_nothing_is_kept() {
    let mut limits = Limits::default();
    limits.linger = Duration::ZERO;
    let (client, server) = limited(&limits);
    for (client, server) in [(client, server_config()), (client_config(), server)] {
        let mut pair = Pair::established_with(client, server);
        assert!(!pair.client.connection.is_resumable());
        assert!(!pair.server.connection.is_resumable());
        assert!(!pair.client.connection.disconnected(pair.now));
        assert!(!pair.server.connection.disconnected(pair.now));
    }
}

/// Fills both sides with calls that the other does not see.
#[test]
fn both_sides_full_keep_no_more_than_their_bound_and_do_not_wait_for_each_other() {
    let bound = 32 << 10;
    let mut limits = Limits::default();
    limits.kept_bytes = bound;
    limits.ack_every = 16 << 10;
    let mut pair = with_limits(&limits);
    let mut made = 0;
    for round in 0..4 {
        pair.cut();
        for end in [&mut pair.client, &mut pair.server] {
            made += exhaust(&mut end.connection, &call(&[1; 1000])).len();
            let kept = end.connection.tables().unacknowledged;
            assert!((bound..bound + 1100).contains(&kept), "{kept}");
            let turned_away = end.connection.bind("more", 1).unwrap_err();
            assert_eq!(turned_away, SendError::NoCredit);
        }
        pair.resume(round);
        for end in [&mut pair.client, &mut pair.server] {
            let events = end.events();
            let told = |event: &Event| matches!(event, Event::CreditAvailable { depth: 0 });
            assert!(events.iter().any(told), "there is room again: {events:?}");
            let calls = events
                .iter()
                .filter(|event| matches!(event, Event::Call(_)));
            made -= calls.count();
        }
        assert_eq!(made, 0, "each has arrived once");
        assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    }
}

#[test]
fn a_flow_of_calls_keeps_next_to_nothing_and_needs_no_acknowledgement() {
    let mut limits = Limits::default();
    limits.ack_every = u64::MAX;
    let mut pair = with_limits(&limits);
    for _ in 0..100 {
        pair.client.connection.call(&call(&[1; 1000])).unwrap();
        pair.drive();
        assert_eq!(pair.server.echo(), 1);
        pair.drive();
        pair.client.events();
        assert_eq!(pair.client.connection.tables().unacknowledged, 0);
        assert!(pair.server.connection.tables().unacknowledged < 1100);
    }
    let _ = pair.pass(10 * SECOND);
    pair.drive();
    assert_eq!(
        pair.server.connection.tables().unacknowledged,
        0,
        "the beat tells"
    );
}

#[test]
fn who_asks_for_a_session_says_nothing_else() {
    let mut pair = Pair::established();
    pair.cut();
    let hello = pair.dial_again(1);
    let mut newcomer = Pair::new(client_config(), server_config());
    assert_eq!(newcomer.forge_to_server(&hello), None);
    assert!(
        newcomer.forge_to_server(&hello[8..]).is_some(),
        "a second hello"
    );
    assert!(resume_request(&hello, pair.now).is_some());
}
