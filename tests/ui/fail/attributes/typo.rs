use farref::prelude::*;

#[expose]
pub trait Library {
    #[oneeway]
    async fn note(&self, title: &str);

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn note(&self, _title: &str) {}

    async fn count(&self) -> u32 {
        0
    }
}

async fn call(library: &LibraryProxy) {
    let _ = library.note("Emma").await;
    let _ = library.count().await;
}

fn main() {}
