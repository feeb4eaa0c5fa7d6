use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self) -> Result<impl Stream<Item = u32>, String>;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find().await;
    let _ = library.count().await;
}

fn main() {}
