//! The handshake: who is there, what each allows the other, and whether both hold the token.
//!
//! ```text
//! client                                    server
//!   | -- preamble, ClientHello -------------> |
//!   | (a client without a token may send      |
//!   |  session frames right behind it)        |
//!   |                                         |  no token is asked for:
//!   | <------------ preamble, ServerHello --- |    established
//!   |                                         |
//!   | <-------------- preamble, Challenge --- |  a token is asked for
//!   | -- Proof -----------------------------> |
//!   | <---------------------- ServerHello --- |    established
//!   |                                         |
//!   | <--------------------------- Refuse --- |  anything else: nothing has run
//! ```
//!
//! How a session is taken up again stands in `resumption`.

mod client;
mod config;
mod proof;
mod resumption;
mod server;

use std::time::Duration;

use bytes::BytesMut;

pub(crate) use self::client::ClientHandshake;
pub use self::config::{ClientConfig, ServerConfig, SessionSecret, Token};
pub use self::resumption::ResumeRequest;
pub(crate) use self::resumption::{Resuming, Resumption};
pub(crate) use self::server::ServerHandshake;
use crate::error::{ConnectionError, Stranger};
use crate::frame::PREAMBLE;
use crate::id::{InstanceId, SessionId};
use crate::limits::Grants;
use crate::message::Message;
use crate::time::Time;

/// The version of the protocol that this crate speaks.
pub(crate) const VERSION: u16 = 1;

/// Who is at the other end, and what the two agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The process.
    pub instance: InstanceId,
    /// What it calls itself; empty if it says nothing.
    pub name: String,
    /// The version of the protocol.
    pub version: u16,
    /// The codecs that both know: bit n for the codec n.
    pub codecs: u32,
    /// The optional parts of the protocol that both know.
    pub features: u64,
    /// What it allows this side.
    pub grants: Grants,
    /// The session.
    pub session: SessionId,
    /// How long it keeps the session when the connection is lost; zero for not at all.
    pub linger: Duration,
}

impl PeerInfo {
    /// Tells whether both know this optional part of the protocol, one of [`features`](crate::features).
    pub fn knows(&self, feature: u64) -> bool {
        self.features & feature != 0
    }
}

/// A handshake that is not done.
#[derive(Debug)]
pub(crate) enum Handshake {
    Client(Box<ClientHandshake>),
    Server(Box<ServerHandshake>),
    /// Of a client that takes its session up again.
    Resuming(Box<Resuming>),
}

/// What a message led to.
#[derive(Debug)]
pub(crate) enum Step {
    /// More messages are needed.
    Wait(Handshake),
    /// The connection is established. The other side's clock was read, and a server learned how the session
    /// is taken up again.
    Done(Box<PeerInfo>, Time, Option<Box<Resumption>>),
    /// A client wants to take up a session, which may be elsewhere in this process.
    ResumeRequested(Handshake, ResumeRequest),
    /// The session goes on. The other side received so much of it, and its clock was read.
    Resumed { received: u64, clock: Time },
}

impl Handshake {
    /// Takes the next message; answers are written to `out`.
    pub(crate) fn handle(
        self,
        now: Time,
        message: Message,
        out: &mut BytesMut,
    ) -> Result<Step, ConnectionError> {
        match self {
            Self::Client(handshake) => handshake.handle(message, out),
            Self::Server(handshake) => handshake.handle(now, message, out),
            Self::Resuming(handshake) => handshake.handle(message),
        }
    }

    /// Tells whether session frames are to be thrown away: their sender spoke before it was known.
    pub(crate) fn discards_session_frames(&self) -> bool {
        match self {
            Self::Client(_) | Self::Resuming(_) => false,
            Self::Server(handshake) => handshake.awaits_proof(),
        }
    }

    /// Tells whether this side may send session frames already.
    pub(crate) fn allows_early_frames(&self) -> bool {
        match self {
            Self::Client(handshake) => handshake.allows_early_frames(),
            Self::Server(_) | Self::Resuming(_) => false,
        }
    }
}

/// Looks for the preamble at the start of `input`. Returns whether it is complete.
///
/// # Errors
///
/// The first byte that differs tells that a stranger is there.
pub(crate) fn find_preamble(input: &[u8]) -> Result<bool, Stranger> {
    let seen = input.len().min(PREAMBLE.len());
    if input[..seen] == PREAMBLE[..seen] {
        return Ok(seen == PREAMBLE.len());
    }
    Err(recognise(input))
}

/// What an HTTP request, or the answer to one, begins with.
const HTTP_STARTS: &[&str] = &[
    "GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ",
    "PRI ", "HTTP/",
];

/// The first byte of a TLS record that carries an alert, and of one that carries a handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

fn recognise(input: &[u8]) -> Stranger {
    let begins = |start: &str| {
        let seen = input.len().min(start.len());
        seen > 0 && input[..seen] == start.as_bytes()[..seen]
    };
    if HTTP_STARTS.iter().any(|start| begins(start)) {
        Stranger::Http
    } else if begins("SSH-") {
        Stranger::Ssh
    } else if input
        .first()
        .is_some_and(|first| TLS_RECORDS.contains(first))
    {
        Stranger::Tls
    } else {
        Stranger::Unknown
    }
}

/// What a browser is told.
pub(crate) const ANSWER_TO_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 62\r\n\
    Connection: close\r\n\
    \r\n\
    This port speaks farref, not HTTP. Use a farref proxy for it.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_known_by_their_first_byte() {
        assert_eq!(find_preamble(b"G"), Err(Stranger::Http));
        assert_eq!(find_preamble(b"POST / HTTP/1.1"), Err(Stranger::Http));
        assert_eq!(find_preamble(b"HTTP/1.1 400"), Err(Stranger::Http));
        assert_eq!(find_preamble(&[0x16, 3, 1]), Err(Stranger::Tls));
        assert_eq!(find_preamble(b"SSH-2.0-"), Err(Stranger::Ssh));
        assert_eq!(find_preamble(b"220 mail"), Err(Stranger::Unknown));
        assert_eq!(find_preamble(b"\x89PNG\r\n"), Err(Stranger::Unknown));
        assert_eq!(find_preamble(b""), Ok(false));
        assert_eq!(find_preamble(b"\x89far"), Ok(false));
        assert_eq!(find_preamble(b"\x89farref\nmore"), Ok(true));
    }

    #[test]
    fn the_answer_to_http_has_the_length_that_it_says() {
        let text = std::str::from_utf8(ANSWER_TO_HTTP).expect("it is ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("it has a body");
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{}",
            body.len()
        );
    }
}
