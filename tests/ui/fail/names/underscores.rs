use farref::prelude::*;

#[expose]
pub trait Library {
    async fn __find(&self, title: &str) -> u32;

    async fn count(&self) -> u32;
}

fn main() {}
