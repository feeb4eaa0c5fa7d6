use farref::prelude::*;

#[expose]
pub trait Library {
    #[attribute]
    fn name(&self, language: &str) -> String;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.name("en").await;
    let _ = library.count().await;
}

fn main() {}
