//! The directory as an object: what the name server serves.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak};

use farref::Signal;
use farref::names::{
    Changed, Entry, Grant, MAX_PAGE, Names, NamesError, NamesInfo, Page, Position, Query,
    Registration, Renewal, Renewed,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::directory::Directory;
use crate::limits::Limits;
use crate::news::News;
use crate::store::{Store, StoreError};
use crate::writing::{Done, Wish, Writer};

/// A directory that can be called: register it at any daemon to make that a name server.
///
/// Clones share everything. What is not renewed in time ends as long as one of them lives.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: Arc<RwLock<Directory>>,
    writer: Writer,
    limits: Limits,
    store: String,
    persistent: bool,
    changed: Arc<Signal<Changed>>,
    /// Told when a lease may end before all others.
    ends: Arc<Notify>,
    expiring: OnceLock<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(expiring) = self.expiring.get() {
            expiring.abort();
        }
    }
}

impl Registry {
    /// Reads what the store holds, and serves it from then on. Needs a runtime.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn open(mut store: impl Store, limits: Limits) -> Result<Self, StoreError> {
        let loaded = store.load()?;
        let directory = Directory::of(loaded, Instant::now());
        let directory = Arc::new(RwLock::new(directory));
        let (describe, persistent) = (store.describe(), store.is_persistent());
        let changed = Arc::new(Signal::new());
        let news = News::start(&changed);
        let writer = Writer::start(&directory, &limits, store, news)?;
        let ends = Arc::new(Notify::new());
        let registry = Arc::new(Inner {
            directory,
            writer,
            limits,
            store: describe,
            persistent,
            changed,
            ends: Arc::clone(&ends),
            expiring: OnceLock::new(),
        });
        // Not before there is a registry: on another thread it might find none, and end.
        let expiring = tokio::spawn(expire(Arc::downgrade(&registry), ends));
        let _ = registry.expiring.set(expiring);
        Ok(Registry(registry))
    }

    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.0.directory()
    }

    async fn write(&self, wish: Wish) -> Result<Done, NamesError> {
        self.0.writer.write(wish).await
    }

    async fn count(&self, wish: Wish) -> Result<u32, NamesError> {
        match self.write(wish).await? {
            Done::Counted(count) => Ok(count),
            Done::Granted(_) => Ok(1),
        }
    }
}

impl Inner {
    fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends leases when their time has come.
async fn expire(registry: Weak<Inner>, ends: Arc<Notify>) {
    loop {
        let next = match registry.upgrade() {
            Some(registry) => registry.directory().next_end(),
            None => return,
        };
        let Some(next) = next else {
            ends.notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = ends.notified() => continue,
        }
        let Some(registry) = registry.upgrade() else {
            return;
        };
        if let Err(error) = registry.writer.write(Wish::Expire).await {
            tracing::warn!(%error, "leases have ended, but that could not be kept");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

impl Names for Registry {
    async fn register(&self, registration: Registration) -> Result<Grant, NamesError> {
        let has_lease = registration.lease.is_some();
        let Done::Granted(grant) = self.write(Wish::Register(registration)).await? else {
            return Err(NamesError::Store("it did not answer".to_owned()));
        };
        if has_lease {
            self.0.ends.notify_one();
        }
        Ok(grant)
    }

    async fn renew(&self, renewals: Vec<Renewal>) -> Result<Vec<Renewed>, NamesError> {
        if renewals.len() > self.0.limits.renewals {
            return Err(NamesError::Invalid(format!(
                "a call holds at most {} renewals, and not {}",
                self.0.limits.renewals,
                renewals.len()
            )));
        }
        let mut directory = self
            .0
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let renewed = renewals.iter().map(|renewal| directory.renew(renewal, now));
        Ok(renewed.collect())
    }

    async fn remove(&self, name: &str, epoch: Option<u64>) -> Result<u32, NamesError> {
        self.count(Wish::Remove(name.to_owned(), epoch)).await
    }

    async fn tag(
        &self,
        name: &str,
        add: BTreeSet<String>,
        remove: BTreeSet<String>,
    ) -> Result<u32, NamesError> {
        self.count(Wish::Tag(name.to_owned(), add, remove)).await
    }

    async fn lookup(&self, name: &str) -> Result<Vec<Entry>, NamesError> {
        Ok(self.directory().lookup(name))
    }

    async fn sample(&self, tags: BTreeSet<String>, limit: u32) -> Result<Vec<Entry>, NamesError> {
        self.0.limits.check_tags(&tags)?;
        Ok(self.directory().sample(&tags, page_size(limit)))
    }

    async fn list(
        &self,
        query: Query,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Page, NamesError> {
        self.0.limits.check_query(&query)?;
        self.directory()
            .list(&query, after.as_ref(), page_size(limit))
    }

    async fn info(&self) -> NamesInfo {
        let directory = self.directory();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        NamesInfo {
            store: self.0.store.clone(),
            persistent: self.0.persistent,
            entries: number(directory.len()),
            max_entries: number(self.0.limits.entries),
            tags: number(directory.tag_count()),
            epoch: directory.epoch(),
        }
    }

    fn changed(&self) -> &Signal<Changed> {
        &self.0.changed
    }
}

fn page_size(limit: u32) -> usize {
    usize::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1)
}
