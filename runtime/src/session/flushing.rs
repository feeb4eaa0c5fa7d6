//! Waiting until the peer has seen what was sent and given back so far.

use std::sync::Arc;

use super::Session;
use crate::daemon_object::DaemonObjectProxy;
use crate::error::Result;
use crate::remote::{FarReference, Remote};
use crate::{FaultKind, proxy};

impl Session {
    /// Waits until the peer has seen all that was sent and given back so far, and has dropped what it kept for it. The
    /// end of the session gives everything back.
    pub(crate) async fn flush(self: &Arc<Self>) -> Result<()> {
        {
            let mut state = self.lock();
            state.connection.flush();
            Self::unlock_and_write(state);
        }
        match self.round_trip().await {
            Err(fault) if fault.kind() == FaultKind::DeadlineExceeded => Err(fault),
            Err(fault) if fault.kind() == FaultKind::ShuttingDown => {
                self.ended().await;
                Ok(())
            }
            // Whatever else the peer says, it says it afterwards; and a session that has ended holds nothing.
            _ => Ok(()),
        }
    }

    /// A call that does nothing: the peer serves it after it has dropped what was given back before. A peer that has no
    /// daemon answers that, and that is answer enough.
    async fn round_trip(self: &Arc<Self>) -> Result<()> {
        let bound = self.bind("", 0).await?;
        let daemon = Remote::Far(FarReference::held(Arc::clone(&bound)));
        let ping = proxy::far::<DaemonObjectProxy>(daemon).ping().await;
        match ping {
            // It was not sent.
            Err(fault) if fault.kind() == FaultKind::UnsupportedCodec => {
                bound.found().await.map(drop)
            }
            answered => answered,
        }
    }
}
