//! Keeps the README true: its code, its commands and its tables are those of the project.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use farref::Limits;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The contents of the README's code blocks in this language.
fn blocks(language: &str) -> Vec<String> {
    let readme = read("README.md");
    let opening = format!("```{language}\n");
    let blocks = readme.split(&opening).skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
        .collect()
}

/// The rows of the README's table that has this heading in its first column, by what is in backticks there.
fn table(heading: &str) -> BTreeMap<String, Vec<String>> {
    let readme = read("README.md");
    let rows = readme
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {heading} |")))
        .skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned());
        let name = cells
            .next()
            .expect("a row has cells")
            .trim_matches('`')
            .to_owned();
        (name, cells.collect())
    })
    .collect()
}

#[test]
fn its_program_is_the_quickstart() {
    let quickstart = read("examples/quickstart.rs");
    let (_, program) = quickstart
        .split_once("\n\n")
        .expect("a comment says what it is");
    assert_eq!(blocks("rust")[0], program);
}

#[test]
fn its_other_lines_of_code_are_in_the_examples() {
    let examples = ["jukebox_client"].map(|name| read(&format!("examples/{name}.rs")));
    // However they are broken into lines there.
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    // The last section shows a part of what the documentation of the test kit has.
    let documented = read("runtime/src/testing/mod.rs").replace("//! ", "");
    let examples = plain(&(examples.concat() + &documented));
    let blocks = blocks("rust");
    assert!(blocks.len() > 1, "{blocks:#?}");
    for block in &blocks[1..] {
        for line in block.lines() {
            assert!(examples.contains(&plain(line)), "no example has `{line}`");
        }
    }
}

#[test]
fn its_first_commands_are_those_of_ci() {
    let first = blocks("console")
        .into_iter()
        .next()
        .expect("it begins with commands");
    let commands: Vec<&str> = first
        .lines()
        .map(|line| line.trim_start_matches("$ "))
        .collect();
    assert_eq!(commands, ["cargo run --example quickstart", "cargo test"]);
    let ci = read(".ci/run");
    for command in commands {
        assert!(
            ci.lines().any(|line| line == command),
            "`{command}` is not in .ci/run"
        );
    }
}

#[test]
fn its_examples_exist_and_are_all() {
    let readme = read("README.md");
    let manifest = read("examples/Cargo.toml");
    let names = manifest.lines().skip_while(|line| *line != "[[example]]");
    for name in names.filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')) {
        assert!(
            readme.contains(&format!("cargo run --example {name}")),
            "{name} is not in the README"
        );
    }
    for (_, rest) in readme
        .match_indices("cargo run --example ")
        .map(|(at, text)| readme.split_at(at + text.len()))
    {
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "there is no example {name}"
        );
    }
}

#[test]
fn its_features_are_those_of_the_manifest() {
    let manifest = read("runtime/Cargo.toml");
    let (_, features) = manifest
        .split_once("[features]\n")
        .expect("there are features");
    let (features, _) = features.split_once("\n[").expect("something follows");
    let (mut known, mut default) = (Vec::new(), "");
    for (name, value) in features.lines().filter_map(|line| line.split_once(" = ")) {
        match name {
            "default" => default = value,
            _ => known.push(name),
        }
    }
    let table = table("feature");
    known.sort_unstable();
    assert_eq!(table.keys().collect::<Vec<_>>(), known);
    for (name, cells) in table {
        let expected = if default.contains(&format!("\"{name}\"")) {
            "yes"
        } else {
            "no"
        };
        assert_eq!(cells[0], expected, "{name}");
    }
}

#[test]
fn its_limits_are_the_defaults() {
    let limits = Limits::default();
    // Where `Limits` gets a field, its text has one more `name: value`, and this says which.
    let known: Vec<String> = format!("{limits:?}")
        .trim_start_matches("Limits { ")
        .trim_end_matches(" }")
        .split(", ")
        .map(|field| {
            field
                .split_once(": ")
                .expect("a field has a value")
                .0
                .to_owned()
        })
        .collect();
    let table = table("limit");
    for name in &known {
        assert!(table.contains_key(name), "{name} is missing");
    }
    assert_eq!(table.len(), known.len());

    let value = |name: &str| table[name][0].as_str();
    let bytes = |text: &str| -> u64 {
        let (number, unit) = text.split_once(' ').expect("a number and a unit");
        let number: u64 = number.parse().expect("a number");
        number << if unit == "MiB" { 20 } else { 10 }
    };
    let seconds = |text: &str| {
        text.strip_suffix(" s")
            .expect("seconds")
            .parse::<u64>()
            .expect("a number")
    };
    let count = |text: &str| text.parse::<u64>().expect("a number");

    assert_eq!(bytes(value("max_message")), u64::from(limits.max_message));
    assert_eq!(
        bytes(value("handshake_message")),
        u64::from(limits.handshake_message)
    );
    assert_eq!(bytes(value("call_bytes")), limits.call_bytes);
    assert_eq!(bytes(value("depth_bytes")), limits.depth_bytes);
    assert_eq!(
        bytes(value("max_annotations")),
        u64::from(limits.max_annotations)
    );
    assert_eq!(bytes(value("ack_every")), limits.ack_every);
    assert_eq!(count(value("calls")), u64::from(limits.calls));
    assert_eq!(count(value("depth_calls")), u64::from(limits.depth_calls));
    assert_eq!(count(value("max_depth")), u64::from(limits.max_depth));
    assert_eq!(
        count(value("max_references")),
        u64::from(limits.max_references)
    );
    assert_eq!(
        count(value("max_attachments")),
        u64::from(limits.max_attachments)
    );
    assert_eq!(count(value("exports")), u64::from(limits.exports));
    assert_eq!(count(value("aliases")), u64::from(limits.aliases));
    assert_eq!(
        seconds(value("handshake_timeout")),
        limits.handshake_timeout.as_secs()
    );
    assert_eq!(
        seconds(value("frame_timeout")),
        limits.frame_timeout.as_secs()
    );
    assert_eq!(
        seconds(value("beat_interval")),
        limits.beat_interval.as_secs()
    );
    assert_eq!(
        seconds(value("peer_timeout")),
        limits.peer_timeout.as_secs()
    );
}

#[test]
fn its_links_lead_somewhere() {
    for document in ["README.md", "ARCHITECTURE.md", "docs/expansion.md"] {
        let text = read(document);
        let folder = Path::new(document).parent().expect("a file is in a folder");
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("..")
                .join(folder)
                .join(target);
            assert!(path.exists(), "{document} links to {target}");
        }
    }
}
