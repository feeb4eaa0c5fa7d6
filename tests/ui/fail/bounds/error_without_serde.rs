use farref::prelude::*;

#[derive(Debug)]
pub enum Missing {
    NotHere,
}

#[expose]
pub trait Library {
    async fn find(&self, title: &str) -> Result<u32, Missing>;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, _title: &str) -> Result<u32, Missing> {
        Err(Missing::NotHere)
    }
}

fn main() {}
