//! `ns`, `list`, `lookup`, `register`, `remove`, `tag`.

use serde_json::{Value, json};

use crate::support::{Place, Program, cells};

const URI: &str = "far://127.0.0.1:9999/jukebox";

#[test]
fn a_name_is_registered_listed_looked_up_tagged_and_removed() {
    let (place, _names) = Place::with_names();
    let said = place.prints(["register", "jukebox", URI, "--tag", "audio", "-t", "live"]);
    assert_eq!(said, format!("jukebox is {URI} (epoch 1)\n"));
    let said = place.json(["register", "other", URI, "--lease", "3600"]);
    assert_eq!(said, json!({ "name": "other", "uri": URI, "epoch": 2 }));

    let listed = place.prints(["list"]);
    let lines: Vec<_> = listed.lines().map(cells).collect();
    assert_eq!(lines[0], ["NAME", "URI", "TAGS", "LEASE", "EPOCH", "LOAD"]);
    assert_eq!(lines[1], ["jukebox", URI, "audio,live", "1", "0"]);
    assert_eq!(lines[2], ["other", URI, "3600 s", "2", "0"]);
    let listed = place.json(["list"]);
    assert_eq!(
        listed[0],
        json!({
            "name": "jukebox", "uri": URI, "tags": ["audio", "live"], "epoch": 1, "lease": null, "load": 0
        })
    );
    for (arguments, expected) in [
        (vec!["list", "juke*"], vec!["jukebox"]),
        (vec!["list", "?????"], vec!["other"]),
        (vec!["list", "--prefix", "o"], vec!["other"]),
        (
            vec!["list", "--tag", "audio", "--tag", "live"],
            vec!["jukebox"],
        ),
        (vec!["list", "--tag", "audio", "--tag", "no"], vec![]),
        (
            vec!["list", "--any", "audio", "--any", "no"],
            vec!["jukebox"],
        ),
    ] {
        let found = place.json(&arguments);
        let names: Vec<_> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| &entry["name"])
            .collect();
        assert_eq!(names, expected, "{arguments:?}");
    }

    assert_eq!(place.json(["lookup", "jukebox"])[0]["uri"], URI);
    assert_eq!(
        place.json(["lookup", "farmeta:live,audio"])[0]["name"],
        "jukebox"
    );
    assert!(place.prints(["lookup", "farname:jukebox"]).contains(URI));

    let said = place.prints(["tag", "jukebox", "--add", "new", "--remove", "live"]);
    assert_eq!(said, "jukebox has audio, new\n");
    let said = place.json(["tag", "jukebox", "--add", "newer"]);
    assert_eq!(
        said,
        json!({ "name": "jukebox", "tags": [["audio", "new", "newer"]] })
    );

    assert_eq!(place.prints(["remove", "jukebox"]), "jukebox is removed\n");
    let said = place.json(["remove", "other"]);
    assert_eq!(said, json!({ "name": "other", "removed": 1 }));
    assert_eq!(place.json(["list"]), json!([]));
}

#[test]
fn a_name_that_is_taken_is_refused_replaced_or_shared() {
    let (place, _names) = Place::with_names();
    place.prints(["register", "x", URI]);
    let (human, json) = place.fails(6, &["register", "x", "far://127.0.0.1:1/y"]);
    assert!(
        human.contains(URI) && human.contains("--replace"),
        "{human}"
    );
    assert_eq!(json["kind"], "taken");

    let shared = place.json(["register", "x", "far://127.0.0.1:1/y", "--join"]);
    assert_eq!(place.json(["lookup", "x"]).as_array().unwrap().len(), 2);
    place.prints(["register", "x", URI, "--replace"]);
    assert_eq!(place.json(["lookup", "x"]).as_array().unwrap().len(), 1);

    let epoch = shared["epoch"].to_string();
    let (_, json) = place.fails(6, &["remove", "x", "--epoch", &epoch]);
    assert_eq!(json["kind"], "fenced");
}

#[test]
fn what_changes_is_printed_as_it_happens() {
    let (place, _names) = Place::with_names();
    place.prints(["register", "old", URI, "--tag", "audio"]);
    place.prints(["register", "silent", URI]);
    let watch = |arguments: &[&str]| {
        let mut command = place.command();
        command.args(arguments);
        Program::start(command)
    };
    let everything = watch(&["--json", "list", "--watch", "-n", "7"]);
    let listed: Value = serde_json::from_str(&everything.line()).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let some = watch(&["list", "*", "--tag", "audio", "--watch", "-n", "4"]);
    assert_eq!(cells(&some.line())[0], "NAME");
    assert_eq!(cells(&some.line())[0], "old");

    place.prints(["register", "new", URI, "--lease", "1", "-t", "audio"]);
    place.prints(["tag", "old", "--remove", "audio"]);
    place.prints(["tag", "old", "--add", "video"]);
    place.prints(["register", "old", "far://127.0.0.1:1/x", "--replace"]);
    place.prints(["remove", "silent"]);

    let change = |what: &str, name: &str, epoch: u32, owner: Option<u32>| {
        (json!(what), json!(name), json!(epoch), json!(owner))
    };
    let mut told = Vec::new();
    for _ in 0..7 {
        let said: Value = serde_json::from_str(&everything.line()).unwrap();
        let entry = &said["entry"];
        told.push((
            said["what"].clone(),
            entry["name"].clone(),
            entry["epoch"].clone(),
            said["owner"].clone(),
        ));
    }
    let expired = change("expired", "new", 3, None);
    let place_of_end = told.iter().position(|change| *change == expired).unwrap();
    told.remove(place_of_end);
    assert_eq!(
        told,
        [
            change("registered", "new", 3, Some(3)),
            change("tagged", "old", 1, Some(1)),
            change("tagged", "old", 1, Some(1)),
            change("replaced", "old", 1, Some(4)),
            change("registered", "old", 4, Some(4)),
            change("removed", "silent", 2, None),
        ]
    );
    assert!(everything.ends(), "seven were enough");

    place.prints(["register", "late", URI, "--tag", "audio"]);
    let said: Vec<_> = (0..4).map(|_| some.line()).collect();
    let mut said: Vec<_> = said.iter().map(|line| cells(line)).collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            vec!["expired", "new", URI, "audio", "epoch 3"],
            vec!["registered", "late", URI, "audio", "epoch 5"],
            vec!["registered", "new", URI, "audio", "epoch 3"],
            vec!["tagged", "old", URI, "epoch 1"],
        ],
        "what it is about no more is said once"
    );
    assert!(some.ends(), "four were enough");
}

#[test]
fn a_name_server_is_watched_like_any_other_object() {
    let (place, names) = Place::with_names();
    let mut command = place.command();
    let directory = format!("{}#farref.names", place.name_server);
    command.args(["--json", "watch", &directory, "changed", "-n", "1"]);
    let watching = Program::start(command);
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    let said = loop {
        // It may not be connected yet when the first ones happen.
        assert!(std::time::Instant::now() < deadline);
        place.prints(["register", "x", URI, "--replace"]);
        if let Some(line) = watching.waiting().pop() {
            break line;
        }
    };
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["entry"]["name"], "x");

    let mut command = place.command();
    command.args(["list", "--watch"]);
    let watching = Program::start(command);
    watching.line();
    assert!(names.stop());
    assert!(!watching.ends(), "it says that the name server is gone");
}

#[test]
fn servers_announce_themselves_and_are_found_by_any_form_of_uri() {
    let (place, _names) = Place::with_names();
    let (demo, uri) = place.demo(&["music/jukebox", "audio", "live"]);
    let server = place
        .name_server
        .trim_end_matches("#farref.names")
        .to_owned();
    for target in [
        uri.clone(),
        "music/jukebox".to_owned(),
        "farname:music/jukebox".to_owned(),
        format!("farname:music/jukebox@{server}"),
        "farmeta:live,audio".to_owned(),
        format!("farmeta:audio@{server}"),
    ] {
        assert_eq!(
            place.prints(["call", &target, "sum", "2", "3"]),
            "5\n",
            "{target}"
        );
    }
    assert!(demo.stop(), "it gives its name back and ends well");
    place.fails(4, &["call", "music/jukebox", "plays"]);
}

#[test]
fn a_daemon_says_what_it_has_without_a_name_server() {
    let place = Place::new();
    let (_demo, uri) = place.demo(&[]);
    let daemon = uri.trim_end_matches("/jukebox");
    let expected = json!([{ "name": "jukebox", "uri": uri, "interface": "demo.Jukebox" }]);
    assert_eq!(place.json(["lookup", daemon]), expected);
    assert_eq!(place.json(["lookup", &uri]), expected);
    let said = place.prints(["lookup", daemon]);
    assert_eq!(
        cells(said.lines().nth(1).unwrap()),
        ["jukebox", "demo.Jukebox", &uri]
    );
    let (human, _) = place.fails(4, &["lookup", &format!("{daemon}/nobody")]);
    assert!(
        human.contains("nobody") && human.contains("farref lookup"),
        "{human}"
    );
}

#[test]
fn the_name_server_says_where_it_is_and_ends_well() {
    let place = Place::new();
    let mut command = place.command();
    command.args([
        "ns",
        "--listen",
        "far://127.0.0.1:0",
        "--beacon",
        "127.0.0.1:0",
    ]);
    let program = Program::start(command);
    let first = program.line();
    let uri = first.strip_prefix("name server at ").unwrap();
    assert!(uri.starts_with("far://127.0.0.1:"), "{first}");
    let file = place.folder.path().join(".local/share/farref/names.redb");
    assert_eq!(
        program.line(),
        format!("0 names, kept in {}", file.display())
    );
    assert!(file.exists());
    let beacon = program.line();
    let beacon = beacon.rsplit(' ').next().unwrap();

    let here = uri.trim_start_matches("far://");
    assert_eq!(place.json(["--ns", here, "register", "x", URI])["epoch"], 1);
    let found = place.json(["--ns", &format!("beacon:{beacon}"), "lookup", "x"]);
    assert_eq!(found[0]["uri"], URI);
    assert!(program.stop());
}

#[test]
fn a_name_server_with_a_token_lets_only_those_in_who_have_it() {
    let place = Place::new();
    let _names = place.ns(&["--volatile", "--token", "secret"]);
    let (human, json) = place.fails(5, &["list"]);
    assert!(human.contains("--token"), "{human}");
    assert_eq!(json["kind"], "refused");
    place.fails(5, &["--token", "wrong", "list"]);
    assert_eq!(place.json(["--token", "secret", "list"]), json!([]));
    let (human, _) = place.fails(2, &["ns", "--volatile", "--listen", "far://0.0.0.0:0"]);
    assert!(human.contains("token"), "{human}");
}

#[test]
fn a_second_name_server_at_one_place_is_refused() {
    let (place, _names) = Place::with_names();
    let (human, _) = place.fails(3, &["ns", "--volatile"]);
    assert!(human.contains("listens at"), "{human}");
}
