//! `farref ping`: how long a daemon takes to answer, and how far its clock is.

use std::time::Instant;

use farref::daemon_object::clock_offset;
use serde_json::json;

use crate::arguments::{Arguments, Ping};
use crate::client;
use crate::failure::Failure;
use crate::output::{BOLD, DIM, NAME, Output, micros, paint};
use crate::plot::Latencies;

pub(crate) async fn run(
    arguments: &Arguments,
    ping: &Ping,
    output: &Output,
) -> Result<(), Failure> {
    let client = client::client(arguments)?;
    let begun = Instant::now();
    let (daemon, place) = client::daemon(&client, &ping.target.0).await?;
    let connected = begun.elapsed();
    let info = daemon.info().await?;
    let mut latencies = Latencies::new();
    for number in 0..ping.count {
        if number > 0 {
            tokio::time::sleep(ping.interval).await;
        }
        let begun = Instant::now();
        daemon.ping().await?;
        latencies.record(begun.elapsed());
    }
    let offset = clock_offset(&daemon).await?;
    let connected = connected.as_secs_f64() * 1e6;
    if output.is_json() {
        return output.value(&json!({
            "uri": place,
            "name": info.name,
            "version": info.version,
            "connect_micros": connected,
            "count": latencies.count(),
            "latency_micros": latencies.json(),
            "clock_offset_micros": offset.micros,
            "clock_error_micros": offset.error.as_secs_f64() * 1e6,
        }));
    }
    output.line(format!(
        "{} {} {}",
        paint(BOLD, &info.name),
        paint(DIM, format!("farref {} at", info.version)),
        paint(NAME, place.to_string())
    ))?;
    output.line(format!("connected in {}", micros(connected)))?;
    output.line(latencies.summary())?;
    for row in latencies.picture() {
        output.line(row)?;
    }
    let (way, by) = match offset.micros {
        micros if micros < 0 => ("behind", micros.unsigned_abs()),
        micros => ("ahead of", micros.unsigned_abs()),
    };
    output.line(format!(
        "its clock is {} {way} this one, give or take {}",
        micros(by as f64),
        micros(offset.error.as_secs_f64() * 1e6)
    ))
}
