use farref::prelude::*;

#[expose]
pub trait Library {
    #[attribute]
    fn find(&self) -> impl Stream<Item = u32>;
}

fn main() {}
