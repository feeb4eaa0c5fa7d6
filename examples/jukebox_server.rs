//! Serves a jukebox to whoever calls.
//!
//! ```console
//! $ cargo run --example jukebox_server                          # on a free port, until ctrl-c
//! $ cargo run --example jukebox_server far://127.0.0.1:9999     # on this port
//! $ cargo run --example jukebox_server far://127.0.0.1:0 60     # for at most 60 seconds
//! $ cargo run --example jukebox_server farname:jukebox          # on a free port, under this name at the name server
//! ```
//!
//! It prints the jukebox's URI, which `jukebox_client` and `dynamic` take as their argument. When it is asked to stop,
//! calls that it accepted still end.

use std::time::Duration;

use anyhow::Context;
use farref::names;
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

    let listen: Uri = listen.parse()?;
    let name = listen.name();
    let address = match name {
        Some(_) => "far://127.0.0.1:0".parse()?,
        None => listen.clone(),
    };
    let daemon = Daemon::bind(address).await?;
    let uri = daemon.register("jukebox", JukeboxProxy::new(Machine::new()))?;
    let announced = match name {
        Some(name) => Some(names::announce(name, &uri).start().await?),
        None => None,
    };
    println!("{uri}");

    let limit = seconds
        .transpose()?
        .map_or(Duration::MAX, Duration::from_secs);
    // Whether the time is over or somebody asked to stop makes no difference.
    let _ = tokio::time::timeout(limit, farref::shutdown_signal()).await;
    if let Some(announced) = announced {
        announced.withdraw().await;
    }
    daemon.shutdown(Shutdown::default()).await;
    println!("stopped");
    Ok(())
}
