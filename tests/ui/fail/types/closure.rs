use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, what: impl Fn(u32) -> bool) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(|shelf| shelf == 3).await;
    let _ = library.count().await;
}

fn main() {}
