//! The streams of a session: those that this side produces, each with a task that sends its items, and those that it
//! consumes, each with a queue that its credit bounds.

mod consuming;
mod producing;

use std::sync::Arc;
use std::task::Waker;

use farref_proto::{
    Connection, FaultKind, IncomingItems, Seldom, SendError, StreamEnding, StreamNumber, TableEntry,
};

use self::consuming::{Arrived, FarStream, Inbox};
pub(super) use self::producing::Pump;
use super::Session;
use super::inbox::Garbage;
use crate::Outcome;
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::stream::{Feed, Items};
use crate::transferred::Transferred;

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
        transferred: Seldom<Transferred>,
        garbage: &mut Garbage,
    ) {
        let inbox = self.consumed.get(items.stream.index() as usize);
        let Some(Some(inbox)) = inbox else {
            garbage.transferred.extend(transferred);
            return;
        };
        let codec = Codec::from_id(items.codec).filter(|codec| codec.is_available());
        let arrived = match codec {
            Some(codec) => Arrived::Items(Items::new(
                codec,
                session.node.budget,
                items.lengths,
                items.body,
                items.attachments.into_vec(),
                transferred,
            )),
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
