use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find<T>(&self, what: T) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) -> u32 {
    library.count().await
}

fn main() {}
