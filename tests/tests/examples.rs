//! Runs the examples as a newcomer does: each as a process of its own, those that talk as several.
//!
//! Nothing here waits for time to pass: the tests wait for lines that the programs print.

#![cfg(unix)]

#[path = "examples/program.rs"]
mod program;
#[path = "examples/topics.rs"]
mod topics;

use program::Program;

/// What the jukebox's client prints, whatever process the jukebox is in.
const DRIVEN: [&str; 22] = [
    "90s rock: 3 tracks",
    "no playlist named polka",
    "now playing: Come as You Are by Nirvana",
    "now playing: Black by Pearl Jam",
    "now playing: Creep by Radiohead",
    "the signal told of Come as You Are",
    "the signal told of Black",
    "the signal told of Creep",
    "disconnected: true",
    "volume: 0.8",
    "current song: Creep by Radiohead",
    "uploaded 1048576 bytes",
    "downloaded the same: true",
    "loudness: 0.50",
    "in the library: Come as You Are by Nirvana",
    "in the library: Black by Pearl Jam",
    "in the library: Creep by Radiohead",
    "recorded 262144 bytes",
    "found 1 and 0 tracks",
    "in one trip: volume 0.8, playing true",
    "recordings found in one trip: 1",
    "next in the queue: Hyperballad by Björk",
];

#[test]
fn quickstart() {
    let lines = Program::run("quickstart", &[]);
    assert!(
        lines[0].starts_with("serving far://127.0.0.1:"),
        "{lines:#?}"
    );
    assert_eq!(
        lines[1..],
        [
            "machine: playing",
            "90s rock: 42 tracks",
            "nope: no such list"
        ]
    );
}

#[test]
fn jukebox_in_one_process() {
    let lines = Program::run("jukebox_client", &[]);
    assert_eq!(lines[..DRIVEN.len()], DRIVEN);
    assert_eq!(lines[DRIVEN.len()..], ["a queue was closed"]);
}

#[test]
fn jukebox_in_two_processes() {
    let server = Program::start("jukebox_server", &[]);
    let uri = server.next_line().expect("the server prints its URI");
    assert_eq!(Program::run("jukebox_client", &[&uri]), DRIVEN);
    server.expect("a queue was closed");

    // The playlist that the first client loaded is still there for the next.
    assert_eq!(
        Program::run("dynamic", &[&uri, "current_song"]),
        [r#"{"artist":"Radiohead","title":"Creep"}"#]
    );

    server.interrupt();
    server.expect("stopped");
    assert!(server.wait().success());
}

#[test]
fn jukebox_serves_for_a_given_time() {
    let lines = Program::run("jukebox_server", &["far://127.0.0.1:0", "0"]);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(lines[1], "stopped");
}

#[test]
fn workers_over_sockets_and_over_pipes() {
    for arguments in [&[][..], &["pipes"]] {
        let mut lines = Program::run("workers", arguments);
        // What a worker prints comes by another way than its answers do.
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "ada ended with exit status: 7",
                "ada: counting to 1000",
                "ben ended with exit status: 0",
                "ben: counting to 2000",
                "lost: SessionLost, Unknown",
                "primes below 1000: 168",
                "primes below 2000: 303",
            ]
        );
    }
}

#[test]
fn dynamic_in_one_process() {
    let lines = Program::run("dynamic", &[]);
    assert_eq!(
        lines[0],
        "Jukebox: A jukebox that several clients drive at once."
    );
    assert_eq!(
        lines[1],
        "  load_playlist(name: &str) -> u32, or MediaError"
    );
    let results = lines
        .iter()
        .position(|line| line == "tracks: 3")
        .expect("it calls");
    assert_eq!(
        lines[results + 1..results + 3],
        ["volume: 0.25", r#"refused: {"NotFound":"polka"}"#]
    );
    assert!(
        lines[results + 3].starts_with("mistake: argument `name` of `load_playlist`"),
        "{lines:#?}"
    );
    assert!(
        lines[results + 4].starts_with("mistake: `Jukebox` has no method `eject`"),
        "{lines:#?}"
    );
}

#[test]
fn dynamic_in_two_processes() {
    let server = Program::start("jukebox_server", &[]);
    let uri = server.next_line().expect("the server prints its URI");
    assert_eq!(
        Program::run(
            "dynamic",
            &[&uri, "load_playlist", r#"{"name": "90s rock"}"#]
        ),
        ["3"]
    );
    let description = Program::run("dynamic", &[&uri]);
    assert!(
        description.iter().any(|line| line == "    = 0.5"),
        "attributes are read: {description:#?}"
    );
}

#[test]
fn chat_in_one_process() {
    let lines = Program::run("chat", &[]);
    let expected = [
        "* alice is here",
        "* bob is here",
        "* carol is here",
        "alice: hello",
        "bob: hi, alice",
        "* bob is gone",
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert_eq!(
        lines[expected.len()],
        "carol: bob? he was here a moment ago"
    );
}

#[test]
fn a_chat_client_that_is_killed_leaves_the_room() {
    let server = Program::start("chat", &["server"]);
    let uri = server.next_line().expect("the server prints its URI");
    let mut alice = Program::start("chat", &["client", &uri, "alice"]);
    alice.expect("* alice is here");
    let mut bob = Program::start("chat", &["client", &uri, "bob"]);
    alice.expect("* bob is here");
    bob.type_line("hi, alice");
    alice.expect("bob: hi, alice");

    bob.kill();
    alice.expect("* bob is gone");

    // His name is free, and the room goes on.
    let mut another_bob = Program::start("chat", &["client", &uri, "bob"]);
    another_bob.expect("* bob is here");
    alice.type_line("welcome back");
    another_bob.expect("alice: welcome back");

    // The end of her input is alice's goodbye.
    alice.input = None;
    another_bob.expect("* alice is gone");
    another_bob.input = None;
    assert!(another_bob.wait().success());
    server.expect("* bob is gone");
    server.interrupt();
    assert!(server.wait().success());
}

/// What a player with 42 in mind sees.
const GAME: [&str; 8] = [
    "1. more than 63? no",
    "2. more than 31? yes",
    "3. more than 47? no",
    "4. more than 39? yes",
    "5. more than 43? no",
    "6. more than 41? yes",
    "7. more than 42? no",
    "it is 42",
];

#[test]
fn blocking_in_one_process() {
    assert_eq!(Program::run("blocking", &[]), GAME);
}

#[test]
fn blocking_in_two_processes() {
    let server = Program::start("blocking", &["server"]);
    let uri = server.next_line().expect("the server prints its URI");
    for _ in 0..2 {
        assert_eq!(Program::run("blocking", &["client", &uri, "42"]), GAME);
    }
}

/// What the window shows when it is closed.
const WINDOW: [&str; 4] = [
    "window: the user pressed x",
    "window: an empty window",
    "window: hello",
    "window: \"hello\", how nice",
];

#[test]
fn mainthread_in_one_process() {
    assert_eq!(Program::run("mainthread", &[]), WINDOW);
}

#[test]
fn mainthread_in_two_processes() {
    let window = Program::start("mainthread", &["window"]);
    let uri = window.next_line().expect("the window prints its URI");
    Program::run("mainthread", &["remote", &uri, "hello"]);
    for line in WINDOW {
        window.expect(line);
    }
    assert!(window.wait().success());
}
