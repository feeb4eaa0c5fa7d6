//! A daemon and a client with a network between them.

use std::fmt;

use super::{Host, Link, Network};
use crate::error::Result;
use crate::proxy::Proxy;
use crate::{Client, ClientBuilder, Daemon, DaemonBuilder};

/// A daemon, a client, and the network between them.
///
/// # Examples
///
/// A daemon that starts anew has lost what it kept in memory. Calls under way fail, and named objects are found again:
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use farref::Outcome;
/// use farref::prelude::*;
/// use farref::testing::Pair;
///
/// #[expose]
/// pub trait Counter {
///     fn next(&self) -> u32;
/// }
///
/// struct Count(AtomicU32);
///
/// impl Counter for Count {
///     fn next(&self) -> u32 {
///         self.0.fetch_add(1, Ordering::Relaxed)
///     }
/// }
///
/// # fn main() -> farref::Result<()> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
/// # runtime.expect("a runtime").block_on(async {
/// let mut pair = Pair::new().await?;
/// let count = || CounterProxy::new(Count(AtomicU32::new(7)));
/// let counter = pair.serve("counter", count()).await?;
/// assert_eq!((counter.next().await?, counter.next().await?), (7, 8));
///
/// pair.restart().await?;
/// pair.daemon.register("counter", count())?;
/// // The client does not know of it yet: this call went to the old daemon, and may have run there.
/// assert_eq!(counter.next().await.unwrap_err().outcome(), Outcome::Unknown);
/// assert_eq!(counter.next().await?, 7);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct Pair {
    /// The daemon.
    pub daemon: Daemon,
    /// The client, which has no session before it makes a proxy connect.
    pub client: Client,
    hosts: [Host; 2],
    link: Link,
    configure: Box<dyn Fn(DaemonBuilder) -> DaemonBuilder + Send + Sync>,
}

impl Pair {
    /// A pair of default configuration.
    ///
    /// # Errors
    ///
    /// None that a test has to expect.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn new() -> Result<Self> {
        Pair::with(|daemon| daemon, |client| client).await
    }

    /// A pair that is configured further. `daemon` configures each daemon that is [started anew](Pair::restart), too.
    ///
    /// # Errors
    ///
    /// As [`DaemonBuilder::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn with(
        daemon: impl Fn(DaemonBuilder) -> DaemonBuilder + Send + Sync + 'static,
        client: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self> {
        let network = Network::new();
        let hosts = [network.host("daemon"), network.host("client")];
        let [serving, calling] = &hosts;
        Ok(Pair {
            daemon: daemon(serving.daemon()).bind().await?,
            client: client(calling.client()).build(),
            link: network.link(calling, serving),
            configure: Box::new(daemon),
            hosts,
        })
    }

    /// Registers an object with the daemon, and connects the client to it.
    ///
    /// # Errors
    ///
    /// `Misuse`, if the name is taken, empty or too long; those of [`Client::connect`], if the network lets nothing pass.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the object registered.
    pub async fn serve<P: Proxy>(&self, name: &str, object: P) -> Result<P> {
        let uri = self.daemon.register(name, object)?;
        self.client.connect(uri).await
    }

    /// What is between the two.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Where the daemon is.
    pub fn daemon_host(&self) -> &Host {
        &self.hosts[0]
    }

    /// Where the client is.
    pub fn client_host(&self) -> &Host {
        &self.hosts[1]
    }

    /// Kills the daemon, as far as the client can tell, and starts another in its place, which has no objects.
    ///
    /// # Errors
    ///
    /// As [`DaemonBuilder::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the old daemon, which nobody reaches any more.
    pub async fn restart(&mut self) -> Result<()> {
        let host = self.daemon_host();
        host.crash();
        self.daemon = (self.configure)(host.daemon()).bind().await?;
        Ok(())
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
