//! What connecting a receiver returns.

use std::fmt;
use std::ops::Deref;
use std::sync::Weak;

use super::identity::{ReceiverId, Sender};

/// The list in which a connection has its receiver, whatever the signal is about.
pub(super) trait Disconnect: Send + Sync {
    fn disconnect(&self, number: u64) -> bool;
    fn is_connected(&self, number: u64) -> bool;
}

/// A receiver's place in a signal. Dropping it disconnects nothing; [`scoped`](Connection::scoped) makes one that does.
///
/// It does not keep the signal alive.
#[derive(Clone)]
pub struct Connection {
    pub(super) number: u64,
    pub(super) receiver: ReceiverId,
    pub(super) sender: Option<Sender>,
    pub(super) registry: Weak<dyn Disconnect>,
}

impl Connection {
    /// Who was connected.
    pub fn receiver(&self) -> &ReceiverId {
        &self.receiver
    }

    /// The only one that the receiver listens to; `None` if it hears everybody.
    pub fn sender(&self) -> Option<&Sender> {
        self.sender.as_ref()
    }

    /// Whether the receiver is called when the signal is sent.
    pub fn is_connected(&self) -> bool {
        let registry = self.registry.upgrade();
        registry.is_some_and(|registry| registry.is_connected(self.number))
    }

    /// Disconnects the receiver; `false` if it is not connected any more.
    ///
    /// A sending that has begun still calls it.
    pub fn disconnect(&self) -> bool {
        let registry = self.registry.upgrade();
        registry.is_some_and(|registry| registry.disconnect(self.number))
    }

    /// Ties the receiver to a value: it is disconnected when that is dropped.
    pub fn scoped(self) -> ScopedConnection {
        ScopedConnection(self)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("receiver", &self.receiver)
            .field("sender", &self.sender)
            .field("is_connected", &self.is_connected())
            .finish()
    }
}

/// A [`Connection`] that disconnects its receiver when it is dropped.
#[derive(Debug)]
#[must_use = "the receiver is disconnected when this is dropped"]
pub struct ScopedConnection(Connection);

impl Deref for ScopedConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for ScopedConnection {
    fn drop(&mut self) {
        self.0.disconnect();
    }
}
