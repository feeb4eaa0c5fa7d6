//! What is told to those who watch the directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use farref::Signal;
use farref::names::{Changed, Entry, Happened};
use tokio::sync::mpsc;

use crate::directory::Directory;
use crate::store::Change;
use crate::writing::Wish;

/// How many changes wait to be told. Changing the directory does not wait for those who watch: what is more is left out,
/// and they see that by its number.
const MAX_WAITING: usize = 4096;

/// How long one who watches may keep the others waiting before it is disconnected.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way from what changes the directory to those who watch it.
#[derive(Debug)]
pub(crate) struct News {
    changed: Arc<Signal<Changed>>,
    /// How many changes there have been.
    number: AtomicU64,
    waiting: mpsc::Sender<Changed>,
}

/// A change that is not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Draft {
    what: Happened,
    entry: Entry,
    owner: Option<u64>,
}

impl News {
    /// Begins to tell. It ends when this is dropped.
    pub(crate) fn start(changed: &Arc<Signal<Changed>>) -> Self {
        let (waiting, told) = mpsc::channel(MAX_WAITING);
        tokio::spawn(tell(Arc::clone(changed), told));
        News {
            changed: Arc::clone(changed),
            number: AtomicU64::new(0),
            waiting,
        }
    }

    /// What there is to tell of these changes, which fulfilled a wish: nothing for each if nobody listens.
    pub(crate) fn of(
        &self,
        wish: &Wish,
        changes: &[Change],
        directory: &Directory,
    ) -> Vec<Option<Draft>> {
        if !self.changed.has_receivers() {
            return changes.iter().map(|_| None).collect();
        }
        let draft = |change: &Change| {
            let gone = match wish {
                Wish::Register(_) => Happened::Replaced,
                Wish::Expire => Happened::Expired,
                Wish::Remove(..) | Wish::Tag(..) => Happened::Removed,
            };
            let (what, record) = match (&change.before, &change.after) {
                (None, Some(after)) => (Happened::Registered, after),
                (Some(_), Some(after)) => (Happened::Tagged, after),
                (Some(before), None) => (gone, before),
                (None, None) => return None,
            };
            Some(Draft {
                what,
                entry: record.entry(directory.load(record.epoch)),
                owner: directory.owner(&record.name),
            })
        };
        changes.iter().map(draft).collect()
    }

    /// Tells what has been acknowledged. Never waits.
    pub(crate) fn tell(&self, drafts: Vec<Option<Draft>>) {
        for draft in drafts {
            let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(draft) = draft {
                let Draft { what, entry, owner } = draft;
                // Where there is no room its number is missing, which is how others learn of it.
                let _ = self.waiting.try_send(Changed {
                    number,
                    what,
                    entry,
                    owner,
                });
            }
        }
    }
}

async fn tell(changed: Arc<Signal<Changed>>, mut told: mpsc::Receiver<Changed>) {
    while let Some(change) = told.recv().await {
        for (receiver, response) in changed.send_within(PATIENCE, change).await {
            if let Err(error) = response {
                tracing::debug!(%receiver, %error, "one who watches the directory was not told");
            }
        }
    }
}
