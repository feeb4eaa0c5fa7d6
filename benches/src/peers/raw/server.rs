//! The served side: in place, or with a task for each request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;

use super::frames::{Body, Frames, Header};
use super::method;
use super::shared::{Output, Payload, Shared};
use crate::peers::{pause, spin};
use crate::record::Record;

/// What is called.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    noted: Arc<AtomicU64>,
}

/// What is answered.
enum Answer {
    Bytes(Payload),
    Record(Box<Record>),
    /// The numbers below this one.
    Numbers(u64),
    /// Nothing, but later.
    Late,
    /// Not even nothing.
    None,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        Answer::Bytes(Payload::of(Body::Small(bytes)))
    }

    fn put(self, number: u32, output: &mut Output) -> io::Result<()> {
        match self {
            Answer::Bytes(Payload::Shared(bytes)) => output.put_bytes(number, 0, bytes),
            Answer::Bytes(inline) => output.put(number, 0, inline.as_slice()),
            Answer::Record(record) => output
                .put_with(number, 0, |tail| postcard::to_extend(&*record, tail))
                .map_err(io::Error::other)?,
            Answer::Numbers(_) | Answer::Late | Answer::None => {}
        }
        Ok(())
    }
}

impl Service {
    /// Serves a call as far as it can be served without waiting.
    fn answer(&self, method: u8, body: Body<'_>) -> io::Result<Answer> {
        Ok(match method {
            method::ADD => {
                let sum = add(body.as_slice()).ok_or(io::ErrorKind::InvalidData)?;
                Answer::of(&sum.to_le_bytes())
            }
            method::ECHO => Answer::Bytes(Payload::of(body)),
            method::ECHO_VEC => {
                let bytes: Vec<u8> = match body {
                    Body::Small(bytes) => bytes.to_vec(),
                    Body::Large(bytes) => bytes.into(),
                };
                Answer::Bytes(Payload::Shared(bytes.into()))
            }
            method::ECHO_RECORD => {
                let record = postcard::from_bytes(body.as_slice()).map_err(io::Error::other)?;
                Answer::Record(Box::new(record))
            }
            method::SPIN => {
                spin();
                Answer::of(&[])
            }
            method::WAIT => Answer::Late,
            method::COUNT => {
                let items = body.as_slice().try_into();
                Answer::Numbers(u64::from_le_bytes(items.map_err(io::Error::other)?))
            }
            method::NOTE => {
                self.noted.fetch_add(1, Ordering::Relaxed);
                Answer::None
            }
            method::NOTED => Answer::of(&self.noted.load(Ordering::Relaxed).to_le_bytes()),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

fn add(body: &[u8]) -> Option<u32> {
    let (a, b) = body.split_at_checked(4)?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
    Some(number(a)?.wrapping_add(number(b)?))
}

/// Answers each call where it was read, and writes the answers of a read in one call.
pub(super) async fn answer_in_place(stream: TcpStream, service: Service) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut frames = Frames::new(reader);
    let mut output = Output::default();
    let late = Arc::new(Shared::default());
    let mut notified = std::pin::pin!(late.wake.notified());
    loop {
        tokio::select! {
            biased;
            read = frames.read() => {
                if !read? {
                    return Ok(());
                }
                while let Some((header, body)) = frames.next() {
                    match service.answer(header.method, body)? {
                        Answer::Late => {
                            tokio::spawn(answer_late(Arc::clone(&late), header.number));
                        }
                        Answer::Numbers(items) => {
                            for item in 0..items {
                                output.put(header.number, 0, &item.to_le_bytes());
                                if output.is_full() {
                                    output.write_to(&mut writer).await?;
                                }
                            }
                        }
                        answer => answer.put(header.number, &mut output)?,
                    }
                }
            }
            () = notified.as_mut() => {
                notified.set(late.wake.notified());
                std::mem::swap(&mut late.lock().output, &mut output);
            }
        }
        output.write_to(&mut writer).await?;
    }
}

async fn answer_late(late: Arc<Shared>, number: u32) {
    pause().await;
    let mut state = late.lock();
    let was_empty = state.output.is_empty();
    state.output.put(number, 0, &[]);
    drop(state);
    if was_empty {
        late.wake.notify_one();
    }
}

/// Answers each call in a task of its own.
pub(super) async fn spawn_each(stream: TcpStream, service: Service) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let shared = Arc::new(Shared::default());
    let writing = Arc::clone(&shared);
    let writer = tokio::spawn(async move { writing.write(&mut writer).await });
    let mut frames = Frames::new(reader);
    while frames.read().await? {
        while let Some((header, body)) = frames.next() {
            let body = Payload::of(body);
            let (service, shared) = (service.clone(), Arc::clone(&shared));
            tokio::spawn(answer_in_task(service, shared, header, body));
        }
    }
    writer.abort();
    Ok(())
}

async fn answer_in_task(
    service: Service,
    shared: Arc<Shared>,
    header: Header,
    body: Payload,
) -> io::Result<()> {
    let body = match &body {
        Payload::Inline(..) => Body::Small(body.as_slice()),
        Payload::Shared(bytes) => Body::Large(bytes.clone()),
    };
    let answer = match service.answer(header.method, body)? {
        Answer::Late => {
            answer_late(shared, header.number).await;
            return Ok(());
        }
        answer => answer,
    };
    let mut state = shared.lock();
    let was_empty = state.output.is_empty();
    answer.put(header.number, &mut state.output)?;
    let waits = was_empty && !state.output.is_empty();
    drop(state);
    if waits {
        shared.wake.notify_one();
    }
    Ok(())
}
