//! farref, as an application uses it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use farref::prelude::*;
use farref::{Batch, Limits};
use futures_util::Stream;

use super::runtime::Threads;
use super::{BEAT, Client as PeerClient, Peer, pause, spin};
use crate::record::Record;

/// What is called.
#[expose]
pub(crate) trait Meter {
    fn add(&self, a: u32, b: u32) -> u32;

    fn echo_bytes(&self, bytes: Bytes) -> Bytes;

    fn echo_vec(&self, bytes: Vec<u8>) -> Vec<u8>;

    fn echo_record(&self, record: Record) -> Record;

    /// Works for a millisecond, in a task of its own.
    #[expose(spawn)]
    fn spin(&self);

    /// Works for a millisecond where it stands.
    fn spin_unmarked(&self);

    async fn wait(&self);

    #[oneway]
    fn note(&self, number: u32);

    fn noted(&self) -> u64;

    /// Another object like this one.
    fn another(&self) -> MeterProxy;

    /// The numbers below this one.
    fn count(&self, items: u64) -> impl Stream<Item = u64>;
}

/// Does what is asked of it.
#[derive(Debug, Default)]
struct Ruler {
    noted: AtomicU64,
}

impl Meter for Ruler {
    fn add(&self, a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    fn echo_bytes(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    fn echo_vec(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn echo_record(&self, record: Record) -> Record {
        record
    }

    fn spin(&self) {
        spin();
    }

    fn spin_unmarked(&self) {
        spin();
    }

    async fn wait(&self) {
        pause().await;
    }

    fn note(&self, _number: u32) {
        self.noted.fetch_add(1, Ordering::Relaxed);
    }

    fn noted(&self) -> u64 {
        self.noted.load(Ordering::Relaxed)
    }

    fn another(&self) -> MeterProxy {
        MeterProxy::new(Ruler::default())
    }

    fn count(&self, items: u64) -> impl Stream<Item = u64> {
        futures_util::stream::iter(0..items)
    }
}

/// farref on so many [`Threads`], which poll sockets before they sleep or do not.
#[derive(Debug)]
pub(crate) struct Farref<const THREADS: u8, const POLLS: bool = true>;

/// As many connections as the workloads open.
const MAX_CONNECTIONS: usize = 20_000;

impl<const THREADS: u8, const POLLS: bool> Peer for Farref<THREADS, POLLS> {
    type Client = FarrefClient;
    const THREADS: Threads = if THREADS == Threads::One as u8 {
        Threads::One
    } else {
        Threads::Two
    };

    async fn serve(announce: impl FnOnce(&str) + Send) -> Result<()> {
        let mut daemon = Daemon::builder();
        if !POLLS {
            daemon = daemon.busy_poll(Duration::ZERO);
        }
        let daemon = daemon
            .listen("far://127.0.0.1:0")
            .max_connections(MAX_CONNECTIONS)
            .max_handshakes(MAX_CONNECTIONS)
            .bind()
            .await?;
        let uri = daemon.register("meter", MeterProxy::new(Ruler::default()))?;
        announce(&uri.to_string());
        daemon.serve().await;
        Ok(())
    }

    async fn connect(address: &str) -> Result<FarrefClient> {
        connect::<POLLS>(address, Limits::default()).await
    }

    async fn connect_idle(address: &str) -> Result<FarrefClient> {
        let mut limits = Limits::default();
        limits.beat_interval = BEAT;
        // The server beats as often as its peer wants to hear of it.
        limits.peer_timeout = BEAT * 4;
        connect::<POLLS>(address, limits).await
    }
}

async fn connect<const POLLS: bool>(address: &str, limits: Limits) -> Result<FarrefClient> {
    let mut client = Client::builder().limits(limits);
    if !POLLS {
        client = client.busy_poll(Duration::ZERO);
    }
    // Proxies of one client to one daemon share a connection, so each connection is a client of its own.
    Ok(FarrefClient(client.build().connect(address).await?))
}

/// A connection of farref.
#[derive(Clone, Debug)]
pub(crate) struct FarrefClient(MeterProxy);

impl PeerClient for FarrefClient {
    async fn add(&self, a: u32, b: u32) -> Result<u32> {
        Ok(self.0.add(a, b).await?)
    }

    async fn echo_bytes(&self, bytes: Bytes) -> Result<Bytes> {
        Ok(self.0.echo_bytes(bytes).await?)
    }

    async fn echo_vec(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(self.0.echo_vec(bytes).await?)
    }

    async fn echo_record(&self, record: Record) -> Result<Record> {
        Ok(self.0.echo_record(record).await?)
    }

    async fn spin(&self, marked: bool) -> Result<()> {
        if marked {
            self.0.spin().await?;
        } else {
            self.0.spin_unmarked().await?;
        }
        Ok(())
    }

    async fn wait(&self) -> Result<()> {
        Ok(self.0.wait().await?)
    }

    async fn note(&self, number: u32) -> Result<()> {
        Ok(self.0.note(number).await?)
    }

    async fn noted(&self) -> Result<u64> {
        Ok(self.0.noted().await?)
    }

    async fn add_in_batch(&self, calls: u32) -> Result<Vec<u32>> {
        let mut batch = Batch::new();
        let sums: Vec<_> = (0..calls)
            .map(|number| batch.add(self.0.add(number, 1)))
            .collect();
        batch.send().await?;
        let sums: farref::Result<_> = sums.into_iter().map(|sum| sum.take()).collect();
        Ok(sums?)
    }

    async fn add_at_the_end_of_a_chain(&self, a: u32, b: u32) -> Result<u32> {
        let last = self.0.another().pipeline().another().pipeline();
        Ok(last.add(a, b).await?)
    }

    async fn count(&self, items: u64) -> Result<u64> {
        let mut numbers = self.0.count(items);
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number?;
        }
        Ok(sum)
    }
}

/// An object to call.
pub(crate) fn ruler() -> impl Meter {
    Ruler::default()
}

/// A client whose object is in this process.
pub(crate) fn near() -> FarrefClient {
    FarrefClient(MeterProxy::new(Ruler::default()))
}
