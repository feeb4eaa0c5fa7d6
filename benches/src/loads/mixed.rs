//! Fast calls among slow ones: one handler in a hundred works for a millisecond, one in ten waits as long.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;

use super::callers::{Phase, Window};
use super::single::percentiles;
use crate::figures::Measured;
use crate::peers::{Client, Errand, Peer};

const CALLERS: usize = 64;

/// How long the fast calls took, with the slow method marked and, where that is something else, unmarked.
pub(super) async fn run<P: Peer>(errand: &Errand) -> Result<Measured> {
    let mut measured = Measured::new();
    let [p50, p99] = mix::<P>(errand, true).await?;
    measured.insert("M".into(), p99);
    measured.insert("M.p50".into(), p50);
    if errand.peer.marks() {
        let [p50, p99] = mix::<P>(errand, false).await?;
        measured.insert("M.unmarked".into(), p99);
        measured.insert("M.unmarked.p50".into(), p50);
    }
    Ok(measured)
}

async fn mix<P: Peer>(errand: &Errand, marked: bool) -> Result<[f64; 2]> {
    let client = P::connect(&errand.address).await?;
    let window = Arc::new(Window::default());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call(client.clone(), Arc::clone(&window), caller, marked));
    }
    window.pass(errand).await?;
    let mut times = Vec::new();
    while let Some(called) = callers.join_next().await {
        times.extend(called??);
    }
    percentiles(times)
}

/// Calls in turn, each caller at another place of the same sequence, and returns how long fast calls took.
async fn call(
    client: impl Client,
    window: Arc<Window>,
    caller: usize,
    marked: bool,
) -> Result<Vec<u64>> {
    let mut times = Vec::new();
    for turn in caller * 37.. {
        match turn % 100 {
            0 => client.spin(marked).await?,
            other if other % 10 == 5 => client.wait().await?,
            _ => {
                let begun = Instant::now();
                client.add(1, 2).await?;
                let took = begun.elapsed();
                if window.phase() == Phase::Counting {
                    times.push(took.as_nanos() as u64);
                }
            }
        }
        if window.phase() == Phase::Over {
            break;
        }
    }
    Ok(times)
}
