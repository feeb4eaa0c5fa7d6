use farref::prelude::*;

#[expose]
pub trait Library {
    async fn find_room_tag_for_index(&self, title: &str) -> u32;

    async fn look_key_index_at_row(&self, title: &str) -> u32;

    async fn count(&self) -> u32;
}

fn main() {}
