//! TCP.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::{Reads, Transport};
use crate::peer::PeerAddress;

/// Connects to the first address of this host that answers.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<Transport> {
    let stream = TcpStream::connect((host, port)).await?;
    let peer = stream.peer_addr()?;
    transport(stream, peer)
}

/// Makes a transport of a connected socket.
pub(crate) fn transport(stream: TcpStream, peer: SocketAddr) -> io::Result<Transport> {
    // Frames are gathered before they are written, so waiting for more could only delay them.
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok(Transport {
        reader: Box::new(reader),
        writer: Box::new(writer),
        peer: PeerAddress::Tcp(peer),
    })
}

impl Reads for OwnedReadHalf {
    fn socket(&self) -> Option<SockRef<'_>> {
        Some(SockRef::from(self.as_ref()))
    }
}
