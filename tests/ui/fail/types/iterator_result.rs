use farref::prelude::*;

#[expose]
pub trait Library {
    fn find(&self) -> impl Iterator<Item = u32>;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find().await;
    let _ = library.count().await;
}

fn main() {}
