#![deny(unused_must_use)]

use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, title: &str, shelf: u32) -> u32;
}

async fn call(library: LibraryProxy) -> Result<u32, Fault> {
    library.find("Emma", 3);
    Ok(0)
}

fn main() {}
