use farref::prelude::*;

#[expose]
pub trait Library {
    async fn new(&self, title: &str) -> u32;

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn new(&self, _title: &str) -> u32 {
        0
    }

    async fn count(&self) -> u32 {
        0
    }
}

fn main() {}
