//! Many callers at once, each a task that calls over and over, counted in a window of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::acts::Act;
use crate::peers::{Errand, Peer};
use crate::process::{processor_time, resident_memory};

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
pub(super) struct Window(AtomicU8);

/// Where in the window a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    WarmingUp,
    Counting,
    Over,
}

impl Window {
    /// Where this moment lies.
    pub(super) fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::WarmingUp,
            1 => Phase::Counting,
            _ => Phase::Over,
        }
    }

    /// Lets the window pass, and returns how long calls were counted and what it took of the processors.
    pub(super) async fn pass(&self, errand: &Errand) -> Result<(Duration, Duration)> {
        let used = || -> Result<Duration> {
            Ok(processor_time(std::process::id())? + processor_time(errand.server)?)
        };
        tokio::time::sleep(errand.warm_up).await;
        let used_before = used()?;
        let begun = Instant::now();
        self.0.store(1, Ordering::Relaxed);
        tokio::time::sleep(errand.measure).await;
        self.0.store(2, Ordering::Relaxed);
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
        let mut callers = JoinSet::new();
        for _ in 0..self.connections {
            let client = P::connect(&errand.address).await?;
            for _ in 0..self.each {
                let (client, window, act) = (client.clone(), Arc::clone(&window), act.clone());
                callers.spawn(call(client, window, act));
            }
        }
        let (took, processor_time) = window.pass(errand).await?;
        let server_memory = resident_memory(errand.server)?;
        let mut calls = 0;
        while let Some(called) = callers.join_next().await {
            calls += called??;
        }
        ensure!(calls > 0, "no call ended in {took:?}");
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
