use farref::prelude::*;

#[expose]
pub trait Library {
    #[blocking]
    async fn find(self, (a, b): (u32, u32), names: Option<&str>) -> &str;

    async fn count(&self) -> u32;
}

fn main() {}
