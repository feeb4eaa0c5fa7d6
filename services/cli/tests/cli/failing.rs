//! What goes wrong: exit codes, and messages that say what to do.

use crate::support::{Place, Program};

fn demo() -> (Place, Program, String) {
    let place = Place::new();
    let (demo, uri) = place.demo(&[]);
    (place, demo, uri)
}

#[test]
fn the_methods_own_error_is_told_from_all_others() {
    let (place, _demo, uri) = demo();
    let (human, json) = place.fails(1, &["call", &uri, "load_playlist", "nope"]);
    assert!(human.contains("NotFound"), "{human}");
    assert_eq!(json["value"]["NotFound"]["name"], "nope");
    assert_eq!(json["outcome"], "Ran");
    let (human, json) = place.fails(8, &["call", &uri, "panic"]);
    assert_eq!(
        (&json["kind"], &json["outcome"]),
        (&"panicked".into(), &"Ran".into()),
        "{human}"
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_it_is_sent() {
    let (place, _demo, uri) = demo();
    for (arguments, expected) in [
        (&["load_playlst", "x"][..], "did you mean `load_playlist`?"),
        (&["nonsense"], "it has load_playlist, play, "),
        (&["sum", "2"], "`sum` takes a, b"),
        (&["sum", "a=1", "b=2", "a=3"], "given twice"),
        (&["sum", "1", "two"], "`two` is no JSON"),
        (&["sum", "1", "\"two\""], "argument `b`"),
        (&["plays=3"], "no method `set_plays`"),
        (&["add", r#"{"title": "x"}"#, "Given"], "seconds"),
    ] {
        let (human, json) = place.fails(2, &[&["call", &uri][..], arguments].concat());
        assert!(human.contains(expected), "{arguments:?}: {human}");
        assert!(json["message"].is_string());
    }
}

#[test]
fn whoever_cannot_be_reached_or_found_is_named() {
    let (place, _demo, uri) = demo();
    let daemon = uri.trim_end_matches("/jukebox");
    let (human, json) = place.fails(4, &["call", &format!("{daemon}/nobody"), "plays"]);
    assert!(
        human.contains("`nobody`") && human.contains("farref lookup"),
        "{human}"
    );
    assert_eq!(json["kind"], "no-such-object");

    let nowhere = format!("far+unix:{}/nowhere.sock#x", place.folder.path().display());
    let (human, json) = place.fails(3, &["call", &nowhere, "plays"]);
    assert!(
        human.contains("nowhere.sock") && human.contains("hint:"),
        "{human}"
    );
    assert_eq!(
        (&json["kind"], &json["outcome"]),
        (&"connect-failed".into(), &"NotStarted".into())
    );

    // No name server runs at this place.
    for arguments in [
        &["list"][..],
        &["lookup", "x"],
        &["call", "x", "plays"],
        &["ping", "x"],
    ] {
        place.fails(3, arguments);
    }
    let (_place, _names) = Place::with_names();
    let (human, _) = _place.fails(4, &["ping", "nobody"]);
    assert!(
        human.contains("farname:nobody") && human.contains("farref list"),
        "{human}"
    );
    _place.fails(4, &["lookup", "farmeta:a,b"]);
    _place.fails(4, &["remove", "nobody"]);
    _place.fails(4, &["tag", "nobody", "--add", "x"]);
}

#[test]
fn a_uri_that_is_none_says_how_to_write_one() {
    let place = Place::new();
    for target in ["http://h:1/x", "far://h/x", "farmeta:"] {
        let assert = place.farref(["describe", target]).code(2);
        let said = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(said.contains("write far"), "{target}: {said}");
    }
}

#[test]
fn a_timeout_ends_what_takes_too_long() {
    let (place, _demo, uri) = demo();
    let (human, json) = place.fails(7, &["--timeout", "0.3", "call", &uri, "sleep"]);
    assert!(human.contains("--timeout"), "{human}");
    assert_eq!(json["outcome"], "Unknown");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let (place, _demo, uri) = demo();
    let mut shell = std::process::Command::new("sh");
    shell
        .args([
            "-c",
            r#"{ "$FARREF" describe "$URI"; echo "$?" >&2; } | true"#,
        ])
        .env("FARREF", env!("CARGO_BIN_EXE_farref"))
        .env("URI", &uri);
    let said = shell.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stderr), "0\n");
    drop(place);
}

#[test]
fn the_exit_codes_are_documented() {
    let place = Place::new();
    let said = place.prints(["--help"]);
    for code in [
        "0  it worked",
        "1  the method",
        "4  there is no such object",
        "7  it took too long",
    ] {
        assert!(said.contains(code), "{said}");
    }
}

#[test]
fn a_secret_is_not_shown() {
    let place = Place::new();
    let mut command = place.command();
    command.env("FARREF_TOKEN", "very-secret").arg("--help");
    let said = command.output().unwrap();
    assert!(!String::from_utf8_lossy(&said.stdout).contains("very-secret"));
}
