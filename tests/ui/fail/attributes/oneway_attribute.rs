use farref::prelude::*;

#[expose]
pub trait Library {
    #[oneway]
    #[attribute]
    fn set_name(&self, name: &str);

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.set_name("Emma").await;
    let _ = library.count().await;
}

fn main() {}
