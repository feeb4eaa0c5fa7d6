use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self) -> Self;

    async fn count(&self) -> u32;
}

fn main() {}
