//! How changes come into the directory and its store: one after the other, many in one commit.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use farref::names::{Grant, NamesError, Registration};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::directory::Directory;
use crate::limits::Limits;
use crate::news::News;
use crate::store::{Change, Store, StoreError};

/// How many changes wait for the store before those who ask for more have to wait.
const MAX_WAITING: usize = 1024;

/// How many changes one commit may hold.
const MAX_BATCH: usize = 512;

/// What somebody wants to change.
#[derive(Debug)]
pub(crate) enum Wish {
    Register(Registration),
    Remove(String, Option<u64>),
    Tag(String, BTreeSet<String>, BTreeSet<String>),
    /// Whatever was not renewed in time is to go.
    Expire,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    Granted(Grant),
    Counted(u32),
}

type Outcome = Result<Done, NamesError>;

/// Takes wishes.
#[derive(Debug)]
pub(crate) enum Writer {
    /// A store that forgets is not asked at all.
    Here(Arc<RwLock<Directory>>, Limits, News),
    /// A thread waits for the store.
    Thread(mpsc::Sender<(Wish, oneshot::Sender<Outcome>)>),
}

impl Writer {
    pub(crate) fn start(
        directory: &Arc<RwLock<Directory>>,
        limits: &Limits,
        store: impl Store,
        news: News,
    ) -> Result<Self, StoreError> {
        if !store.is_persistent() {
            return Ok(Writer::Here(Arc::clone(directory), limits.clone(), news));
        }
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let worker = Worker {
            directory: Arc::clone(directory),
            limits: limits.clone(),
            store,
            news,
            wishes: receiver,
        };
        std::thread::Builder::new()
            .name("farref-names".to_owned())
            .spawn(move || worker.run())
            .map_err(StoreError::new)?;
        Ok(Writer::Thread(sender))
    }

    /// Makes a change, and waits until it is kept.
    pub(crate) async fn write(&self, wish: Wish) -> Outcome {
        match self {
            Writer::Here(directory, limits, news) => {
                let mut changes = Vec::new();
                let mut directory = lock(directory);
                let done = fulfil(&mut directory, &wish, limits, &mut changes);
                // Under the lock, so that what is told is told in the order in which it happened.
                news.tell(news.of(&wish, &changes, &directory));
                done
            }
            Writer::Thread(sender) => {
                let (answer, answered) = oneshot::channel();
                let gone = || NamesError::Store("it was closed".to_owned());
                sender.send((wish, answer)).await.map_err(|_| gone())?;
                answered.await.map_err(|_| gone())?
            }
        }
    }
}

/// The thread that owns the store.
struct Worker<S> {
    directory: Arc<RwLock<Directory>>,
    limits: Limits,
    store: S,
    news: News,
    wishes: mpsc::Receiver<(Wish, oneshot::Sender<Outcome>)>,
}

impl<S: Store> Worker<S> {
    fn run(mut self) {
        while let Some(first) = self.wishes.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH
                && let Ok(wish) = self.wishes.try_recv()
            {
                batch.push(wish);
            }
            self.serve(batch);
        }
    }

    fn serve(&mut self, batch: Vec<(Wish, oneshot::Sender<Outcome>)>) {
        let (mut changes, mut told) = (Vec::new(), Vec::new());
        let mut answers = Vec::with_capacity(batch.len());
        let epoch = {
            let mut directory = lock(&self.directory);
            for (wish, answer) in batch {
                let before = changes.len();
                let done = fulfil(&mut directory, &wish, &self.limits, &mut changes);
                told.extend(self.news.of(&wish, &changes[before..], &directory));
                answers.push((answer, done));
            }
            directory.epoch()
        };
        let kept = match changes.is_empty() {
            true => Ok(()),
            false => self.store.commit(&changes, epoch),
        };
        match &kept {
            Ok(()) => self.news.tell(told),
            Err(error) => {
                tracing::error!(%error, changes = changes.len(), "changes could not be kept and are taken back");
                lock(&self.directory).undo(changes, Instant::now());
            }
        }
        for (answer, done) in answers {
            let outcome = match &kept {
                Ok(()) => done,
                // Also what would have failed anyhow may have failed only for what was taken back.
                Err(error) => Err(NamesError::Store(error.to_string())),
            };
            // Whoever has gone does not want to know.
            let _ = answer.send(outcome);
        }
    }
}

fn lock(directory: &RwLock<Directory>) -> RwLockWriteGuard<'_, Directory> {
    directory.write().unwrap_or_else(PoisonError::into_inner)
}

fn fulfil(
    directory: &mut Directory,
    wish: &Wish,
    limits: &Limits,
    changes: &mut Vec<Change>,
) -> Outcome {
    let now = Instant::now();
    match wish {
        Wish::Register(registration) => directory
            .register(registration, limits, now, changes)
            .map(Done::Granted),
        Wish::Remove(name, epoch) => directory.remove(name, *epoch, changes).map(Done::Counted),
        Wish::Tag(name, add, remove) => directory
            .tag(name, add, remove, limits, changes)
            .map(Done::Counted),
        Wish::Expire => {
            let before = changes.len();
            directory.expire(now, changes);
            let count = changes.len() - before;
            Ok(Done::Counted(u32::try_from(count).unwrap_or(u32::MAX)))
        }
    }
}
