//! Calls within calls, without end.

use bytes::Bytes;
use farref_proto::message::{Call, Message, Reply, ReplyStatus, Sections};
use farref_proto::{Chain, ChainId, CloseCode, Extensions, FaultKind, Limits};

use crate::arena::Arena;
use crate::attacker::{
    Answer, Attacker, POSTCARD, answer, call, export, with_extensions, with_table,
};

/// The greatest depth that a daemon accepts.
const DEPTH: u16 = 32;

fn nested(call: Call, id: ChainId, depth: u16) -> Call {
    let chain = Some(Chain { id, depth });
    with_extensions(
        call,
        Extensions {
            chain,
            ..Extensions::default()
        },
    )
}

fn visit(id: u32) -> Call {
    with_table(
        call(id, "visit", POSTCARD, &[0]),
        vec![export(1, "Visitor")],
    )
}

fn chain_of(call: &Call) -> Chain {
    let extensions = call.sections.extensions.as_ref();
    extensions
        .and_then(|extensions| extensions.chain)
        .expect("a callback tells its chain")
}

fn reply(id: u32, body: &'static [u8]) -> Message {
    Message::Reply(Reply {
        id,
        status: ReplyStatus::Ok,
        codec: POSTCARD,
        sections: Sections {
            body: Bytes::from_static(body),
            ..Sections::default()
        },
    })
}

#[test]
fn callbacks_that_answer_with_calls_end_at_the_limit() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let id = attacker.new_call();
        attacker.send_message(&Message::Call(visit(id)));
        // Each callback is answered with another call in its chain, until one is refused.
        let mut callbacks = Vec::new();
        let (refused, ending) = loop {
            match attacker.receive() {
                Some(Message::Call(callback)) => {
                    let Chain { id: chain, depth } = chain_of(&callback);
                    callbacks.push(callback.id);
                    let id = attacker.new_call();
                    attacker.send_message(&Message::Call(nested(visit(id), chain, depth + 1)));
                }
                Some(Message::Reply(reply)) => break (reply.id, answer(reply)),
                other => panic!("a callback was expected, and {other:?} came"),
            }
        };
        // Then all of them are answered, and so all calls.
        let deepest = callbacks.len();
        for callback in callbacks.into_iter().rev() {
            attacker.send_message(&reply(callback, &[7]));
        }
        let mut values = 0;
        while values < deepest {
            assert_eq!(
                answer(attacker.reply()),
                Answer::Value(Bytes::from_static(&[7]))
            );
            values += 1;
        }
        (deepest, refused, ending)
    });
    let (deepest, refused, ending) = endured.saw;
    // Every other call is the daemon's; it does not make the one that would be too deep, whatever the attacker allows.
    let half = usize::from(DEPTH / 2);
    assert_eq!((deepest, refused as usize), (half, half));
    let Answer::Error(text) = ending else {
        panic!("the handler's own error was expected, and {ending:?} came");
    };
    let text = String::from_utf8_lossy(&text);
    assert!(
        text.contains("nest too deeply") && text.contains("32"),
        "{text}"
    );
    assert!(endured.peak < 1 << 20, "{} bytes", endured.peak);
}

#[test]
fn a_call_that_says_it_is_too_deep_is_refused() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let chain = ChainId::from_bytes([1; 16]);
        let mut at =
            |depth| attacker.ask_for(nested(call(0, "add", POSTCARD, &[2, 3]), chain, depth));
        (
            at(DEPTH),
            [DEPTH + 1, 255, 256, u16::MAX].map(|depth| at(depth).fault().kind),
        )
    });
    let (deep, too_deep) = endured.saw;
    assert_eq!(deep, Answer::Value(Bytes::from_static(&[5])));
    assert_eq!(too_deep, [FaultKind::DepthExceeded; 4]);
}

#[test]
fn a_caller_that_lies_about_its_depth_runs_out_of_credit() {
    let mut limits = Limits::default();
    limits.calls = 64;
    let mut arena = Arena::with(|daemon| daemon.limits(limits));
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        // Every call says that it is the first of its chain, and none of the callbacks is ever answered.
        for id in 0..64 {
            attacker.send_message(&Message::Call(visit(id)));
            attacker.callback();
        }
        attacker.send_message(&Message::Call(visit(64)));
        attacker.goodbye()
    });
    assert_eq!(endured.saw.code, CloseCode::Violation);
    assert!(
        endured
            .saw
            .text
            .ends_with("the credit for calls of depth 0 is spent"),
        "{}",
        endured.saw.text
    );
    assert!(endured.peak < 1 << 20, "{} bytes", endured.peak);
}

#[test]
fn the_reserve_of_a_depth_runs_out_too() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let chain = ChainId::from_bytes([1; 16]);
        for id in 0..64 {
            attacker.send_message(&Message::Call(nested(visit(id), chain, 5)));
            attacker.callback();
        }
        attacker.send_message(&Message::Call(nested(visit(64), chain, 5)));
        attacker.goodbye()
    });
    assert!(
        endured
            .saw
            .text
            .ends_with("the credit for calls of depth 5 is spent"),
        "{}",
        endured.saw.text
    );
}

#[test]
fn a_caller_that_vanishes_takes_its_handlers_along() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        for id in 0..64 {
            attacker.send_message(&Message::Call(visit(id)));
            attacker.callback();
        }
        attacker.reset();
    });
    assert!(endured.peak < 1 << 20, "{} bytes", endured.peak);
}
