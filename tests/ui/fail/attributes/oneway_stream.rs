use farref::prelude::*;

#[expose]
pub trait Library {
    #[oneway]
    fn find(&self) -> impl Stream<Item = u32>;
}

fn main() {}
