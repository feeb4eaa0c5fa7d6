use farref::prelude::*;

#[expose]
pub trait Library {
    fn find(&self) -> impl Stream<Item = impl Clone>;
}

fn main() {}
