use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find<const N: usize>(&self, what: [u8; N]) -> u32;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find<const N: usize>(&self, _what: [u8; N]) -> u32 {
        N as u32
    }

    async fn count(&self) -> u32 {
        0
    }
}

async fn call(library: &LibraryProxy) {
    let _ = library.find([1, 2]).await;
    let _ = library.count().await;
}

fn main() {}
