//! A daemon that has run out of file descriptors: in a process of its own, which has few.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use farref::prelude::*;

use crate::arena::{open_descriptors, settled, socket_address, turn};
use crate::attacker::{Attacker, NAME};
use crate::target::{Bastion, TargetProxy};

/// The descriptors that the daemon's process may have.
const DESCRIPTORS: usize = 48;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The daemon's process: serves until its input ends, and then checks that nothing is left of the attack.
#[test]
#[ignore = "started by the test below, in a process of its own"]
fn daemon_with_few_descriptors() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let daemon = Daemon::bind("far://127.0.0.1:0")
            .await
            .expect("loopback can be bound");
        daemon
            .register(NAME, TargetProxy::new(Bastion::default()))
            .expect("the name is free");
        let metrics = tokio::runtime::Handle::current().metrics();
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = ended.send(());
        });
        let baseline = (open_descriptors(), metrics.num_alive_tasks());
        println!("listening at {}", socket_address(&daemon));
        let _ = end.await;
        let census = || (open_descriptors(), metrics.num_alive_tasks());
        settled(|| census() == baseline).await;
        assert_eq!(census(), baseline);
        assert!(daemon.peers().is_empty());
    });
}

struct Besieged {
    child: Child,
    address: std::net::SocketAddr,
}

impl Besieged {
    fn start() -> Self {
        let test = std::env::current_exe().expect("this program");
        let mut child = Command::new("sh")
            .args([
                "-c",
                &format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\""),
            ])
            .arg(test)
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "descriptors::daemon_with_few_descriptors",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let output = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(output).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("listening at ")
                    .map(|(_, address)| address.to_owned())
            })
            .expect("the daemon says where it listens");
        // Whatever else it writes is read to the end, so that it never waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.parse().expect("an address");
        Besieged { child, address }
    }

    fn process(&self, file: &str) -> std::path::PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }

    /// How many descriptors the daemon's process has open.
    fn descriptors(&self) -> usize {
        std::fs::read_dir(self.process("fd"))
            .expect("it lives")
            .count()
    }

    /// The processor time that it has used.
    fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(self.process("stat")).expect("it lives");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks = |index: usize| -> u64 {
            let field = fields.split_whitespace().nth(index);
            field
                .and_then(|field| field.parse().ok())
                .expect("a number")
        };
        // User and system time, in hundredths of a second.
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !condition(self) {
            assert!(
                began.elapsed() < PATIENCE,
                "waiting until {what}: {} descriptors",
                self.descriptors()
            );
            std::thread::yield_now();
        }
    }

    /// Ends the daemon, which checks itself.
    fn end(mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Besieged {
    fn drop(&mut self) {
        // A test that failed leaves no process behind; one that ended well has none.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_daemon_without_descriptors_waits_and_recovers() {
    let _turn = turn();
    let besieged = Besieged::start();
    let mut victim = Attacker::settle(besieged.address);
    // The system completes these connections in the daemon's stead; it cannot accept them all.
    let flood: Vec<_> = (0..2 * DESCRIPTORS)
        .map(|_| Attacker::connect(besieged.address))
        .collect();
    besieged.wait_until("all descriptors are used", |daemon| {
        daemon.descriptors() >= DESCRIPTORS
    });
    let began = Instant::now();
    let used = besieged.processor_time();
    let mut calls = 0;
    while began.elapsed() < Duration::from_secs(1) {
        victim.make_another_good_call();
        calls += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(calls > 10, "the victim made {calls} calls");
    let used = besieged.processor_time() - used;
    assert!(
        used < Duration::from_millis(500),
        "the daemon spun for {used:?}"
    );
    drop(flood);
    drop(Attacker::settle(besieged.address));
    victim.make_another_good_call();
    drop(victim);
    besieged.end();
}
