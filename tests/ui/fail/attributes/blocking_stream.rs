use farref::prelude::*;

#[expose]
pub trait Library {
    #[blocking]
    fn find(&self) -> impl Stream<Item = u32>;
}

fn main() {}
