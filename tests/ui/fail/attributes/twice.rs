use farref::prelude::*;

#[expose]
pub trait Library {
    #[oneway]
    #[oneway]
    async fn note(&self, title: &str);

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.note("Emma").await;
    let _ = library.count().await;
}

fn main() {}
