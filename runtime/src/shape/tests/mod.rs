//! Unit tests of the shapes.

mod compatible;
#[cfg(feature = "json")]
mod json;
mod trace;
