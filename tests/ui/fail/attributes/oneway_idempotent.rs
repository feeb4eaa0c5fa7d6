use farref::prelude::*;

#[expose]
pub trait Library {
    #[oneway]
    #[idempotent]
    fn note(&self, name: &str);

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.note("Emma").await;
    let _ = library.count().await;
}

fn main() {}
