use farref::prelude::*;

#[expose]
pub trait Library<'a> {
    async fn find(&self, title: &'a str) -> u32;
}

struct Shelf;

impl<'a> Library<'a> for Shelf {
    async fn find(&self, _title: &'a str) -> u32 {
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
