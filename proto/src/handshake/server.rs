//! The handshake, seen from the server.

use bytes::BytesMut;

use super::config::ServerConfig;
use super::proof::{Exchange, Side};
use super::{Handshake, PeerInfo, ResumeRequest, Resumption, SessionSecret, Step, VERSION};
use crate::error::{ConnectionError, Violation};
use crate::limits::Grants;
use crate::message::{Challenge, ClientHello, Message, Proof, ServerHello, SessionRequest};
use crate::time::Time;

/// Waits for the client's hello, and where a token is asked for, for a proof behind it.
#[derive(Debug)]
pub(crate) struct ServerHandshake {
    config: ServerConfig,
    /// The hello, when its proof is awaited.
    unproved: Option<Box<ClientHello>>,
    /// A client wants to take up another session, and nobody has decided yet.
    awaits_decision: bool,
}

impl ServerHandshake {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self {
            config,
            unproved: None,
            awaits_decision: false,
        }
    }

    pub(crate) fn awaits_proof(&self) -> bool {
        self.unproved.is_some()
    }

    pub(crate) fn handle(
        mut self: Box<Self>,
        now: Time,
        message: Message,
        out: &mut BytesMut,
    ) -> Result<Step, ConnectionError> {
        match (message, self.unproved.take()) {
            (Message::ClientHello(hello), None) if !self.awaits_decision => {
                self.check(&hello)?;
                if let SessionRequest::Resume { .. } = hello.session {
                    // Its proof is over an epoch and needs no challenge.
                    self.awaits_decision = true;
                    let request = ResumeRequest { hello };
                    return Ok(Step::ResumeRequested(Handshake::Server(self), request));
                }
                if self.config.token.is_none() {
                    return Ok(self.accept(&hello, None, now, out));
                }
                Challenge {
                    nonce: self.config.nonce,
                }
                .encode(out);
                self.unproved = Some(hello);
                Ok(Step::Wait(Handshake::Server(self)))
            }
            (Message::Proof(proof), Some(hello)) => {
                let proof = self.verify(&hello, &proof)?;
                Ok(self.accept(&hello, Some(proof), now, out))
            }
            (message, _) => Err(Violation::OutOfTurn(message.kind().code()).into()),
        }
    }

    fn check(&self, hello: &ClientHello) -> Result<(), ConnectionError> {
        let config = &self.config;
        let is_spared =
            config.admits_returning && matches!(hello.session, SessionRequest::Resume { .. });
        if let Some(refusal) = &config.refusal
            && !is_spared
        {
            return Err(ConnectionError::Refusing(refusal.clone()));
        }
        if !(hello.version_min..=hello.version_max).contains(&VERSION) {
            return Err(ConnectionError::Version {
                min: hello.version_min,
                max: hello.version_max,
                ours: VERSION,
            });
        }
        if hello.codecs & config.codecs == 0 {
            return Err(ConnectionError::Codec);
        }
        if let Some(expected) = hello.expected_instance
            && expected != config.instance
        {
            return Err(ConnectionError::WrongInstance {
                expected,
                found: config.instance,
            });
        }
        Ok(())
    }

    /// Checks the client's proof and returns the server's.
    fn verify(&self, hello: &ClientHello, proof: &Proof) -> Result<[u8; 32], ConnectionError> {
        let token = self
            .config
            .token
            .as_ref()
            .ok_or(ConnectionError::BadToken)?;
        let exchange = Exchange {
            server_nonce: self.config.nonce,
            client_nonce: hello.nonce,
            session: hello.session.id(),
        };
        if !exchange.verify(Side::Client, token, &proof.mac) {
            return Err(ConnectionError::BadToken);
        }
        Ok(exchange.prove(Side::Server, token))
    }

    fn accept(
        self: Box<Self>,
        hello: &ClientHello,
        proof: Option<[u8; 32]>,
        now: Time,
        out: &mut BytesMut,
    ) -> Step {
        let codecs = hello.codecs & self.config.codecs;
        let features = hello.features & self.config.features;
        let resumption = match &hello.session {
            SessionRequest::New { id, secret } => {
                let secret = SessionSecret::from_bytes(*secret);
                let resumption = Resumption::of_server(*id, &secret, &self.config);
                Some(Box::new(resumption))
            }
            SessionRequest::Resume { .. } => None,
        };
        let grants: Grants = self.config.limits.grants();
        let answer = ServerHello {
            version: VERSION,
            codecs,
            features,
            instance: self.config.instance,
            grants,
            clock: now,
            session: hello.session.id(),
            received: 0,
            proof,
            linger: self.config.limits.linger,
            name: self.config.name,
        };
        answer.encode(out);
        let peer = PeerInfo {
            instance: hello.instance,
            name: hello.name.clone(),
            version: VERSION,
            codecs,
            features,
            grants: hello.grants,
            session: hello.session.id(),
            linger: hello.linger,
        };
        Step::Done(Box::new(peer), hello.clock, resumption)
    }
}
