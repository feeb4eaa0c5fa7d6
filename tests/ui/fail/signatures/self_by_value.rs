use farref::prelude::*;

#[expose]
pub trait Library {
    async fn close(self) -> u32;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn close(self) -> u32 {
        0
    }

    async fn count(&self) -> u32 {
        0
    }
}

async fn call(library: &LibraryProxy) {
    let _ = library.close().await;
    let _ = library.count().await;
}

fn main() {}
