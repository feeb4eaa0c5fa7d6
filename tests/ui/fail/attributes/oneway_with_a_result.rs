use farref::prelude::*;

#[expose]
pub trait Library {
    #[oneway]
    async fn find(&self, title: &str) -> u32;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, _title: &str) -> u32 {
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
