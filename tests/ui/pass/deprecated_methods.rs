//! Only callers hear of a deprecation, and neither implementors nor generated code.

#![deny(warnings)]

use farref::prelude::*;

#[expose]
pub trait Library {
    #[deprecated(since = "1.1", note = "use `look`")]
    async fn find(&self, title: &str) -> u32;

    async fn look(&self, title: &str) -> u32;
}

#[expose]
#[deprecated]
pub trait Catalogue {
    async fn find(&self, title: &str) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, title: &str) -> u32 {
        title.len() as u32
    }

    async fn look(&self, title: &str) -> u32 {
        title.len() as u32
    }
}

#[tokio::main]
async fn main() {
    let library = LibraryProxy::new(Shelf);
    assert_eq!(library.look("Emma").await.expect("looks"), 4);
    #[expect(deprecated, reason = "that is what is tested")]
    let found = library.find("Emma").await;
    assert_eq!(found.expect("finds"), 4);
    assert!(LibraryProxy::DESCRIPTOR.methods[0].deprecated);
    assert!(CatalogueProxy::DESCRIPTOR.methods[0].deprecated);
}
