use std::cell::Cell;

use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, title: &str) -> u32;
    async fn count(&self) -> u32;
    fn name(&self) -> String;
}

struct Shelf {
    found: Cell<u32>,
}

impl Library for Shelf {
    async fn find(&self, _title: &str) -> u32 {
        self.found.get()
    }

    async fn count(&self) -> u32 {
        self.found.get()
    }

    fn name(&self) -> String {
        "shelf".to_owned()
    }
}

fn serve() -> LibraryProxy {
    LibraryProxy::new(Shelf { found: Cell::new(0) })
}

fn main() {}
