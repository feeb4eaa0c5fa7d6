use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, title: &str) -> u32;

    #[expose(name = "find")]
    async fn find_by_shelf(&self, shelf: u32) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
    let _ = library.find_by_shelf(3).await;
    let _ = library.count().await;
}

fn main() {}
