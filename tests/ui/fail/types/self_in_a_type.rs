use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, what: Vec<Self>) -> u32;

    async fn count(&self) -> u32;
}

fn main() {}
