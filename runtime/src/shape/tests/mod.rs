//! Unit tests of the shapes.

mod compatible;
#[cfg(feature = "dynamic")]
mod json;
mod trace;
