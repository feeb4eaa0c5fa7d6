//! Names of the user's that are those of the generated code, of the standard library and of the proxy's traits.

#![allow(dead_code, non_camel_case_types)]

use farref::prelude::*;

pub struct Result;
pub struct Option;
pub struct Box;
pub struct Some;
pub trait Send {}
pub trait Future {}
pub mod core {}
pub mod std {}

#[expose]
pub trait Library {
    async fn clone(&self, near: &::core::primitive::str, out: u32, call: u32, entry: u32) -> u32;
    async fn eq(&self, object: u32, arguments: u32, values: u32, reply: u32) -> u32;
    async fn target(&self, proxy: u32, export: u32, private: u32, handlers: u32) -> u32;
    async fn serialize(&self, serializer: u32) -> u32;
    async fn batch(&self) -> u32;
    async fn timeout(&self) -> u32;
    async fn enter(&self, handlers: u32) -> u32;
}

struct Shelf;

impl Library for Shelf {
    async fn clone(&self, near: &::core::primitive::str, out: u32, call: u32, entry: u32) -> u32 {
        near.len() as u32 + out + call + entry
    }

    async fn eq(&self, object: u32, arguments: u32, values: u32, reply: u32) -> u32 {
        object + arguments + values + reply
    }

    async fn target(&self, proxy: u32, export: u32, private: u32, handlers: u32) -> u32 {
        proxy + export + private + handlers
    }

    async fn serialize(&self, serializer: u32) -> u32 {
        serializer
    }

    async fn batch(&self) -> u32 {
        0
    }

    async fn timeout(&self) -> u32 {
        0
    }

    async fn enter(&self, a: u32) -> u32 {
        a
    }
}

fn main() {
    let library = LibraryProxy::new(Shelf);
    let _copy: LibraryProxy = Clone::clone(&library);
}
