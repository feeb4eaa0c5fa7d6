//! The serving side: listens, hosts named objects, ends in good order.

mod accepting;
mod builder;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};

use crate::Peer;
use crate::daemon_object::{self, DaemonStat, ExportStat};
use crate::error::Result;
use crate::factory::Factory;
use crate::handoff::provisions;
use crate::life::{Happening, Told};
use crate::node::{Node, Published};
use crate::proxy::{self, Proxy};
use crate::signal::Sender;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::task::{self, JoinHandle};
use crate::transport::Transport;
use crate::uri::{Address, Uri, UriError};

use self::accepting::Admitted;
pub use self::builder::{DaemonBuilder, Serving};

/// Listens for other processes and hosts the objects that they call.
///
/// Dropping it shuts it down at once, as [`Shutdown::Abort`] does; [`detach`](Daemon::detach) lets it go on. What can be
/// done with it is on [`DaemonHandle`], which it dereferences to.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
///
/// #[expose]
/// pub trait Adder {
///     fn add(&self, a: u32, b: u32) -> u32;
/// }
///
/// struct Calculator;
/// impl Adder for Calculator {
///     fn add(&self, a: u32, b: u32) -> u32 {
///         a + b
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// let uri = daemon.register("adder", AdderProxy::new(Calculator))?;
///
/// let adder: AdderProxy = farref::connect(&uri).await?;
/// assert_eq!(adder.add(2, 3).await?, 5);
/// daemon.shutdown(Shutdown::default()).await;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a daemon shuts it down"]
pub struct Daemon {
    handle: DaemonHandle,
    /// Whether dropping this leaves the daemon running.
    detached: bool,
}

/// A hold on a [`Daemon`] that does not decide how long it lives.
#[derive(Clone)]
pub struct DaemonHandle(Arc<Inner>);

struct Inner {
    node: Arc<Node>,
    uris: Vec<Uri>,
    token: Option<Vec<u8>>,
    drain_timeout: Duration,
    /// One permit for each connection that may be open.
    connections: Arc<Semaphore>,
    /// One permit for each connection that may be in its handshake.
    handshakes: Arc<Semaphore>,
    listeners: Mutex<Vec<JoinHandle<()>>>,
    stopped: watch::Sender<bool>,
    /// Whether it is ending, and those who wanted to know were told.
    is_ending: AtomicBool,
}

/// A way to a daemon that does not keep it alive.
pub(crate) struct WeakDaemon(Weak<Inner>);

impl WeakDaemon {
    /// Begins to shut the daemon down, unless it is gone.
    pub(crate) fn begin_shutdown(&self) {
        if let Some(inner) = self.0.upgrade() {
            let daemon = DaemonHandle(inner);
            task::spawn(async move {
                let drain = Shutdown::Drain(daemon.0.drain_timeout);
                daemon.shutdown(drain).await;
            });
        }
    }
}

/// How a daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Accepts no new sessions and no more calls, lets those that are being served end, and lets peers that have lost
    /// their connections come back for their answers, as long as their sessions [linger](crate::Limits::linger); all that
    /// for this long at most. Then it stops listening and says goodbye.
    Drain(Duration),
    /// Ends all sessions at once; calls under way are cancelled.
    Abort,
}

impl Default for Shutdown {
    /// Drains for at most 30 s.
    fn default() -> Self {
        Shutdown::Drain(Duration::from_secs(30))
    }
}

impl Daemon {
    /// Starts a daemon that listens at one address.
    ///
    /// # Errors
    ///
    /// As [`DaemonBuilder::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn bind(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<Daemon> {
        Daemon::builder().listen(uri).bind().await
    }

    /// Begins to configure a daemon.
    pub fn builder() -> DaemonBuilder {
        DaemonBuilder::default()
    }

    /// Serves until `until` ends, then drains and shuts down.
    ///
    /// # Errors
    ///
    /// None so far; the result leaves room for what may go wrong on the way.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the daemon, which shuts it down at once.
    pub async fn run_until(self, until: impl Future) -> Result<()> {
        until.await;
        let drain = Shutdown::Drain(self.handle.0.drain_timeout);
        self.shutdown(drain).await;
        Ok(())
    }

    /// Serves until something else shuts it down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the daemon, which shuts it down at once.
    pub async fn serve(self) {
        self.handle.stopped().await;
    }

    /// Lets the daemon go on without an owner, until it is shut down through the handle or the runtime ends.
    pub fn detach(mut self) -> DaemonHandle {
        self.detached = true;
        self.handle.clone()
    }
}

impl Deref for Daemon {
    type Target = DaemonHandle;

    fn deref(&self) -> &DaemonHandle {
        &self.handle
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.detached {
            self.handle.abort_and_tell();
        }
    }
}

impl DaemonHandle {
    /// What the daemon calls itself.
    pub fn name(&self) -> &str {
        &self.0.node.name
    }

    /// Where it listens, as others should address it.
    pub fn uris(&self) -> &[Uri] {
        &self.0.uris
    }

    /// Gives the object behind `proxy` a name, and returns the URI at which others find it: that of the first listener.
    /// A daemon that listens nowhere returns one that cannot be dialled; peers on pipes ask for the name.
    ///
    /// A daemon registers proxies, so it serves objects of its own and forwards to objects elsewhere.
    ///
    /// # Errors
    ///
    /// `Misuse`, if the name is taken, empty or too long.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a caller gives its object away and need not keep a proxy"
    )]
    pub fn register<P: Proxy>(&self, name: &str, proxy: P) -> Result<Uri> {
        self.publish(name, Published::Object(proxy::to_export(&proxy)))
    }

    /// Gives a name to an object that each session gets a fresh one of: `make` is called when a session first asks for
    /// the name, and what it returns is dropped with the session, or with the last reference to it that was passed on.
    ///
    /// All proxies of one session reach the same object. `make` runs where the session is read, so it should return at
    /// once; [`register_async_factory`](DaemonHandle::register_async_factory) takes one that waits.
    ///
    /// An error of `make` fails the bind, and with it the calls that were sent along, as does a panic (`Panicked`); their
    /// outcome is always `NotStarted`, and the next bind calls `make` again. Taking the name away with
    /// [`unregister`](DaemonHandle::unregister) leaves sessions what they have.
    ///
    /// # Errors
    ///
    /// `Misuse`, if the name is taken, empty or too long.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// use farref::prelude::*;
    ///
    /// #[expose]
    /// pub trait Basket {
    ///     fn add(&self) -> u32;
    /// }
    ///
    /// #[derive(Default)]
    /// struct Items(AtomicU32);
    /// impl Basket for Items {
    ///     fn add(&self) -> u32 {
    ///         self.0.fetch_add(1, Ordering::Relaxed) + 1
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> farref::Result<()> {
    /// let daemon = Daemon::bind("far://127.0.0.1:0").await?;
    /// let uri = daemon.register_factory("basket", |_| Ok(BasketProxy::new(Items::default())))?;
    ///
    /// let mine: BasketProxy = Client::new().connect(&uri).await?;
    /// let yours: BasketProxy = Client::new().connect(&uri).await?;
    /// assert_eq!((mine.add().await?, mine.add().await?), (1, 2));
    /// assert_eq!(yours.add().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn register_factory<P: Proxy>(
        &self,
        name: &str,
        make: impl Fn(&Peer) -> Result<P> + Send + Sync + 'static,
    ) -> Result<Uri> {
        let factory = Factory::new(move |peer| std::future::ready(make(&peer)));
        self.publish(name, Published::Factory(factory))
    }

    /// The same as [`register_factory`](DaemonHandle::register_factory), with a factory that may wait.
    ///
    /// Calls that come meanwhile wait for the object, and start in the order in which they came. The factory's future is
    /// dropped if the session ends.
    ///
    /// # Errors
    ///
    /// `Misuse`, if the name is taken, empty or too long.
    pub fn register_async_factory<P: Proxy, M>(
        &self,
        name: &str,
        make: impl Fn(Peer) -> M + Send + Sync + 'static,
    ) -> Result<Uri>
    where
        M: Future<Output = Result<P>> + Send + 'static,
    {
        self.publish(name, Published::Factory(Factory::new(make)))
    }

    pub(crate) fn publish(&self, name: &str, published: Published) -> Result<Uri> {
        self.0.node.publish(name, published)?;
        match self.0.uris.first() {
            Some(uri) => Ok(uri.with_object(name)),
            // Nobody can dial a daemon that listens nowhere; peers on pipes ask for the name.
            None => Ok(Uri::new(Address::Memory("nowhere".to_owned()))?.with_object(name)),
        }
    }

    /// Takes a name away. References that are held live on, those that were found by the name included: who is to reach
    /// what gets the name next connects anew. Returns whether the name was there.
    pub fn unregister(&self, name: &str) -> bool {
        self.0.node.unpublish(name).is_some()
    }

    /// Takes all names of an object away, those of its loans included, and ends all references to it, whose holders get
    /// `StaleReference`.
    ///
    /// A proxy that was made from a URI finds what has the name next, at its next call. As long as nothing has it, the
    /// call that finds the object gone gets `StaleReference`, and those after it `NoSuchObject`.
    pub fn revoke<P: Proxy>(&self, proxy: &P) {
        let Some(identity) = proxy::to_remote(proxy).identity() else {
            return;
        };
        self.0.node.unpublish_object(identity);
        provisions::revoke(identity);
        for session in self.0.node.sessions() {
            session.revoke(identity);
        }
    }

    /// The names of the objects, and the wire names of the interfaces under which they are served.
    pub fn registered(&self) -> BTreeMap<String, String> {
        self.0.node.names()
    }

    /// What this daemon has given out, and to whom: every object that a session holds, by reference or by name.
    pub fn exports(&self) -> Vec<ExportStat> {
        let sessions = self.0.node.sessions();
        let exports = sessions
            .iter()
            .flat_map(|session| session.export_stats(0, usize::MAX));
        exports.collect()
    }

    /// How the daemon's sessions stand, which calls are under way and who waits for whom.
    pub fn stat(&self) -> DaemonStat {
        daemon_object::stat(&self.0.node.sessions())
    }

    /// The processes that have sessions here.
    pub fn peers(&self) -> Vec<Peer> {
        self.0.node.sessions().iter().map(Peer::of).collect()
    }

    /// How many oneway calls failed here.
    pub fn failed_oneways(&self) -> u64 {
        self.0.node.failed_oneways()
    }

    /// Serves a process at the other end of a pipe that the application opened itself. `name` stands for its address in
    /// messages.
    ///
    /// # Errors
    ///
    /// `ConnectFailed` or `Refused`, if the handshake fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the pipe.
    pub async fn serve_io(
        &self,
        io: impl AsyncRead + AsyncWrite + Send + 'static,
        name: impl Into<String>,
    ) -> Result<Peer> {
        let session = self.open(Transport::from_io(io, name.into()), Admitted::Anybody, None);
        session.opened().await?;
        Ok(Peer::of(&session))
    }

    /// Shuts the daemon down as `how` says, and waits until all sessions have ended. Its objects have no names then.
    /// Doing it twice is doing it once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the daemon without new sessions and calls, and what it has as it is.
    pub fn shutdown(&self, how: Shutdown) -> impl Future<Output = ()> + Send {
        // In a box, so that it is compiled here and not in each application.
        let ended: Pin<Box<dyn Future<Output = ()> + Send + '_>> = Box::pin(self.end(how));
        ended
    }

    async fn end(&self, how: Shutdown) {
        let is_first = !self.0.is_ending.swap(true, Ordering::SeqCst);
        if is_first {
            let told = self.tell_life(Happening::Stopping);
            if how != Shutdown::Abort {
                told.wait().await;
            }
        }
        match how {
            Shutdown::Abort => {
                self.stop_listening().await;
                self.abort();
            }
            Shutdown::Drain(limit) => {
                let sessions = self.0.node.sessions();
                for session in &sessions {
                    session.drain();
                }
                let drained = async {
                    // Connections may be lost while others are waited for.
                    while let Some(session) = sessions.iter().find(|session| !session.is_drained())
                    {
                        session.served().await;
                        session.returned().await;
                        tokio::task::yield_now().await;
                    }
                };
                if tokio::time::timeout(limit, drained).await.is_err() {
                    tracing::warn!(
                        ?limit,
                        "calls were still being served, or answers not fetched, when the time for draining was over"
                    );
                }
                self.stop_listening().await;
                for session in self.0.node.sessions() {
                    session.close("the daemon shut down");
                }
                for session in sessions {
                    session.flushed().await;
                }
            }
        }
        self.0.node.unpublish_all();
        provisions::forget(&self.0.node);
        self.0.stopped.send_replace(true);
        if is_first {
            self.tell_life(Happening::Stopped).wait().await;
        }
    }

    /// Who the daemon's [life-cycle signals](crate::life) are sent by, if it has any.
    pub fn sender(&self) -> Option<&Sender> {
        self.0.node.life.as_ref().map(|life| life.sender())
    }

    /// Tells of this daemon.
    fn tell_life(&self, happening: fn(DaemonHandle) -> Happening) -> Told {
        match &self.0.node.life {
            Some(life) => Arc::clone(life).daemon(happening(self.clone())),
            None => Told::NOBODY,
        }
    }

    /// Waits until the daemon was shut down.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn stopped(&self) {
        let mut stopped = self.0.stopped.subscribe();
        // The daemon itself holds the sender.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Ends it at once, and tells of it without waiting.
    fn abort_and_tell(&self) {
        let is_first = !self.0.is_ending.swap(true, Ordering::AcqRel);
        if is_first {
            self.tell_life(Happening::Stopping);
        }
        self.abort();
        if is_first {
            self.tell_life(Happening::Stopped);
        }
    }

    fn abort(&self) {
        self.abort_listeners();
        for session in self.0.node.sessions() {
            session.abort();
        }
        self.0.node.unpublish_all();
        provisions::forget(&self.0.node);
        self.0.stopped.send_replace(true);
    }

    /// Whether it takes no more sessions.
    fn is_ending(&self) -> bool {
        self.0.is_ending.load(Ordering::SeqCst)
    }

    async fn stop_listening(&self) {
        for listener in self.abort_listeners() {
            // Its address is free when its task has ended.
            let _ = listener.await;
        }
    }

    fn abort_listeners(&self) -> Vec<JoinHandle<()>> {
        let listeners = std::mem::take(&mut *self.listeners());
        for listener in &listeners {
            listener.abort();
        }
        listeners
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Daemon").field(&self.handle.0.uris).finish()
    }
}

impl fmt::Debug for DaemonHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DaemonHandle").field(&self.0.uris).finish()
    }
}
