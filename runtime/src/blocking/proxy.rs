//! Proxies whose calls are waited for.

use std::fmt;

use crate::error::Result;
use crate::proxy::Proxy;
use crate::stream::{StreamCall, StreamItem};

/// A proxy whose calls are waited for: `#[expose]` writes one for each interface, `JukeboxBlocking` for a trait
/// `Jukebox`, with the same methods. [`Proxy::blocking`] makes one of a proxy, and [`connect`](super::connect) of a URI.
///
/// A method of an interface that has the name of one of these wins; write `BlockingProxy::proxy(&jukebox)` then.
pub trait BlockingProxy: Clone + fmt::Debug + Send + Sync + Sized + 'static {
    /// The proxy whose calls these are.
    type Proxy: Proxy<Blocking = Self>;

    /// Has the calls of this proxy waited for.
    fn from_proxy(proxy: Self::Proxy) -> Self;

    /// The proxy whose calls these are. It passes as an argument, and what is said of a single call is said there:
    /// `jukebox.proxy().load_playlist("90s rock").timeout(limit).wait()`.
    fn proxy(&self) -> &Self::Proxy;
}

/// What a program without async connects to: a proxy, or a proxy whose calls are waited for.
pub trait Connect: Sized {
    /// What is connected.
    type Proxy: Proxy;

    /// Makes it of a proxy that is connected.
    fn connected(proxy: Self::Proxy) -> Self;
}

impl<P: Proxy> Connect for P {
    type Proxy = P;

    fn connected(proxy: P) -> Self {
        proxy
    }
}

/// The items of a stream, each waited for; what a method that returns a stream returns on a [`BlockingProxy`].
///
/// The call is made when the first item is asked for. The first error, of the call or of the stream, is the last item.
/// Dropping it ends the stream.
#[must_use = "nothing is called before the first item is asked for"]
pub struct Items<'a, P: Proxy, A, T>(StreamCall<'a, P, A, T>);

impl<'a, P: Proxy, A, T> Items<'a, P, A, T> {
    /// The items of this call's stream.
    #[doc(hidden)]
    #[inline]
    pub fn new(call: StreamCall<'a, P, A, T>) -> Self {
        Items(call)
    }

    /// The call itself, on which more can be said.
    pub fn call(self) -> StreamCall<'a, P, A, T> {
        self.0
    }
}

impl<P: Proxy, A, T: StreamItem> Iterator for Items<'_, P, A, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        self.0.wait_next()
    }
}

impl<P: Proxy, A, T> fmt::Debug for Items<'_, P, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}
