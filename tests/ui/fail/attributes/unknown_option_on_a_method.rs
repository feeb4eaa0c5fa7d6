use farref::prelude::*;

#[expose]
pub trait Library {
    #[expose(nmae = "find")]
    async fn search(&self, title: &str) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.search("Emma").await;
    let _ = library.count().await;
}

fn main() {}
