use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find<T>(&self, what: T) -> u32;

    #[oneeway]
    async fn note(&self, title: &str);

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(3).await;
    let _ = library.note("Emma").await;
    let _ = library.count().await;
}

fn main() {}
