//! What the examples of farref share: the jukebox, which one program serves and two others call, and a slow link.
//!
//! The programs are beside this file. In a project of your own, interfaces like these live in a crate that server and
//! client both depend on; objects that implement them need not.

pub mod jukebox;
pub mod slow_link;
