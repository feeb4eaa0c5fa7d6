//! Replays the corpus of the fuzz targets, without a fuzzer.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use farref_proto::message::{Call, Message, Sections};
use proptest::prelude::*;

#[path = "../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzz targets see it as a crate")]
mod targets;

/// What a fuzz target does with its input.
type Target = fn(&[u8]);

/// Gives every file of this target's corpus to the target. Returns how many there were.
fn replay(target: &str, run: Target) -> usize {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let files =
        fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    files
        .map(|file| run(&fs::read(file.unwrap().path()).unwrap()))
        .count()
}

#[test]
fn the_corpus_is_survived() {
    let targets: [(&str, Target); 5] = [
        ("frames", targets::frames),
        ("handshake", targets::handshake),
        ("connection_server", targets::connection_server),
        ("connection_client", targets::connection_client),
        ("session", targets::session),
    ];
    for (target, run) in targets {
        assert!(replay(target, run) > 0, "{target} has no corpus");
    }
}

/// Actions of the targets' players, with frames that mean something among them.
fn actions() -> impl Strategy<Value = Vec<u8>> {
    let call = (0..4_u32, any::<u8>()).prop_map(|(id, byte)| {
        let call = Call {
            id,
            target: 0,
            method_hash: 0,
            shape: 0,
            method_index: 0,
            codec: 1,
            pipelined: false,
            keep_answer: false,
            batched: false,
            ordered: false,
            sections: Sections {
                body: Bytes::from(vec![byte]),
                ..Sections::default()
            },
        };
        let frame = crate::pair::frame(&Message::Call(call));
        [&[0, frame.len() as u8 - 8], &frame[4..]].concat()
    });
    let action = (0..17_u8, any::<u8>()).prop_map(|(action, argument)| vec![action, argument]);
    prop::collection::vec(prop_oneof![call, action], 1..60).prop_map(|actions| actions.concat())
}

proptest! {
    #[test]
    fn plays_against_either_end_are_survived(data in actions()) {
        targets::connection_server(&data);
        targets::connection_client(&data);
    }

    #[test]
    fn a_session_outlives_whatever_the_network_does(data in prop::collection::vec(any::<u8>(), 0..600)) {
        targets::session(&data);
    }

    #[test]
    fn noise_is_survived_by_every_target(data in prop::collection::vec(any::<u8>(), 0..400)) {
        targets::frames(&data);
        targets::handshake(&data);
        targets::connection_server(&data);
        targets::connection_client(&data);
    }
}
