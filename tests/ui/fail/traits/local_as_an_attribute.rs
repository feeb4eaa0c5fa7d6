use farref::prelude::*;

#[expose]
#[local]
pub trait Library {
    async fn find(&self, title: &str) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, _title: &str) -> u32 {
        0
    }
}

fn serve() -> LibraryProxy {
    LibraryProxy::new(Shelf)
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
}

fn main() {}
