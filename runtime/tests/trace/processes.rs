//! Spans of two processes, which have nothing in common but the connection.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use farref::prelude::*;
use tracing::subscriber;

use crate::recorder::{Recorder, Span, assert_is_child};

const ROLE: &str = "FARREF_TRACED_CHILD";

#[expose]
trait Child {
    async fn ask(&self, parent: ParentProxy) -> u32;
    /// What this process recorded: the name and the fields of each span.
    fn spans(&self) -> Vec<(String, BTreeMap<String, String>)>;
}

#[callback]
trait Parent {
    fn answer(&self) -> u32;
}

struct Served(Recorder);

impl Child for Served {
    async fn ask(&self, parent: ParentProxy) -> u32 {
        parent.answer().await.unwrap()
    }
    fn spans(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let spans = self.0.spans();
        spans.into_iter().map(|it| (it.name, it.fields)).collect()
    }
}

struct Asked;

impl Parent for Asked {
    fn answer(&self) -> u32 {
        3
    }
}

#[tokio::test]
#[ignore = "run by the test below, in a process of its own"]
async fn child() {
    assert!(std::env::var_os(ROLE).is_some(), "see below");
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let uri = daemon
        .register("child", ChildProxy::new(Served(recorder)))
        .unwrap();
    writeln!(std::io::stdout(), "@uri {uri}").unwrap();
    // The other process ends this one.
    std::future::pending().await
}

#[tokio::test]
async fn a_collector_joins_the_spans_of_two_processes() {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--ignored", "--nocapture"])
        .env(ROLE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let uri = output.lines().find_map(|line| {
        let line = line.unwrap();
        Some(line.split_once("@uri ")?.1.to_owned())
    });
    let recorder = Recorder::default();
    let theirs = {
        let _recording = subscriber::set_default(recorder.subscriber());
        let child: ChildProxy = farref::connect(&uri.unwrap()).await.unwrap();
        assert_eq!(child.ask(ParentProxy::new(Asked)).await.unwrap(), 3);
        child.spans().await.unwrap()
    };
    process.kill().unwrap();
    process.wait().unwrap();

    let find = |kind: &str, name: &str| {
        let (name, fields) = theirs
            .iter()
            .find(|(known, fields)| known == kind && fields["otel.name"] == name)
            .unwrap()
            .clone();
        Span {
            name,
            fields,
            ..Span::default()
        }
    };
    let asking = recorder.the("call Child.ask");
    let asked = find("serve", "Child.ask");
    let answering = find("call", "Parent.answer");
    let answered = recorder.the("serve Parent.answer");
    assert_is_child(&asked, &asking);
    assert_is_child(&answering, &asked);
    assert_is_child(&answered, &answering);
    assert!(asking.get("peer").starts_with("127.0.0.1:"));
    assert!(answering.get("peer").starts_with("127.0.0.1:"));
}
