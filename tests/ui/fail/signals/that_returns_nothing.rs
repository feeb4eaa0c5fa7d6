use farref::prelude::*;

#[expose]
pub trait Library {
    #[signal]
    fn found(&self);

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    
    let _ = library.count().await;
}

fn main() {}
