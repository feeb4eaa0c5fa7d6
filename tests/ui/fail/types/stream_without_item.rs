use farref::prelude::*;

#[expose]
pub trait Library {
    fn find(&self) -> impl Stream;
}

fn main() {}
