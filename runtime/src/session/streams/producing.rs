//! Streams that this side produces: the task that sends the items of one, as far as it has credit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use farref_proto::{Extensions, FaultKind, OutgoingItems, SendError, StreamNumber};
use tokio::time::Sleep;

use super::super::handing_off::Introducing;
use super::super::inbox::Garbage;
use super::super::refusals::kind_of;
use super::super::{Session, State};
use super::Production;
use crate::Outcome;
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::panics;
use crate::stream::{Feed, Items, Room};

/// Bytes that wait to be written beyond which producers of streams wait: a few writes of the largest size.
const MAX_UNSENT: usize = 256 << 10;
/// Frames that a stream sends before others have their turn: what makes the items may take its time for each.
const FRAMES_AT_ONCE: usize = 4;

/// The task that sends the items of a stream.
pub(crate) struct Pump {
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
    pub(crate) fn new(session: &Arc<Session>, production: Production) -> Self {
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

    /// Sends what is ready, as far as it is this stream's turn. Ready with what ended the stream, if not its end.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fault>> {
        if let Some(lifetime) = &mut self.lifetime
            && lifetime.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Fault::new(
                FaultKind::DeadlineExceeded,
                Outcome::Ran,
                "the stream lasted as long as its producer lets streams last; ask for another",
            )));
        }
        for _ in 0..FRAMES_AT_ONCE {
            if let Err(fault) = ready!(self.poll_frame(cx)) {
                return Poll::Ready(fault);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
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
        let polled = self.poll_frames(cx);
        if let Poll::Ready(fault) = &polled {
            self.end(fault.as_ref());
        }
        self.session.write_items();
        polled.map(drop)
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let fault = Fault::new(
            FaultKind::Cancelled,
            Outcome::Ran,
            "the runtime that produced the stream is shutting down",
        );
        self.end(Some(&fault));
        self.session.write_soon();
    }
}

impl Session {
    /// Adds the items to what is to be written.
    fn send_items(&self, number: StreamNumber, items: Items) -> Result<()> {
        let Items {
            codec,
            lengths,
            body,
            attachments,
            transferred,
            ..
        } = items;
        let mut garbage = Garbage::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut introducing = Introducing::default();
        let table = state.transfer(&transferred, codec, self, &mut introducing, &mut garbage);
        let introduced = introducing.extensions(Extensions::NONE);
        let sent = table.and_then(|table| {
            let outgoing = OutgoingItems {
                codec: codec.id(),
                extensions: introduced.as_ref().unwrap_or(Extensions::NONE),
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
        introducing.end(sent.is_ok(), &mut garbage);
        drop(guard);
        drop(garbage);
        sent.map_err(|error| unsendable(&error))
    }

    /// Adds the end of a stream that this side produces to what is to be written, because it is at its end or because of a
    /// fault.
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
        drop(guard);
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
    let message = format!("an item of the stream cannot be sent: {error}");
    let kind = match error {
        SendError::Unknown(_) => FaultKind::Cancelled,
        error => kind_of(error),
    };
    Fault::new(kind, Outcome::Ran, message)
}
