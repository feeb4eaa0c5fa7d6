use farref::prelude::*;
use serde::Serialize;

#[derive(Serialize)]
pub struct Query {
    pub words: Vec<String>,
}

#[expose]
pub trait Library {
    async fn find(&self, query: &Query) -> u32;
}

fn main() {}
