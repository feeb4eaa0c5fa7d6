//! What receivers are told.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::identity::Sender;

/// A value that was sent, and by whom. It stands for the value, and cloning it copies a pointer.
pub struct Event<T>(Arc<Sent<T>>);

struct Sent<T> {
    value: T,
    sender: Option<Sender>,
}

impl<T> Event<T> {
    pub(crate) fn new(value: T, sender: Option<Sender>) -> Self {
        Event(Arc::new(Sent { value, sender }))
    }

    /// Who sent it, if that was said.
    pub fn sender(&self) -> Option<&Sender> {
        self.0.sender.as_ref()
    }
}

impl<T> Deref for Event<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Clone for Event<T> {
    fn clone(&self) -> Self {
        Event(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}
