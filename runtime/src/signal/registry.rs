//! The receivers of one signal.

use std::sync::Arc;

use super::connection::Disconnect;
use super::identity::{ReceiverId, Sender, number};
use super::receiver::Receiver;
use super::subscribers::Subscriber;
use crate::panics;
use crate::roster::{self, Roster};

/// The receivers at one moment, in the order in which they connected.
pub(super) type Snapshot<T, R> = roster::Snapshot<Entry<T, R>>;

/// A connected receiver.
pub(super) struct Entry<T, R> {
    number: u64,
    pub(super) id: ReceiverId,
    /// The only one that it listens to.
    pub(super) sender: Option<Sender>,
    pub(super) receiver: Receiver<T, R>,
}

impl<T, R> Entry<T, R> {
    pub(super) fn new(
        id: ReceiverId,
        sender: Option<Sender>,
        receiver: Receiver<T, R>,
    ) -> Arc<Self> {
        Arc::new(Entry {
            number: number(),
            id,
            sender,
            receiver,
        })
    }

    /// Whether it is told what `sender` sends.
    pub(super) fn hears(&self, sender: Option<&Sender>) -> bool {
        self.sender.is_none() || self.sender.as_ref() == sender
    }
}

pub(super) struct Registry<T, R> {
    receivers: Roster<Entry<T, R>>,
    pub(super) subscribers: Arc<Roster<Subscriber<T>>>,
}

impl<T, R> Default for Registry<T, R> {
    fn default() -> Self {
        Registry {
            receivers: Roster::default(),
            subscribers: Arc::default(),
        }
    }
}

impl<T, R> Drop for Registry<T, R> {
    fn drop(&mut self) {
        for subscriber in self.subscribers.snapshot().iter() {
            subscriber.complete();
        }
    }
}

impl<T, R> Registry<T, R> {
    pub(super) fn snapshot(&self) -> Snapshot<T, R> {
        self.receivers.snapshot()
    }

    /// Adds a receiver, unless it is there: the number of the one that is there now.
    pub(super) fn connect(&self, entry: Arc<Entry<T, R>>) -> u64 {
        self.forget_gone();
        let (id, sender) = (entry.id.clone(), entry.sender.clone());
        let is_it = |known: &Entry<T, R>| known.id == id && known.sender == sender;
        self.receivers.find_or_add(entry, is_it).number
    }

    /// The number of the receiver of this identity that listens to this sender.
    pub(super) fn find(&self, id: &ReceiverId, sender: Option<&Sender>) -> Option<u64> {
        let snapshot = self.receivers.snapshot();
        let is_it = |known: &&Arc<Entry<T, R>>| {
            known.id == *id && known.sender.as_ref() == sender && !known.receiver.is_gone()
        };
        snapshot.iter().find(is_it).map(|entry| entry.number)
    }

    /// Takes the receiver of this identity out that listens to this sender; `false` if there is none.
    pub(super) fn disconnect(&self, id: &ReceiverId, sender: Option<&Sender>) -> bool {
        self.forget_gone();
        let is_it = |known: &Entry<T, R>| known.id == *id && known.sender.as_ref() == sender;
        self.receivers.take_out(is_it).is_some()
    }

    /// Lets go of receivers whose objects are gone.
    pub(super) fn forget_gone(&self) {
        panics::drop_contained(
            self.receivers
                .take_all_out(|entry| entry.receiver.is_gone()),
        );
    }
}

impl<T: Send + Sync, R: Send> Disconnect for Registry<T, R> {
    fn disconnect(&self, number: u64) -> bool {
        self.forget_gone();
        self.receivers
            .take_out(|entry| entry.number == number)
            .is_some()
    }

    fn is_connected(&self, number: u64) -> bool {
        let snapshot = self.receivers.snapshot();
        let mut entries = snapshot.iter();
        entries.any(|entry| entry.number == number && !entry.receiver.is_gone())
    }
}
