//! A method with `#[cfg]` is there or not there, everywhere.

#![deny(warnings)]

use farref::prelude::*;

#[expose]
pub trait Library {
    #[cfg(all())]
    async fn find(&self, title: &str) -> u32;

    #[cfg(any())]
    async fn find(&self, title: TypeThatDoesNotExist) -> u32;

    #[cfg(any())]
    async fn lend(&self, title: TypeThatDoesNotExist) -> TypeThatDoesNotExist;

    #[cfg(any())]
    #[signal]
    fn lent(&self) -> &Signal<TypeThatDoesNotExist>;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, title: &str) -> u32 {
        title.len() as u32
    }

    async fn count(&self) -> u32 {
        7
    }
}

#[tokio::main]
async fn main() {
    let library = LibraryProxy::new(Shelf);
    assert_eq!(library.find("Emma").await.expect("finds"), 4);
    assert_eq!(library.count().await.expect("counts"), 7);
    let names: Vec<_> = LibraryProxy::DESCRIPTOR.methods.iter().map(|method| method.name).collect();
    assert_eq!(names, ["find", "count"]);
}
