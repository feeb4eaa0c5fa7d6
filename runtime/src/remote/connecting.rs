//! Connecting without a call, connecting anew, and giving a reference back.

use std::pin::Pin;
use std::time::Duration;

use farref_proto::FaultKind;

use super::Remote;
use super::reference::Kind;
use crate::error::Result;
use crate::session::SessionState;

impl Remote {
    /// Connects if need be, and waits until the object is found. In a box, so that it is compiled here and not in each
    /// application.
    pub(crate) fn ensure_connected(self) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(self.connected())
    }

    /// Connects anew, in so many attempts, and waits until the object is found.
    pub(crate) fn reconnect(
        self,
        tries: u32,
        wait: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            for _ in 1..tries {
                match self.clone().connected_anew().await {
                    Err(fault)
                        if matches!(
                            fault.kind(),
                            FaultKind::ConnectFailed | FaultKind::SessionLost
                        ) =>
                    {
                        tracing::debug!(%fault, "connecting failed and is tried again");
                        tokio::time::sleep(wait).await;
                    }
                    connected => return connected,
                }
            }
            self.connected_anew().await
        })
    }

    async fn connected_anew(self) -> Result<()> {
        let place = match &self {
            Remote::Far(reference) => reference.place(),
            Remote::Local(_) | Remote::Dead(_) => None,
        };
        if let Some(bound) = place
            && bound.session.standing() == SessionState::Reconnecting
        {
            // What a session that is lost says is said by the next attempt.
            let _ = bound.session.connected().await;
        }
        self.connected().await
    }

    async fn connected(self) -> Result<()> {
        match self {
            Remote::Far(reference) if reference.promise().is_some() => match reference.promise() {
                Some(promised) => promised.result().await.map(drop),
                None => Ok(()),
            },
            Remote::Far(reference) => {
                let (bound, turn) = reference.bind().await?;
                drop(turn);
                bound.found().await.map(drop)
            }
            Remote::Local(_) => Ok(()),
            Remote::Dead(fault) => Err(fault),
        }
    }

    /// Gives the place in the session back; a named object is found again at the next call.
    pub(crate) fn disconnect(&self) {
        if let Remote::Far(reference) = self
            && let Kind::Named(named) = reference.kind()
        {
            let old = named.bound_mut().take();
            drop(old);
        }
    }

    /// Gives the place in the session back now, if nobody else holds it, and waits until the peer has seen that.
    pub(crate) fn release(self) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        let held = match &self {
            Remote::Far(reference) => reference.place().and_then(|bound| bound.session.hold()),
            Remote::Local(_) | Remote::Dead(_) => None,
        };
        self.disconnect();
        drop(self);
        Box::pin(async move {
            match held {
                Some(held) => held.session().flush().await,
                None => Ok(()),
            }
        })
    }
}
