use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self) -> impl Stream<Item = u32>;
}

fn main() {}
