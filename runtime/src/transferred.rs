//! What a frame transfers beside its values: references to objects, and streams.

use std::fmt;
use std::sync::Arc;

use crate::remote::Remote;
use crate::stream::Feed;

/// An entry of the table of a frame, whose index the values hold.
#[derive(Clone)]
pub(crate) enum Transferred {
    /// An object, or none any more.
    Reference(Remote),
    /// A stream, where its items come from.
    Stream(Arc<dyn Feed>),
}

impl Transferred {
    /// The reference, if this is one.
    #[cfg(feature = "dynamic")]
    pub(crate) fn reference(&self) -> Option<&Remote> {
        match self {
            Transferred::Reference(remote) => Some(remote),
            Transferred::Stream(_) => None,
        }
    }
}

impl fmt::Debug for Transferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transferred::Reference(remote) => remote.fmt(f),
            Transferred::Stream(_) => f.write_str("a stream"),
        }
    }
}
