use farref::prelude::*;

#[expose]
pub trait Library {
    extern "C" fn find(&self, shelf: u32) -> u32;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    extern "C" fn find(&self, shelf: u32) -> u32 {
        shelf
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
