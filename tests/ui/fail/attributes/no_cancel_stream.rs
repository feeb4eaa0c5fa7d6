use farref::prelude::*;

#[expose]
pub trait Library {
    #[no_cancel]
    fn find(&self) -> impl Stream<Item = u32>;
}

fn main() {}
