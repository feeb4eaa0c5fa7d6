//! The trait stays usable as a bound, near calls and far ones in spawned tasks.

use std::sync::Arc;

use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find(&self, title: &str) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn find(&self, title: &str) -> u32 {
        tokio::task::yield_now().await;
        title.len() as u32
    }
}

async fn spawn<L: Library>(library: Arc<L>) -> u32 {
    tokio::spawn(async move { library.find("Emma").await }).await.expect("runs")
}

#[tokio::main]
async fn main() {
    let shelf = Arc::new(Shelf);
    assert_eq!(spawn(Arc::clone(&shelf)).await, 4);
    let library = LibraryProxy::shared(shelf);
    let found = tokio::spawn(async move { library.find("Emma").await }).await.expect("runs");
    assert_eq!(found.expect("finds"), 4);
}
