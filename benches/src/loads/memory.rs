//! What an idle connection takes of the server's memory.

use anyhow::Result;

use crate::peers::{BEAT, Client, Errand, Peer};
use crate::process::resident_memory;

/// Connections before the first look, so that what is made once is there.
const FIRST: usize = 20;
/// Connections between the looks.
const MORE: usize = 500;

/// Bytes for each connection, after one call and, where connections show that they live, a beat.
pub(super) async fn run<P: Peer>(errand: &Errand) -> Result<f64> {
    let mut clients = Vec::with_capacity(FIRST + MORE);
    open::<P>(&mut clients, FIRST, errand).await?;
    let before = resident_memory(errand.server)?;
    open::<P>(&mut clients, MORE, errand).await?;
    let after = resident_memory(errand.server)?;
    Ok(after.saturating_sub(before) as f64 / MORE as f64)
}

async fn open<P: Peer>(clients: &mut Vec<P::Client>, count: usize, errand: &Errand) -> Result<()> {
    for _ in 0..count {
        let client = P::connect_idle(&errand.address).await?;
        client.add(1, 2).await?;
        clients.push(client);
    }
    tokio::time::sleep(BEAT * 2).await;
    Ok(())
}
