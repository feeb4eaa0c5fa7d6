//! What a caller does, over and over.

use std::future::Future;

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::peers::{Client, expect_length};
use crate::record::Record;

/// One call, or what counts as one.
pub(super) trait Act<C>: Clone + Send + 'static {
    fn act(&mut self, client: &C) -> impl Future<Output = Result<()>> + Send;
}

/// The small call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Add;

impl<C: Client> Act<C> for Add {
    async fn act(&mut self, client: &C) -> Result<()> {
        let sum = client.add(40_000, 2).await?;
        anyhow::ensure!(sum == 40_002, "40 000 + 2 = {sum}");
        Ok(())
    }
}

/// How many calls are made at once, or together.
pub(super) const AT_ONCE: u32 = 1000;

fn expect_sums(sums: &[u32]) -> Result<()> {
    anyhow::ensure!(
        sums.iter().copied().eq(1..=AT_ONCE),
        "answers came to the wrong calls"
    );
    Ok(())
}

/// Small calls that are made at once, by one task that waits for all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddAll;

impl<C: Client> Act<C> for AddAll {
    async fn act(&mut self, client: &C) -> Result<()> {
        expect_sums(&try_join_all((0..AT_ONCE).map(|number| client.add(number, 1))).await?)
    }
}

/// The same as a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddBatch;

impl<C: Client> Act<C> for AddBatch {
    async fn act(&mut self, client: &C) -> Result<()> {
        expect_sums(&client.add_in_batch(AT_ONCE).await?)
    }
}

/// A call on what a call returns on what a call returns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain;

impl<C: Client> Act<C> for Chain {
    async fn act(&mut self, client: &C) -> Result<()> {
        let sum = client.add_at_the_end_of_a_chain(40_000, 2).await?;
        anyhow::ensure!(sum == 40_002, "40 000 + 2 = {sum}");
        Ok(())
    }
}

/// How many items a stream has.
pub(super) const ITEMS: u64 = 20_000;

/// A stream, from its call to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count;

impl<C: Client> Act<C> for Count {
    async fn act(&mut self, client: &C) -> Result<()> {
        let sum = client.count(ITEMS).await?;
        anyhow::ensure!(sum == ITEMS * (ITEMS - 1) / 2, "the items make {sum}");
        Ok(())
    }
}

/// Bytes there and back, without ownership of either side.
#[derive(Clone, Debug)]
pub(super) struct EchoBytes(pub(super) Bytes);

impl<C: Client> Act<C> for EchoBytes {
    async fn act(&mut self, client: &C) -> Result<()> {
        let back = client.echo_bytes(self.0.clone()).await?;
        expect_length(back.len(), self.0.len())
    }
}

/// Bytes there and back; what comes back is sent the next time, so that nobody copies to have something to send.
#[derive(Clone, Debug)]
pub(super) struct EchoVec(pub(super) Vec<u8>);

impl<C: Client> Act<C> for EchoVec {
    async fn act(&mut self, client: &C) -> Result<()> {
        let length = self.0.len();
        self.0 = client.echo_vec(std::mem::take(&mut self.0)).await?;
        expect_length(self.0.len(), length)
    }
}

/// A record there and back, and there again.
#[derive(Clone, Debug)]
pub(super) struct EchoRecord(Option<Record>);

impl Default for EchoRecord {
    fn default() -> Self {
        EchoRecord(Some(Record::sample()))
    }
}

impl<C: Client> Act<C> for EchoRecord {
    async fn act(&mut self, client: &C) -> Result<()> {
        let record = self.0.take().unwrap_or_else(Record::sample);
        let (number, tags) = (record.number, record.tags.len());
        let back = client.echo_record(record).await?;
        anyhow::ensure!(
            back.number == number && back.tags.len() == tags,
            "another record came back"
        );
        self.0 = Some(back);
        Ok(())
    }
}
