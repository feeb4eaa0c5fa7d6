//! `features.toml` maps every numbered feature to the tests that show it, and `reliability.toml` every attack and every
//! fault; both say the truth about those tests.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The features that there are: a letter for the system that has them, and their numbers.
const NUMBERS: [(&str, RangeInclusive<u32>); 5] = [
    ("J", 1..=47),
    ("P", 1..=55),
    ("Q", 1..=42),
    ("S", 1..=14),
    ("R", 1..=34),
];

/// The attacks and the faults that there are.
const TRIALS: [(&str, RangeInclusive<u32>); 2] = [("A", 1..=25), ("F", 1..=16)];

/// The rules of use under R34 are features of their own.
const RULES: RangeInclusive<char> = 'a'..='l';

/// Where tests are: the first part of their names, and a folder of modules or a single file.
const PLACES: [(&str, &str); 9] = [
    ("behaviour", "tests/behaviour"),
    ("hostile", "tests/hostile"),
    ("simulation", "tests/simulation"),
    ("ui", "tests/ui.rs"),
    ("examples", "tests/examples"),
    ("proto", "../proto/tests/protocol"),
    ("uri", "../runtime/tests/uri.rs"),
    ("names", "../services/names/tests/names"),
    ("cli", "../services/cli/tests/cli"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    title: String,
    #[serde(default)]
    tests: Vec<String>,
    later: Option<String>,
    not_in_rust: Option<String>,
}

fn features() -> BTreeMap<String, Feature> {
    entries("features.toml")
}

fn trials() -> BTreeMap<String, Feature> {
    entries("reliability.toml")
}

fn entries(file: &str) -> BTreeMap<String, Feature> {
    let text = fs::read_to_string(here(file)).expect("is there");
    toml::from_str(&text).expect("is what its first lines say")
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_feature_is_there_and_no_other() {
    let numbered = NUMBERS
        .into_iter()
        .flat_map(|(letter, numbers)| numbers.map(move |number| format!("{letter}{number}")));
    let mut expected: Vec<_> = numbered
        .chain(RULES.map(|rule| format!("R34{rule}")))
        .collect();
    expected.sort();
    let features = features();
    let unknown: Vec<_> = features
        .keys()
        .filter(|number| !expected.contains(number))
        .collect();
    assert!(unknown.is_empty(), "there are no features {unknown:?}");
    let missing: Vec<_> = expected
        .iter()
        .filter(|number| !features.contains_key(*number))
        .collect();
    assert!(missing.is_empty(), "features.toml lacks {missing:?}");
}

#[test]
fn every_attack_and_every_fault_is_there_and_no_other() {
    let numbered = TRIALS
        .into_iter()
        .flat_map(|(letter, numbers)| numbers.map(move |number| format!("{letter}{number}")));
    let mut expected: Vec<_> = numbered.collect();
    expected.sort();
    let rows: Vec<_> = trials().into_keys().collect();
    assert_eq!(rows, expected);
}

#[test]
fn every_feature_is_shown_or_has_a_reason() {
    for (number, feature) in features().into_iter().chain(trials()) {
        assert!(!feature.title.is_empty(), "{number} has no title");
        let reasons = [&feature.later, &feature.not_in_rust];
        let said = reasons.iter().filter(|reason| reason.is_some()).count();
        assert_eq!(
            said + usize::from(!feature.tests.is_empty()),
            1,
            "{number} needs one of `tests`, `later` and `not_in_rust`"
        );
        assert!(
            reasons.into_iter().flatten().all(|reason| reason.len() > 5),
            "{number} has no reason"
        );
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let mut sources = BTreeMap::new();
    let mut absent = Vec::new();
    for (number, feature) in features().into_iter().chain(trials()) {
        for test in &feature.tests {
            if !exists(test, &mut sources) {
                absent.push(format!("{number}: {test}"));
            }
        }
    }
    assert!(absent.is_empty(), "these tests are not there: {absent:#?}");
}

/// Whether the source that this name leads to holds such a test.
fn exists(test: &str, sources: &mut BTreeMap<PathBuf, String>) -> bool {
    let mut parts: Vec<_> = test.split("::").collect();
    let (Some(name), false) = (parts.pop(), parts.is_empty()) else {
        return false;
    };
    let Some((_, place)) = PLACES.iter().find(|(first, _)| *first == parts[0]) else {
        return false;
    };
    let mut path = here(place);
    for module in &parts[1..] {
        path.push(module);
    }
    path.set_extension("rs");
    let source = sources
        .entry(path)
        .or_insert_with_key(|path| fs::read_to_string(path).unwrap_or_default());
    is_test(source, name)
}

/// Whether a function of this name has an attribute that makes it a test which runs.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let signatures = [format!("fn {name}("), format!("async fn {name}(")];
    let Some(at) = lines.iter().position(|line| {
        signatures
            .iter()
            .any(|signature| line.starts_with(signature))
    }) else {
        return false;
    };
    let attributes: Vec<_> = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("#[") || line.starts_with("///"))
        .collect();
    attributes
        .iter()
        .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        && !attributes.iter().any(|line| line.starts_with("#[ignore"))
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = "#[test]\nfn one() {}\nfn two() {}\n#[test]\n#[ignore]\nfn three() {}\n/// Docs.\n#[tokio::test(x)]\nasync fn four() {}";
    let tests: Vec<_> = ["one", "two", "three", "four", "fou"]
        .into_iter()
        .filter(|name| is_test(source, name))
        .collect();
    assert_eq!(tests, ["one", "four"]);
}
