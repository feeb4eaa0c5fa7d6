//! A trait may be declared in a function, and be private.

use farref::prelude::*;

#[tokio::main]
async fn main() {
    #[expose]
    trait Library {
        async fn find(&self, title: &str) -> u32;
    }

    struct Shelf;

    impl Library for Shelf {
        async fn find(&self, title: &str) -> u32 {
            title.len() as u32
        }
    }

    let library = LibraryProxy::new(Shelf);
    assert_eq!(library.find("Emma").await.expect("finds"), 4);
}
