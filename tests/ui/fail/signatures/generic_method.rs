use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find<T: Send>(&self, what: T) -> u32;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find<T: Send>(&self, _what: T) -> u32 {
        0
    }

    async fn count(&self) -> u32 {
        0
    }
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(3).await;
    let _ = library.count().await;
}

fn main() {}
