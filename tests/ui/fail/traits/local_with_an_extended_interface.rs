use farref::prelude::*;

#[expose]
pub trait Named {
    fn name(&self) -> String;
}

#[expose(local)]
pub trait Library: Named {
    async fn find(&self, title: &str) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
}

fn main() {}
