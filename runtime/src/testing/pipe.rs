//! The ends of connections through a network.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::Network;
use super::state::Read;
use crate::peer::PeerAddress;
use crate::transport::{Reads, Transport};

/// One side of a connection.
pub(super) fn transport(
    network: &Network,
    connection: u64,
    side: usize,
    peer: &PeerAddress,
) -> Transport {
    let end = (connection, side);
    Transport {
        reader: Box::new(Reader {
            network: network.clone(),
            end,
            arrival: None,
        }),
        writer: Box::new(Writer {
            network: network.clone(),
            end,
        }),
        peer: peer.clone(),
    }
}

struct Reader {
    network: Network,
    end: (u64, usize),
    /// When the next bytes arrive.
    arrival: Option<Pin<Box<Sleep>>>,
}

impl Reads for Reader {}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let change =
                |state: &mut super::State, woken: &mut _| state.read(this.end, buffer, cx, woken);
            match this.network.0.change(change) {
                Read::Done(result) => return Poll::Ready(result),
                Read::Nothing => return Poll::Pending,
                Read::At(due) => {
                    let sleep = || Box::pin(tokio::time::sleep_until(due));
                    let arrival = this.arrival.get_or_insert_with(sleep);
                    if arrival.deadline() != due {
                        arrival.as_mut().reset(due);
                    }
                    ready!(arrival.as_mut().poll(cx));
                }
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.network
            .0
            .change(|state, woken| state.drop_reader(self.end, woken));
    }
}

struct Writer {
    network: Network,
    end: (u64, usize),
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.network
            .0
            .change(|state, woken| state.write(self.end, bytes, cx, woken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.network
            .0
            .change(|state, woken| state.shut_down(self.end, woken));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.network
            .0
            .change(|state, woken| state.drop_writer(self.end, woken));
    }
}
