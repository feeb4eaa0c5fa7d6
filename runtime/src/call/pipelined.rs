//! Calls whose result is called before it has come.

use std::sync::Arc;

use super::{Call, State, polled_again};
use crate::error::Failure;
use crate::promise;
use crate::proxy::{Proxy, ProxyOptions};
use crate::remote::Remote;

impl<P: Proxy, A, T: Proxy, X: Failure<T>> Call<'_, P, A, T, X> {
    /// Makes the call now, and returns a proxy to the object that it will return. Calls on the proxy do not wait for it:
    /// they travel at once, and a whole chain of them takes one round trip.
    ///
    /// Calls on the proxy start in the order in which they were made, also after the object has come. If there is none,
    /// since the method failed or the call was lost, they fail with
    /// [`BrokenPromise`](crate::FaultKind::BrokenPromise), `NotStarted`, which says why;
    /// [`ensure_connected`](Proxy::ensure_connected) waits for the object, and fails in the same way. When the proxy and
    /// its clones are dropped and no call on them is under way, the call is cancelled, or the object given back.
    ///
    /// Whoever passes the proxy on before the object has come passes on a detour through this process.
    ///
    /// # Examples
    ///
    /// ```
    /// # use farref::prelude::*;
    /// #[expose]
    /// trait Office {
    ///     fn open_file(&self, name: &str) -> FileProxy;
    /// }
    ///
    /// #[expose]
    /// trait File {
    ///     fn write(&self, line: &str) -> u32;
    /// }
    ///
    /// # struct Clerk;
    /// # impl Office for Clerk {
    /// #     fn open_file(&self, _: &str) -> FileProxy { FileProxy::new(Paper) }
    /// # }
    /// # struct Paper;
    /// # impl File for Paper {
    /// #     fn write(&self, line: &str) -> u32 { line.len() as u32 }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> farref::Result<()> {
    /// # let daemon = Daemon::bind("far://127.0.0.1:0").await?;
    /// # let uri = daemon.register("office", OfficeProxy::new(Clerk))?;
    /// # let office: OfficeProxy = farref::connect(&uri).await?;
    /// let file = office.open_file("minutes").pipeline(); // no round trip yet
    /// assert_eq!(file.write("hello").await?, 5); // one for both calls
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "dropping the proxy cancels the call"]
    pub fn pipeline(mut self) -> T {
        self.options().outlives_arguments = true;
        let begun = self.begin(None);
        let call = match std::mem::replace(&mut self.state, State::Done) {
            State::Far(call) => Ok(call),
            _ => Err(begun.err().unwrap_or_else(polled_again)),
        };
        let call = match call {
            Ok(call) => call,
            Err(fault) => return T::from_remote(Remote::Dead(promise::broken(&fault))),
        };
        let defaults = call.defaults(T::DESCRIPTOR.hash);
        let mut proxy = T::from_remote(promise::make(*call, defaults));
        if let Some(timeout) = defaults.timeout {
            let options = ProxyOptions {
                timeout: Some(timeout),
                ..ProxyOptions::default()
            };
            proxy.set_options(&Arc::new(options));
        }
        proxy
    }
}
