//! A trait may be written by a declarative macro.

use farref::prelude::*;

macro_rules! library {
    ($name:ident, $($method:ident($argument:ident: $ty:ty) -> $output:ty;)*) => {
        #[expose]
        pub trait $name {
            $(async fn $method(&self, $argument: $ty, out: u32) -> $output;)*
        }
    };
}

library! {
    Library,
    find(title: &str) -> u32;
    lend(title: String) -> Result<u32, String>;
    store(parts: Vec<u8>) -> Vec<u8>;
}

fn main() {
    let names: Vec<_> = LibraryProxy::DESCRIPTOR.methods.iter().map(|method| method.name).collect();
    assert_eq!(names, ["find", "lend", "store"]);
}
