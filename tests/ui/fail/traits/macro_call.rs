use farref::prelude::*;

macro_rules! methods {
    () => {};
}

#[expose]
pub trait Library {
    methods!();

    async fn find(&self, title: &str) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
}

fn main() {}
