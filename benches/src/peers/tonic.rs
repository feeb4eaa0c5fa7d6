//! tonic, gRPC over HTTP/2. Its messages are written by hand, so that nobody needs protobuf's compiler.

use std::collections::BTreeMap;

use ::tonic::transport::server::TcpIncoming;
use ::tonic::transport::{Channel, Endpoint, Server};
use ::tonic::{Request, Response, Status};
use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt;

use self::generated::meter_client::MeterClient;
use self::generated::meter_server::{Meter, MeterServer};
use self::messages::{Empty, Number, Owned, Pair, Shared, Sum};
use super::{Client as PeerClient, Peer, pause, spin};
use crate::record::Record;

#[expect(
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated code is as it is"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/bench.Meter.rs"));
}

/// The messages.
mod messages {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Empty {}

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Pair {
        #[prost(uint32, tag = "1")]
        pub(crate) a: u32,
        #[prost(uint32, tag = "2")]
        pub(crate) b: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Sum {
        #[prost(uint32, tag = "1")]
        pub(crate) sum: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Number {
        #[prost(uint64, tag = "1")]
        pub(crate) number: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Shared {
        #[prost(bytes = "bytes", tag = "1")]
        pub(crate) bytes: Bytes,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Owned {
        #[prost(bytes = "vec", tag = "1")]
        pub(crate) bytes: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Record {
        #[prost(uint64, tag = "1")]
        pub(crate) number: u64,
        #[prost(string, tag = "2")]
        pub(crate) title: String,
        #[prost(string, tag = "3")]
        pub(crate) artist: String,
        #[prost(string, optional, tag = "4")]
        pub(crate) comment: Option<String>,
        #[prost(double, tag = "5")]
        pub(crate) seconds: f64,
        #[prost(uint32, tag = "6")]
        pub(crate) year: u32,
        #[prost(bool, tag = "7")]
        pub(crate) available: bool,
        #[prost(uint32, repeated, tag = "8")]
        pub(crate) ratings: Vec<u32>,
        #[prost(btree_map = "string, string", tag = "9")]
        pub(crate) tags: BTreeMap<String, String>,
    }
}

/// Without a copy of anything, as code that uses protobuf's types throughout would have it.
fn to_message(record: Record) -> messages::Record {
    let tags: BTreeMap<_, _> = record.tags;
    messages::Record {
        number: record.number,
        title: record.title,
        artist: record.artist,
        comment: record.comment,
        seconds: record.seconds,
        year: record.year,
        available: record.available,
        ratings: record.ratings,
        tags,
    }
}

fn to_record(message: messages::Record) -> Record {
    Record {
        number: message.number,
        title: message.title,
        artist: message.artist,
        comment: message.comment,
        seconds: message.seconds,
        year: message.year,
        available: message.available,
        ratings: message.ratings,
        tags: message.tags,
    }
}

struct Ruler;

type Answer<T> = std::result::Result<Response<T>, Status>;

type Numbers = futures_util::stream::Map<
    futures_util::stream::Iter<std::ops::Range<u64>>,
    fn(u64) -> std::result::Result<Number, Status>,
>;

#[::tonic::async_trait]
impl Meter for Ruler {
    type CountStream = Numbers;

    async fn count(&self, request: Request<Number>) -> Answer<Numbers> {
        let numbers = futures_util::stream::iter(0..request.into_inner().number);
        Ok(Response::new(numbers.map(|number| Ok(Number { number }))))
    }

    async fn add(&self, request: Request<Pair>) -> Answer<Sum> {
        let Pair { a, b } = request.into_inner();
        Ok(Response::new(Sum {
            sum: a.wrapping_add(b),
        }))
    }

    async fn echo_bytes(&self, request: Request<Shared>) -> Answer<Shared> {
        Ok(Response::new(request.into_inner()))
    }

    async fn echo_vec(&self, request: Request<Owned>) -> Answer<Owned> {
        Ok(Response::new(request.into_inner()))
    }

    async fn echo_record(&self, request: Request<messages::Record>) -> Answer<messages::Record> {
        Ok(Response::new(request.into_inner()))
    }

    async fn spin(&self, _request: Request<Empty>) -> Answer<Empty> {
        spin();
        Ok(Response::new(Empty {}))
    }

    async fn wait(&self, _request: Request<Empty>) -> Answer<Empty> {
        pause().await;
        Ok(Response::new(Empty {}))
    }
}

/// tonic.
#[derive(Debug)]
pub(crate) struct Tonic;

impl Peer for Tonic {
    type Client = TonicClient;

    async fn serve(announce: impl FnOnce(&str) + Send) -> Result<()> {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
        announce(&incoming.local_addr()?.to_string());
        Server::builder()
            .add_service(MeterServer::new(Ruler))
            .serve_with_incoming(incoming)
            .await?;
        Ok(())
    }

    async fn connect(address: &str) -> Result<TonicClient> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        Ok(TonicClient(MeterClient::new(endpoint.connect().await?)))
    }
}

/// A connection of tonic.
#[derive(Clone, Debug)]
pub(crate) struct TonicClient(MeterClient<Channel>);

impl PeerClient for TonicClient {
    // Its methods want a client of their own for each call, which clones a few handles.

    async fn add(&self, a: u32, b: u32) -> Result<u32> {
        Ok(self.0.clone().add(Pair { a, b }).await?.into_inner().sum)
    }

    async fn echo_bytes(&self, bytes: Bytes) -> Result<Bytes> {
        let reply = self.0.clone().echo_bytes(Shared { bytes }).await?;
        Ok(reply.into_inner().bytes)
    }

    async fn echo_vec(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let reply = self.0.clone().echo_vec(Owned { bytes }).await?;
        Ok(reply.into_inner().bytes)
    }

    async fn echo_record(&self, record: Record) -> Result<Record> {
        let reply = self.0.clone().echo_record(to_message(record)).await?;
        Ok(to_record(reply.into_inner()))
    }

    async fn spin(&self, _marked: bool) -> Result<()> {
        self.0.clone().spin(Empty {}).await?;
        Ok(())
    }

    async fn wait(&self) -> Result<()> {
        self.0.clone().wait(Empty {}).await?;
        Ok(())
    }

    async fn count(&self, items: u64) -> Result<u64> {
        let reply = self.0.clone().count(Number { number: items }).await?;
        let mut numbers = reply.into_inner();
        let mut sum = 0;
        while let Some(item) = numbers.message().await? {
            sum += item.number;
        }
        Ok(sum)
    }
}
