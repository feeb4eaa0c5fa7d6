//! remoc over TCP. Its calls each run in a task of their own, and answer through a channel that is opened for it.

use std::sync::Arc;

use ::remoc::prelude::*;
use ::remoc::rch::mpsc;
use ::remoc::rtc::CallError;
use anyhow::Result;
use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};

use super::{Client as PeerClient, Peer, pause, spin};
use crate::record::Record;

#[rtc::remote]
trait Meter {
    async fn add(&self, a: u32, b: u32) -> Result<u32, CallError>;
    async fn echo_bytes(&self, bytes: Bytes) -> Result<Bytes, CallError>;
    async fn echo_vec(&self, bytes: Vec<u8>) -> Result<Vec<u8>, CallError>;
    async fn echo_record(&self, record: Record) -> Result<Record, CallError>;
    async fn spin(&self) -> Result<(), CallError>;
    async fn wait(&self) -> Result<(), CallError>;
    async fn count(&self, items: u64) -> Result<mpsc::Receiver<u64>, CallError>;
}

#[derive(Default)]
struct Ruler;

impl Meter for Ruler {
    async fn add(&self, a: u32, b: u32) -> Result<u32, CallError> {
        Ok(a.wrapping_add(b))
    }

    async fn echo_bytes(&self, bytes: Bytes) -> Result<Bytes, CallError> {
        Ok(bytes)
    }

    async fn echo_vec(&self, bytes: Vec<u8>) -> Result<Vec<u8>, CallError> {
        Ok(bytes)
    }

    async fn echo_record(&self, record: Record) -> Result<Record, CallError> {
        Ok(record)
    }

    async fn spin(&self) -> Result<(), CallError> {
        spin();
        Ok(())
    }

    async fn wait(&self) -> Result<(), CallError> {
        pause().await;
        Ok(())
    }

    async fn count(&self, items: u64) -> Result<mpsc::Receiver<u64>, CallError> {
        let (sender, receiver) = mpsc::channel();
        tokio::spawn(async move {
            for number in 0..items {
                if sender.send(number).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}

/// remoc.
#[derive(Debug)]
pub(crate) struct Remoc;

async fn serve_connection(stream: TcpStream, ruler: Arc<Ruler>) -> Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let (server, client) = MeterServerShared::<_, ::remoc::codec::Default>::new(ruler);
    ::remoc::Connect::io(::remoc::Cfg::default(), reader, writer)
        .provide(client)
        .await?;
    // Its error cannot be shared between threads, so its text must do.
    let served = server.serve().await;
    served.map_err(|error| anyhow::anyhow!("{error}"))
}

impl Peer for Remoc {
    type Client = RemocClient;

    async fn serve(announce: impl FnOnce(&str) + Send) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        announce(&listener.local_addr()?.to_string());
        let ruler = Arc::new(Ruler);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve_connection(stream, Arc::clone(&ruler)));
        }
    }

    async fn connect(address: &str) -> Result<RemocClient> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let client = ::remoc::Connect::io(::remoc::Cfg::default(), reader, writer)
            .consume()
            .await?;
        Ok(RemocClient(client))
    }
}

/// A connection of remoc.
#[derive(Clone)]
pub(crate) struct RemocClient(MeterClient);

impl PeerClient for RemocClient {
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

    async fn spin(&self, _marked: bool) -> Result<()> {
        Ok(self.0.spin().await?)
    }

    async fn wait(&self) -> Result<()> {
        Ok(self.0.wait().await?)
    }

    async fn count(&self, items: u64) -> Result<u64> {
        let mut numbers = self.0.count(items).await?;
        let mut sum = 0;
        while let Some(number) = numbers.recv().await? {
            sum += number;
        }
        Ok(sum)
    }
}
