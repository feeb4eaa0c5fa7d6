//! Names that peers give to their objects at a daemon.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::any_proxy::AnyProxy;
use crate::daemon_object::DaemonObjectProxy;
use crate::error::CallError;
use crate::peer::Peer;
use crate::permission::Denied;
use crate::proxy::Proxy;

/// How many names one session may give to objects at a daemon, unless the daemon's builder says otherwise.
pub(crate) const MAX_PUBLISHED: u32 = 256;

/// Why a daemon does not give an object the name that a peer asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PublishError {
    /// The daemon's policy does not grant [`Permission::Publish`](crate::Permission::Publish) to the caller.
    Denied(Denied),
    /// An object has this name already, be it the caller's own.
    NameTaken(String),
    /// A name has between 1 and 1024 bytes.
    UnfitName,
    /// The caller's session has given as many names as the daemon takes from one.
    TooMany(u32),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::Denied(denied) => denied.fmt(f),
            PublishError::NameTaken(name) => {
                write!(
                    f,
                    "an object named `{name}` is registered already; take another name"
                )
            }
            PublishError::UnfitName => f.write_str("an object's name has between 1 and 1024 bytes"),
            PublishError::TooMany(limit) => write!(
                f,
                "the daemon takes {limit} names from one session; withdraw one, or raise `max_published`"
            ),
        }
    }
}

impl std::error::Error for PublishError {}

impl Peer {
    /// Gives the object behind `proxy` a name at the peer, which must be a daemon, where others find it by the daemon's URI.
    /// The daemon forwards their calls.
    ///
    /// The name is there until it is [withdrawn](Peer::withdraw) or the session ends; a lost connection does not end it.
    /// References that others hold by then are stale only if the session ended.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; `NoSuchObject`, if the peer is no daemon.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the object may have got the name.
    ///
    /// # Examples
    ///
    /// A client that connects by a URI has the daemon object at hand, which does the same:
    ///
    /// ```
    /// use farref::daemon_object::DaemonObjectProxy;
    /// use farref::prelude::*;
    /// use farref::{AnyProxy, Permission};
    ///
    /// #[expose]
    /// pub trait Bell {
    ///     fn ring(&self) -> String;
    /// }
    ///
    /// struct Brass;
    /// impl Bell for Brass {
    ///     fn ring(&self) -> String {
    ///         "ding".to_owned()
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let daemon = Daemon::builder()
    ///     .listen("far://127.0.0.1:0")
    ///     .grant(|peer, permission| permission == Permission::Publish && peer.address().is_local())
    ///     .bind()
    ///     .await?;
    /// let uri = &daemon.uris()[0];
    ///
    /// // One client gives its object a name,
    /// let client = Client::new();
    /// let host: DaemonObjectProxy = client.connect(uri).await?;
    /// host.publish("bell", AnyProxy::of(&BellProxy::new(Brass))).await?;
    ///
    /// // and another finds it.
    /// let bell: BellProxy = Client::new().connect(uri.with_object("bell")).await?;
    /// assert_eq!(bell.ring().await?, "ding");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish<P: Proxy>(
        &self,
        name: &str,
        proxy: &P,
    ) -> Result<(), CallError<PublishError>> {
        let daemon: DaemonObjectProxy = self.object("").await?;
        daemon.publish(name, AnyProxy::of(proxy)).await
    }

    /// Takes a name back that this process gave to an object by [`publish`](Peer::publish). References to the object live
    /// on. Returns whether the name was there, and this session's.
    ///
    /// # Errors
    ///
    /// As any call.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the name may be gone.
    pub async fn withdraw(&self, name: &str) -> crate::Result<bool> {
        let daemon: DaemonObjectProxy = self.object("").await?;
        daemon.withdraw(name).await
    }
}
