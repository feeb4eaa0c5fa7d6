use farref::prelude::*;
use farref::Signal;

#[expose]
pub trait Library {
    #[signal]
    fn found(&mut self) -> &Signal<u32>;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.found().connect(|_| ()).await;
    let _ = library.count().await;
}

fn main() {}
