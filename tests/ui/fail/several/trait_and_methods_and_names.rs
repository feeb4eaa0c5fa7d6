use farref::prelude::*;

#[expose(nam = "library")]
pub trait Library<'a> {
    const VERSION: u32;

    async fn find(&self, title: &str) -> u32;

    #[name = "find"]
    async fn search(&self, title: &mut String) -> u32;

    #[name = "find"]
    async fn look(&self, title: &str) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find("Emma").await;
    let _ = library.look("Emma").await;
}

fn main() {}
