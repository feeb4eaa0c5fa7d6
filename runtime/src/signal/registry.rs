//! The receivers of one signal.
//!
//! They are a list that is replaced when it changes, so that whoever sends takes it as it is and calls receivers while
//! others connect and disconnect. The lock is a leaf: nothing of the application runs under it, what is taken out of the
//! list is dropped after unlocking.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::Disconnect;
use super::identity::{ReceiverId, Sender, number};
use super::receiver::Receiver;
use crate::panics;

/// The receivers at one moment, in the order in which they connected.
pub(super) type Snapshot<T, R> = Arc<Vec<Arc<Entry<T, R>>>>;

/// A connected receiver.
pub(super) struct Entry<T, R> {
    pub(super) number: u64,
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

pub(super) struct Registry<T, R>(Mutex<Snapshot<T, R>>);

impl<T, R> Default for Registry<T, R> {
    fn default() -> Self {
        Registry(Mutex::default())
    }
}

impl<T, R> Registry<T, R> {
    fn lock(&self) -> MutexGuard<'_, Snapshot<T, R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshot(&self) -> Snapshot<T, R> {
        Arc::clone(&self.lock())
    }

    /// Adds a receiver, unless it is there: the number of the one that is there now, and its identity.
    pub(super) fn connect(&self, entry: Arc<Entry<T, R>>) -> u64 {
        self.forget_gone();
        let mut entries = self.lock();
        let known = entries
            .iter()
            .find(|known| known.id == entry.id && known.sender == entry.sender);
        match known {
            Some(known) => {
                let number = known.number;
                drop(entries);
                drop(entry);
                number
            }
            None => {
                let number = entry.number;
                Arc::make_mut(&mut entries).push(entry);
                number
            }
        }
    }

    /// Takes one receiver out; `false` if there is none.
    pub(super) fn take_out(&self, is_it: impl Fn(&Entry<T, R>) -> bool) -> bool {
        let mut entries = self.lock();
        let Some(index) = entries.iter().position(|entry| is_it(entry)) else {
            return false;
        };
        let entry = Arc::make_mut(&mut entries).remove(index);
        drop(entries);
        drop(entry);
        true
    }

    /// Lets go of receivers whose objects are gone.
    pub(super) fn forget_gone(&self) {
        let mut entries = self.lock();
        if !entries.iter().any(|entry| entry.receiver.is_gone()) {
            return;
        }
        let gone: Vec<_> = Arc::make_mut(&mut entries)
            .extract_if(.., |entry| entry.receiver.is_gone())
            .collect();
        drop(entries);
        panics::drop_contained(gone);
    }
}

impl<T, R> Disconnect for Registry<T, R> {
    fn disconnect(&self, number: u64) -> bool {
        self.take_out(|entry| entry.number == number)
    }

    fn is_connected(&self, number: u64) -> bool {
        let entries = self.lock();
        entries
            .iter()
            .any(|entry| entry.number == number && !entry.receiver.is_gone())
    }
}
