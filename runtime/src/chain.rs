//! Taking a call's chain along into a spawned task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::context::Scope;

/// Runs `future` on behalf of the call that is being served now, wherever it is polled.
///
/// A task that a handler spawns leaves the chain of calls: its calls inherit no deadline, and a serial object that the
/// chain holds makes them wait. Wrapped in this, it stays in.
///
/// # Cancel safety
///
/// As cancel safe as `future`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let task = tokio::spawn(farref::chain::scope(async { farref::CallContext::current().is_some() }));
/// assert!(!task.await.unwrap(), "there is no call here to take along");
/// # }
/// ```
pub fn scope<F: Future>(future: F) -> impl Future<Output = F::Output> {
    Scoped {
        scope: Scope::current(),
        future: Box::pin(future),
    }
}

/// A future that is polled within a scope.
struct Scoped<F> {
    scope: Option<Arc<Scope>>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.scope.as_ref().map(Scope::enter);
        self.future.as_mut().poll(cx)
    }
}
