use farref::prelude::*;

#[derive(Debug)]
pub enum Missing {
    NotHere,
}

pub type Result<T> = std::result::Result<T, Missing>;

#[expose]
pub trait Library {
    async fn find(&self, title: &str) -> Result<u32>;
}

fn main() {}
