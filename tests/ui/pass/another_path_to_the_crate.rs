//! `crate = ..` is all that generated code needs to know of where the runtime is.

mod vendored {
    pub use farref as remote_objects;
}

use vendored::remote_objects::expose;

#[expose(crate = crate::vendored::remote_objects)]
pub trait Library {
    async fn find(&self, title: &str) -> u32;
}

fn main() {}
