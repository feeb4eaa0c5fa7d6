//! `describe`, `ping`, `stat`.

use crate::support::{Place, Program, cells};

fn demo() -> (Place, Program, String) {
    let place = Place::new();
    let (demo, uri) = place.demo(&[]);
    (place, demo, uri)
}

#[test]
fn an_object_is_described_as_its_trait_says_it() {
    let (place, _demo, uri) = demo();
    let said = place.prints(["describe", &uri]);
    for expected in [
        "demo.Jukebox\n  A jukebox that several clients drive at once.\n",
        "  load_playlist(name: &str) -> Result<u32, MediaError>\n      Loads a playlist and returns its number of tracks.\n",
        "  play()  [oneway]\n",
        "  plays() -> u32  [idempotent]\n",
        "  volume: f32  [attribute",
        "  set_volume(level: f32)  [writes an attribute",
        "  add(track: Track, order: Order) -> usize\n",
        "  child() -> JukeboxProxy\n",
        "[stream]\n",
        "  started: Signal<u32>  [signal]\n",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let said = place.prints(["describe", &uri, "add"]);
    for expected in [
        "track: a struct Track\n        title: a string\n        seconds: a u32\n",
        "order: an enum Order: Given, Shuffled\n",
        "returns: a u64",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let all = place.json(["describe", &uri]);
    assert_eq!(all["name"], "demo.Jukebox");
    assert_eq!(all["methods"].as_array().unwrap().len(), 14);
    let one = place.json(["describe", &uri, "load_playlist"]);
    let method = &one["methods"][0];
    assert_eq!(method["arguments"][0]["name"], "name");
    assert_eq!(method["error"]["type_name"], "MediaError");

    // The daemon itself is an object like another.
    let daemon = uri.trim_end_matches("/jukebox");
    assert_eq!(place.json(["describe", daemon])["name"], "farref.Daemon");
}

#[test]
fn a_daemon_is_pinged_and_its_clock_is_compared() {
    let (place, _demo, uri) = demo();
    let said = place.json(["ping", &uri, "-n", "20", "--interval", "0"]);
    assert_eq!(
        (&said["name"], &said["count"]),
        (&"demo".into(), &20.into())
    );
    let latency = |name: &str| said["latency_micros"][name].as_f64().unwrap();
    // No answer of another process comes within a microsecond.
    assert!(1.0 < latency("min") && latency("min") <= latency("p50"));
    assert!(latency("p50") <= latency("max") && latency("max") < 60e6);
    // Both are processes of one machine.
    let error = said["clock_error_micros"].as_f64().unwrap();
    let offset = said["clock_offset_micros"].as_f64().unwrap();
    assert!(offset.abs() <= error + 1000.0, "{offset} of {error}");

    let said = place.prints(["ping", &uri, "-n", "5", "--interval", "0"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].starts_with("demo farref 0.1.0 at far://127.0.0.1:"),
        "{said}"
    );
    assert!(lines[2].contains("p50"), "{said}");
    assert!(said.contains('█'), "{said}");
    assert!(
        lines[lines.len() - 1].starts_with("its clock is "),
        "{said}"
    );
}

#[test]
fn a_daemon_shows_its_sessions_and_its_calls() {
    let (place, _demo, uri) = demo();
    let mut sleeping = place.command();
    sleeping.args(["call", &uri, "sleep"]);
    let _sleeping = Program::start(sleeping);
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    let said = loop {
        let said = place.json(["stat", &uri]);
        if said["stat"]["sessions"][0]["calls"]
            .as_array()
            .is_some_and(|calls| !calls.is_empty())
        {
            break said;
        }
        assert!(std::time::Instant::now() < deadline, "{said}");
    };
    assert_eq!(said["objects"]["jukebox"], "demo.Jukebox");
    assert_eq!(said["info"]["name"], "demo");
    let sessions = said["stat"]["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0]["calls"][0]["method"], "demo.Jukebox.sleep");

    let said = place.prints(["stat", &uri]);
    assert!(
        said.lines()
            .any(|line| cells(line) == ["jukebox", "demo.Jukebox"]),
        "{said}"
    );
    assert!(said.contains("2 sessions"), "{said}");
    assert!(said.contains("demo.Jukebox.sleep"), "{said}");
}

#[test]
fn a_daemon_that_does_not_let_itself_be_looked_into_says_so() {
    let place = Place::new();
    let (_demo, uri) = place.demo_with(&[], &[("DEMO_SECRETIVE", "1")]);
    let output = place.farref(["stat", &uri]).code(5).get_output().clone();
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(
        stdout.contains("demo.Jukebox"),
        "what may be seen is shown: {stdout}"
    );
    assert!(stderr.contains("grant(..)"), "{stderr}");
}
