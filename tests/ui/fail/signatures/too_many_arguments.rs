use farref::prelude::*;

#[expose]
pub trait Library {
    #[rustfmt::skip]
    async fn find(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8);

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13).await;
    let _ = library.count().await;
}

fn main() {}
