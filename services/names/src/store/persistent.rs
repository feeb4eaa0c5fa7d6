//! A store in a file, by redb: every commit is one transaction, on disk when it returns.

use std::fmt;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableTable, TableDefinition};

use super::{Change, Loaded, Record, Store, StoreError};

/// Records by their epochs, in postcard.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

/// Single numbers by their names.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The number of the format; another is refused.
const FORMAT: &str = "format";
const THIS_FORMAT: u64 = 1;

/// The greatest epoch that was granted.
const EPOCH: &str = "epoch";

/// Keeps a directory in a file. Only one process at a time can open it.
pub struct Persistent {
    database: Database,
    path: PathBuf,
}

impl Persistent {
    /// Opens the file at this path, or makes it.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, is held by another process, or is something else.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let database = Database::create(&path).map_err(StoreError::new)?;
        let store = Persistent { database, path };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(StoreError::new)?;
        let found = {
            let mut numbers = transaction.open_table(NUMBERS).map_err(StoreError::new)?;
            transaction.open_table(RECORDS).map_err(StoreError::new)?;
            let found = numbers
                .get(FORMAT)
                .map_err(StoreError::new)?
                .map(|number| number.value());
            if found.is_none() {
                numbers
                    .insert(FORMAT, THIS_FORMAT)
                    .map_err(StoreError::new)?;
            }
            found.unwrap_or(THIS_FORMAT)
        };
        transaction.commit().map_err(StoreError::new)?;
        match found {
            THIS_FORMAT => Ok(()),
            other => Err(StoreError::new(format!(
                "its format is number {other}, and this program knows number {THIS_FORMAT} only"
            ))),
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for Persistent {
    fn describe(&self) -> String {
        self.path.display().to_string()
    }

    fn is_persistent(&self) -> bool {
        true
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        let transaction = self.database.begin_write().map_err(StoreError::new)?;
        let mut loaded = Loaded::default();
        {
            let numbers = transaction.open_table(NUMBERS).map_err(StoreError::new)?;
            let epoch = numbers.get(EPOCH).map_err(StoreError::new)?;
            loaded.epoch = epoch.map_or(0, |epoch| epoch.value());
            let records = transaction.open_table(RECORDS).map_err(StoreError::new)?;
            for entry in records.iter().map_err(StoreError::new)? {
                let (_, bytes) = entry.map_err(StoreError::new)?;
                let record: Record =
                    postcard::from_bytes(bytes.value()).map_err(StoreError::new)?;
                loaded.records.push(record);
            }
        }
        transaction.abort().map_err(StoreError::new)?;
        Ok(loaded)
    }

    fn commit(&mut self, changes: &[Change], epoch: u64) -> Result<(), StoreError> {
        // Dropping a transaction that was not committed takes everything back.
        let transaction = self.database.begin_write().map_err(StoreError::new)?;
        {
            let mut records = transaction.open_table(RECORDS).map_err(StoreError::new)?;
            for change in changes {
                match (&change.before, &change.after) {
                    (_, Some(record)) => {
                        let bytes = postcard::to_stdvec(&**record).map_err(StoreError::new)?;
                        records
                            .insert(record.epoch, bytes.as_slice())
                            .map_err(StoreError::new)?;
                    }
                    (Some(record), None) => {
                        records.remove(record.epoch).map_err(StoreError::new)?;
                    }
                    (None, None) => {}
                }
            }
            let mut numbers = transaction.open_table(NUMBERS).map_err(StoreError::new)?;
            numbers.insert(EPOCH, epoch).map_err(StoreError::new)?;
        }
        transaction.commit().map_err(StoreError::new)
    }
}

impl fmt::Debug for Persistent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Persistent").field(&self.path).finish()
    }
}
