use farref::prelude::*;

#[oneway]
async fn note(_title: &str) {}

async fn call() {
    note("Emma").await;
}

fn main() {}
