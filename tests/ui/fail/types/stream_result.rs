use farref::prelude::*;

pub trait Stream {
    type Item;
}

#[expose]
pub trait Library {
    fn find(&self) -> impl Stream<Item = u32>;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find().await;
    let _ = library.count().await;
}

fn main() {}
