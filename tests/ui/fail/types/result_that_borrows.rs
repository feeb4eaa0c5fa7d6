use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self) -> &str;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self) -> &str {
        "Emma"
    }

    async fn count(&self) -> u32 {
        0
    }
}

async fn call(library: &LibraryProxy) {
    let _ = library.find().await;
    let _ = library.count().await;
}

fn main() {}
