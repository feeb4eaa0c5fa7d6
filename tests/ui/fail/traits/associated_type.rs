use farref::prelude::*;

#[expose]
pub trait Library {
    type Book;

    async fn find(&self, title: &str) -> u32;
    async fn get(&self, title: &str) -> Self::Book;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
}

fn main() {}
