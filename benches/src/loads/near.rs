//! Calls within one process.

use std::time::Instant;

use anyhow::Result;

use crate::peers::{Client, Errand, near_farref};

/// How many are made between looks at the clock.
const BATCH: u32 = 1000;

/// Nanoseconds for a near call of farref.
pub(super) async fn run(errand: &Errand) -> Result<f64> {
    let client = near_farref();
    let (warm_up, measure) = (errand.warm_up, errand.measure);
    let caller = tokio::spawn(async move {
        let warm = Instant::now();
        while warm.elapsed() < warm_up {
            call(&client).await?;
        }
        let mut calls = 0;
        let begun = Instant::now();
        while begun.elapsed() < measure {
            call(&client).await?;
            calls += BATCH;
        }
        Ok(begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls))
    });
    caller.await?
}

async fn call(client: &impl Client) -> Result<()> {
    for number in 0..BATCH {
        std::hint::black_box(client.add(std::hint::black_box(number), 2).await?);
    }
    Ok(())
}
