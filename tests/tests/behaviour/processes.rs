//! What only several real processes show: recursion, threads, configuration, death.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use farref::prelude::*;
use farref::{FaultKind, Limits, Outcome, Peer};
use tokio::sync::mpsc;

use crate::support::{Directory, assert_fault};

/// The variable that tells a child process what to be.
const ROLE: &str = "FARREF_TEST_ROLE";

#[expose]
trait Echo {
    /// Calls back and forth until the depth is used up; returns how deep it came.
    async fn bounce(&self, depth: u32, other: EchoProxy) -> Result<u32, String>;
    async fn threads(&self) -> usize;
    /// What is on the books of this process: calls, exports and imports of its sessions.
    async fn books(&self) -> (usize, usize, usize);
    async fn wait(&self);
    #[idempotent]
    async fn pid(&self) -> u32;
    async fn keep(&self, other: EchoProxy);
    async fn call_kept(&self) -> Result<u32, String>;
}

/// Does what cannot be undone, and dies of it.
#[expose]
trait Deed {
    /// Is killed before, during or after it.
    async fn happen(&self, killed: Killed);
    /// What has happened.
    async fn traces(&self) -> String;
}

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Killed {
    Before,
    During,
    After,
}

/// Leaves its traces in a file, which outlives the process.
struct Doer(std::path::PathBuf);

impl Doer {
    fn trace(&self, text: &str) {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(&self.0).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    async fn die(&self) {
        let pid = std::process::id().to_string();
        Command::new("kill").args(["-9", &pid]).status().unwrap();
        std::future::pending().await
    }
}

impl Deed for Doer {
    async fn happen(&self, killed: Killed) {
        if killed == Killed::Before {
            self.die().await;
        }
        self.trace("begun ");
        if killed == Killed::During {
            self.die().await;
        }
        self.trace("done ");
        self.die().await;
    }
    async fn traces(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap_or_default()
    }
}

/// Answers, in any process.
#[derive(Clone, Default)]
struct Station(Arc<Inner>);

#[derive(Default)]
struct Inner {
    most_threads: std::sync::atomic::AtomicUsize,
    kept: std::sync::Mutex<Option<EchoProxy>>,
}

impl Station {
    fn note_threads(&self) {
        self.0
            .most_threads
            .fetch_max(threads(), std::sync::atomic::Ordering::Relaxed);
    }
}

impl Echo for Station {
    async fn bounce(&self, depth: u32, other: EchoProxy) -> Result<u32, String> {
        if depth.is_multiple_of(50) {
            self.note_threads();
        }
        if depth == 0 {
            return Ok(0);
        }
        match other.bounce(depth - 1, EchoProxy::new(self.clone())).await {
            Ok(reached) => Ok(reached + 1),
            Err(CallError::App(error)) => Err(error),
            Err(CallError::Fault(fault)) => Err(fault.to_string()),
        }
    }
    async fn threads(&self) -> usize {
        self.note_threads();
        self.0
            .most_threads
            .load(std::sync::atomic::Ordering::Relaxed)
    }
    async fn books(&self) -> (usize, usize, usize) {
        books(&[CallContext::current().unwrap().peer().unwrap()])
    }
    async fn wait(&self) {
        std::future::pending().await
    }
    async fn pid(&self) -> u32 {
        std::process::id()
    }
    async fn keep(&self, other: EchoProxy) {
        let old = self.0.kept.lock().unwrap().replace(other);
        drop(old);
    }
    async fn call_kept(&self) -> Result<u32, String> {
        let kept = self
            .0
            .kept
            .lock()
            .unwrap()
            .clone()
            .ok_or("nothing was kept")?;
        kept.pid()
            .await
            .map_err(|fault| format!("{:?} {:?}", fault.kind(), fault.outcome()))
    }
}

fn books(peers: &[Peer]) -> (usize, usize, usize) {
    peers
        .iter()
        .map(Peer::tables)
        .fold((0, 0, 0), |sums, tables| {
            (
                sums.0 + tables.calls_in + tables.calls_out,
                sums.1 + tables.exports,
                sums.2 + tables.imports,
            )
        })
}

/// How many threads this process has.
fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))
        .unwrap();
    line.trim().parse().unwrap()
}

/// Limits under which calls may nest this deep.
fn deep(depth: u16) -> Limits {
    let mut limits = Limits::default();
    limits.max_depth = depth;
    limits
}

/// Limits under which a process that is stopped is soon given up.
fn impatient() -> Limits {
    let mut limits = Limits::default();
    limits.beat_interval = SOON / 4;
    limits.peer_timeout = SOON;
    limits.linger = SOON;
    limits
}

/// How long sessions wait for a process that will not come back.
const SOON: std::time::Duration = std::time::Duration::from_millis(200);

/// A process of its own, which ends with this or with the test.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Runs this test program again in a role.
    pub(crate) fn start(role: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "processes::child",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, role)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Process {
            child,
            input,
            output,
        }
    }

    /// The next line that begins with this word, without it. What the test harness prints is passed over.
    pub(crate) fn line(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "the process ended without `{word}`"
            );
            if let Some((_, rest)) = line.split_once(&format!("@{word} ")) {
                return rest.trim_end().to_owned();
            }
        }
    }

    /// Sends it a signal, by its name.
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Kills it, with no chance to say goodbye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something to the process that started this one.
pub(crate) fn say(word: &str, text: &str) {
    println!("@{word} {text}");
    std::io::stdout().flush().unwrap();
}

/// Not a test: what this program does in a process that a test started.
#[test]
#[ignore = "the other tests run it in processes of their own"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    // Ends with the process that started it, however that ends.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "serve" => serve().await,
            "bounce" => bounce().await,
            "post" => crate::handoffs::post().await,
            "client from the environment" => client_from_environment().await,
            "listen to a signal" => {
                let uri = std::env::var("URI").unwrap();
                crate::remote_signals::listen_in_another_process(&uri, say).await;
            }
            other => panic!("{other} is no role"),
        }
    });
}

async fn serve() {
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "far://127.0.0.1:0".to_owned());
    let depth = std::env::var("DEPTH").map_or(32, |depth| depth.parse().unwrap());
    let limits = match std::env::var("IMPATIENT") {
        Ok(_) => impatient(),
        Err(_) => deep(depth),
    };
    let daemon = Daemon::builder()
        .listen(address.as_str())
        .limits(limits)
        .bind()
        .await
        .unwrap();
    let uri = daemon
        .register("echo", EchoProxy::new(Station::default()))
        .unwrap();
    if let Ok(file) = std::env::var("FILE") {
        let deed = DeedProxy::new(Doer(file.into()));
        daemon.register("deed", deed).unwrap();
    }
    say("uri", &uri.to_string());
    daemon.serve().await;
}

async fn client_from_environment() {
    let client = match Client::builder().from_env() {
        Ok(builder) => builder.build(),
        Err(fault) => return say("refused", &format!("{:?} {fault}", fault.kind())),
    };
    let uri = std::env::var("URI").unwrap();
    let echo: EchoProxy = match client.connect(uri.as_str()).await {
        Ok(echo) => echo,
        Err(fault) => return say("failed", &format!("{:?}", fault.kind())),
    };
    let fault = echo.wait().await.unwrap_err();
    say("waited", &format!("{:?}", fault.kind()));
}

/// How deep two processes call each other.
const DEEP: u16 = 1000;

/// Calls back and forth with the object at `URI`, and counts the threads. In a process of its own, since other tests
/// start threads in theirs.
async fn bounce() {
    let uri = std::env::var("URI").unwrap();
    let client = Client::builder().limits(deep(DEEP)).build();
    let echo: EchoProxy = client.connect(uri.as_str()).await.unwrap();
    let mine = Station::default();
    // Whatever is made once is made now.
    assert_eq!(
        echo.bounce(10, EchoProxy::new(mine.clone())).await.unwrap(),
        10
    );
    let before = (threads(), echo.threads().await.unwrap());
    for _ in 0..2 {
        let reached = echo
            .bounce(u32::from(DEEP), EchoProxy::new(mine.clone()))
            .await;
        assert_eq!(reached.unwrap(), u32::from(DEEP));
    }
    let most = (mine.threads().await, echo.threads().await.unwrap());
    assert!(
        most.0 <= before.0 && most.1 <= before.1,
        "not one thread more, in either process: {before:?}, {most:?}"
    );
    assert_eq!(client.peers().len(), 1);
    // Each process holds the other's entry, and is being asked about itself.
    for attempt in 0.. {
        let theirs = echo.books().await.unwrap();
        let ours = books(&client.peers());
        if (ours, theirs) == ((0, 0, 1), (1, 0, 0)) {
            break;
        }
        assert!(attempt < 100, "client {ours:?}, daemon {theirs:?}");
    }
    say("bounced", "");
}

#[test]
fn two_processes_call_each_other_a_thousand_deep_on_one_connection_and_no_more_threads() {
    let mut serving = Process::start("serve", &[("DEPTH", &DEEP.to_string())]);
    let uri = serving.line("uri");
    Process::start("bounce", &[("URI", &uri)]).line("bounced");
}

#[tokio::test]
async fn a_reference_is_passed_on_between_three_processes() {
    let (mut one, mut two) = (Process::start("serve", &[]), Process::start("serve", &[]));
    let client = Client::builder().linger(SOON).build();
    let first: EchoProxy = client.connect(one.line("uri")).await.unwrap();
    let second: EchoProxy = client.connect(two.line("uri")).await.unwrap();
    let (first_pid, second_pid) = (first.pid().await.unwrap(), second.pid().await.unwrap());
    assert_ne!(first_pid, second_pid);
    second.keep(first.clone()).await.unwrap();
    assert_eq!(second.call_kept().await.unwrap(), first_pid);
    drop(first);
    assert_eq!(
        second.call_kept().await.unwrap(),
        first_pid,
        "it is a grant of its own"
    );
    one.kill();
    let error = second.call_kept().await.unwrap_err();
    let text = error.app().unwrap();
    assert!(
        ["SessionLost", "StaleReference", "ConnectFailed"]
            .iter()
            .any(|kind| text.starts_with(kind)),
        "{text}"
    );
}

#[tokio::test]
async fn what_was_cut_off_by_a_kill_is_not_done_again() {
    let directory = Directory::new();
    for (killed, traces) in [
        (Killed::Before, ""),
        (Killed::During, "begun "),
        (Killed::After, "begun done "),
    ] {
        let file = directory.path(&format!("{killed:?}"));
        let file = file.to_str().unwrap();
        let mut process = Process::start("serve", &[("FILE", file)]);
        let uri: Uri = process.line("uri").parse().unwrap();
        let client = Client::builder().linger(SOON).max_retries(3).build();
        let deed: DeedProxy = client.connect(uri.with_object("deed")).await.unwrap();
        let fault = deed.happen(killed).await.unwrap_err();
        assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
        drop(process);
        let address = uri.without_object().to_string();
        let mut again = Process::start("serve", &[("FILE", file), ("ADDRESS", &address)]);
        again.line("uri");
        // The same proxy finds it again.
        assert_eq!(deed.traces().await.unwrap(), traces, "{killed:?}");
    }
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_the_outcome_unknown_and_its_name_is_found_again() {
    let mut process = Process::start("serve", &[]);
    let uri: Uri = process.line("uri").parse().unwrap();
    let client = Client::builder().max_retries(3).linger(SOON).build();
    let echo: EchoProxy = client.connect(&uri).await.unwrap();
    let pid = echo.pid().await.unwrap();
    let (sent, mut is_sent) = mpsc::channel(1);
    let waiting = tokio::spawn({
        let echo = echo.clone();
        async move {
            let mut call = Box::pin(echo.wait());
            tokio::select! {
                biased;
                result = &mut call => return result,
                _ = sent.send(()) => {}
            }
            call.await
        }
    });
    is_sent.recv().await.unwrap();
    // A call behind it was answered, so the first has begun.
    echo.pid().await.unwrap();
    process.kill();
    let fault = waiting.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    let fault = echo
        .keep(EchoProxy::new(Station::default()))
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
    let mut again = Process::start("serve", &[("ADDRESS", &uri.without_object().to_string())]);
    assert_eq!(again.line("uri"), uri.to_string());
    assert_ne!(echo.pid().await.unwrap(), pid);
}

#[tokio::test]
async fn what_expired_while_a_process_was_stopped_stays_expired() {
    let process = tokio::task::spawn_blocking(|| {
        let mut process = Process::start("serve", &[("IMPATIENT", "yes")]);
        let uri = process.line("uri");
        (process, uri)
    });
    let (process, uri) = process.await.unwrap();
    let client = Client::builder().limits(impatient()).build();
    let echo: EchoProxy = client.connect(uri.as_str()).await.unwrap();
    let pid = echo.pid().await.unwrap();
    let mine = Station::default();
    echo.keep(EchoProxy::new(mine.clone())).await.unwrap();
    assert_eq!(echo.call_kept().await.unwrap(), std::process::id());
    let old = client.peers().remove(0);
    assert_eq!(Arc::strong_count(&mine.0), 2);
    let waiting = tokio::spawn({
        let echo = echo.clone();
        async move { echo.wait().await }
    });
    while old.tables().calls_out == 0 {
        tokio::task::yield_now().await;
    }
    process.signal("STOP");
    let fault = waiting.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert!(old.is_closed());
    assert_eq!(Arc::strong_count(&mine.0), 1, "it was given back");
    process.signal("CONT");
    // The same process is found again, and what it held of the old session is of no use to it.
    while echo.pid().await.ok() != Some(pid) {}
    let called = echo.call_kept().await;
    let Err(CallError::App(text)) = called else {
        panic!("what had expired was called: {called:?}");
    };
    assert!(
        text.starts_with("SessionLost") || text.starts_with("StaleReference"),
        "{text}"
    );
    assert_ne!(client.peers().remove(0), old);
}

#[tokio::test]
async fn a_client_is_configured_from_the_environment() {
    let daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .token("swordfish")
        .bind()
        .await
        .unwrap();
    let uri = daemon
        .register("echo", EchoProxy::new(Station::default()))
        .unwrap()
        .to_string();
    let run = |environment: Vec<(&'static str, &'static str)>, word: &'static str| {
        let uri = uri.clone();
        tokio::task::spawn_blocking(move || {
            let environment: Vec<_> = environment
                .iter()
                .copied()
                .chain([("URI", uri.as_str())])
                .collect();
            Process::start("client from the environment", &environment).line(word)
        })
    };
    let good = vec![
        ("FARREF_TOKEN", "swordfish"),
        ("FARREF_TIMEOUT", "0.05"),
        ("FARREF_CODEC", "json"),
        ("FARREF_ACCEPT_CODECS", "json,postcard"),
        ("FARREF_MAX_RETRIES", "2"),
        ("FARREF_ATTEMPT_TIMEOUT", "10"),
        ("FARREF_CONNECT_ATTEMPTS", "2"),
        ("FARREF_CONNECT_TIMEOUT", "20"),
        ("FARREF_NAME", "somebody"),
    ];
    assert_eq!(run(good, "waited").await.unwrap(), "DeadlineExceeded");
    assert_eq!(
        run(vec![], "failed").await.unwrap(),
        "Refused",
        "the token was in the environment alone"
    );
    for (variable, value) in [
        ("FARREF_TIMEOUT", "soon"),
        ("FARREF_TIMEOUT", "-1"),
        ("FARREF_CODEC", "pickle"),
        ("FARREF_ACCEPT_CODECS", "json,pickle"),
        ("FARREF_MAX_RETRIES", "many"),
        ("FARREF_ATTEMPT_TIMEOUT", "soon"),
        ("FARREF_CONNECT_ATTEMPTS", ""),
    ] {
        let refused = run(vec![(variable, value)], "refused").await.unwrap();
        assert!(
            refused.starts_with("Misuse") && refused.contains(variable),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_client_that_dies_leaves_nothing_at_the_daemon() {
    let builder = Daemon::builder().linger(SOON);
    let daemon = builder.listen("far://127.0.0.1:0").bind().await.unwrap();
    let uri = daemon
        .register("echo", EchoProxy::new(Station::default()))
        .unwrap()
        .to_string();
    let mut process = Process::start("client from the environment", &[("URI", &uri)]);
    let served = async {
        while daemon
            .peers()
            .iter()
            .all(|peer| peer.tables().calls_in == 0)
        {
            tokio::task::yield_now().await;
        }
    };
    served.await;
    process.kill();
    while !daemon.peers().is_empty() {
        tokio::task::yield_now().await;
    }
}
