//! Stands for a peer that this build has no means to build.

use anyhow::{Result, bail};

use super::Peer;
use super::runtime::Threads;

/// Neither serves nor connects.
#[derive(Debug)]
pub(crate) struct Capnp;

impl Peer for Capnp {
    type Client = super::raw::RawClient;
    const THREADS: Threads = Threads::OneWithItsOwnTasks;

    async fn serve(_announce: impl FnOnce(&str) + Send) -> Result<()> {
        bail!("this build has no such peer")
    }

    async fn connect(_address: &str) -> Result<Self::Client> {
        bail!("this build has no such peer")
    }
}
