//! A store that keeps nothing.

use super::{Change, Loaded, Store, StoreError};

/// Keeps nothing: the directory ends with its process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Volatile;

impl Store for Volatile {
    fn describe(&self) -> String {
        "in memory".to_owned()
    }

    fn is_persistent(&self) -> bool {
        false
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, _: &[Change], _: u64) -> Result<(), StoreError> {
        Ok(())
    }
}
