//! What the messages of the failing cases say to write.

use std::path::PathBuf;

use farref::Signal;
use farref::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Query {
    pub words: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Missing {
    NotHere,
}

/// `bounds`: derives.
#[expose]
pub trait Bounds {
    async fn find(&self, query: Query) -> u32;
    async fn result(&self, title: &str) -> Option<Query>;
    async fn error(&self, title: &str) -> Result<u32, Missing>;
}

/// `types`: owned forms and concrete types.
#[expose]
pub trait Types {
    async fn mutable_borrow(&self, what: u32) -> u32;
    async fn borrow_in_an_option(&self, what: Option<String>) -> u32;
    async fn borrow_in_a_vec(&self, what: &Vec<u32>) -> u32;
    async fn cow(&self, what: String) -> u32;
    async fn static_borrow(&self, what: &str) -> u32;
    async fn borrowed_slice(&self, what: Vec<u32>) -> u32;
    async fn borrowed_path(&self, what: PathBuf) -> u32;
    async fn closure(&self, what: ReaderProxy) -> u32;
    async fn trait_object(&self, what: ReaderProxy) -> u32;
    async fn result_that_borrows(&self) -> String;
    async fn error_that_is_a_trait_object(&self) -> Result<u32, String>;
    fn stream_result(&self) -> Vec<u32>;
    async fn future_result(&self) -> u32;
}

/// `signals`: the attribute, and the signal lent.
#[expose]
pub trait Signals {
    #[signal]
    fn found(&self) -> &Signal<u32>;
    #[signal]
    fn of_a_borrow(&self) -> &Signal<String>;
    #[signal]
    fn answer_without_serde(&self) -> &Signal<u32, Query>;
}

/// `types/closure`, `types/trait_object`: a callback instead.
#[callback]
pub trait Reader {
    fn read(&self, shelf: u32) -> bool;
}

/// `signatures`: receivers, patterns and argument lists.
#[expose]
pub trait Signatures {
    async fn self_by_value(&self) -> u32;
    #[local]
    async fn self_missing(title: &str) -> u32;
    async fn pattern_as_argument(&self, pair: (u32, u32)) -> u32;
    async fn argument_without_a_name(&self, name: &str) -> u32;
    #[local]
    async fn where_clause(&self, title: &str) -> u32
    where
        Self: Clone;
}

/// `attributes`: each combination that is allowed.
#[expose]
pub trait Attributes {
    #[oneway]
    async fn typo(&self, title: &str);
    #[attribute]
    fn of_another_framework(&self) -> String;
    #[oneway(ordered)]
    async fn oneway_with_unknown_option(&self, title: &str);
    #[blocking]
    fn blocking_async(&self, title: &str) -> u32;
    #[attribute]
    fn name(&self) -> String;
    #[attribute]
    fn set_name(&self, name: &str);
    #[cfg(unix)]
    #[oneway]
    async fn conditional_helper(&self, title: &str);
    #[cfg(not(unix))]
    async fn conditional_helper(&self, title: &str);
    #[expose(name = "find")]
    async fn unknown_option_on_a_method(&self, title: &str) -> u32;
    #[expose(spawn)]
    async fn option_with_a_value(&self, title: &str) -> u32;
}

/// `names`: other names.
#[expose]
pub trait Names {
    #[name = "new"]
    async fn constructor(&self, title: &str) -> u32;
    async fn find(&self, title: &str) -> u32;
    #[expose(name = "find_by_shelf")]
    async fn wire_name_taken(&self, shelf: u32) -> u32;
}

/// `traits`: bounds after the name, options as options.
#[expose(name = "media.Jukebox", crate = farref)]
pub trait Traits: std::fmt::Debug {
    async fn lifetime<'a>(&self, title: &'a str) -> u32;
}

#[expose(local)]
pub trait LocalAsAnOption {
    async fn find(&self, title: &str) -> u32;
}

struct Shelf;

impl Reader for Shelf {
    fn read(&self, shelf: u32) -> bool {
        shelf == 3
    }
}

fn main() {
    let _reader = ReaderProxy::new(Shelf);
}
