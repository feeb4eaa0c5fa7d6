use farref::prelude::*;

#[expose]
pub trait Library {
    #[local]
    #[oneway]
    fn note(&self, title: &str);

    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    fn note(&self, _title: &str) {}

    async fn count(&self) -> u32 {
        0
    }
}

fn main() {}
