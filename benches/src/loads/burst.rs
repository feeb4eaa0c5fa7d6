//! A thousand calls at once, by one task that waits for all of them.

use std::time::Instant;

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::peers::{Client, Errand, Peer};

const CALLS: u32 = 1000;

/// Calls per second.
pub(super) async fn run<P: Peer>(errand: &Errand) -> Result<f64> {
    let client = P::connect(&errand.address).await?;
    let (warm_up, measure) = (errand.warm_up, errand.measure);
    let caller = tokio::spawn(async move {
        let warm = Instant::now();
        while warm.elapsed() < warm_up {
            call_all(&client).await?;
        }
        let mut bursts = 0;
        let begun = Instant::now();
        while begun.elapsed() < measure {
            call_all(&client).await?;
            bursts += 1;
        }
        Ok(f64::from(bursts * CALLS) / begun.elapsed().as_secs_f64())
    });
    caller.await?
}

async fn call_all(client: &impl Client) -> Result<()> {
    let sums = try_join_all((0..CALLS).map(|number| client.add(number, 1))).await?;
    anyhow::ensure!(
        sums.iter().copied().eq(1..=CALLS),
        "answers came to the wrong calls"
    );
    Ok(())
}
