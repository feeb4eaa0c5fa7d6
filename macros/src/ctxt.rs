//! Collects errors, so that one compile shows every mistake.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::thread;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The errors found so far.
///
/// Dropping it without [`finish`](Ctxt::finish) panics in debug builds, because errors would be lost.
pub(crate) struct Ctxt {
    errors: RefCell<Option<Vec<(usize, syn::Error)>>>,
    position: Cell<usize>,
}

impl Ctxt {
    /// A context without errors.
    pub(crate) fn new() -> Self {
        Ctxt {
            errors: RefCell::new(Some(Vec::new())),
            position: Cell::new(0),
        }
    }

    /// Reports a mistake in `culprit`.
    pub(crate) fn error(&self, culprit: impl ToTokens, message: impl Display) {
        self.syn_error(syn::Error::new_spanned(culprit, message));
    }

    /// Reports an error that syn or [`syn::Error::new`] made.
    pub(crate) fn syn_error(&self, error: syn::Error) {
        if let Some(errors) = self.errors.borrow_mut().as_mut() {
            errors.push((self.position.get(), error));
        }
    }

    /// Says which item of the trait the following errors belong to: errors are shown in the order of the source,
    /// not in that of the passes that find them. Position 0 is the head of the trait.
    pub(crate) fn at(&self, position: usize) {
        self.position.set(position);
    }

    /// How many errors there are so far.
    pub(crate) fn count(&self) -> usize {
        self.errors.borrow().as_ref().map_or(0, Vec::len)
    }

    /// The errors as tokens that make the compiler report them; empty if there are none.
    pub(crate) fn finish(self) -> TokenStream {
        let mut errors = self.errors.take().unwrap_or_default();
        errors.sort_by_key(|(position, _)| *position);
        errors
            .iter()
            .map(|(_, error)| error.to_compile_error())
            .collect()
    }
}

impl Drop for Ctxt {
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !thread::panicking() && self.errors.borrow().is_some() {
            panic!("errors were collected and not reported");
        }
    }
}
