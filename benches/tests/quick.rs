//! The harness as a whole: one short round of everything, and what comes of it.
#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

use std::process::Command;

use serde_json::Value;

#[test]
fn a_round_of_every_workload_gives_figures_of_every_peer_that_offers_it() {
    let file = std::env::temp_dir().join(format!("farref-bench-{}.json", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_farref-bench"))
        .args(["--quick", "--rounds", "1", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();

    let has = |table: &str, figure: &str, peer: &str| {
        json[table][figure][peer]
            .as_f64()
            .is_some_and(|value| value > 0.0)
    };
    let figures = [
        "A",
        "A.core",
        "B",
        "C",
        "D",
        "E.1MiB.bytes",
        "E.64KiB.vec",
        "F",
        "I",
        "J",
        "K",
        "M",
    ];
    for figure in figures {
        for peer in ["raw", "raw2", "raw-spawn", "tarpc", "tonic", "remoc"] {
            assert!(has("ratios", figure, peer), "{figure} of {peer}: {text}");
        }
    }
    for peer in ["raw", "raw-best", "tonic", "remoc"] {
        assert!(has("ratios", "S", peer), "S of {peer}: {text}");
    }
    assert!(has("ratios", "I.batch", "raw"), "{text}");
    assert!(has("ratios", "P", "raw"), "{text}");
    for figure in ["H", "M.unmarked", "N"] {
        assert!(has("absolute", figure, "farref"), "{figure}: {text}");
    }
    assert!(has("ratios", "B", "farref-current"), "{text}");
    assert!(has("ratios", "H", "raw-best"), "{text}");
    assert!(!has("absolute", "H", "tarpc"), "{text}");
    assert!(!has("ratios", "B", "farref"), "{text}");
}
