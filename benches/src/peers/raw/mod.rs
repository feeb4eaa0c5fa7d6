//! tokio by hand: what somebody writes who needs these calls and nothing else. No deadlines, no cancellation, no limits,
//! no sessions, no errors but the end of the connection.
//!
//! A slot table and an output buffer behind one mutex; a writer that is woken when the buffer ceases to be empty, yields
//! once and writes everything in one call; a reader that takes all frames of a read and completes the calls that wait; a
//! server that answers in place.

mod client;
mod frames;
mod server;
mod shared;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};

pub(super) use self::client::RawClient;
use self::server::Service;
use super::Peer;
use super::runtime::Threads;

/// The methods, by the number that stands in a frame.
mod method {
    pub(super) const ADD: u8 = 1;
    pub(super) const ECHO: u8 = 2;
    pub(super) const ECHO_VEC: u8 = 3;
    pub(super) const ECHO_RECORD: u8 = 4;
    pub(super) const SPIN: u8 = 5;
    pub(super) const WAIT: u8 = 6;
    pub(super) const NOTE: u8 = 7;
    pub(super) const NOTED: u8 = 8;
    pub(super) const COUNT: u8 = 9;
}

/// Two workers at each end, answers in place.
#[derive(Debug)]
pub(crate) struct Raw;

/// One thread at each end; a caller that is alone writes by itself.
#[derive(Debug)]
pub(crate) struct RawBest;

/// Two workers at each end, a task for each request.
#[derive(Debug)]
pub(crate) struct RawSpawn;

impl Peer for Raw {
    type Client = RawClient;

    async fn serve(announce: impl FnOnce(&str) + Send) -> Result<()> {
        accept(announce, server::answer_in_place).await
    }

    async fn connect(address: &str) -> Result<RawClient> {
        client::connect(address, client::Lone::LeavesItToTheWriter).await
    }
}

impl Peer for RawBest {
    type Client = RawClient;
    const THREADS: Threads = Threads::One;

    async fn serve(announce: impl FnOnce(&str) + Send) -> Result<()> {
        accept(announce, server::answer_in_place).await
    }

    async fn connect(address: &str) -> Result<RawClient> {
        client::connect(address, client::Lone::WritesByItself).await
    }
}

impl Peer for RawSpawn {
    type Client = RawClient;

    async fn serve(announce: impl FnOnce(&str) + Send) -> Result<()> {
        accept(announce, server::spawn_each).await
    }

    async fn connect(address: &str) -> Result<RawClient> {
        client::connect(address, client::Lone::LeavesItToTheWriter).await
    }
}

/// Accepts connections and serves each in a task.
async fn accept<S>(
    announce: impl FnOnce(&str),
    serve: impl Fn(TcpStream, Service) -> S,
) -> Result<()>
where
    S: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(&listener.local_addr()?.to_string());
    let service = Service::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, service.clone()));
    }
}
