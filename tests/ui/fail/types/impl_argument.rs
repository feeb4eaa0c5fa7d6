use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, what: impl Into<String> + Send) -> u32;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, _what: impl Into<String> + Send) -> u32 {
        0
    }

    async fn count(&self) -> u32 {
        0
    }
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
    let _ = library.count().await;
}

fn main() {}
