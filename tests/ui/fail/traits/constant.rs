use farref::prelude::*;

#[expose]
pub trait Library {
    const VERSION: u32;

    async fn find(&self, title: &str) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
}

fn main() {}
