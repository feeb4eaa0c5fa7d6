use std::rc::Rc;

use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, title: &str) -> u32;
    async fn count(&self) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, title: &str) -> u32 {
        let shared = Rc::new(title.to_owned());
        let count = self.count().await;
        count + shared.len() as u32
    }

    async fn count(&self) -> u32 {
        0
    }
}

fn serve() -> LibraryProxy {
    LibraryProxy::new(Shelf)
}

fn main() {}
