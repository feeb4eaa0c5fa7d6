use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, query: Query) -> u32;
}

fn main() {}
