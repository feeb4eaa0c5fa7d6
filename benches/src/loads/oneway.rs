//! Calls without answers.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::peers::{Client, Errand, Peer};

/// How many are sent between looks at the clock.
const BATCH: u32 = 4096;

/// Calls per second, from the first until the server has seen all of them.
pub(super) async fn run<P: Peer>(errand: &Errand) -> Result<f64> {
    let client = P::connect(&errand.address).await?;
    let errand_window = errand.warm_up + errand.measure;
    let (warm_up, measure) = (errand.warm_up, errand.measure);
    let caller = tokio::spawn(async move {
        let mut sent = 0;
        let warm = Instant::now();
        while warm.elapsed() < warm_up {
            sent += send(&client).await?;
        }
        await_all(&client, sent).await?;
        let before = sent;
        let begun = Instant::now();
        while begun.elapsed() < measure {
            sent += send(&client).await?;
        }
        await_all(&client, sent).await?;
        let took = begun.elapsed();
        ensure!(took < errand_window * 20, "the server lags behind");
        Ok((sent - before) as f64 / took.as_secs_f64())
    });
    caller.await?
}

async fn send(client: &impl Client) -> Result<u64> {
    for number in 0..BATCH {
        client.note(number).await?;
    }
    Ok(u64::from(BATCH))
}

/// Waits until the server has seen this many.
async fn await_all(client: &impl Client, sent: u64) -> Result<()> {
    loop {
        let noted = client.noted().await?;
        ensure!(noted <= sent, "{noted} calls were seen, {sent} were made");
        if noted == sent {
            return Ok(());
        }
    }
}
