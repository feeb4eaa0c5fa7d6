use farref::prelude::*;

#[expose]
pub trait Library {
    #[expose(spawn = true)]
    async fn find(&self, title: &str) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
    let _ = library.count().await;
}

fn main() {}
