use farref::prelude::*;

pub trait Named {
    fn name(&self) -> String;
}

#[expose]
pub trait Library: Named {
    async fn find(&self, title: &str) -> u32;
}

fn main() {}
