use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, what: impl Stream<Item = u32>) -> u32;

    async fn count(&self) -> u32;
}

fn main() {}
