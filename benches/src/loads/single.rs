//! One call at a time.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use super::acts::Act;
use super::callers::{Phase, Window};
use crate::peers::{Errand, Peer};
use crate::statistics::percentile;

/// The median and the 99th percentile of how long a call takes, in microseconds.
pub(super) async fn run<P, A>(errand: &Errand, mut act: A) -> Result<[f64; 2]>
where
    P: Peer,
    A: Act<P::Client>,
{
    let client = P::connect(&errand.address).await?;
    let window = Arc::new(Window::default());
    let seen = Arc::clone(&window);
    let caller = tokio::spawn(async move {
        let mut times = Vec::with_capacity(1 << 20);
        loop {
            let begun = Instant::now();
            act.act(&client).await?;
            let took = begun.elapsed();
            match seen.phase() {
                Phase::WarmingUp => {}
                Phase::Counting => times.push(took.as_nanos() as u64),
                Phase::Over => return anyhow::Ok(times),
            }
        }
    });
    window.pass(errand).await?;
    percentiles(caller.await??)
}

/// The median and the 99th percentile of times in nanoseconds, in microseconds.
pub(super) fn percentiles(mut nanoseconds: Vec<u64>) -> Result<[f64; 2]> {
    nanoseconds.sort_unstable();
    let microseconds = |part| {
        percentile(&nanoseconds, part)
            .map(|time| time as f64 / 1e3)
            .context("no call ended")
    };
    Ok([microseconds(0.5)?, microseconds(0.99)?])
}
