//! The calling side.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};

use anyhow::Result;
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::frames::{Frames, UNANSWERED};
use super::method;
use super::shared::{Output, Payload, Shared};
use crate::peers::Client;
use crate::record::Record;

thread_local! {
    /// Where records are encoded before the mutex is taken.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a caller does that has the connection for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lone {
    LeavesItToTheWriter,
    WritesByItself,
}

/// A connection.
#[derive(Clone, Debug)]
pub(crate) struct RawClient(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    shared: Arc<Shared>,
    /// The socket once more, for lone callers.
    socket: Option<std::net::TcpStream>,
}

pub(super) async fn connect(address: &str, lone: Lone) -> Result<RawClient> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (socket, stream) = match lone {
        Lone::LeavesItToTheWriter => (None, stream),
        Lone::WritesByItself => {
            let stream = stream.into_std()?;
            (Some(stream.try_clone()?), TcpStream::from_std(stream)?)
        }
    };
    let (reader, mut writer) = stream.into_split();
    let shared = Arc::new(Shared::default());
    let writing = Arc::clone(&shared);
    tokio::spawn(async move {
        if writing.write(&mut writer).await.is_err() {
            writing.lose();
        }
    });
    let reading = Arc::clone(&shared);
    tokio::spawn(async move {
        // However it ends, nobody is answered any more.
        let _ = read(&reading, reader).await;
        reading.lose();
    });
    Ok(RawClient(Arc::new(Connection { shared, socket })))
}

/// Completes the calls that are answered, until the connection ends.
async fn read(shared: &Shared, reader: OwnedReadHalf) -> io::Result<()> {
    let mut frames = Frames::new(reader);
    let mut wakers = Vec::new();
    while frames.read().await? {
        let mut state = shared.lock();
        while let Some((header, body)) = frames.next() {
            wakers.extend(state.complete(header.number, body));
        }
        drop(state);
        for waker in wakers.drain(..) {
            waker.wake();
        }
    }
    Ok(())
}

impl Connection {
    /// Calls; `put` appends the frame of the call of this number.
    async fn call(&self, mut put: impl FnMut(&mut Output, u32)) -> Result<Payload> {
        let mut slot = None;
        let answered = poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(number) = slot {
                return state.poll(number, cx);
            }
            let number = state.begin(cx.waker())?;
            slot = Some(number);
            let was_empty = state.output.is_empty();
            put(&mut state.output, number);
            if let Some(socket) = &self.socket
                && was_empty
                && state.is_lone()
            {
                state.output.write_now(socket);
            }
            let waits = was_empty && !state.output.is_empty();
            drop(state);
            if waits {
                self.shared.wake.notify_one();
            }
            Poll::Pending
        });
        Ok(answered.await?)
    }

    /// Calls with a short body.
    async fn call_short(&self, method: u8, body: &[u8]) -> Result<Payload> {
        self.call(|output, number| output.put(number, method, body))
            .await
    }

    /// Calls with a body that is handed over.
    async fn call_bytes(&self, method: u8, body: Bytes) -> Result<Bytes> {
        let mut body = Some(body);
        let payload = self.call(move |output, number| {
            output.put_bytes(number, method, body.take().unwrap_or_default());
        });
        Ok(payload.await?.into_bytes())
    }
}

impl Client for RawClient {
    async fn add(&self, a: u32, b: u32) -> Result<u32> {
        let mut body = [0; 8];
        body[..4].copy_from_slice(&a.to_le_bytes());
        body[4..].copy_from_slice(&b.to_le_bytes());
        let sum = self.0.call_short(method::ADD, &body).await?;
        Ok(u32::from_le_bytes(sum.as_slice().try_into()?))
    }

    async fn echo_bytes(&self, bytes: Bytes) -> Result<Bytes> {
        self.0.call_bytes(method::ECHO, bytes).await
    }

    async fn echo_vec(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let bytes = self.0.call_bytes(method::ECHO_VEC, bytes.into()).await?;
        Ok(bytes.into())
    }

    async fn echo_record(&self, record: Record) -> Result<Record> {
        SCRATCH.with_borrow_mut(|scratch| -> postcard::Result<()> {
            let mut buffer = std::mem::take(scratch);
            buffer.clear();
            *scratch = postcard::to_extend(&record, buffer)?;
            Ok(())
        })?;
        drop(record);
        // The first poll follows at once, so nobody else has encoded meanwhile.
        let reply = self.0.call(|output, number| {
            SCRATCH.with_borrow(|scratch| output.put(number, method::ECHO_RECORD, scratch));
        });
        Ok(postcard::from_bytes(reply.await?.as_slice())?)
    }

    async fn spin(&self, _marked: bool) -> Result<()> {
        self.0.call_short(method::SPIN, &[]).await.map(drop)
    }

    async fn wait(&self) -> Result<()> {
        self.0.call_short(method::WAIT, &[]).await.map(drop)
    }

    async fn note(&self, number: u32) -> Result<()> {
        poll_fn(|cx| {
            let mut state = self.0.shared.lock();
            if !state.has_room(cx.waker()) {
                return Poll::Pending;
            }
            let was_empty = state.output.is_empty();
            state
                .output
                .put(UNANSWERED, method::NOTE, &number.to_le_bytes());
            drop(state);
            if was_empty {
                self.0.shared.wake.notify_one();
            }
            Poll::Ready(())
        })
        .await;
        Ok(())
    }

    async fn count(&self, items: u64) -> Result<u64> {
        let shared = &self.0.shared;
        let number = {
            let mut state = shared.lock();
            let number = state.begin(Waker::noop())?;
            state.begin_counting(number);
            state
                .output
                .put(number, method::COUNT, &items.to_le_bytes());
            number
        };
        shared.wake.notify_one();
        let (mut sum, mut seen, mut arrived) = (0, 0, Vec::new());
        while seen < items {
            poll_fn(|cx| shared.lock().poll_items(number, cx, &mut arrived)).await?;
            seen += arrived.len() as u64;
            sum += arrived.drain(..).sum::<u64>();
        }
        shared.lock().end(number);
        Ok(sum)
    }

    async fn noted(&self) -> Result<u64> {
        let noted = self.0.call_short(method::NOTED, &[]).await?;
        Ok(u64::from_le_bytes(noted.as_slice().try_into()?))
    }
}
