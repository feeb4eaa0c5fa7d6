//! Credit: exhausted, given back, never exceeded.

use std::collections::VecDeque;

use farref_proto::message::{Credit, CreditEntry, Message};
use farref_proto::{
    CallId, Chain, ChainId, Event, Extensions, Limits, OnewayReceipt, OutgoingCall, SendError,
    ServerConfig, Violation,
};
use proptest::prelude::*;

use crate::pair::{CODEC, Pair, call, client_config, exhaust, frame, reply, server_config};

fn at_depth(depth: u16) -> Extensions {
    let chain = Some(Chain {
        id: ChainId::from_bytes([7; 16]),
        depth,
    });
    Extensions {
        chain,
        ..Extensions::default()
    }
}

fn small_server() -> ServerConfig {
    let mut server = server_config();
    server.limits.calls = 20;
    server.limits.call_bytes = 100_000;
    server.limits.depth_calls = 2;
    server.limits.max_depth = 3;
    server
}

#[test]
fn calls_wait_for_room_and_are_told_of_it() {
    let mut pair = Pair::established_with(client_config(), small_server());
    let ids = exhaust(&mut pair.client.connection, &call(b""));
    assert_eq!(ids.len(), 20);
    pair.drive();
    let mut calls = pair.server.events().into_iter();
    let Some(Event::Call(first)) = calls.next() else {
        panic!("no call")
    };
    pair.server.connection.reply(first.id, &reply(b"")).unwrap();
    pair.drive();
    let events = pair.client.events();
    assert!(
        matches!(
            events[..],
            [Event::Reply(_), Event::CreditAvailable { depth: 0 }]
        ),
        "{events:?}"
    );
    assert_eq!(exhaust(&mut pair.client.connection, &call(b"")).len(), 1);
}

#[test]
fn nobody_is_told_of_room_who_did_not_ask() {
    let mut pair = Pair::established_with(client_config(), small_server());
    for _ in 0..20 {
        pair.client.connection.call(&call(b"")).unwrap();
    }
    pair.drive();
    pair.server.echo();
    pair.drive();
    let events = pair.client.events();
    assert!(
        events.iter().all(|event| matches!(event, Event::Reply(_))),
        "{events:?}"
    );
}

#[test]
fn one_message_may_overdraw_the_bytes_once() {
    let mut pair = Pair::established_with(client_config(), small_server());
    let large = vec![0; 1 << 20];
    pair.client.connection.call(&call(&large)).unwrap();
    assert_eq!(
        pair.client.connection.call(&call(b"")),
        Err(SendError::NoCredit)
    );
    pair.drive();
    assert_eq!(pair.server.echo(), 1);
    pair.drive();
    let events = pair.client.events();
    assert!(matches!(
        events[..],
        [Event::Reply(_), Event::CreditAvailable { depth: 0 }]
    ));
    pair.client.connection.call(&call(&large)).unwrap();
}

#[test]
fn each_depth_has_its_own_reserve() {
    let mut pair = Pair::established_with(client_config(), small_server());
    exhaust(&mut pair.client.connection, &call(b""));
    for depth in 1..=3 {
        let extensions = at_depth(depth);
        let nested = OutgoingCall {
            extensions: &extensions,
            ..call(b"")
        };
        assert_eq!(exhaust(&mut pair.client.connection, &nested).len(), 2);
    }
    let extensions = at_depth(4);
    let nested = OutgoingCall {
        extensions: &extensions,
        ..call(b"")
    };
    let error = pair.client.connection.call(&nested);
    assert_eq!(error, Err(SendError::DepthExceeded { limit: 3 }));
    pair.drive();
    assert_eq!(pair.server.echo(), 26);
    pair.drive();
    let available: Vec<u16> = pair
        .client
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::CreditAvailable { depth } => Some(*depth),
            _ => None,
        })
        .collect();
    assert_eq!(available, [0, 1, 2, 3]);
    pair.assert_idle();
}

#[test]
fn nested_calls_wait_for_the_hello() {
    let mut pair = Pair::new(client_config(), small_server());
    let (near, far) = (at_depth(1), at_depth(9));
    let nested = OutgoingCall {
        extensions: &near,
        ..call(b"")
    };
    let too_deep = OutgoingCall {
        extensions: &far,
        ..call(b"")
    };
    assert_eq!(
        pair.client.connection.call(&nested),
        Err(SendError::NoCredit)
    );
    assert_eq!(
        pair.client.connection.call(&too_deep),
        Err(SendError::NoCredit)
    );
    pair.drive();
    let events = pair.client.events();
    assert!(
        matches!(
            events[..],
            [
                Event::Established(_),
                Event::CreditAvailable { depth: 1 },
                Event::CreditAvailable { depth: 9 }
            ]
        ),
        "{events:?}"
    );
    pair.client.connection.call(&nested).unwrap();
    let error = pair.client.connection.call(&too_deep);
    assert_eq!(error, Err(SendError::DepthExceeded { limit: 3 }));
}

#[test]
fn a_call_that_nests_too_deeply_is_refused_at_the_receiver_too() {
    // This client believes that the server allows the default depth.
    let mut pair = Pair::established();
    let mut shallow = Pair::established_with(client_config(), small_server());
    let extensions = at_depth(4);
    let nested = OutgoingCall {
        extensions: &extensions,
        ..call(b"")
    };
    pair.client.connection.call(&nested).unwrap();
    let bytes = pair.client.transmit(pair.now);
    assert_eq!(shallow.forge_to_server(&bytes), None);
    assert!(shallow.server.events().is_empty());
    let answer = shallow.server.transmit(shallow.now);
    assert_eq!(pair.forge_to_client(&answer), None);
    let fault = farref_proto::FaultMessage::decode(&pair.client.incoming_reply().body).unwrap();
    assert_eq!(fault.kind, farref_proto::FaultKind::DepthExceeded);
    assert_eq!(fault.outcome, farref_proto::Outcome::NotStarted);
}

#[test]
fn a_peer_that_ignores_its_credit_is_disconnected() {
    let mut generous = Pair::established();
    let mut pair = Pair::established_with(client_config(), small_server());
    for _ in 0..21 {
        generous
            .client
            .connection
            .oneway(&call(b""), false)
            .unwrap();
    }
    let bytes = generous.client.transmit(generous.now);
    assert_eq!(
        pair.forge_to_server(&bytes),
        Some(Violation::CreditOverspent(0).into())
    );
    assert_eq!(pair.server.events().len(), 20);
}

#[test]
fn unread_replies_keep_their_credit() {
    let mut generous = Pair::established();
    let mut pair = Pair::established_with(client_config(), small_server());
    for _ in 0..21 {
        generous.client.connection.call(&call(b"")).unwrap();
    }
    let bytes = generous.client.transmit(generous.now);
    let frame_length = bytes.len() / 21;
    pair.forge_to_server(&bytes[..20 * frame_length]);
    assert_eq!(pair.server.echo(), 20);
    // All are answered, and none of the answers has left.
    let error = pair.forge_to_server(&bytes[20 * frame_length..]);
    assert_eq!(error, Some(Violation::CreditOverspent(0).into()));
}

#[test]
fn credit_that_was_not_spent_cannot_come_back() {
    let forged = |entry| {
        frame(&Message::Credit(Credit {
            entries: vec![entry],
        }))
    };
    let one = CreditEntry {
        depth: 0,
        calls: 1,
        bytes: 1,
    };
    let mut pair = Pair::established();
    assert_eq!(
        pair.forge_to_client(&forged(one)),
        Some(Violation::CreditOverflow(0).into())
    );

    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"")).unwrap();
    let error = pair.forge_to_client(&forged(one));
    assert_eq!(
        error,
        Some(Violation::CreditOverflow(0).into()),
        "a call's comes with its reply"
    );

    for entry in [
        CreditEntry {
            calls: u32::MAX,
            ..one
        },
        CreditEntry {
            bytes: u64::MAX,
            ..one
        },
        CreditEntry { calls: 2, ..one },
        CreditEntry { depth: 255, ..one },
    ] {
        let mut pair = Pair::established();
        pair.client.connection.oneway(&call(b""), false).unwrap();
        let error = pair.forge_to_client(&forged(entry));
        assert_eq!(error, Some(Violation::CreditOverflow(entry.depth).into()));
    }
}

/// What the application does in the model.
#[derive(Debug, Clone)]
enum Action {
    Call { depth: u16, size: usize },
    Oneway { size: usize },
    Answer(usize),
    EndOneway,
    Carry,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..4_u16, 0..40_000_usize).prop_map(|(depth, size)| Action::Call { depth, size }),
        2 => (0..40_000_usize).prop_map(|size| Action::Oneway { size }),
        3 => any::<usize>().prop_map(Action::Answer),
        2 => Just(Action::EndOneway),
        3 => Just(Action::Carry),
    ]
}

/// The rule of credit, as simply as it can be said: by depth, the costs of all that is unfinished.
#[derive(Default)]
struct Model {
    unfinished: [VecDeque<i64>; 4],
}

impl Model {
    fn has_room(&self, limits: &Limits, depth: u16) -> bool {
        let (calls, bytes) = match depth {
            0 => (limits.calls, limits.call_bytes),
            _ => (limits.depth_calls, limits.depth_bytes),
        };
        let unfinished = &self.unfinished[usize::from(depth)];
        (unfinished.len() as u32) < calls && unfinished.iter().sum::<i64>() < bytes as i64
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn credit_follows_the_simple_rule(actions in prop::collection::vec(action(), 1..200)) {
        let server = small_server();
        let limits = server.limits.clone();
        let mut pair = Pair::established_with(client_config(), server);
        let mut model = Model::default();
        let mut open: Vec<CallId> = Vec::new();
        let mut receipts: Vec<OnewayReceipt> = Vec::new();
        // What each open call and oneway cost, as the client knows them.
        let mut costs: std::collections::HashMap<CallId, (u16, i64)> = Default::default();
        let mut oneway_costs: VecDeque<i64> = VecDeque::new();
        let mut ended: Vec<i64> = Vec::new();
        for action in actions {
            match action {
                Action::Call { depth, size } => {
                    let body = vec![0; size];
                    let extensions = at_depth(depth);
                    let outgoing = OutgoingCall { extensions: &extensions, codec: CODEC, ..call(&body) };
                    match pair.client.connection.call(&outgoing) {
                        Ok(id) => {
                            prop_assert!(model.has_room(&limits, depth));
                            let cost = (size + 4 + 20 + 2 + 21) as i64;
                            model.unfinished[usize::from(depth)].push_back(cost);
                            costs.insert(id, (depth, cost));
                        }
                        Err(error) => {
                            prop_assert_eq!(error, SendError::NoCredit);
                            prop_assert!(!model.has_room(&limits, depth));
                        }
                    }
                }
                Action::Oneway { size } => {
                    let body = vec![0; size];
                    match pair.client.connection.oneway(&call(&body), false) {
                        Ok(()) => {
                            prop_assert!(model.has_room(&limits, 0));
                            let cost = (size + 24) as i64;
                            model.unfinished[0].push_back(cost);
                            oneway_costs.push_back(cost);
                        }
                        Err(error) => {
                            prop_assert_eq!(error, SendError::NoCredit);
                            prop_assert!(!model.has_room(&limits, 0));
                        }
                    }
                }
                Action::Answer(which) if !open.is_empty() => {
                    let id = open.swap_remove(which % open.len());
                    pair.server.connection.reply(id, &reply(b"")).unwrap();
                }
                Action::EndOneway if !receipts.is_empty() => {
                    // The model knows their costs in the order in which they were sent.
                    pair.server.connection.oneway_done(receipts.remove(0));
                    ended.push(oneway_costs.pop_front().unwrap());
                }
                Action::Answer(_) | Action::EndOneway => {}
                Action::Carry => {
                    pair.drive();
                    for cost in ended.drain(..) {
                        let unfinished = &mut model.unfinished[0];
                        let at = unfinished.iter().position(|other| *other == cost).unwrap();
                        unfinished.remove(at);
                    }
                }
            }
            for event in pair.server.events() {
                match event {
                    Event::Call(call) => open.push(call.id),
                    Event::Oneway(_, receipt) => receipts.push(receipt),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            for event in pair.client.events() {
                if let Event::Reply(reply) = event {
                    let (depth, cost) = costs.remove(&reply.call).unwrap();
                    let unfinished = &mut model.unfinished[usize::from(depth)];
                    let at = unfinished.iter().position(|other| *other == cost).unwrap();
                    unfinished.remove(at);
                }
            }
            prop_assert_eq!(&pair.server.error, &None);
            prop_assert_eq!(&pair.client.error, &None);
        }
    }
}
