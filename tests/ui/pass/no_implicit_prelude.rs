//! Generated code brings all its names along.

#![no_implicit_prelude]

#[::farref::expose]
pub trait Library {
    fn find(&self, title: &str) -> u32;
    async fn lend(&self, title: ::std::string::String) -> ::std::option::Option<u32>;
    #[signal]
    fn arrived(&self) -> &::farref::Signal<::std::string::String>;
    async fn fail(&self, parts: &[u8]) -> ::std::result::Result<(), ::std::string::String>;
}

#[::farref::expose(local)]
pub trait Counter {
    fn add(&mut self, n: u32) -> u32;
}

#[::farref::expose]
pub trait Both: Library {
    #[blocking]
    fn sort(&self);
}

fn main() {}
