//! How long a call takes, one at a time: near, and far over loopback TCP to another process.
//!
//! ```console
//! $ cargo run --release -p farref-bench
//! ```
//!
//! It starts itself a second time as the server. Each figure is the median of several rounds; absolute figures depend on
//! the machine and on what else it does, so compare only figures of one run.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use farref::prelude::*;

/// What is called.
#[expose]
trait Meter {
    /// Adds two numbers: next to no work, next to no bytes.
    fn add(&self, a: u32, b: u32) -> u32;

    /// Counts the bytes of a text.
    fn measure(&self, text: &str) -> u64;

    /// Returns the bytes that it gets.
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
}

struct Ruler;

impl Meter for Ruler {
    fn add(&self, a: u32, b: u32) -> u32 {
        a + b
    }

    fn measure(&self, text: &str) -> u64 {
        text.len() as u64
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
}

/// How many rounds there are; the median of them is what is printed.
const ROUNDS: usize = 7;
/// How long a round takes, about.
const ROUND: Duration = Duration::from_millis(300);

/// The other process, ended when this one has measured.
struct Server(Child);

impl Server {
    /// Starts this program again as a server, and returns it with its URI.
    fn start() -> Result<(Self, String), Box<dyn std::error::Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        let server = Server(child);
        let mut uri = String::new();
        BufReader::new(output.ok_or("the server has no output")?).read_line(&mut uri)?;
        Ok((server, uri.trim().to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It serves for ever otherwise; nothing is lost with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        let daemon = Daemon::bind("far://127.0.0.1:0").await?;
        println!("{}", daemon.register("meter", MeterProxy::new(Ruler))?);
        daemon.serve().await;
        return Ok(());
    }
    if cfg!(debug_assertions) {
        eprintln!("built without --release: the figures say little");
    }
    let (_server, uri) = Server::start()?;
    let far: MeterProxy = farref::connect(uri.as_str()).await?;
    let near = MeterProxy::new(Ruler);

    println!("one call at a time, median of {ROUNDS} rounds");
    for (place, meter) in [("near", &near), ("far", &far)] {
        let text = "x".repeat(300);
        let megabyte = vec![7; 1 << 20];
        print(
            place,
            "add(u32, u32)",
            measure(async || meter.add(2, 3).await.map(drop)).await?,
        );
        print(
            place,
            "measure(&str of 300 B)",
            measure(async || meter.measure(&text).await.map(drop)).await?,
        );
        print(
            place,
            "echo(&[u8] of 1 MiB)",
            measure(async || meter.echo(&megabyte).await.map(drop)).await?,
        );
    }
    Ok(())
}

/// How long one call takes.
async fn measure(call: impl AsyncFn() -> farref::Result<()>) -> farref::Result<Duration> {
    let calls = calls_in_a_round(&call).await?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..calls {
            call().await?;
        }
        rounds.push(begun.elapsed() / calls);
    }
    rounds.sort_unstable();
    Ok(rounds[ROUNDS / 2])
}

/// How many calls fill a round; finding out warms everything up.
async fn calls_in_a_round(call: &impl AsyncFn() -> farref::Result<()>) -> farref::Result<u32> {
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < ROUND {
        call().await?;
        calls += 1;
    }
    Ok(calls)
}

fn print(place: &str, method: &str, took: Duration) {
    let nanoseconds = took.as_nanos();
    let text = match nanoseconds {
        0..10_000 => format!("{nanoseconds} ns"),
        _ => format!("{:.1} µs", took.as_secs_f64() * 1e6),
    };
    println!("{place:4}  {method:24} {text:>10}");
}
