//! The two processes of a measurement, and what the system says of them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::figures::Measured;
use crate::peers::{Errand, PeerName};

/// Another process of this program that serves, ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens, in the peer's own notation.
    pub(crate) address: String,
}

impl Server {
    /// Starts this program again as a server of this peer.
    pub(crate) fn start(peer: PeerName) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", peer.as_str()])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        let mut server = Server {
            child,
            address: String::new(),
        };
        BufReader::new(output.context("the server has no output")?)
            .read_line(&mut server.address)?;
        server.address.truncate(server.address.trim_end().len());
        if server.address.is_empty() {
            bail!("the server of {peer} did not start");
        }
        Ok(server)
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It serves for ever otherwise; nothing is lost with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs an errand in a client process, and returns what it measured.
pub(crate) fn run_client(errand: &Errand) -> Result<Measured> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("call")
        .arg(serde_json::to_string(errand)?)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut text = String::new();
    let read = match child.stdout.take() {
        Some(mut output) => output.read_to_string(&mut text),
        None => Ok(0),
    };
    let status = child.wait()?;
    read?;
    if !status.success() {
        bail!("the client of {} failed at {:?}", errand.peer, errand.task);
    }
    serde_json::from_str(&text).context("the client's output is not what it should be")
}

/// The processor time that all threads of a process have taken so far.
pub(crate) fn processor_time(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile; its time is lost, so threads should outlive what is measured.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let first = text.split(' ').next().context("an empty schedstat")?;
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The memory of a process that is in use, in bytes.
pub(crate) fn resident_memory(process: u32) -> Result<u64> {
    // Unlike `statm`, this counts exactly.
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .context("no resident memory in smaps_rollup")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}

/// Allows this process, and those that it starts, as many open files as the system lets it; returns how many.
pub(crate) fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    limit.unwrap_or(u64::MAX)
}

/// Lets what `run` starts run on one core only.
pub(crate) fn on_one_core<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let all = sched_getaffinity(None)?;
    let core = (0..CpuSet::MAX_CPU).rev().find(|core| all.is_set(*core));
    let mut one = CpuSet::new();
    one.set(core.context("there is no core to run on")?);
    sched_setaffinity(None, &one)?;
    let result = run();
    sched_setaffinity(None, &all)?;
    result
}
