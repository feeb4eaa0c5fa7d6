//! What a daemon lets its peers do through the daemon object.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::context::CallContext;
use crate::peer::{Identity, Peer};

/// Something that the daemon object does only for peers whom the daemon's policy grants it; see
/// [`DaemonBuilder::grant`](crate::DaemonBuilder::grant).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Permission {
    /// To see the sessions of others, their calls under way and what is exported to them. Unless a policy says
    /// otherwise, peers have it who proved the daemon's token or are on its machine.
    Inspect,
    /// To give objects names at the daemon. Unless a policy says otherwise, nobody has it.
    Publish,
    /// To shut the daemon down. Unless a policy says otherwise, nobody has it.
    ShutDown,
}

/// The daemon's policy does not grant this to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied(pub Permission);

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0 {
            Permission::Inspect => "look into the daemon",
            Permission::Publish => "publish objects at the daemon",
            Permission::ShutDown => "shut the daemon down",
        };
        write!(
            f,
            "the daemon's policy does not let this peer {what}; grant it with `Daemon::builder().grant(..)`"
        )
    }
}

impl std::error::Error for Denied {}

/// Who may do what.
#[derive(Clone)]
pub(crate) struct Policy(Arc<Grants>);

type Grants = dyn Fn(&Peer, Permission) -> bool + Send + Sync;

impl Policy {
    pub(crate) fn new(grants: impl Fn(&Peer, Permission) -> bool + Send + Sync + 'static) -> Self {
        Policy(Arc::new(grants))
    }

    /// Checks that the caller of the method that is being served has this permission. A near caller has them all.
    pub(crate) fn check(&self, permission: Permission) -> Result<(), Denied> {
        match CallContext::current().and_then(|context| context.peer()) {
            Some(peer) if !(self.0)(&peer, permission) => {
                tracing::warn!(peer = %peer.address(), ?permission, "a peer asked for what it is not granted");
                Err(Denied(permission))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy::new(|peer, permission| match permission {
            Permission::Inspect => {
                peer.identity() != Identity::Anonymous || peer.address().is_local()
            }
            Permission::Publish | Permission::ShutDown => false,
        })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Policy(..)")
    }
}
