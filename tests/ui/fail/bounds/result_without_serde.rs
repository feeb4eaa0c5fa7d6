use farref::prelude::*;

pub struct Book {
    pub title: String,
}

#[expose]
pub trait Library {
    async fn find(&self, title: &str) -> Option<Book>;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, title: &str) -> Option<Book> {
        Some(Book { title: title.to_owned() })
    }
}

fn main() {}
