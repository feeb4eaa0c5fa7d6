use farref::prelude::*;
use farref::Signal;
use std::cell::Cell;

#[expose]
pub trait Library {
    #[signal]
    fn found(&self) -> &Signal<Cell<u32>>;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    
    let _ = library.count().await;
}

fn main() {}
