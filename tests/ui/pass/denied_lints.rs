//! Generated code passes the lints of a strict crate.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub,
    unnameable_types,
    unused_qualifications,
    unused_lifetimes,
    unused_results,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    let_underscore_drop,
    non_ascii_idents,
    private_interfaces,
    private_bounds,
    rust_2018_idioms,
    future_incompatible,
    nonstandard_style
)]

use std::fmt::Debug;

use farref::expose;

/// A book.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Book {
    /// Its title.
    pub title: String,
}

/// A library.
#[expose]
pub trait Library {
    /// Finds a book.
    async fn find(&self, title: &str, parts: &[u8], like: &Book) -> Result<Book, String>;
    /// Counts the books.
    fn count(&self, parts: Vec<u8>) -> Vec<u8>;
    /// Notes.
    #[oneway]
    async fn note(&self, text: String) {
        drop(text);
    }
    /// Sorts.
    #[blocking]
    fn sort(&self) {}
    /// Tells of each book that comes in.
    #[signal]
    fn arrived(&self) -> &farref::Signal<Book, u32>;
    /// Compares.
    #[local]
    fn compare<T: Debug>(&self, _other: T) {}
}

/// A library and more.
#[expose]
pub trait Archive: Library + Debug {
    /// Closes.
    async fn close(&self);
}

/// A counter.
#[expose(local)]
pub trait Counter {
    /// Adds.
    fn add(&mut self, n: u32) -> u32;
    /// Tells.
    #[signal]
    fn added(&self) -> &farref::Signal<u32>;
}

#[expose]
trait Private {
    fn unused(&self, n: u32) -> u32;
}

pub(crate) mod inner {
    //! A module.

    #[farref::callback]
    pub(crate) trait Listener {
        fn changed(&self);
    }

    #[farref::expose]
    pub(super) trait Quiet {
        async fn changed(&self);
    }
}

fn main() {}
