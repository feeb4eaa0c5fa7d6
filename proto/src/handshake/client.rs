//! The handshake, seen from the client.

use bytes::{BufMut, BytesMut};

use super::config::{ClientConfig, Token};
use super::proof::{Exchange, Side};
use super::{Handshake, PeerInfo, Step, VERSION};
use crate::error::{ConnectionError, Violation};
use crate::frame::PREAMBLE;
use crate::id::{InstanceId, Nonce, SessionId};
use crate::message::{Challenge, ClientHello, Message, Proof, ServerHello, SessionRequest};
use crate::time::Time;

/// Waits for the server's hello, and maybe for a challenge before it.
#[derive(Debug)]
pub(crate) struct ClientHandshake {
    codecs: u32,
    session: SessionId,
    nonce: Nonce,
    token: Option<Token>,
    expected_instance: Option<InstanceId>,
    /// The proofs of this exchange, once the challenge has come.
    challenged: Option<Exchange>,
}

impl ClientHandshake {
    /// Writes the first flight.
    pub(crate) fn begin(config: ClientConfig, now: Time, out: &mut BytesMut) -> Self {
        out.put_slice(&PREAMBLE);
        let hello = ClientHello {
            version_min: VERSION,
            version_max: VERSION,
            codecs: config.codecs,
            features: config.features,
            instance: config.instance,
            grants: config.limits.grants(),
            clock: now,
            nonce: config.nonce,
            session: SessionRequest::New {
                id: config.session,
                secret: *config.secret.as_bytes(),
            },
            expected_instance: config.expected_instance,
            linger: config.limits.linger,
            name: config.name,
        };
        hello.encode(out);
        Self {
            codecs: config.codecs,
            session: config.session,
            nonce: config.nonce,
            token: config.token,
            expected_instance: config.expected_instance,
            challenged: None,
        }
    }

    /// Nobody is asked to trust a server that has not shown that it holds the token.
    pub(crate) fn allows_early_frames(&self) -> bool {
        self.token.is_none()
    }

    pub(crate) fn handle(
        self: Box<Self>,
        message: Message,
        out: &mut BytesMut,
    ) -> Result<Step, ConnectionError> {
        match message {
            Message::Challenge(challenge) if self.challenged.is_none() => {
                self.prove(&challenge, out)
            }
            Message::ServerHello(hello) => self.accept(*hello),
            Message::Refuse(refusal) => Err(ConnectionError::Refused {
                code: refusal.code,
                text: refusal.text,
            }),
            message => Err(Violation::OutOfTurn(message.kind().code()).into()),
        }
    }

    fn prove(
        mut self: Box<Self>,
        challenge: &Challenge,
        out: &mut BytesMut,
    ) -> Result<Step, ConnectionError> {
        let token = self.token.as_ref().ok_or(ConnectionError::TokenRequired)?;
        let exchange = Exchange {
            server_nonce: challenge.nonce,
            client_nonce: self.nonce,
            session: self.session,
        };
        Proof {
            mac: exchange.prove(Side::Client, token),
        }
        .encode(out);
        self.challenged = Some(exchange);
        Ok(Step::Wait(Handshake::Client(self)))
    }

    fn accept(&self, hello: ServerHello) -> Result<Step, ConnectionError> {
        if hello.version != VERSION {
            return Err(ConnectionError::Version {
                min: hello.version,
                max: hello.version,
                ours: VERSION,
            });
        }
        if let Some(expected) = self.expected_instance
            && expected != hello.instance
        {
            return Err(ConnectionError::WrongInstance {
                expected,
                found: hello.instance,
            });
        }
        if let Some(token) = &self.token {
            // A server that does not even ask cannot be told from one that does not know.
            let exchange = self
                .challenged
                .ok_or(ConnectionError::ServerNotAuthenticated)?;
            let proof = hello.proof.ok_or(ConnectionError::ServerNotAuthenticated)?;
            if !exchange.verify(Side::Server, token, &proof) {
                return Err(ConnectionError::ServerNotAuthenticated);
            }
        }
        if hello.codecs == 0
            || hello.codecs & !self.codecs != 0
            || hello.session != self.session
            || hello.received != 0
        {
            return Err(Violation::BadHello.into());
        }
        let peer = PeerInfo {
            instance: hello.instance,
            name: hello.name,
            version: hello.version,
            codecs: hello.codecs,
            features: hello.features,
            grants: hello.grants,
            session: hello.session,
            linger: hello.linger,
        };
        Ok(Step::Done(Box::new(peer), hello.clock, None))
    }
}
