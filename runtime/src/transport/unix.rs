//! Unix domain sockets.

use std::io;
use std::path::{Path, PathBuf};

use socket2::SockRef;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use super::{Reads, Transport};
use crate::peer::PeerAddress;

/// Connects to the listener at this path.
pub(crate) async fn connect(path: &Path) -> io::Result<Transport> {
    let stream = UnixStream::connect(path).await?;
    Ok(transport(stream, Some(path.to_owned())))
}

/// Makes a transport of a connected socket.
pub(crate) fn transport(stream: UnixStream, path: Option<PathBuf>) -> Transport {
    let (reader, writer) = stream.into_split();
    Transport {
        reader: Box::new(reader),
        writer: Box::new(writer),
        peer: PeerAddress::Unix(path),
    }
}

impl Reads for OwnedReadHalf {
    fn socket(&self) -> Option<SockRef<'_>> {
        Some(SockRef::from(self.as_ref()))
    }
}
