//! What few calls have beside their arguments, until somebody takes it.

use std::sync::{Mutex, PoisonError};

use farref_proto::Seldom;

use crate::references;
use crate::transferred::Transferred;

/// The references and streams, or the byte strings, that came with a call. Behind a lock only so that the handler's future
/// may hold a reference to the call; where there are none, as with most calls, there is no lock.
pub(crate) struct Held<T>(Option<Box<Mutex<Seldom<T>>>>);

impl<T> Held<T> {
    pub(crate) fn new(list: Seldom<T>) -> Self {
        Held((!list.is_empty()).then(|| Box::new(Mutex::new(list))))
    }

    /// Whether there never were any.
    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// Those that are still there.
    #[inline]
    pub(crate) fn take(&self) -> Seldom<T> {
        match &self.0 {
            None => Seldom::new(),
            Some(held) => std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl Held<Transferred> {
    /// Runs `decode` with them at hand.
    #[inline]
    pub(crate) fn resolve<R>(&self, decode: impl FnOnce() -> R) -> R {
        match &self.0 {
            None => decode(),
            Some(held) => {
                let mut table = held.lock().unwrap_or_else(PoisonError::into_inner);
                references::resolve(&mut table, decode)
            }
        }
    }
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Held(None)
    }
}
