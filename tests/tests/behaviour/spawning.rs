//! Child processes that serve their parent, over a way that nobody else can take.

use std::io::BufReader;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use farref::prelude::*;
use farref::spawn::{Spawned, Spawner};
use farref::{FaultKind, Outcome};
use tokio::sync::mpsc;

use crate::support::assert_fault;

/// The variable that tells a child process what to be.
const ROLE: &str = "FARREF_TEST_CHILD";

#[expose]
trait Worker {
    async fn pid(&self) -> u32;
    /// Asks the parent's object, which the parent published.
    async fn ask_parent(&self) -> String;
    /// Asks an object that the parent passes.
    async fn ask(&self, home: HomeProxy) -> String;
    async fn say(&self, line: String);
    async fn wait(&self);
    /// Starts a process that has this one's standard input and outlives it, and ends.
    async fn leave_a_heir(&self);
}

#[expose]
trait Home {
    fn greeting(&self) -> String;
}

struct House;
impl Home for House {
    fn greeting(&self) -> String {
        format!("from {}", std::process::id())
    }
}

struct Hand;
impl Worker for Hand {
    async fn pid(&self) -> u32 {
        std::process::id()
    }
    async fn ask_parent(&self) -> String {
        let parent = CallContext::current().unwrap().peer().unwrap();
        let home: HomeProxy = parent.object("home").await.unwrap();
        home.greeting().await.unwrap()
    }
    async fn ask(&self, home: HomeProxy) -> String {
        home.greeting().await.unwrap()
    }
    async fn say(&self, line: String) {
        eprintln!("{line}");
    }
    async fn wait(&self) {
        std::future::pending().await
    }
    async fn leave_a_heir(&self) {
        Command::new("sleep")
            .arg("30")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::process::exit(4);
    }
}

/// This test program again, in a role.
fn command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "spawning::child", "--ignored", "--nocapture"])
        .env(ROLE, role)
        .stdout(Stdio::null());
    command
}

/// Not a test: what this program does in a process that a test started.
#[test]
#[ignore = "the other tests run it in processes of their own"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "work" => work().await,
            "stubborn" => {
                work().await;
                std::future::pending().await
            }
            "fail" => std::process::exit(3),
            "mute" => std::future::pending().await,
            "twice" => twice().await,
            "parent" => {
                let worker = start("work").await;
                println!("@started {}", worker.id());
                std::future::pending().await
            }
            other => panic!("{other} is no role"),
        }
    });
}

async fn work() {
    let daemon = Daemon::builder().bind().await.unwrap();
    daemon.register("worker", WorkerProxy::new(Hand)).unwrap();
    let parent = daemon.serve_parent().await.unwrap();
    parent.closed().await;
}

/// Says how it goes where there is no parent to be served, and where it is served already.
async fn twice() {
    let daemon = Daemon::builder().bind().await.unwrap();
    for _ in 0..2 {
        let fault = daemon.serve_parent().await.unwrap_err();
        eprintln!("{:?}: {}", fault.kind(), fault.message());
    }
}

async fn start(role: &str) -> Spawned {
    Client::new().spawn(command(role)).await.unwrap()
}

async fn worker(spawned: &Spawned) -> WorkerProxy {
    spawned.object("worker").await.unwrap()
}

#[tokio::test]
async fn a_child_serves_its_parent_and_calls_it_without_a_port() {
    let client = Client::new();
    client.publish("home", &HomeProxy::new(House)).unwrap();
    let spawned = client.spawn(command("work")).await.unwrap();
    let worker = worker(&spawned).await;

    let pid = worker.pid().await.unwrap();
    assert_eq!(pid, spawned.id());
    let mine = std::process::id();
    assert_ne!(pid, mine);
    let greeting = format!("from {mine}");
    assert_eq!(worker.ask_parent().await.unwrap(), greeting);
    let home = HomeProxy::new(House);
    assert_eq!(worker.ask(home).await.unwrap(), greeting);

    assert!(spawned.stop().await.unwrap().success());
    assert!(spawned.peer().is_closed());
}

#[tokio::test]
async fn a_child_that_dies_is_a_typed_loss() {
    let (lost, mut losses) = mpsc::unbounded_channel();
    let client = Client::builder()
        .on_session_lost(move |_, fault| lost.send(fault.kind()).unwrap())
        .build();
    let spawned = client.spawn(command("work")).await.unwrap();
    let worker = worker(&spawned).await;
    let waiting = tokio::spawn({
        let worker = worker.clone();
        async move { worker.wait().await }
    });
    worker.pid().await.unwrap();

    let kill = Command::new("kill")
        .args(["-9", &spawned.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let fault = waiting.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert_eq!(losses.recv().await, Some(FaultKind::SessionLost));
    assert_eq!(spawned.wait().await.unwrap().signal(), Some(9));
    let fault = worker.pid().await.unwrap_err();
    assert_eq!(fault.outcome(), Outcome::NotStarted);
}

#[tokio::test]
async fn a_child_is_dead_also_if_its_own_children_hold_its_end_of_the_way() {
    let spawned = start("work").await;
    let worker = worker(&spawned).await;
    let fault = worker.leave_a_heir().await.unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert_eq!(spawned.wait().await.unwrap().code(), Some(4));
}

#[tokio::test]
async fn a_child_that_ends_before_it_serves_says_how() {
    let fault = Client::new().spawn(command("fail")).await.unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
    assert!(
        fault
            .message()
            .ends_with("ended before it served, with exit status: 3"),
        "{fault}"
    );
    let fault = Client::new()
        .spawn(Command::new("/nowhere/at/all"))
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
    assert!(
        fault
            .message()
            .starts_with("cannot start `/nowhere/at/all`"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_child_that_never_serves_is_killed() {
    let mut limits = farref::Limits::default();
    limits.handshake_timeout = Duration::from_millis(200);
    let (logged, mut lines) = mpsc::unbounded_channel();
    let fault = Spawner::new(command("mute"))
        .log(move |line| logged.send(line.to_owned()).unwrap())
        .spawn(&Client::builder().limits(limits).build())
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
    // Its output is closed when it is gone.
    assert_eq!(lines.recv().await, None);
}

#[tokio::test]
async fn what_a_child_prints_comes_line_by_line() {
    let (logged, mut lines) = mpsc::unbounded_channel();
    let spawned = Spawner::new(command("work"))
        .log(move |line| {
            assert_ne!(line, "a line that the log does not like");
            logged.send(line.to_owned()).unwrap();
        })
        .spawn(&Client::new())
        .await
        .unwrap();
    let worker = worker(&spawned).await;
    let long = "x".repeat(8 * 1024 + 5);
    for line in [
        "one",
        "a line that the log does not like",
        "",
        &long,
        "last",
    ] {
        worker.say(line.to_owned()).await.unwrap();
    }
    for expected in ["one", "", &long[5..], "xxxxx", "last"] {
        assert_eq!(lines.recv().await.unwrap(), expected);
    }
    // Whoever lets go of a child lets it end: it serves until its session has ended.
    drop(spawned);
    assert_eq!(lines.recv().await, None);
}

#[tokio::test]
async fn a_child_that_does_not_end_is_killed() {
    let spawned = Spawner::new(command("stubborn"))
        .grace(Duration::from_millis(50))
        .spawn(&Client::new())
        .await
        .unwrap();
    assert_eq!(spawned.stop().await.unwrap().signal(), Some(9));

    let spawned = start("stubborn").await;
    assert_eq!(spawned.kill().await.unwrap().signal(), Some(9));
}

#[tokio::test]
async fn children_do_not_outlive_a_parent_that_is_killed() {
    let mut parent = command("parent").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(parent.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("@started ") {
        line.clear();
        assert_ne!(
            std::io::BufRead::read_line(&mut output, &mut line).unwrap(),
            0
        );
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    let (_, pid) = line.split_once("@started ").unwrap();
    // A process that is gone has no command line, nor has one that nobody has waited for.
    let gone = || {
        std::fs::read(format!("/proc/{}/cmdline", pid.trim()))
            .unwrap_or_default()
            .is_empty()
    };
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while !gone() {
        assert!(std::time::Instant::now() < patience, "the child goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_process_that_was_not_spawned_has_no_parent_to_serve() {
    let output = command("twice").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let said: Vec<_> = said.lines().collect();
    assert!(
        said[0].starts_with("Misuse: this process was not started to serve its parent"),
        "{said:?}"
    );
    assert_eq!(said[1], "Misuse: the parent process is served already");
}
