use std::path::Path;

use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, what: &Path) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(Path::new("/")).await;
    let _ = library.count().await;
}

fn main() {}
