//! What receivers are told.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::identity::Sender;
use super::sent_by::SentBy;

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

    /// The same, sent by this one, if nobody was said to have sent it.
    pub(super) fn sent_by(self, sender: Option<SentBy>) -> Self {
        let (None, Some(sender)) = (self.sender(), sender) else {
            return self;
        };
        match Arc::try_unwrap(self.0) {
            Ok(sent) => Event::new(sent.value, Some(sender.sender())),
            Err(shared) => Event(shared),
        }
    }

    /// Who sent it, if that was said. Another process learns it where it is an object that is known by more than a URI.
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

impl<T: Serialize> Serialize for Event<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Event<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = T::deserialize(deserializer)?;
        Ok(Event::new(value, None))
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
