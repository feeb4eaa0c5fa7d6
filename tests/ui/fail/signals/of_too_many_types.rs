use farref::prelude::*;
use farref::Signal;

#[expose]
pub trait Library {
    #[signal]
    fn found(&self) -> &Signal<u32, u32, u32>;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    
    let _ = library.count().await;
}

fn main() {}
