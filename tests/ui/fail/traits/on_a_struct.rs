use farref::prelude::*;

#[expose]
pub struct Shelf {
    pub books: u32,
}

fn count(shelf: &Shelf) -> u32 {
    shelf.books
}

fn main() {}
