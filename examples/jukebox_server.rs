//! Serves a jukebox to whoever calls.
//!
//! ```console
//! $ cargo run --example jukebox_server                          # on a free port, until ctrl-c
//! $ cargo run --example jukebox_server far://127.0.0.1:9999     # on this port
//! $ cargo run --example jukebox_server far://127.0.0.1:0 60     # for at most 60 seconds
//! ```
//!
//! It prints the jukebox's URI, which `jukebox_client` and `dynamic` take as their argument. When it is asked to stop,
//! calls that it accepted still end.

use std::time::Duration;

use anyhow::Context;
use farref::prelude::*;
use farref_examples::jukebox::JukeboxProxy;
use farref_examples::jukebox::machine::Machine;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments
        .next()
        .unwrap_or_else(|| "far://127.0.0.1:0".to_owned());
    let seconds = arguments.next().map(|text| {
        text.parse()
            .context("the second argument is a number of seconds")
    });

    let daemon = Daemon::bind(listen.as_str()).await?;
    let uri = daemon.register("jukebox", JukeboxProxy::new(Machine::new()))?;
    println!("{uri}");

    let limit = seconds
        .transpose()?
        .map_or(Duration::MAX, Duration::from_secs);
    daemon
        .run_until(tokio::time::timeout(limit, farref::shutdown_signal()))
        .await?;
    println!("stopped");
    Ok(())
}
