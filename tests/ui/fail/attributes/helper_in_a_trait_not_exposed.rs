#![allow(async_fn_in_trait)]

use farref::prelude::*;

pub trait Library {
    #[oneway]
    async fn note(&self, title: &str);
}

fn main() {}
