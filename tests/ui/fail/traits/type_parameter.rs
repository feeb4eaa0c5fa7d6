use farref::prelude::*;

#[expose]
pub trait Library<T> {
    async fn find(&self, title: &str) -> u32;
    async fn put(&self, book: T);
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
}

fn main() {}
