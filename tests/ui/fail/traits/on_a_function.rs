use farref::prelude::*;

#[expose]
pub fn find(_title: &str) -> u32 {
    0
}

fn count() -> u32 {
    find("Emma")
}

fn main() {}
