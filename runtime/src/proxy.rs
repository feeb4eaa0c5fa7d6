//! Proxies: what a caller holds, near or far.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::blocking::BlockingProxy;
use crate::codec::Codec;
use crate::descriptor::Interface;
use crate::error::{Fault, Result};
use crate::lend::Loan;
use crate::object::{Entry, Export, ExportKind, ObjectIdentity};
use crate::remote::Remote;
use crate::uri::Uri;
use crate::{FaultKind, Outcome};

/// What a proxy points at: an object of this process, or something that is reached by frames.
pub struct Target<N: ?Sized> {
    pub(crate) kind: TargetKind<N>,
    pub(crate) options: Option<Arc<ProxyOptions>>,
}

pub(crate) enum TargetKind<N: ?Sized> {
    Near(Arc<N>),
    Remote(Remote),
}

/// What a proxy asks of each of its calls, unless the call says otherwise.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// How long a call may take; `None` is as long as its caller's own deadline.
    pub timeout: Option<Duration>,
    /// How its calls are encoded; `None` is the client's choice.
    pub codec: Option<Codec>,
    /// How often a call that failed with its session is made again, or one that timed out if there is an
    /// [`attempt_timeout`](ProxyOptions::attempt_timeout); `None` is the client's choice.
    pub max_retries: Option<u32>,
    /// How long one attempt of a call that may be made again may take; `None` is the client's choice.
    pub attempt_timeout: Option<Duration>,
    /// Whether calls are made again even if their method is not `#[idempotent]`: they may then run twice.
    pub retry_all: bool,
}

impl<N: ?Sized> Target<N> {
    /// Points at an object of this process.
    pub fn near(near: Arc<N>) -> Self {
        Target {
            kind: TargetKind::Near(near),
            options: None,
        }
    }

    /// Points at something that is reached by frames.
    pub fn remote(remote: Remote) -> Self {
        Target {
            kind: TargetKind::Remote(remote),
            options: None,
        }
    }

    /// Replaces what the proxy asks of its calls.
    pub fn set_options(&mut self, options: &Arc<ProxyOptions>) {
        self.options = Some(Arc::clone(options));
    }
}

impl<N: ?Sized> Clone for Target<N> {
    fn clone(&self) -> Self {
        let kind = match &self.kind {
            TargetKind::Near(near) => TargetKind::Near(Arc::clone(near)),
            TargetKind::Remote(remote) => TargetKind::Remote(remote.clone()),
        };
        Target {
            kind,
            options: self.options.clone(),
        }
    }
}

impl<N: ?Sized> fmt::Debug for Target<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TargetKind::Near(_) => f.write_str("near"),
            TargetKind::Remote(remote) => remote.fmt(f),
        }
    }
}

/// A proxy type that can be made of an object entered by `A`: `#[expose]` implements it where the object implements the
/// interface.
pub trait Serve<A>: Proxy {
    /// A near proxy to the object.
    fn serve(entry: Arc<Entry<A>>) -> Self;
}

/// What all proxies can do. `#[expose]` implements it.
///
/// A method of an interface that has the name of one of these wins; write `Proxy::is_near(&proxy)` then.
pub trait Proxy: Clone + fmt::Debug + Send + Sync + Sized + 'static {
    /// The object-safe twin of the interface, through which near calls are made.
    #[doc(hidden)]
    type Near: ?Sized + Send + Sync + 'static;

    /// The proxy of the same interface whose calls are waited for.
    type Blocking: BlockingProxy<Proxy = Self>;

    /// What the interface looks like.
    const DESCRIPTOR: &'static Interface;

    #[doc(hidden)]
    fn target(&self) -> &Target<Self::Near>;

    #[doc(hidden)]
    fn export_near(near: &Arc<Self::Near>) -> Arc<Export>;

    #[doc(hidden)]
    fn from_remote(remote: Remote) -> Self;

    #[doc(hidden)]
    fn from_export(export: &Arc<Export>) -> Option<Self>;

    #[doc(hidden)]
    fn set_options(&mut self, options: &Arc<ProxyOptions>);

    /// Whether the object lives in this process, so that a call costs no encoding.
    fn is_near(&self) -> bool {
        matches!(self.target().kind, TargetKind::Near(_))
    }

    /// Where the object was found, for a proxy that was made from a URI.
    fn uri(&self) -> Option<&Uri> {
        match &self.target().kind {
            TargetKind::Near(_) => None,
            TargetKind::Remote(remote) => remote.uri(),
        }
    }

    /// What this proxy asks of each of its calls.
    fn options(&self) -> ProxyOptions {
        self.target()
            .options
            .as_deref()
            .cloned()
            .unwrap_or_default()
    }

    /// The same proxy, asking this of each of its calls.
    #[must_use]
    fn with_options(mut self, options: ProxyOptions) -> Self {
        self.set_options(&Arc::new(options));
        self
    }

    /// The same proxy, whose calls take at most this long; zero means no limit.
    #[must_use]
    fn with_timeout(self, timeout: Duration) -> Self {
        let timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        let options = ProxyOptions {
            timeout,
            ..self.options()
        };
        self.with_options(options)
    }

    /// The same proxy, whose calls are encoded like this.
    #[must_use]
    fn with_codec(self, codec: Codec) -> Self {
        let options = ProxyOptions {
            codec: Some(codec),
            ..self.options()
        };
        self.with_options(options)
    }

    /// The same proxy, which calls `#[idempotent]` methods again up to this often when the outcome is unknown.
    #[must_use]
    fn with_max_retries(self, max_retries: u32) -> Self {
        let options = ProxyOptions {
            max_retries: Some(max_retries),
            ..self.options()
        };
        self.with_options(options)
    }

    /// The same proxy, which gives one attempt of a call that may be made again no longer than this, cancels it then, and
    /// makes it again, up to [`max_retries`](Proxy::with_max_retries) times. The last one's end is `DeadlineExceeded`.
    ///
    /// It changes nothing for calls that are never made again: those of methods that are not `#[idempotent]`, oneways, and
    /// calls of objects of this process. A [timeout](Proxy::with_timeout), or the deadline of the call on whose behalf it is
    /// made, bounds all attempts together.
    #[must_use]
    fn with_attempt_timeout(self, timeout: Duration) -> Self {
        let options = ProxyOptions {
            attempt_timeout: Some(timeout),
            ..self.options()
        };
        self.with_options(options)
    }

    /// The same proxy, whose calls are waited for, for programs without async.
    fn blocking(&self) -> Self::Blocking {
        BlockingProxy::from_proxy(self.clone())
    }

    /// Connects now, if the proxy is not connected, and waits until the object is found.
    ///
    /// # Errors
    ///
    /// `ConnectFailed`, `Refused` or `NoSuchObject`, as the first call would give them; `SessionLost` if the session of a
    /// reference that has no name is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the proxy as it was.
    fn ensure_connected(&self) -> impl Future<Output = Result<()>> + Send {
        let remote = match &self.target().kind {
            TargetKind::Near(_) => None,
            TargetKind::Remote(remote) => Some(remote.clone()),
        };
        async move {
            match remote {
                Some(remote) => remote.ensure_connected().await,
                None => Ok(()),
            }
        }
    }

    /// Connects now, in up to `tries` attempts with `wait` between two of them, and waits until the object is found. A
    /// session that has lost its connection tries at once to get another; if it is lost, a proxy that was made from a URI
    /// finds its object in a new one.
    ///
    /// Nobody needs to call this, since calls connect by themselves. It is for programs that would rather wait for a daemon to
    /// come back than have a call fail.
    ///
    /// # Errors
    ///
    /// As [`ensure_connected`](Proxy::ensure_connected), from the last attempt, or from the first that others would not
    /// mend. `StaleReference`, if the session of a reference that has no name is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the proxy as it was.
    fn reconnect(&self, tries: u32, wait: Duration) -> impl Future<Output = Result<()>> + Send {
        let remote = match &self.target().kind {
            TargetKind::Near(_) => None,
            TargetKind::Remote(remote) => Some(remote.clone()),
        };
        async move {
            match remote {
                Some(remote) => remote.reconnect(tries, wait).await,
                None => Ok(()),
            }
        }
    }

    /// Gives the proxy's hold on its session back; its next call finds the object again.
    ///
    /// Concerns proxies made from a URI, with all their clones; for others it does nothing.
    fn disconnect(&self) {
        if let TargetKind::Remote(remote) = &self.target().kind {
            remote.disconnect();
        }
    }

    /// Gives the reference back now, and waits until the object's process has seen that: an object that nobody else
    /// holds has been dropped then. Dropping the proxy gives it back, too, with the next write.
    ///
    /// Clones of the proxy, and calls under way, hold the object on. So does whoever got a reference elsewhere. The end
    /// of the session gives everything back.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded`, if the call that is being served has one that passes meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The reference is given back also if the future is dropped.
    fn release(self) -> impl Future<Output = Result<()>> + Send {
        let remote = match &self.target().kind {
            TargetKind::Near(_) => None,
            TargetKind::Remote(remote) => Some(remote.clone()),
        };
        drop(self);
        let released = remote.map(Remote::release);
        async move {
            match released {
                Some(released) => released.await,
                None => Ok(()),
            }
        }
    }

    /// Lends the object: makes a reference that ends when the returned loan is dropped, wherever it was passed on to
    /// meanwhile. A proxy that is passed on itself is a grant of its own instead, which nobody takes back.
    ///
    /// A lent reference is an object of its own to those who compare: it equals its copies and nothing else.
    ///
    /// # Examples
    ///
    /// ```
    /// use farref::prelude::*;
    ///
    /// #[expose]
    /// pub trait Key {
    ///     fn turn(&self) -> bool;
    /// }
    ///
    /// struct Brass;
    /// impl Key for Brass {
    ///     fn turn(&self) -> bool {
    ///         true
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> farref::Result<()> {
    /// let key = KeyProxy::new(Brass);
    /// let loan = key.lend();
    /// let copy = loan.proxy(); // as somebody else would get it
    /// assert!(copy.turn().await?);
    /// drop(loan);
    /// assert!(copy.turn().await.is_err());
    /// assert!(key.turn().await?);
    /// # Ok(())
    /// # }
    /// ```
    fn lend(&self) -> Loan<Self> {
        Loan::of(self)
    }

    /// A proxy to the same URI with a session of its own, which it shares only with its clones.
    ///
    /// # Errors
    ///
    /// `Misuse`, if the proxy was not made from a URI: a reference belongs to its session.
    fn dedicated(&self) -> Result<Self> {
        let dedicated = match &self.target().kind {
            TargetKind::Remote(remote) => remote.dedicated(),
            TargetKind::Near(_) => None,
        };
        let remote = dedicated.ok_or_else(|| {
            Fault::new(
                FaultKind::Misuse,
                Outcome::NotStarted,
                "only a proxy made from a URI can have a session of its own; connect to the object by its name",
            )
        })?;
        let mut proxy = Self::from_remote(remote);
        if let Some(options) = &self.target().options {
            proxy.set_options(options);
        }
        Ok(proxy)
    }
}

/// What frames that transfer `proxy` refer to.
pub(crate) fn to_remote<P: Proxy>(proxy: &P) -> Remote {
    match &proxy.target().kind {
        TargetKind::Near(near) => Remote::Local(P::export_near(near)),
        TargetKind::Remote(remote) => remote.clone().kept(),
    }
}

/// Makes a proxy of what a frame transferred: near, if the object turns out to live here.
pub(crate) fn from_remote<P: Proxy>(remote: Remote) -> Result<P> {
    match &remote {
        Remote::Local(export) => match P::from_export(export) {
            Some(near) => Ok(near),
            None if export.serves(P::DESCRIPTOR.hash) => Ok(P::from_remote(remote)),
            None => Err(Fault::not_started(
                FaultKind::Incompatible,
                format!(
                    "the object does not serve the interface `{}`",
                    P::DESCRIPTOR.name
                ),
            )),
        },
        Remote::Far(_) | Remote::Dead(_) => Ok(far(remote)),
    }
}

/// Makes a proxy of what another process owns, whose calls take as long as the client's configuration says.
pub(crate) fn far<P: Proxy>(remote: Remote) -> P {
    let timeout = remote.timeout();
    let mut proxy = P::from_remote(remote);
    if timeout.is_some() {
        let options = ProxyOptions {
            timeout,
            ..ProxyOptions::default()
        };
        proxy.set_options(&Arc::new(options));
    }
    proxy
}

/// An export of what `proxy` points at, to be registered or served.
pub(crate) fn to_export<P: Proxy>(proxy: &P) -> Arc<Export> {
    export_of(to_remote(proxy), P::DESCRIPTOR.hash)
}

/// An export of an object of this interface, wherever it lives.
pub(crate) fn export_of(remote: Remote, interface: u32) -> Arc<Export> {
    match remote {
        Remote::Local(export) => export,
        remote => Arc::new(Export {
            identity: remote.identity().unwrap_or_else(ObjectIdentity::unique),
            interface,
            kind: ExportKind::Forward(remote),
        }),
    }
}

/// Whether two proxies, maybe of different interfaces, refer to one object. Takes no round trip.
///
/// A proxy made from a URI is compared by its object once it has connected, and by its URI before.
pub fn same_object<P: Proxy, Q: Proxy>(one: &P, other: &Q) -> bool {
    let (one, other) = (to_remote(one), to_remote(other));
    match (one.identity(), other.identity()) {
        (Some(one), Some(other)) => one == other,
        _ => one.uri().is_some() && one.uri() == other.uri(),
    }
}

/// How two proxies compare: those made from a URI by their URIs, others by their objects. Unlike [`same_object`], the
/// answer never changes, so that proxies may be kept in hashed collections.
pub fn equal<P: Proxy>(one: &P, other: &P) -> bool {
    match (one.uri(), other.uri()) {
        (Some(one), Some(other)) => one == other,
        (None, None) => to_remote(one).identity() == to_remote(other).identity(),
        _ => false,
    }
}

/// Hashes a proxy consistently with [`equal`].
pub fn hash_proxy<P: Proxy, H: Hasher>(proxy: &P, state: &mut H) {
    match proxy.uri() {
        Some(uri) => uri.hash(state),
        None => to_remote(proxy).identity().hash(state),
    }
}
