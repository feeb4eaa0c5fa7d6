use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, what: &mut u32) -> u32;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, what: &mut u32) -> u32 {
        *what
    }

    async fn count(&self) -> u32 {
        0
    }
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(&mut 3).await;
    let _ = library.count().await;
}

fn main() {}
