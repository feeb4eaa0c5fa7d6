use farref::prelude::*;

pub trait Named<T> {}

#[expose]
pub trait Library: Named<u32> {
    async fn find(&self, title: &str) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
}

fn main() {}
