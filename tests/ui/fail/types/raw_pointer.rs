use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, what: *const u8) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(std::ptr::null()).await;
    let _ = library.count().await;
}

fn main() {}
