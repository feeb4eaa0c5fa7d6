//! A client and a server that talk in memory, on one thread.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::Result;
use farref::Limits;
use farref::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::peers::{MeterProxy, ruler};

/// Where the server listens.
const ADDRESS: &str = "far+mem:instructions";
/// Callers of the kind with many.
const MANY: u64 = 64;
/// How many oneway calls are made before the server is asked whether it saw them.
const BATCH: u64 = 64;
/// How many calls are made in a batch.
const BATCHED: u64 = 800;
/// How often tasks that are ready are run in a turn: tasks that wake each other need more than once.
const ROUNDS_OF_A_TURN: usize = 4;

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Nothing: turns are taken and passed.
    Nothing,
    /// One call at a time.
    Single,
    /// Calls of many callers.
    Many,
    /// Calls without answers.
    Oneway,
    /// The items of a stream.
    Stream,
    /// Calls of a batch.
    Batch,
}

/// Where the two stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// In one runtime.
    Shared,
    /// Each in its own, taking turns.
    InTurns,
}

/// What a process under callgrind does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Conversation {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    pub(super) calls: u64,
    /// Whether the session would outlive its connection, so that both sides keep what they send.
    pub(super) resumes: bool,
}

impl Conversation {
    /// Holds it, and prints how many turns it took.
    pub(crate) fn hold(self) -> Result<()> {
        let turns = match self.stage {
            Stage::Shared => {
                self.hold_in_one_runtime()?;
                0
            }
            Stage::InTurns => self.hold_in_turns()?,
        };
        println!("{turns}");
        Ok(())
    }

    /// Holds it as fast as it goes, and returns how many calls were made in a second.
    pub(super) fn rate(self) -> Result<f64> {
        let began = Instant::now();
        self.hold_in_one_runtime()?;
        Ok(self.calls as f64 / began.elapsed().as_secs_f64())
    }

    fn hold_in_one_runtime(self) -> Result<()> {
        let runtime = runtime()?;
        runtime.block_on(async {
            let daemon = self.bind().await?;
            let meter = self.connect().await?;
            let mut callers = self.callers(&meter);
            while let Some(called) = callers.join_next().await {
                called??;
            }
            drop(daemon);
            Ok(())
        })
    }

    fn linger(self) -> Duration {
        match self.resumes {
            true => Limits::default().linger,
            false => Duration::ZERO,
        }
    }

    async fn bind(self) -> Result<Daemon> {
        let daemon = Daemon::builder().linger(self.linger()).listen(ADDRESS);
        let daemon = daemon.bind().await?;
        daemon.register("meter", MeterProxy::new(ruler()))?;
        Ok(daemon)
    }

    async fn connect(self) -> Result<MeterProxy> {
        let client = Client::builder().linger(self.linger()).build();
        Ok(client.connect(format!("{ADDRESS}#meter").as_str()).await?)
    }

    fn hold_in_turns(self) -> Result<u64> {
        let (client, server) = (runtime()?, runtime()?);
        let daemon = server.block_on(self.bind())?;
        let connecting = client.spawn(self.connect());
        let mut turns = 0;
        let mut take_turns = |ended: &dyn Fn() -> bool| {
            while !ended() {
                client_turn(&client);
                server_turn(&server);
                turns += 1;
            }
        };
        take_turns(&|| connecting.is_finished());
        let meter = client.block_on(connecting)??;
        if self.kind == Kind::Nothing {
            let taken = Cell::new(0);
            take_turns(&|| taken.replace(taken.get() + 1) == self.calls);
            return Ok(turns);
        }
        let callers = {
            let _entered = client.enter();
            self.callers(&meter)
        };
        let ended = client.spawn(async move {
            let mut callers = callers;
            while let Some(called) = callers.join_next().await {
                called??;
            }
            anyhow::Ok(())
        });
        take_turns(&|| ended.is_finished());
        client.block_on(ended)??;
        drop(daemon);
        Ok(turns)
    }

    /// Starts the callers.
    fn callers(self, meter: &MeterProxy) -> JoinSet<Result<()>> {
        let mut callers = JoinSet::new();
        match self.kind {
            Kind::Nothing => {}
            Kind::Single => {
                callers.spawn(call(meter.clone(), self.calls));
            }
            Kind::Many => {
                for _ in 0..MANY {
                    callers.spawn(call(meter.clone(), self.calls / MANY));
                }
            }
            Kind::Oneway => {
                callers.spawn(note(meter.clone(), self.calls));
            }
            Kind::Stream => {
                callers.spawn(count(meter.clone(), self.calls));
            }
            Kind::Batch => {
                callers.spawn(add_in_batches(meter.clone(), self.calls));
            }
        }
        callers
    }
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn call(meter: MeterProxy, calls: u64) -> Result<()> {
    for _ in 0..calls {
        meter.add(40_000, 2).await?;
    }
    Ok(())
}

async fn note(meter: MeterProxy, calls: u64) -> Result<()> {
    for batch in 1..=calls / BATCH {
        for number in 0..BATCH {
            meter.note(number as u32).await?;
        }
        while meter.noted().await? < batch * BATCH {}
    }
    Ok(())
}

async fn count(meter: MeterProxy, items: u64) -> Result<()> {
    let mut numbers = meter.count(items);
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number?;
    }
    anyhow::ensure!(sum == items * (items - 1) / 2, "the items make {sum}");
    Ok(())
}

async fn add_in_batches(meter: MeterProxy, calls: u64) -> Result<()> {
    for _ in 0..calls / BATCHED {
        let mut batch = Batch::new();
        let sums: Vec<_> = (0..BATCHED)
            .map(|number| batch.add(meter.add(number as u32, 1)))
            .collect();
        batch.send().await?;
        for (sum, number) in sums.into_iter().zip(1..) {
            anyhow::ensure!(sum.take()? == number, "an answer came to the wrong call");
        }
    }
    Ok(())
}

/// Lets the client do what it can without the server.
#[inline(never)]
fn client_turn(runtime: &Runtime) {
    run_ready_tasks(runtime);
}

/// Lets the server do what it can without the client.
#[inline(never)]
fn server_turn(runtime: &Runtime) {
    run_ready_tasks(runtime);
    // So that this is not the same function as the other's.
    std::hint::black_box(runtime);
}

fn run_ready_tasks(runtime: &Runtime) {
    let mut rounds = 0;
    runtime.block_on(poll_fn(|cx| {
        rounds += 1;
        if rounds > ROUNDS_OF_A_TURN {
            return Poll::Ready(());
        }
        // The runtime runs all tasks that are ready before it polls this again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
}
