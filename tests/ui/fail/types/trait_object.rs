use farref::prelude::*;

pub trait Reader {}

#[expose]
pub trait Library {
    async fn find(&self, what: Box<dyn Reader>) -> u32;

    async fn count(&self) -> u32;
}

fn main() {}
