use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, what: &Vec<&u32>) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(&vec![&3]).await;
    let _ = library.count().await;
}

fn main() {}
