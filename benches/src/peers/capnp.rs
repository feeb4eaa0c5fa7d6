//! Cap'n Proto. Its objects belong to one thread, so each end has one.

use std::rc::Rc;

use ::capnp::Error;
use anyhow::Result;
use bytes::Bytes;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{RpcSystem, new_client};
use futures_util::io::{BufReader, BufWriter};
use send_wrapper::SendWrapper;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use self::meter_capnp::{meter, record as wire};
use super::runtime::Threads;
use super::{Client as PeerClient, Peer, pause, spin};
use crate::record::Record;

#[expect(
    unreachable_pub,
    unnameable_types,
    missing_debug_implementations,
    clippy::allow_attributes_without_reason,
    clippy::unwrap_used,
    reason = "generated code is as it is"
)]
mod meter_capnp {
    include!(concat!(env!("OUT_DIR"), "/meter_capnp.rs"));
}

fn write(record: &Record, mut out: wire::Builder<'_>) {
    out.set_number(record.number);
    out.set_title(&record.title);
    out.set_artist(&record.artist);
    match &record.comment {
        Some(comment) => out.reborrow().init_comment().set_some(comment),
        None => out.reborrow().init_comment().set_none(()),
    }
    out.set_seconds(record.seconds);
    out.set_year(record.year);
    out.set_available(record.available);
    let mut ratings = out.reborrow().init_ratings(record.ratings.len() as u32);
    for (index, rating) in record.ratings.iter().enumerate() {
        ratings.set(index as u32, *rating);
    }
    let mut tags = out.init_tags(record.tags.len() as u32);
    for (index, (key, value)) in record.tags.iter().enumerate() {
        let mut tag = tags.reborrow().get(index as u32);
        tag.set_key(key);
        tag.set_value(value);
    }
}

fn read(record: wire::Reader<'_>) -> ::capnp::Result<Record> {
    let comment = match record.get_comment().which()? {
        wire::comment::Some(text) => Some(text?.to_string()?),
        wire::comment::None(()) => None,
    };
    let tag = |tag: meter_capnp::tag::Reader<'_>| {
        Ok((tag.get_key()?.to_string()?, tag.get_value()?.to_string()?))
    };
    Ok(Record {
        number: record.get_number(),
        title: record.get_title()?.to_string()?,
        artist: record.get_artist()?.to_string()?,
        comment,
        seconds: record.get_seconds(),
        year: record.get_year(),
        available: record.get_available(),
        ratings: record.get_ratings()?.iter().collect(),
        tags: record
            .get_tags()?
            .iter()
            .map(tag)
            .collect::<::capnp::Result<_>>()?,
    })
}

struct Ruler;

impl meter::Server for Ruler {
    async fn add(
        self: Rc<Self>,
        params: meter::AddParams,
        mut results: meter::AddResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        results
            .get()
            .set_sum(params.get_a().wrapping_add(params.get_b()));
        Ok(())
    }

    async fn echo(
        self: Rc<Self>,
        params: meter::EchoParams,
        mut results: meter::EchoResults,
    ) -> Result<(), Error> {
        results.get().set_bytes(params.get()?.get_bytes()?);
        Ok(())
    }

    async fn echo_record(
        self: Rc<Self>,
        params: meter::EchoRecordParams,
        mut results: meter::EchoRecordResults,
    ) -> Result<(), Error> {
        // As an application that works with its own types has it.
        let record = read(params.get()?.get_record()?)?;
        write(&record, results.get().init_record());
        Ok(())
    }

    async fn spin(
        self: Rc<Self>,
        _params: meter::SpinParams,
        _results: meter::SpinResults,
    ) -> Result<(), Error> {
        spin();
        Ok(())
    }

    async fn wait(
        self: Rc<Self>,
        _params: meter::WaitParams,
        _results: meter::WaitResults,
    ) -> Result<(), Error> {
        pause().await;
        Ok(())
    }
}

/// Cap'n Proto.
#[derive(Debug)]
pub(crate) struct Capnp;

fn network(
    stream: TcpStream,
    side: Side,
) -> Result<Box<VatNetwork<impl futures_util::AsyncRead + Unpin>>> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok(Box::new(VatNetwork::new(
        BufReader::new(reader.compat()),
        BufWriter::new(writer.compat_write()),
        side,
        Default::default(),
    )))
}

impl Peer for Capnp {
    type Client = CapnpClient;
    const THREADS: Threads = Threads::OneWithItsOwnTasks;

    async fn serve(announce: impl FnOnce(&str) + Send) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        announce(&listener.local_addr()?.to_string());
        let meter: meter::Client = new_client(Ruler);
        loop {
            let (stream, _) = listener.accept().await?;
            let network = network(stream, Side::Server)?;
            tokio::task::spawn_local(RpcSystem::new(network, Some(meter.clone().client)));
        }
    }

    async fn connect(address: &str) -> Result<CapnpClient> {
        let network = network(TcpStream::connect(address).await?, Side::Client)?;
        let mut system = RpcSystem::new(network, None);
        let meter: meter::Client = system.bootstrap(Side::Server);
        tokio::task::spawn_local(system);
        Ok(CapnpClient(SendWrapper::new(meter)))
    }
}

/// A connection of Cap'n Proto, which panics on any other thread than its own.
#[derive(Clone)]
pub(crate) struct CapnpClient(SendWrapper<meter::Client>);

impl CapnpClient {
    /// Makes a future of this thread pass for one of any.
    fn here<T>(future: impl Future<Output = Result<T>>) -> impl Future<Output = Result<T>> + Send {
        SendWrapper::new(future)
    }
}

impl PeerClient for CapnpClient {
    fn add(&self, a: u32, b: u32) -> impl Future<Output = Result<u32>> + Send {
        let mut request = self.0.add_request();
        request.get().set_a(a);
        request.get().set_b(b);
        Self::here(async move { Ok(request.send().promise.await?.get()?.get_sum()) })
    }

    fn echo_bytes(&self, bytes: Bytes) -> impl Future<Output = Result<Bytes>> + Send {
        let mut request = self.0.echo_request();
        request.get().set_bytes(&bytes);
        Self::here(async move {
            let reply = request.send().promise.await?;
            Ok(Bytes::copy_from_slice(reply.get()?.get_bytes()?))
        })
    }

    fn echo_vec(&self, bytes: Vec<u8>) -> impl Future<Output = Result<Vec<u8>>> + Send {
        let mut request = self.0.echo_request();
        request.get().set_bytes(&bytes);
        Self::here(async move { Ok(request.send().promise.await?.get()?.get_bytes()?.to_vec()) })
    }

    fn echo_record(&self, record: Record) -> impl Future<Output = Result<Record>> + Send {
        let mut request = self.0.echo_record_request();
        write(&record, request.get().init_record());
        Self::here(async move { Ok(read(request.send().promise.await?.get()?.get_record()?)?) })
    }

    fn spin(&self, _marked: bool) -> impl Future<Output = Result<()>> + Send {
        let request = self.0.spin_request();
        Self::here(async move { Ok(request.send().promise.await.map(drop)?) })
    }

    fn wait(&self) -> impl Future<Output = Result<()>> + Send {
        let request = self.0.wait_request();
        Self::here(async move { Ok(request.send().promise.await.map(drop)?) })
    }
}
