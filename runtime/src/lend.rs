//! Lending: a reference that ends when its lender says so.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use crate::FaultKind;
use crate::error::{Fault, Result};
use crate::object::{Export, ExportKind, ObjectIdentity};
use crate::proxy::{self, Proxy};
use crate::remote::Remote;

/// A reference that is lent, made by [`Proxy::lend`]: what was passed on of it ends with this.
///
/// It dereferences to the lent proxy; [`proxy`](Loan::proxy) gives a copy to pass on. Whoever holds one calls through
/// the lender's process, and gets `StaleReference`, `NotStarted`, once the loan is dropped or its lender is gone. Calls
/// that have started run on.
#[must_use = "what is lent ends when the loan is dropped"]
pub struct Loan<P> {
    lent: P,
    terms: Arc<Lent>,
}

/// What a lent reference leads to, until the loan ends.
pub(crate) struct Lent(RwLock<Option<Remote>>);

impl Lent {
    /// What is lent.
    pub(crate) fn remote(&self) -> Result<Remote> {
        let remote = self.0.read().unwrap_or_else(PoisonError::into_inner);
        remote.clone().ok_or_else(|| {
            Fault::not_started(
                FaultKind::StaleReference,
                "the reference was lent, and the loan has ended",
            )
        })
    }

    fn end(&self) {
        let mut remote = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let ended = remote.take();
        drop(remote);
        // Dropping it may be the application's code.
        drop(ended);
    }
}

impl<P: Proxy> Loan<P> {
    pub(crate) fn of(proxy: &P) -> Self {
        let remote = proxy::to_remote(proxy);
        let terms = Arc::new(Lent(RwLock::new(Some(remote))));
        let export = Arc::new(Export {
            // An object of its own to whoever holds it: other references to the same object do not end with it.
            identity: ObjectIdentity::unique(),
            interface: P::DESCRIPTOR.hash,
            kind: ExportKind::Lent(Arc::clone(&terms)),
        });
        let lent = P::from_remote(Remote::Local(export)).with_options(proxy.options());
        Loan { lent, terms }
    }

    /// The lent reference, to be passed on.
    pub fn proxy(&self) -> P {
        self.lent.clone()
    }

    /// Ends the loan, as dropping it does.
    pub fn end(self) {}
}

impl<P> Deref for Loan<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.lent
    }
}

impl<P> Drop for Loan<P> {
    fn drop(&mut self) {
        self.terms.end();
    }
}

impl<P: fmt::Debug> fmt::Debug for Loan<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loan").field(&self.lent).finish()
    }
}
