use farref::prelude::*;

pub struct Query {
    pub words: Vec<String>,
}

#[expose]
pub trait Library {
    async fn find(&self, query: Query) -> u32;
    async fn count(&self, query: Query) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, query: Query) -> u32 {
        query.words.len() as u32
    }

    async fn count(&self, _query: Query) -> u32 {
        0
    }
}

async fn call() {
    let library = LibraryProxy::new(Shelf);
    let _ = library.find(Query { words: Vec::new() }).await;
}

fn main() {}
