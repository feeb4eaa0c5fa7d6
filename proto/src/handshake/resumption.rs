//! Taking up a session that has lost its connection.
//!
//! ```text
//! client                                    server
//!   | -- preamble, ClientHello -------------> |  the session's id, an epoch above all before it, how far the client
//!   |                                         |  got, and a proof over these
//!   | <------------ preamble, ServerHello --- |  the old connection is read no more; how far the server got, and a
//!   |                                         |  proof over that
//!   | <--------------------------- Refuse --- |  the session is not here, or not this client's
//! ```
//!
//! An epoch is good for one time, so an old proof is worthless and a lost answer costs nothing. Where there is a token,
//! the key is derived from it and from the session's secret, so whoever saw the secret cannot take the session up.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use hmac_sha256::HMAC;

use super::config::{ClientConfig, ServerConfig, SessionSecret, Token};
use super::{Handshake, Step, VERSION};
use crate::error::{ConnectionError, Violation};
use crate::frame::PREAMBLE;
use crate::id::{InstanceId, Nonce, SessionId};
use crate::message::{ClientHello, Message, ServerHello, SessionRequest};
use crate::time::Time;

/// By which the two sides of a session know each other again.
#[derive(Clone, Copy)]
struct SessionKey([u8; 32]);

impl SessionKey {
    fn new(session: SessionId, secret: &SessionSecret, token: Option<&Token>) -> Self {
        let Some(token) = token else {
            return Self(*secret.as_bytes());
        };
        let input = [
            &b"farref v1 session"[..],
            session.as_bytes(),
            secret.as_bytes(),
        ]
        .concat();
        Self(HMAC::mac(input, token.as_bytes()))
    }
}

/// What a side proves.
#[derive(Debug, Clone, Copy)]
struct Claim {
    session: SessionId,
    epoch: u64,
    received: u64,
    client_nonce: Nonce,
}

impl Claim {
    fn bytes(&self, label: &[u8]) -> Vec<u8> {
        [
            label,
            self.session.as_bytes(),
            &self.epoch.to_le_bytes(),
            &self.received.to_le_bytes(),
            self.client_nonce.as_bytes(),
        ]
        .concat()
    }

    fn of_client(&self) -> Vec<u8> {
        self.bytes(b"farref v1 resume")
    }

    fn of_server(&self) -> Vec<u8> {
        self.bytes(b"farref v1 resumed")
    }
}

/// What a side keeps to take its session up again, or to let it be taken up.
pub(crate) struct Resumption {
    session: SessionId,
    /// This process.
    instance: InstanceId,
    key: SessionKey,
    /// The last epoch that was used.
    epoch: u64,
    /// How long the session is kept without a connection.
    pub(crate) linger: Duration,
    /// What a client says of itself again.
    config: Option<Box<ClientConfig>>,
    #[cfg(feature = "sabotage")]
    sabotage: Option<crate::Sabotage>,
}

impl Resumption {
    /// That of a client, which dials again.
    pub(crate) fn of_client(config: &ClientConfig) -> Self {
        Self {
            session: config.session,
            instance: config.instance,
            key: SessionKey::new(config.session, &config.secret, config.token.as_ref()),
            epoch: 0,
            linger: config.limits.linger,
            config: Some(Box::new(ClientConfig {
                token: None,
                ..config.clone()
            })),
            #[cfg(feature = "sabotage")]
            sabotage: config.limits.sabotage,
        }
    }

    /// That of a server, which is dialled again.
    pub(crate) fn of_server(
        session: SessionId,
        secret: &SessionSecret,
        config: &ServerConfig,
    ) -> Self {
        Self {
            session,
            instance: config.instance,
            key: SessionKey::new(session, secret, config.token.as_ref()),
            epoch: 0,
            linger: config.limits.linger,
            config: None,
            #[cfg(feature = "sabotage")]
            sabotage: config.limits.sabotage,
        }
    }

    /// Writes the client's hello. Returns what waits for the answer; `None` on the server's side.
    pub(crate) fn begin(
        &mut self,
        nonce: Nonce,
        received: u64,
        now: Time,
        out: &mut BytesMut,
    ) -> Option<Handshake> {
        let config = self.config.as_deref()?;
        self.epoch += 1;
        let claim = Claim {
            session: self.session,
            epoch: self.epoch,
            received,
            client_nonce: nonce,
        };
        out.put_slice(&PREAMBLE);
        let hello = ClientHello {
            version_min: VERSION,
            version_max: VERSION,
            codecs: config.codecs,
            features: config.features,
            instance: config.instance,
            grants: config.limits.grants(),
            clock: now,
            nonce,
            session: SessionRequest::Resume {
                id: self.session,
                epoch: self.epoch,
                mac: HMAC::mac(claim.of_client(), self.key.0),
                received,
            },
            expected_instance: None,
            linger: config.limits.linger,
            name: config.name.clone(),
        };
        hello.encode(out);
        Some(Handshake::Resuming(Box::new(Resuming {
            key: self.key,
            claim,
            #[cfg(feature = "sabotage")]
            sabotage: self.sabotage,
        })))
    }

    /// Checks a client's request, and spends its epoch.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it, the answer is that of a session that is not here.
    pub(crate) fn check(&mut self, request: &ResumeRequest) -> Result<(), ConnectionError> {
        let SessionRequest::Resume {
            id,
            epoch,
            mac,
            received,
        } = request.hello.session
        else {
            return Err(ConnectionError::SessionLost);
        };
        let claim = Claim {
            session: id,
            epoch,
            received,
            client_nonce: request.hello.nonce,
        };
        let is_proved = id == self.session && HMAC::verify(claim.of_client(), self.key.0, &mac);
        let is_old = epoch <= self.epoch;
        #[cfg(feature = "sabotage")]
        let is_old = is_old && self.sabotage != Some(crate::Sabotage::AcceptsEpochsAgain);
        #[cfg(feature = "sabotage")]
        let is_proved = is_proved || self.sabotage == Some(crate::Sabotage::AcceptsAnyProof);
        if !is_proved || is_old {
            return Err(ConnectionError::SessionLost);
        }
        self.epoch = epoch;
        Ok(())
    }

    /// Writes the server's hello, with its proof that it has the session and has received so much of it. `hello` says
    /// the rest.
    pub(crate) fn answer(&self, request: &ResumeRequest, hello: ServerHello, out: &mut BytesMut) {
        let claim = Claim {
            session: self.session,
            epoch: self.epoch,
            received: hello.received,
            client_nonce: request.hello.nonce,
        };
        let hello = ServerHello {
            version: VERSION,
            instance: self.instance,
            session: self.session,
            proof: Some(HMAC::mac(claim.of_server(), self.key.0)),
            ..hello
        };
        out.put_slice(&PREAMBLE);
        hello.encode(out);
    }
}

impl std::fmt::Debug for Resumption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resumption")
            .field("session", &self.session)
            .field("epoch", &self.epoch)
            .field("linger", &self.linger)
            .finish_non_exhaustive()
    }
}

/// A client's wish to take a session up over the connection that it was said on.
///
/// Whoever has the session gives it to [`Connection::accept_resume`](crate::Connection::accept_resume) of the session;
/// else [`Connection::refuse_resume`](crate::Connection::refuse_resume) answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeRequest {
    pub(crate) hello: Box<ClientHello>,
}

impl ResumeRequest {
    /// Returns which session it is.
    pub fn session(&self) -> SessionId {
        self.hello.session.id()
    }

    /// Returns how many bytes of session frames the client received.
    pub(crate) fn received(&self) -> u64 {
        match self.hello.session {
            SessionRequest::Resume { received, .. } => received,
            SessionRequest::New { .. } => 0,
        }
    }

    pub(crate) fn instance(&self) -> InstanceId {
        self.hello.instance
    }
}

/// A client that waits for the server's answer.
pub(crate) struct Resuming {
    key: SessionKey,
    claim: Claim,
    #[cfg(feature = "sabotage")]
    sabotage: Option<crate::Sabotage>,
}

impl Resuming {
    pub(crate) fn handle(&self, message: Message) -> Result<Step, ConnectionError> {
        match message {
            Message::ServerHello(hello) => self.accept(&hello),
            Message::Refuse(refusal) => Err(ConnectionError::Refused {
                code: refusal.code,
                text: refusal.text,
            }),
            message => Err(Violation::OutOfTurn(message.kind().code()).into()),
        }
    }

    fn accept(&self, hello: &ServerHello) -> Result<Step, ConnectionError> {
        let claim = Claim {
            received: hello.received,
            ..self.claim
        };
        let is_proved = hello.session == self.claim.session
            && hello
                .proof
                .is_some_and(|proof| HMAC::verify(claim.of_server(), self.key.0, &proof));
        #[cfg(feature = "sabotage")]
        let is_proved = is_proved || self.sabotage == Some(crate::Sabotage::TrustsAnyServer);
        if !is_proved {
            return Err(ConnectionError::ServerNotAuthenticated);
        }
        Ok(Step::Resumed {
            received: hello.received,
            clock: hello.clock,
        })
    }
}

impl std::fmt::Debug for Resuming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resuming")
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}
