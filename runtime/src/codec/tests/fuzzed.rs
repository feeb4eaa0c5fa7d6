//! Replays the corpus of the fuzz target, without a fuzzer.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::codec::fuzzed::codecs;

fn peak(run: &mut dyn FnMut()) -> u64 {
    allocation_counter::measure(run).bytes_max
}

#[test]
fn the_corpus_is_survived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/codecs");
    let files =
        fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let count = files
        .map(|file| {
            let input = file.and_then(|file| fs::read(file.path()));
            codecs(&input.expect("the corpus can be read"), peak);
        })
        .count();
    assert!(count > 0, "there is no corpus");
}

proptest! {
    #[test]
    fn noise_is_survived(data in prop::collection::vec(any::<u8>(), 0..200)) {
        codecs(&data, peak);
    }
}
