//! The examples of one topic each.

use std::fs;
use std::path::PathBuf;

use crate::program::Program;

/// A folder of a test's own, removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("farref-test-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    /// The path of something in it, as a program's argument.
    fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain path").to_owned()
    }

    /// The names of what is in a folder in it.
    fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(folder)).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .map(|name| name.into_string().expect("a plain name"))
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

const UPLOADED: [&str; 4] = [
    "upload   [#####               ] 25 %",
    "upload   [##########          ] 50 %",
    "upload   [###############     ] 75 %",
    "upload   [####################] 100 %",
];

#[test]
fn filetransfer_in_one_process() {
    let lines = Program::run("filetransfer", &[]);
    assert_eq!(lines[..4], UPLOADED);
    assert_eq!(lines[4], "store: keeps song.bin");
    assert!(lines[9].ends_with("song.bin is here, and its checksum is right"));
    assert_eq!(lines[10], "it came back as it went");
    assert!(lines[11].starts_with("half.bin was not kept: the deadline passed"));
    assert_eq!(
        lines[12..],
        [
            "wrong.bin was not kept: the file did not come as it was sent",
            "in the store: song.bin"
        ]
    );
}

#[test]
fn filetransfer_in_three_processes() {
    let folder = Folder::new("files");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n ^ n >> 9) as u8).collect();
    fs::write(folder.at("photo"), &bytes).expect("written");
    let server = Program::start("filetransfer", &["server", &folder.at("store")]);
    let uri = server.next_line().expect("the server prints its URI");

    let uploaded = Program::run("filetransfer", &["upload", &uri, &folder.at("photo")]);
    assert_eq!(uploaded, UPLOADED);
    server.expect("store: keeps photo");
    fs::remove_file(folder.at("photo")).expect("removed");
    Program::run("filetransfer", &["download", &uri, "photo", &folder.at("")]);
    assert!(fs::read(folder.at("photo")).expect("read") == bytes);

    for name in ["nothing", "../photo", "..", ""] {
        Program::fail("filetransfer", &["download", &uri, name, &folder.at("")]);
    }
    assert_eq!(folder.names_in("store"), ["photo"]);
}

/// One end of a transfer is killed in the middle of it: the file is there as a whole, or not at all.
#[test]
fn a_transfer_that_is_killed_leaves_no_half_file() {
    let folder = Folder::new("killed");
    let size = 64 << 20;
    let film = fs::File::create(folder.at("film")).expect("created");
    film.set_len(size).expect("lengthened");
    let server = Program::start("filetransfer", &["server", &folder.at("store")]);
    let uri = server.next_line().expect("the server prints its URI");

    let mut client = Program::start("filetransfer", &["upload", &uri, &folder.at("film")]);
    client.expect(UPLOADED[0]);
    client.kill();
    // The server gives up what it has begun, and ends.
    server.interrupt();
    assert!(server.wait().success());
    for name in folder.names_in("store") {
        assert_eq!(name, "film");
        assert_eq!(
            fs::metadata(folder.at("store/film"))
                .expect("it is there")
                .len(),
            size
        );
    }
}

/// What the bank's customers see, whatever process the bank is in.
const VISITED: [&str; 10] = [
    "ada has 10000 cents",
    "bob is not known yet",
    "bob has 2000 cents",
    "one order, sent twice: ada has 7000, bob has 5000",
    "that is too much: there are 7000 cents",
    "the same account again: true, another: false, the same as a payee: true",
    "put aside: ada has 2000",
    "let go of: ada has 7000",
    "paid from what was put aside: ada has 2000, bob has 10000",
    "bob has everything back: 10000",
];

/// What the bank itself prints.
const CLOSED: [&str; 3] = [
    "bank: an escrow is closed, 5000 cents go back",
    "bank: an escrow is closed, 0 cents go back",
    "bank: an escrow is closed, 1000 cents go back",
];

#[test]
fn bank_in_one_process() {
    let (bank, customers): (Vec<_>, Vec<_>) = Program::run("bank", &[])
        .into_iter()
        .partition(|line| line.starts_with("bank: "));
    assert_eq!(customers, VISITED);
    assert_eq!(bank, CLOSED);
}

#[test]
fn bank_in_two_processes() {
    let server = Program::start("bank", &["server"]);
    let uri = server.next_line().expect("the server prints its URI");
    assert_eq!(Program::run("bank", &["client", &uri]), VISITED);
    for line in CLOSED {
        assert_eq!(server.next_line().as_deref(), Some(line));
    }
    server.interrupt();
    assert!(server.wait().success());
}

#[test]
fn stocks_in_one_process() {
    let lines = Program::run("stocks", &[]);
    let expected = [
        "receiver: FERRIS at 42",
        "receiver: GOPHER at 7",
        "new record: 43",
        "new record: 44",
        "the record is 44",
        "latest: GOPHER at 8, 7 missed",
        "latest: GOPHER at 9, 7 missed",
        "latest: GOPHER at 10, 7 missed",
        "first: GOPHER at 1",
        "all or nothing: GOPHER at 1",
        "all or nothing: GOPHER at 2",
        "all or nothing: GOPHER at 3",
        "all or nothing: closed, it was too slow",
        "bargain: CAMEL at 8",
        "bargain: CAMEL at 9",
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert!(lines[expected.len()].starts_with("no more trades: "));
    assert_eq!(lines.len(), expected.len() + 1);
}

#[test]
fn stocks_in_several_processes() {
    let server = Program::start("stocks", &["server"]);
    let uri = server.next_line().expect("the server prints its URI");
    let watchers = [(); 2].map(|()| Program::start("stocks", &["watch", &uri]));
    for watcher in &watchers {
        watcher.expect("watching; the record is 0");
    }
    Program::run("stocks", &["trade", &uri, "FERRIS", "42"]);
    Program::run("stocks", &["trade", &uri, "GOPHER", "7"]);
    for watcher in &watchers {
        assert_eq!(watcher.next_line().as_deref(), Some("FERRIS at 42"));
        assert_eq!(watcher.next_line().as_deref(), Some("GOPHER at 7"));
    }
    server.interrupt();
    assert!(server.wait().success());
    for watcher in watchers {
        let last = watcher.next_line().expect("it says why it ends");
        assert!(last.starts_with("no more trades: "), "{last}");
        assert!(watcher.wait().success());
    }
}

/// What the archive's reader prints, without how long it took.
const READ: [&str; 13] = [
    "one after the other: 4 round trips",
    "  Tyger Tyger, burning bright",
    "as a pipeline: 1 round trip",
    "  Tyger Tyger, burning bright",
    "a pipeline that breaks: 1 round trip",
    "  BrokenPromise, NotStarted: the call that was to return the object returned an error of its own",
    "a batch of two: 1 round trip",
    "  4 words in one of 3 documents",
    "a batch of all, on a pipeline: 1 round trip",
    "  I wandered lonely as a cloud",
    "  I met a traveller from an antique land",
    "  Tyger Tyger, burning bright",
    "  ... something else ...",
];

fn assert_read(lines: &[String]) {
    for (line, expected) in lines.iter().zip(READ) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(lines[READ.len()].starts_with("started calls: 1 round trip ("));
    assert_eq!(lines[READ.len() + 1..], ["  18 words in all"]);
}

#[test]
fn pipeline_in_one_process() {
    assert_read(&Program::run("pipeline", &[]));
}

#[test]
fn pipeline_in_two_processes() {
    let server = Program::start("pipeline", &["server"]);
    let uri = server.next_line().expect("the server prints its URI");
    for _ in 0..2 {
        assert_read(&Program::run("pipeline", &["client", &uri]));
    }
}
