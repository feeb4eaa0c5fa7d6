use farref::prelude::*;

pub struct Query<'a>(pub &'a str);

#[expose]
pub trait Library {
    async fn find(&self, what: Query<'_>) -> u32;

    async fn count(&self) -> u32;
}

async fn call(library: &LibraryProxy) {
    let _ = library.find(Query("Emma")).await;
    let _ = library.count().await;
}

fn main() {}
