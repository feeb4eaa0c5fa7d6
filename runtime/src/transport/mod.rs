//! Byte pipes: what a connection reads from and writes to.

use std::fmt;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf};

use crate::peer::PeerAddress;

pub(crate) mod listener;
pub(crate) mod memory;
pub(crate) mod tcp;
#[cfg(unix)]
pub(crate) mod unix;

/// A byte pipe with its two directions apart, so that neither waits for the other.
pub(crate) struct Transport {
    pub(crate) reader: Box<dyn Reads>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) peer: PeerAddress,
}

/// What a transport reads with.
pub(crate) trait Reads: AsyncRead + Send + Unpin {
    /// The socket that it reads from, if there is one.
    fn socket(&self) -> Option<SockRef<'_>> {
        None
    }
}

impl<T: AsyncRead + Send> Reads for ReadHalf<T> {}

impl Transport {
    /// A pipe that the application opened itself.
    pub(crate) fn from_io(io: impl AsyncRead + AsyncWrite + Send + 'static, name: String) -> Self {
        let (reader, writer) = tokio::io::split(io);
        Transport {
            reader: Box::new(reader),
            writer: Box::new(writer),
            peer: PeerAddress::Stream(name),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
