use farref::prelude::*;
use farref::Signal;

pub struct Track;

#[expose]
pub trait Library {
    #[signal]
    fn found(&self) -> &Signal<Track>;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.found().connect(|_| ()).await;
    let _ = library.count().await;
}

fn main() {}
