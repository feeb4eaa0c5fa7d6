//! Proofs that a side holds the token, which is never shown.

use hmac_sha256::HMAC;

use super::config::Token;
use crate::id::{Nonce, SessionId};

/// Which side proves. Their proofs differ, so that neither can be sent back as the other's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What a proof is made over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) server_nonce: Nonce,
    pub(crate) client_nonce: Nonce,
    pub(crate) session: SessionId,
}

impl Exchange {
    fn bytes(&self, side: Side) -> Vec<u8> {
        let label: &[u8] = match side {
            Side::Client => b"farref v1 client",
            Side::Server => b"farref v1 server",
        };
        [
            label,
            self.server_nonce.as_bytes(),
            self.client_nonce.as_bytes(),
            self.session.as_bytes(),
        ]
        .concat()
    }

    /// Proves that `side` holds the token.
    pub(crate) fn prove(&self, side: Side, token: &Token) -> [u8; 32] {
        HMAC::mac(self.bytes(side), token.as_bytes())
    }

    /// Checks a proof, in a time that does not depend on where it is wrong.
    pub(crate) fn verify(&self, side: Side, token: &Token, proof: &[u8; 32]) -> bool {
        HMAC::verify(self.bytes(side), token.as_bytes(), proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_side_its_token_and_its_exchange() {
        let exchange = Exchange {
            server_nonce: Nonce::from_bytes([1; 32]),
            client_nonce: Nonce::from_bytes([2; 32]),
            session: SessionId::from_bytes([3; 16]),
        };
        let token = Token::new("sesame");
        let proof = exchange.prove(Side::Client, &token);
        assert!(exchange.verify(Side::Client, &token, &proof));
        assert!(!exchange.verify(Side::Server, &token, &proof));
        assert!(!exchange.verify(Side::Client, &Token::new("other"), &proof));
        let replayed = Exchange {
            server_nonce: Nonce::from_bytes([9; 32]),
            ..exchange
        };
        assert!(!replayed.verify(Side::Client, &token, &proof));
    }
}
