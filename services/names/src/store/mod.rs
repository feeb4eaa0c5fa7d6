//! Where a directory is kept while nobody runs it.

#[cfg(feature = "persistent")]
mod persistent;
mod volatile;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use farref::Uri;
use farref::names::Entry;
use serde::{Deserialize, Serialize};

#[cfg(feature = "persistent")]
pub use self::persistent::Persistent;
pub use self::volatile::Volatile;

/// Keeps what a directory holds.
///
/// The directory itself is in memory and answers every question; a store is read once, and then told what changes. All
/// of its methods are called one after the other, on a thread that may block.
pub trait Store: Send + 'static {
    /// What it is, in words: "in memory", or the path of a file.
    fn describe(&self) -> String;

    /// Whether what is committed is there after a restart. One that forgets is not waited for.
    fn is_persistent(&self) -> bool;

    /// Reads everything.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// Makes all of these changes, or none. When it returns they must survive whatever happens to this process.
    ///
    /// `epoch` is the greatest that was granted, and has to be kept as well: an epoch is never granted twice.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being written. The directory takes them back then.
    fn commit(&mut self, changes: &[Change], epoch: u64) -> Result<(), StoreError>;
}

/// What a store held.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All records, in any order.
    pub records: Vec<Record>,
    /// The greatest epoch that was ever committed.
    pub epoch: u64,
}

/// A change of one record: it comes, goes, or is replaced by another of the same epoch.
#[derive(Clone, Debug)]
pub struct Change {
    /// The record before.
    pub before: Option<Arc<Record>>,
    /// The record after.
    pub after: Option<Arc<Record>>,
}

/// One registration, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, by which it is known.
    pub epoch: u64,
    /// The name.
    pub name: Arc<str>,
    /// Where the object is.
    pub uri: Uri,
    /// Its tags.
    pub tags: BTreeSet<Arc<str>>,
    /// Its lease in seconds, if it has one.
    pub lease: Option<u32>,
    /// The number that its owner chose; 0 stands for nobody in particular.
    pub owner: u64,
}

impl Record {
    /// The registration as others see it.
    pub(crate) fn entry(&self, load: u32) -> Entry {
        Entry {
            name: String::from(&*self.name),
            uri: self.uri.clone(),
            tags: self.tags.iter().map(|tag| String::from(&**tag)).collect(),
            epoch: self.epoch,
            lease: self.lease,
            load,
        }
    }
}

/// Why a store cannot be read or written.
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Wraps whatever went wrong.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StoreError(error.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
