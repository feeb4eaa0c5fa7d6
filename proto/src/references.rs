//! The tables of references: what this side gave out, and what it was given.
//!
//! Each entry in the table of a message is a grant. The side that received grants counts them and gives them back by
//! count, so that a release cannot overtake a use, nor a new grant be taken for an old one.

mod exports;
mod imports;

pub(crate) use self::exports::{Aliases, Exports, Key as ExportKey};
pub(crate) use self::imports::Imports;
