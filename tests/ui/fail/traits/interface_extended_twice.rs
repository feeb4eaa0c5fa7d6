use farref::prelude::*;

#[expose]
pub trait Named {
    fn name(&self) -> String;
}

#[expose]
pub trait Library: Named + Named {
    async fn find(&self, title: &str) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
}

fn main() {}
