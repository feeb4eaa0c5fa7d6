//! Taking connections in, as many as allowed.

use std::sync::Arc;

use farref_proto::{Connection, Nonce, Refusal, RefusalCode, ServerConfig, Time, Token};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::DaemonHandle;
use crate::Identity;
use crate::codec::CodecSet;
use crate::peer::PeerAddress;
use crate::random;
use crate::session::{Lifetime, Session};
use crate::task;
use crate::transport::Transport;
use crate::transport::listener::Listener;

/// How many connections one listener refuses at once with a reason.
const MAX_REFUSALS: usize = 64;

/// Who may get a session by a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Whoever comes; while the daemon shuts down, who comes back.
    Anybody,
    Nobody,
}

impl DaemonHandle {
    pub(super) fn listen(&self, mut listener: Listener) {
        // A detached daemon lives as long as this task; the owner of another ends it.
        let daemon = self.clone();
        let connections = Arc::clone(&self.0.connections);
        let handshakes = Arc::clone(&self.0.handshakes);
        let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
        let task = task::spawn(async move {
            loop {
                let transport = listener.accept().await;
                let connection = Arc::clone(&connections).try_acquire_owned();
                let handshake = Arc::clone(&handshakes).try_acquire_owned();
                match (connection, handshake) {
                    (Ok(connection), Ok(handshake)) => {
                        let session = daemon.open(transport, Admitted::Anybody, Some(connection));
                        task::spawn(async move {
                            // An error ends the session, too, and its own task reports it.
                            let _ = session.established().await;
                            drop(handshake);
                        });
                    }
                    _ => {
                        tracing::warn!(peer = %transport.peer, "a connection is refused: there are as many as allowed");
                        // Saying so takes a while; in a flood the rest are closed without a word.
                        if let Ok(refusal) = Arc::clone(&refusals).try_acquire_owned() {
                            daemon.open(transport, Admitted::Nobody, Some(refusal));
                        }
                    }
                }
            }
        });
        self.listeners().push(task);
    }

    /// Opens a session for who is admitted. It takes up `place` until its transport is closed.
    pub(super) fn open(
        &self,
        transport: Transport,
        admitted: Admitted,
        place: Option<OwnedSemaphorePermit>,
    ) -> Arc<Session> {
        let node = Arc::clone(&self.0.node);
        let mut config =
            ServerConfig::new(random::instance_id(), Nonce::from_bytes(random::bytes()));
        config.limits = node.limits.clone();
        if matches!(transport.peer, PeerAddress::Stream(_)) {
            // Nobody can open the application's pipe again.
            config.limits.linger = std::time::Duration::ZERO;
        }
        // Those that it accepts and that of its own calls, which may differ; each call that comes is looked at.
        config.codecs = node.codecs.bits() | CodecSet::from(node.codec).bits();
        config.features = node.features();
        config.name.clone_from(&node.name);
        config.token = self.0.token.clone().map(Token::new);
        config.refusal = match admitted {
            Admitted::Anybody if self.is_ending() => {
                Some((RefusalCode::ShuttingDown, "the daemon is shutting down"))
            }
            Admitted::Anybody => None,
            Admitted::Nobody => Some((
                RefusalCode::Busy,
                "there are as many connections as allowed",
            )),
        }
        .map(|(code, text)| Refusal::new(code, text));
        // Who has lost a connection may still fetch its answers.
        config.admits_returning = admitted == Admitted::Anybody;
        let identity = if config.token.is_some() {
            Identity::Token
        } else {
            Identity::Anonymous
        };
        let connection = Connection::server(config, Time::ZERO);
        let session = Session::new(
            node,
            None,
            Lifetime::UntilClosed,
            transport.peer.clone(),
            identity,
            connection,
        );
        self.0.node.add_session(&session);
        session.drive(transport, place);
        if self.is_ending() {
            session.drain();
        }
        session
    }
}
