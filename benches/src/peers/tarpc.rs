//! tarpc over TCP with bincode. Its servers run each request in a task, as its documentation does.

use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt;
use tarpc::context::{self, Context};
use tarpc::serde_transport::tcp;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;

use super::{Client as PeerClient, Peer, pause, spin};
use crate::record::Record;

#[tarpc::service]
trait Meter {
    async fn add(a: u32, b: u32) -> u32;
    async fn echo_bytes(bytes: Bytes) -> Bytes;
    async fn echo_vec(bytes: Vec<u8>) -> Vec<u8>;
    async fn echo_record(record: Record) -> Record;
    async fn spin();
    async fn wait();
}

#[derive(Clone)]
struct Ruler;

impl Meter for Ruler {
    async fn add(self, _: Context, a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    async fn echo_bytes(self, _: Context, bytes: Bytes) -> Bytes {
        bytes
    }

    async fn echo_vec(self, _: Context, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    async fn echo_record(self, _: Context, record: Record) -> Record {
        record
    }

    async fn spin(self, _: Context) {
        spin();
    }

    async fn wait(self, _: Context) {
        pause().await;
    }
}

/// tarpc.
#[derive(Debug)]
pub(crate) struct Tarpc;

impl Peer for Tarpc {
    type Client = TarpcClient;

    async fn serve(announce: impl FnOnce(&str) + Send) -> Result<()> {
        let mut incoming = tcp::listen("127.0.0.1:0", Bincode::default).await?;
        announce(&incoming.local_addr().to_string());
        while let Some(transport) = incoming.next().await {
            let transport = transport?;
            transport.get_ref().set_nodelay(true)?;
            let requests = BaseChannel::with_defaults(transport).execute(Ruler.serve());
            tokio::spawn(requests.for_each(async |response| {
                tokio::spawn(response);
            }));
        }
        Ok(())
    }

    async fn connect(address: &str) -> Result<TarpcClient> {
        let transport = tcp::connect(address, Bincode::default).await?;
        transport.get_ref().set_nodelay(true)?;
        Ok(TarpcClient(
            MeterClient::new(tarpc::client::Config::default(), transport).spawn(),
        ))
    }
}

/// A connection of tarpc.
#[derive(Clone, Debug)]
pub(crate) struct TarpcClient(MeterClient);

impl PeerClient for TarpcClient {
    async fn add(&self, a: u32, b: u32) -> Result<u32> {
        Ok(self.0.add(context::current(), a, b).await?)
    }

    async fn echo_bytes(&self, bytes: Bytes) -> Result<Bytes> {
        Ok(self.0.echo_bytes(context::current(), bytes).await?)
    }

    async fn echo_vec(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(self.0.echo_vec(context::current(), bytes).await?)
    }

    async fn echo_record(&self, record: Record) -> Result<Record> {
        Ok(self.0.echo_record(context::current(), record).await?)
    }

    async fn spin(&self, _marked: bool) -> Result<()> {
        Ok(self.0.spin(context::current()).await?)
    }

    async fn wait(&self) -> Result<()> {
        Ok(self.0.wait(context::current()).await?)
    }
}
