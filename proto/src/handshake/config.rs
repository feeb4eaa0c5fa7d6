//! What a connection is made of.

use std::fmt;

use crate::id::{InstanceId, Nonce, SessionId};
use crate::limits::Limits;
use crate::reason::Refusal;

/// A secret that the two sides share, by which they know each other. It is never on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

impl Token {
    /// Wraps the bytes of the secret. Draw at least 16 of them at random: whoever sees a handshake can try guesses.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// A secret by which a client proves that a session is its own. It is sent once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionSecret([u8; 32]);

impl SessionSecret {
    /// Wraps the bytes, drawn at random.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// How the side that dialled begins.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// This process.
    pub instance: InstanceId,
    /// The new session's id, drawn at random.
    pub session: SessionId,
    /// The new session's secret.
    pub secret: SessionSecret,
    /// A number for proofs, drawn at random for this connection.
    pub nonce: Nonce,
    /// What this side calls itself, for people; at most 255 bytes are sent.
    pub name: String,
    /// The codecs that this side knows: bit n for the codec n.
    pub codecs: u32,
    /// The optional parts of the protocol that this side knows.
    pub features: u64,
    /// The secret shared with the server. With one, nothing is sent before the server has proved that it holds it too;
    /// without one, calls travel with the hello.
    pub token: Option<Token>,
    /// The only process to talk to, if another one may live at the address by now.
    pub expected_instance: Option<InstanceId>,
    /// The bounds.
    pub limits: Limits,
}

impl ClientConfig {
    /// Makes a configuration without a token, with default limits and every codec.
    pub fn new(
        instance: InstanceId,
        session: SessionId,
        secret: SessionSecret,
        nonce: Nonce,
    ) -> Self {
        Self {
            instance,
            session,
            secret,
            nonce,
            name: String::new(),
            codecs: u32::MAX,
            features: 0,
            token: None,
            expected_instance: None,
            limits: Limits::default(),
        }
    }
}

/// How the side that was dialled begins.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// This process.
    pub instance: InstanceId,
    /// A number for proofs, drawn at random for this connection.
    pub nonce: Nonce,
    /// What this side calls itself, for people; at most 255 bytes are sent.
    pub name: String,
    /// The codecs that this side accepts: bit n for the codec n.
    pub codecs: u32,
    /// The optional parts of the protocol that this side knows.
    pub features: u64,
    /// The secret that clients must hold.
    pub token: Option<Token>,
    /// Answers every hello with this instead, for instance when there are too many connections.
    pub refusal: Option<Refusal>,
    /// Spares clients that refusal who want to take up a session that is here.
    pub admits_returning: bool,
    /// The bounds.
    pub limits: Limits,
}

impl ServerConfig {
    /// Makes a configuration without a token, with default limits and every codec.
    pub fn new(instance: InstanceId, nonce: Nonce) -> Self {
        Self {
            instance,
            nonce,
            name: String::new(),
            codecs: u32::MAX,
            features: 0,
            token: None,
            refusal: None,
            admits_returning: false,
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Token::new("sesame")), "Token(..)");
        assert_eq!(
            format!("{:?}", SessionSecret::from_bytes([1; 32])),
            "SessionSecret(..)"
        );
    }
}
