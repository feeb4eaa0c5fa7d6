use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, title: &str) -> u32;
    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, _title: &str) -> u32 {
        0
    }

    #[oneway]
    async fn count(&self) -> u32 {
        0
    }
}

fn serve() -> LibraryProxy {
    LibraryProxy::new(Shelf)
}

fn main() {}
