//! What farref promises, by behaviour: each module shows one promise, and `features.toml` maps features to tests here.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod bounds;
mod callbacks;
mod calls;
mod cancellation;
mod client;
mod context;
mod daemon;
mod errors;
mod interceptors;
mod near;
mod order;
mod references;
mod serial;
mod support;
