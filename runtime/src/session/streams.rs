//! The streams of a session: those that this side produces, each with a task that sends its items, and those that it
//! consumes, each with a queue that its credit bounds.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use farref_proto::{
    Connection, FaultKind, IncomingItems, OutgoingItems, SendError, StreamEnding, StreamNumber,
    TableEntry,
};
use tokio::time::Sleep;

use super::inbox::Garbage;
use super::{Session, State};
use crate::Outcome;
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::panics;
use crate::stream::{Feed, Items, Room};
use crate::transferred::Transferred;

/// Bytes that wait to be written beyond which producers of streams wait: a few writes of the largest size.
const MAX_UNSENT: usize = 256 << 10;
/// Frames that a stream sends before others have their turn.
const FRAMES_AT_ONCE: usize = 8;

/// The streams by their numbers, those of each side apart.
#[derive(Default)]
pub(crate) struct Streams {
    produced: Vec<Option<Producer>>,
    consumed: Vec<Option<Arc<Inbox>>>,
    /// Producers that wait until what they sent is written.
    crowded: Vec<StreamNumber>,
}

struct Producer {
    /// Until it has credit for the first time.
    feed: Option<Arc<dyn Feed>>,
    codec: Codec,
    /// The task that sends its items, once there is one.
    waker: Option<Waker>,
    is_crowded: bool,
    /// Its consumer has been away for too long.
    is_discarded: bool,
}

/// A stream that has credit for the first time, and needs a task.
pub(crate) struct Production {
    number: StreamNumber,
    feed: Arc<dyn Feed>,
    codec: Codec,
}

impl Streams {
    /// Opens a stream that this side produces.
    pub(super) fn open(
        &mut self,
        connection: &mut Connection,
        feed: &Arc<dyn Feed>,
        codec: Codec,
    ) -> Result<TableEntry, SendError> {
        let (number, entry) = connection.open_stream()?;
        let index = number.index() as usize;
        if self.produced.len() <= index {
            self.produced.resize_with(index + 1, || None);
        }
        self.produced[index] = Some(Producer {
            feed: Some(Arc::clone(feed)),
            codec,
            waker: None,
            is_crowded: false,
            is_discarded: false,
        });
        Ok(entry)
    }

    /// Takes a stream back of which the peer was not told. It may be opened again: its feed lives on where it came from.
    pub(super) fn unopen(
        &mut self,
        connection: &mut Connection,
        number: StreamNumber,
        garbage: &mut Garbage,
    ) {
        connection.unopen_stream(number);
        self.forget(number, garbage);
    }

    fn forget(&mut self, number: StreamNumber, garbage: &mut Garbage) {
        let place = self.produced.get_mut(number.index() as usize);
        if let Some(producer) = place.and_then(Option::take)
            && let Some(feed) = producer.feed
        {
            garbage.transferred.push(Transferred::Stream(feed));
        }
    }

    /// There is credit where there was none: somebody goes on, or is to begin.
    pub(super) fn credited(
        &mut self,
        number: StreamNumber,
        garbage: &mut Garbage,
    ) -> Option<Production> {
        let producer = self.produced.get_mut(number.index() as usize)?.as_mut()?;
        garbage.wakers.extend(producer.waker.clone());
        let feed = producer.feed.take()?;
        Some(Production {
            number,
            feed,
            codec: producer.codec,
        })
    }

    /// The peer wants no more. A stream that has a task is ended by it.
    pub(super) fn cancelled(
        &mut self,
        connection: &mut Connection,
        number: StreamNumber,
        garbage: &mut Garbage,
    ) {
        let Some(Some(producer)) = self.produced.get_mut(number.index() as usize) else {
            return;
        };
        if producer.feed.is_some() {
            connection.end_stream(number);
            self.forget(number, garbage);
        } else {
            garbage.wakers.extend(producer.waker.clone());
        }
    }

    /// Begins to consume a stream.
    pub(super) fn consume(&mut self, session: &Arc<Session>, number: StreamNumber) -> Transferred {
        let inbox = Arc::new(Inbox::default());
        let index = number.index() as usize;
        if self.consumed.len() <= index {
            self.consumed.resize_with(index + 1, || None);
        }
        self.consumed[index] = Some(Arc::clone(&inbox));
        Transferred::Stream(Arc::new(FarStream {
            session: Arc::clone(session),
            number,
            inbox,
        }))
    }

    /// Takes items that arrived.
    pub(super) fn received(
        &self,
        session: &Session,
        items: IncomingItems,
        transferred: Vec<Transferred>,
        garbage: &mut Garbage,
    ) {
        let inbox = self.consumed.get(items.stream.index() as usize);
        let Some(Some(inbox)) = inbox else {
            garbage.transferred.extend(transferred);
            return;
        };
        let codec = Codec::from_id(items.codec).filter(|codec| codec.is_available());
        let arrived = match codec {
            Some(codec) => Arrived::Items(Items {
                codec,
                budget: session.node.budget,
                lengths: items.lengths.into(),
                body: items.body,
                attachments: items.attachments.into(),
                transferred,
            }),
            None => {
                garbage.transferred.extend(transferred);
                Arrived::End(Err(Fault::new(
                    FaultKind::UnsupportedCodec,
                    Outcome::Ran,
                    format!(
                        "the items came in codec {}, which is not known here",
                        items.codec
                    ),
                )))
            }
        };
        garbage.wakers.extend(inbox.push(arrived));
    }

    /// Takes the end of a stream that arrived.
    pub(super) fn ended(
        &mut self,
        number: StreamNumber,
        ending: &StreamEnding,
        garbage: &mut Garbage,
    ) {
        let place = self.consumed.get_mut(number.index() as usize);
        if let Some(inbox) = place.and_then(Option::take) {
            let end = Arrived::End(match ending {
                StreamEnding::Complete => Ok(()),
                StreamEnding::Failed { body, .. } => Err(super::questions::fault_in(body)),
            });
            garbage.wakers.extend(inbox.push(end));
        }
    }

    /// Who waits until there is room to write.
    pub(super) fn take_crowded(&mut self) -> Vec<Waker> {
        let Streams {
            crowded, produced, ..
        } = self;
        let waker = |number: StreamNumber| {
            let producer = produced.get_mut(number.index() as usize)?.as_mut()?;
            producer.is_crowded = false;
            producer.waker.clone()
        };
        crowded.drain(..).filter_map(waker).collect()
    }

    /// Has those end that this side produces, since their consumer has been away for too long.
    pub(super) fn discard(&mut self, garbage: &mut Garbage) {
        for producer in self.produced.iter_mut().flatten() {
            // One that was not asked for costs nothing, and has a task when it is.
            producer.is_discarded = true;
            garbage.wakers.extend(producer.waker.clone());
        }
    }

    /// Ends all streams with the session.
    pub(super) fn fail(&mut self, fault: &Fault, garbage: &mut Garbage) {
        for producer in self.produced.drain(..).flatten() {
            garbage.wakers.extend(producer.waker);
            garbage
                .transferred
                .extend(producer.feed.map(Transferred::Stream));
        }
        for inbox in self.consumed.drain(..).flatten() {
            let lost = Arrived::End(Err(fault.clone().with_outcome(Outcome::Unknown)));
            garbage.wakers.extend(inbox.push(lost));
        }
        self.crowded.clear();
    }
}

/// What arrived of a stream and has not been taken.
#[derive(Default)]
struct Inbox(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    items: VecDeque<Items>,
    end: Option<Result<()>>,
    waker: Option<Waker>,
    /// What the producer may send before it must wait, with what arrived and was not taken.
    ahead_items: u64,
    ahead_bytes: i64,
}

enum Arrived {
    Items(Items),
    End(Result<()>),
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns who waits for it.
    fn push(&self, arrived: Arrived) -> Option<Waker> {
        let mut queue = self.lock();
        match arrived {
            Arrived::Items(items) => queue.items.push_back(items),
            Arrived::End(end) => {
                queue.end.get_or_insert(end);
            }
        }
        queue.waker.take()
    }
}

/// A stream of the peer, which is cancelled when this is dropped.
struct FarStream {
    session: Arc<Session>,
    number: StreamNumber,
    inbox: Arc<Inbox>,
}

impl Feed for FarStream {
    fn poll_items(
        &self,
        cx: &mut Context<'_>,
        _: Codec,
        room: Room,
    ) -> Poll<Option<Result<Items>>> {
        let mut queue = self.inbox.lock();
        // Whoever asks has consumed what it took before, and nothing of what is taken now.
        let grant = match queue.end {
            None => queue.grant(room),
            Some(_) => None,
        };
        let polled = match queue.items.pop_front() {
            Some(mut items) => {
                queue.ahead_items = queue.ahead_items.saturating_sub(items.lengths.len() as u64);
                queue.ahead_bytes = queue
                    .ahead_bytes
                    .saturating_sub_unsigned(items.costs().sum());
                Poll::Ready(Some(Ok(items)))
            }
            None => match &mut queue.end {
                Some(end) => Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err)),
                None => {
                    match &mut queue.waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        None => queue.waker = Some(cx.waker().clone()),
                    }
                    Poll::Pending
                }
            },
        };
        drop(queue);
        if let Some((items, bytes)) = grant {
            let mut state = self.session.lock();
            state.connection.grant_stream(self.number, items, bytes);
            Session::unlock_and_write(state);
        }
        polled
    }
}

impl Queue {
    /// What the producer is to be given, so that it may be ahead by the whole room: not before half of it is free, so
    /// that few messages carry much credit.
    fn grant(&mut self, room: Room) -> Option<(u32, u64)> {
        let items = room.items.saturating_sub(self.ahead_items);
        let room_bytes = i64::try_from(room.bytes).unwrap_or(i64::MAX);
        let bytes = u64::try_from(room_bytes.saturating_sub(self.ahead_bytes)).unwrap_or(0);
        if items < room.items.div_ceil(2) && bytes < room.bytes.div_ceil(2) {
            return None;
        }
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.ahead_items += u64::from(items);
        self.ahead_bytes = self.ahead_bytes.saturating_add_unsigned(bytes);
        Some((items, bytes))
    }
}

impl Drop for FarStream {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        let State {
            connection,
            streams,
            closed,
            ..
        } = &mut *state;
        let place = streams.consumed.get_mut(self.number.index() as usize);
        let is_open = |inbox: &mut Arc<Inbox>| Arc::ptr_eq(inbox, &self.inbox);
        let Some(inbox) = place.and_then(|place| place.take_if(is_open)) else {
            return;
        };
        if closed.is_none() {
            connection.cancel_stream(self.number);
        }
        Session::unlock_and_write(state);
        // This holds it, too, so what it holds is dropped with this and outside the lock.
        drop(inbox);
    }
}

/// The task that sends the items of a stream.
pub(super) struct Pump {
    session: Arc<Session>,
    number: StreamNumber,
    feed: Arc<dyn Feed>,
    codec: Codec,
    /// When the stream has lasted as long as it may.
    lifetime: Option<Pin<Box<Sleep>>>,
    has_ended: bool,
}

/// What a producer may do now.
enum Turn {
    Send(Room),
    Wait,
    /// Nothing more is wanted.
    End,
    /// It was wanted too late.
    Discard,
}

impl Pump {
    pub(super) fn new(session: &Arc<Session>, production: Production) -> Self {
        Pump {
            session: Arc::clone(session),
            number: production.number,
            feed: production.feed,
            codec: production.codec,
            lifetime: session
                .node
                .stream_lifetime
                .map(|lifetime| Box::pin(tokio::time::sleep(lifetime))),
            has_ended: false,
        }
    }

    fn turn(&self, cx: &Context<'_>) -> Turn {
        let mut state = self.session.lock();
        let State {
            connection,
            streams,
            ..
        } = &mut *state;
        let index = self.number.index() as usize;
        let Some(Some(producer)) = streams.produced.get_mut(index) else {
            return Turn::End;
        };
        if producer.is_discarded {
            return Turn::Discard;
        }
        // Kept for the whole poll: the stream may be cancelled while its source is waited for.
        match &mut producer.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => producer.waker = Some(cx.waker().clone()),
        }
        match connection.stream_room(self.number) {
            Err(_) => Turn::End,
            Ok((0, _) | (_, 0)) => Turn::Wait,
            Ok(_) if connection.unsent() > MAX_UNSENT => {
                if !std::mem::replace(&mut producer.is_crowded, true) {
                    streams.crowded.push(self.number);
                }
                Turn::Wait
            }
            Ok((items, bytes)) => Turn::Send(Room { items, bytes }),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), Option<Fault>>> {
        let room = match self.turn(cx) {
            Turn::Send(room) => room,
            Turn::Wait => return Poll::Pending,
            Turn::End => return Poll::Ready(Err(None)),
            Turn::Discard => return Poll::Ready(Err(Some(discarded()))),
        };
        let polled = panics::contain(|| self.feed.poll_items(cx, self.codec, room));
        let items = match polled {
            Ok(polled) => match ready!(polled) {
                Some(Ok(items)) => items,
                Some(Err(fault)) => return Poll::Ready(Err(Some(fault))),
                None => return Poll::Ready(Err(None)),
            },
            Err(panic) => {
                let fault = panics::report(&"a stream", &*panic, false);
                return Poll::Ready(Err(Some(fault)));
            }
        };
        Poll::Ready(self.session.send_items(self.number, items).map_err(Some))
    }

    fn end(&mut self, fault: Option<&Fault>) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.session.end_stream(self.number, fault);
        }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(lifetime) = &mut self.lifetime
            && lifetime.as_mut().poll(cx).is_ready()
        {
            self.end(Some(&Fault::new(
                FaultKind::DeadlineExceeded,
                Outcome::Ran,
                "the stream lasted as long as its producer lets streams last; ask for another",
            )));
            return Poll::Ready(());
        }
        for _ in 0..FRAMES_AT_ONCE {
            if let Err(fault) = ready!(self.poll_frame(cx)) {
                self.end(fault.as_ref());
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let fault = Fault::new(
            FaultKind::Cancelled,
            Outcome::Ran,
            "the runtime that produced the stream is shutting down",
        );
        self.end(Some(&fault));
    }
}

impl Session {
    fn send_items(&self, number: StreamNumber, items: Items) -> Result<()> {
        let Items {
            codec,
            lengths,
            body,
            attachments,
            transferred,
            ..
        } = items;
        let (lengths, attachments): (Vec<u32>, Vec<Bytes>) = (lengths.into(), attachments.into());
        let mut garbage = Garbage::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        let table = state.transfer(&transferred, codec, self, &mut garbage);
        let sent = table.and_then(|table| {
            let outgoing = OutgoingItems {
                codec: codec.id(),
                lengths: &lengths,
                table: &table,
                body: &body,
                attachments: &attachments,
            };
            let sent = state.connection.send_items(number, &outgoing);
            if sent.is_err() {
                state.take_back(&table, &mut garbage);
            }
            sent
        });
        Self::unlock_and_write(guard);
        drop(garbage);
        sent.map_err(|error| unsendable(&error))
    }

    /// Ends a stream that this side produces, because it is at its end or because of a fault.
    fn end_stream(&self, number: StreamNumber, fault: Option<&Fault>) {
        let message = fault.map(|fault| {
            let fault = fault.clone().with_hop(&self.node.name);
            fault.to_message(self.node.backtraces)
        });
        let mut garbage = Garbage::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        match message {
            Some(message) => state.connection.fail_stream(number, &message),
            None => state.connection.end_stream(number),
        }
        if state.closed.is_none() {
            state.streams.forget(number, &mut garbage);
        }
        let ending = self.end_if_idle(state);
        Self::unlock_and_write(guard);
        drop(garbage);
        self.finish(ending);
    }
}

fn discarded() -> Fault {
    Fault::new(
        FaultKind::SessionLost,
        Outcome::Ran,
        "the connection was away for longer than the producer of the stream waits; ask for another",
    )
}

fn unsendable(error: &SendError) -> Fault {
    let kind = match error {
        SendError::TooLarge { .. } | SendError::TooMany { .. } => FaultKind::TooLarge,
        SendError::TooManyExports { .. } | SendError::TooManyStreams { .. } => {
            FaultKind::Overloaded
        }
        SendError::UnsupportedCodec(_) => FaultKind::UnsupportedCodec,
        SendError::Closed => FaultKind::SessionLost,
        SendError::Unknown(_) => FaultKind::Cancelled,
        _ => FaultKind::Internal,
    };
    Fault::new(
        kind,
        Outcome::Ran,
        format!("an item of the stream cannot be sent: {error}"),
    )
}
