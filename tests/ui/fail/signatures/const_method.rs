use farref::prelude::*;

#[expose]
pub trait Library {
    const fn find(&self, shelf: u32) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(3).await;
    let _ = library.count().await;
}

fn main() {}
