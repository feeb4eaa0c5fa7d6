//! What farref promises, by behaviour: each module shows one promise, and `features.toml` maps features to tests here.

mod callbacks;
mod support;
