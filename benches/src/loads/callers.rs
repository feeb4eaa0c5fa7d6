//! Many callers at once, each a task that calls over and over, counted in a window of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::acts::Act;
use crate::peers::{Errand, Peer};
use crate::process::{processor_time, resident_memory};

/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How many callers there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callers {
    pub(super) connections: usize,
    /// On each connection.
    pub(super) each: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    calls: u64,
    took: Duration,
    /// Of both processes.
    processor_time: Duration,
    server_memory: u64,
}

impl Sum {
    /// The server's memory at the end, in bytes.
    pub(super) fn server_memory(&self) -> u64 {
        self.server_memory
    }

    /// Calls per second.
    pub(super) fn rate(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64()
    }

    /// Microseconds of processor time of both processes for each call.
    pub(super) fn processor_time_per_call(&self) -> f64 {
        self.processor_time.as_secs_f64() * 1e6 / self.calls as f64
    }
}

/// Which calls are counted: those that end between its middle phase's begin and end.
#[derive(Debug, Default)]
pub(super) struct Window {
    phase: AtomicU8,
    /// Whether a call was counted.
    counted: AtomicBool,
}

/// Where in the window a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    WarmingUp,
    Counting,
    Over,
}

impl Window {
    /// Where the end of a call lies.
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::WarmingUp,
            1 => {
                if !self.counted.load(Ordering::Relaxed) {
                    self.counted.store(true, Ordering::Relaxed);
                }
                Phase::Counting
            }
            _ => Phase::Over,
        }
    }

    /// Lets the window pass, and returns how long calls were counted and what it took of the processors. Where no call
    /// ends in time, the window gets longer.
    pub(super) async fn pass(&self, errand: &Errand) -> Result<(Duration, Duration)> {
        let used = || -> Result<Duration> {
            Ok(processor_time(std::process::id())? + processor_time(errand.server)?)
        };
        tokio::time::sleep(errand.warm_up).await;
        let used_before = used()?;
        let begun = Instant::now();
        self.phase.store(1, Ordering::Relaxed);
        loop {
            tokio::time::sleep(errand.measure).await;
            if self.counted.load(Ordering::Relaxed) {
                break;
            }
            ensure!(begun.elapsed() < LIMIT, "no call ended in {LIMIT:?}");
        }
        self.phase.store(2, Ordering::Relaxed);
        let took = begun.elapsed();
        Ok((took, used()?.saturating_sub(used_before)))
    }
}

impl Callers {
    /// Lets all of them do this.
    pub(super) async fn run<P, A>(self, errand: &Errand, act: A) -> Result<Sum>
    where
        P: Peer,
        A: Act<P::Client>,
    {
        let window = Arc::new(Window::default());
        let mut clients = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            clients.push(P::connect(&errand.address).await?);
        }
        let mut callers = JoinSet::new();
        for client in &clients {
            for _ in 0..self.each {
                callers.spawn(call(client.clone(), Arc::clone(&window), act.clone()));
            }
        }
        let (took, processor_time) = window.pass(errand).await?;
        let server_memory = resident_memory(errand.server)?;
        let mut calls = 0;
        while let Some(called) = callers.join_next().await {
            calls += called??;
        }
        Ok(Sum {
            calls,
            took,
            processor_time,
            server_memory,
        })
    }
}

async fn call<C, A: Act<C>>(client: C, window: Arc<Window>, mut act: A) -> Result<u64> {
    let mut calls = 0;
    loop {
        act.act(&client).await?;
        match window.phase() {
            Phase::WarmingUp => {}
            Phase::Counting => calls += 1,
            Phase::Over => return Ok(calls),
        }
    }
}
