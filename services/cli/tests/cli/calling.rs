//! `call`: arguments in every form, results, attributes, oneways.

use serde_json::json;

use crate::support::{Place, Program};

fn demo() -> (Place, Program, String) {
    let place = Place::new();
    let (demo, uri) = place.demo(&[]);
    (place, demo, uri)
}

#[test]
fn arguments_are_given_by_name_or_in_order_as_json_or_as_text() {
    let (place, _demo, uri) = demo();
    for (arguments, expected) in [
        (&["sum", r#"{"a": 2, "b": -3}"#][..], json!(-1)),
        (&["sum", "[2, -3]"], json!(-1)),
        (&["sum", "2", "-3"], json!(-1)),
        (&["sum", "b=-3", "a=2"], json!(-1)),
        (&["load_playlist", r#"{"name": "90s rock"}"#], json!(42)),
        (&["load_playlist", "90s rock"], json!(42)),
        (&["load_playlist", r#""90s rock""#], json!(42)),
        (&["load_playlist", "name=90s rock"], json!(42)),
        (&["comment", "text=42"], json!("42 (-)")),
        (&["comment", "a=b", "3"], json!("a=b (3)")),
        (&["comment", r#"["fine", null]"#], json!("fine (-)")),
        (
            &["add", r#"{"title": "x", "seconds": 9}"#, "Shuffled"],
            json!(1),
        ),
        (
            &[
                "add",
                r#"track={"title": "y", "seconds": 9}"#,
                "order=Given",
            ],
            json!(2),
        ),
        (
            &["longest", r#"[{"title": "x", "seconds": 9}]"#],
            json!({ "title": "x", "seconds": 9 }),
        ),
        (&["longest", "[]"], json!(null)),
        (&["longest", r#"{"tracks": []}"#], json!(null)),
    ] {
        let said = place.json([&["call", &uri][..], arguments].concat());
        assert_eq!(said, expected, "{arguments:?}");
    }
}

#[test]
fn results_are_printed_for_people_or_as_json() {
    let (place, _demo, uri) = demo();
    let longest = ["call", &uri, "longest", r#"[{"title": "x", "seconds": 9}]"#];
    let said = place.prints(longest);
    assert_eq!(said, "{\n  \"title\": \"x\",\n  \"seconds\": 9\n}\n");
    let said = place.prints([&["--json"], &longest[..]].concat());
    assert_eq!(said, "{\"title\":\"x\",\"seconds\":9}\n");
    assert_eq!(
        place.prints(["call", &uri, "comment", "fine", "1"]),
        "fine (1)\n"
    );

    let child = place.farref(["call", &uri, "child"]).success();
    let said = String::from_utf8(child.get_output().stderr.clone()).unwrap();
    assert!(said.contains("refers to 1 object"), "{said}");
}

#[test]
fn attributes_are_read_and_written_and_oneways_arrive() {
    let (place, _demo, uri) = demo();
    assert_eq!(place.prints(["call", &uri, "volume"]), "0.0\n");
    assert_eq!(place.prints(["call", &uri, "volume=0.75"]), "written\n");
    assert_eq!(place.json(["call", &uri, "volume"]), json!(0.75));
    assert_eq!(place.prints(["call", &uri, "set_volume", "0.5"]), "done\n");
    assert_eq!(place.json(["call", &uri, "volume"]), json!(0.5));

    for _ in 0..3 {
        assert_eq!(place.prints(["call", &uri, "play"]), "sent\n");
    }
    assert_eq!(place.json(["call", &uri, "play"]), json!(null));
    // They were sent over other connections, each of which ended after it.
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while place.json(["call", &uri, "plays"]) != json!(4) {
        assert!(std::time::Instant::now() < deadline);
    }
}

#[test]
fn a_stream_is_printed_item_by_item() {
    let (place, _demo, uri) = demo();
    let count = ["call", &uri, "count", "from=8", "names=true"];
    assert_eq!(place.prints(count), "number 8\nnumber 9\nnumber 10\n");
    let said = place.prints([&["--json"], &count[..]].concat());
    assert_eq!(said, "\"number 8\"\n\"number 9\"\n\"number 10\"\n");
    place.fails(2, &["bench", &uri, "count", "1", "true"]);
}

#[test]
fn what_a_signal_tells_is_printed_as_it_comes() {
    let (place, _demo, uri) = demo();
    let mut command = place.command();
    command.args(["--json", "watch", &uri, "started", "-n", "2"]);
    let watching = Program::start(command);
    let mut seen = Vec::new();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    // It may not be connected yet when the first ones are sent.
    while seen.len() < 2 {
        assert!(std::time::Instant::now() < deadline);
        place.prints(["call", &uri, "play"]);
        seen.extend(watching.waiting());
    }
    let numbers: Vec<u32> = seen.iter().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers[1], numbers[0] + 1);
    assert!(watching.ends(), "two were enough");
    place.fails(2, &["watch", &uri, "plays"]);
}
