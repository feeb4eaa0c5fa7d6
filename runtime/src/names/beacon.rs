//! Finding a name server on the local network: a question to everybody, and the answer of whoever runs one.
//!
//! A question is a datagram of [`SIZE`] bytes: [`QUESTION`], eight random bytes, and zeros. An answer is [`ANSWER`], the
//! same eight bytes, and the URI of the name server's directory. An answer is never longer than a question, so that
//! nobody can be flooded by questions in their name.
//!
//! Anybody on the network may answer. Where not everybody there is trusted, name servers and clients share a
//! [token](crate::ClientBuilder::token), which both sides of a session prove, or clients are told where the name server is.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::random;
use crate::uri::{Address, Uri};

/// What a question begins with.
pub const QUESTION: &[u8; 8] = b"farref?1";

/// What an answer begins with.
pub const ANSWER: &[u8; 8] = b"farref!1";

/// The length of a question, and the greatest of an answer, in bytes.
pub const SIZE: usize = 512;

/// How often a question is asked, and how long is waited each time.
const PATIENCE: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
];

/// Where a question goes by default: this machine, and everybody on its network.
pub(super) fn everywhere() -> [SocketAddr; 2] {
    [Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST]
        .map(|host| SocketAddr::from((host, super::DEFAULT_PORT)))
}

/// Asks at these addresses, which may be those of a broadcast, where a name server is. Gives up after a second.
///
/// # Errors
///
/// If no socket can be opened. That nobody answers is no error.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn find(addresses: &[SocketAddr]) -> io::Result<Option<Uri>> {
    let local = match addresses.iter().any(SocketAddr::is_ipv6) {
        true => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.set_broadcast(true)?;
    let nonce: [u8; 8] = random::bytes();
    let mut question = [0; SIZE];
    question[..8].copy_from_slice(QUESTION);
    question[8..16].copy_from_slice(&nonce);
    for patience in PATIENCE {
        for address in addresses {
            // A machine may have no network, and one that nobody listens on may say so.
            let _ = socket.send_to(&question, address).await;
        }
        if let Ok(uri) = tokio::time::timeout(patience, answer(&socket, &nonce)).await {
            return Ok(Some(uri));
        }
    }
    Ok(None)
}

/// Waits for an answer that makes sense.
async fn answer(socket: &UdpSocket, nonce: &[u8; 8]) -> Uri {
    let mut buffer = [0; SIZE];
    loop {
        let Ok((length, sender)) = socket.recv_from(&mut buffer).await else {
            // A refusal by a machine where nobody listens.
            tokio::task::yield_now().await;
            continue;
        };
        if let Some(uri) = read_answer(&buffer[..length], nonce, sender.ip()) {
            return uri;
        }
    }
}

fn read_answer(datagram: &[u8], nonce: &[u8; 8], sender: IpAddr) -> Option<Uri> {
    let text = datagram.strip_prefix(ANSWER)?.strip_prefix(nonce)?;
    let uri: Uri = std::str::from_utf8(text).ok()?.parse().ok()?;
    let Address::Tcp { host, port } = uri.address()? else {
        return None;
    };
    let is_unspecified = host
        .parse()
        .is_ok_and(|address: IpAddr| address.is_unspecified());
    if !is_unspecified {
        return Some(uri);
    }
    // It listens everywhere, so it is there where its answer comes from.
    let there = Uri::from(SocketAddr::new(sender, *port));
    Some(there.with_object(uri.object().unwrap_or_default()))
}

/// The answer to a datagram: that the name server is at `uri`; `None` if the datagram asks nothing, or the URI is too
/// long.
#[must_use]
pub fn answer_to(datagram: &[u8], uri: &Uri) -> Option<Vec<u8>> {
    let nonce = datagram.strip_prefix(QUESTION)?.get(..8)?;
    if datagram.len() < SIZE {
        return None;
    }
    let mut answer = ANSWER.to_vec();
    answer.extend_from_slice(nonce);
    answer.extend_from_slice(uri.to_string().as_bytes());
    Some(answer).filter(|answer| answer.len() <= SIZE)
}
