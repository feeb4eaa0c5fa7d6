//! `farref bench`: calls a method as often as possible and shows how long that takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use farref::{CallError, DynProxy, MethodKind};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::arguments::{Arguments, Bench};
use crate::client;
use crate::commands::describe;
use crate::failure::{Exit, Failure};
use crate::output::{BOLD, Output, grouped, paint};
use crate::plot::{Latencies, sparkline};
use crate::values;

/// How often the progress is drawn, and the line of rates gets a block.
const TICKS: u32 = 50;

/// What all callers share.
#[derive(Debug)]
struct Load {
    method: String,
    arguments: Value,
    end: Instant,
    /// How many calls may still be begun.
    left: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
}

/// What one caller has seen.
#[derive(Debug)]
struct Seen {
    latencies: Latencies,
    /// The first call that failed.
    failure: Option<CallError<Value>>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    bench: &Bench,
    output: &Output,
) -> Result<(), Failure> {
    let mut objects = Vec::new();
    for _ in 0..bench.connections {
        // A client has one session to each daemon, so each connection has a client of its own.
        let client = client::client(arguments)?;
        objects.push(client.dynamic(&bench.target.0).await?);
    }
    let given = match objects.first() {
        Some(object) => {
            let method = describe::method(object, &bench.method)?;
            if method.kind == MethodKind::Stream {
                return Err(Failure::usage(format!(
                    "`{}` returns a stream, and what is measured here are calls",
                    method.name
                )));
            }
            values::arguments(method, &bench.arguments)?
        }
        None => Value::Null,
    };
    if let Some(object) = objects.first() {
        // What cannot work at all is said before anything is measured.
        match object.call(&bench.method, given.clone()).await {
            Err(CallError::Fault(fault)) => return Err(fault.into()),
            Ok(_) | Err(CallError::App(_)) => {}
        }
    }
    let begun = Instant::now();
    let load = Arc::new(Load {
        method: bench.method.clone(),
        arguments: given,
        end: begun + bench.duration,
        left: AtomicU64::new(bench.count.unwrap_or(u64::MAX)),
        done: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    let mut callers = JoinSet::new();
    for (_, object) in (0..bench.concurrency).zip(objects.iter().cycle()) {
        callers.spawn(call(object.clone(), Arc::clone(&load)));
    }
    let (seen, rates) = watch(callers, &load, bench, output).await;
    let elapsed = begun.elapsed().as_secs_f64();
    let (done, failed) = (
        load.done.load(Ordering::Relaxed),
        load.failed.load(Ordering::Relaxed),
    );
    if let (0, Some(CallError::Fault(fault))) = (done, &seen.failure) {
        return Err(fault.clone().into());
    }
    let rate = done as f64 / elapsed;
    if output.is_json() {
        output.value(&json!({
            "method": bench.method,
            "concurrency": bench.concurrency,
            "connections": bench.connections,
            "seconds": elapsed,
            "calls": done,
            "failed": failed,
            "calls_per_second": rate,
            "latency_micros": seen.latencies.json(),
        }))?;
    } else {
        output.line(format!(
            "{} calls in {elapsed:.2} s: {}",
            grouped(done),
            paint(BOLD, format!("{} calls/s", grouped(rate as u64)))
        ))?;
        if rates.len() > 2 {
            output.line(format!("rate  {}", sparkline(&rates)))?;
        }
        if done > 0 {
            output.line(seen.latencies.summary())?;
            for row in seen.latencies.picture() {
                output.line(row)?;
            }
        }
    }
    match seen.failure {
        Some(error) if failed > 0 => Err(Failure::new(
            Exit::Failed,
            "calls-failed",
            format!(
                "{} calls failed, the first with: {}",
                grouped(failed),
                said(&error)
            ),
        )),
        _ => Ok(()),
    }
}

fn said(error: &CallError<Value>) -> String {
    match error {
        CallError::App(value) => value.to_string(),
        CallError::Fault(fault) => fault.message().to_owned(),
    }
}

/// Calls until the time is over, or enough calls were made.
async fn call(object: DynProxy, load: Arc<Load>) -> Seen {
    let mut seen = Seen {
        latencies: Latencies::new(),
        failure: None,
    };
    let take = |left: u64| left.checked_sub(1);
    while load
        .left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
    {
        let begun = Instant::now();
        if begun >= load.end {
            break;
        }
        let called = object.call(&load.method, load.arguments.clone()).await;
        match called {
            Ok(_) => {
                seen.latencies.record(begun.elapsed());
                load.done.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                load.failed.fetch_add(1, Ordering::Relaxed);
                let is_fault = matches!(error, CallError::Fault(_));
                seen.failure.get_or_insert(error);
                if is_fault {
                    // Whatever it is, calling on would only repeat it.
                    break;
                }
            }
        }
    }
    seen
}

/// Draws the progress until all callers have ended; returns what they have seen, and how many calls each tick had.
async fn watch(
    mut callers: JoinSet<Seen>,
    load: &Load,
    bench: &Bench,
    output: &Output,
) -> (Seen, Vec<u64>) {
    let bar = progress(bench, output);
    let mut seen = Seen {
        latencies: Latencies::new(),
        failure: None,
    };
    let mut rates = Vec::new();
    let mut before = 0;
    let tick = (bench.duration / TICKS).max(Duration::from_millis(20));
    let mut ticks = tokio::time::interval(tick);
    ticks.tick().await;
    loop {
        tokio::select! {
            ended = callers.join_next() => match ended {
                Some(Ok(caller)) => {
                    seen.latencies.add(&caller.latencies);
                    seen.failure = seen.failure.or(caller.failure);
                }
                // A caller that panicked is not counted.
                Some(Err(_)) => {}
                None => break,
            },
            _ = ticks.tick() => {
                let done = load.done.load(Ordering::Relaxed);
                rates.push(done - before);
                bar.set_message(format!(
                    "{} calls/s",
                    grouped(((done - before) as f64 / tick.as_secs_f64()) as u64)
                ));
                before = done;
                match bench.count {
                    Some(_) => bar.set_position(done),
                    None => bar.inc(1),
                }
            }
        }
    }
    bar.finish_and_clear();
    (seen, rates)
}

/// A bar on a terminal, and nothing anywhere else.
fn progress(bench: &Bench, output: &Output) -> ProgressBar {
    let target = match output.is_json() {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    };
    let length = bench.count.unwrap_or_else(|| TICKS.into());
    let bar = ProgressBar::with_draw_target(Some(length), target);
    match ProgressStyle::with_template("{elapsed:>4} {bar:40.green} {msg}") {
        Ok(style) => bar.with_style(style.progress_chars("█▉▊▋▌▍▎▏ ")),
        // The default looks otherwise and says the same.
        Err(_) => bar,
    }
}
