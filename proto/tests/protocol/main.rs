//! The protocol's tests: one program, a module for each behaviour.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps nothing fails as it should"
)]

mod calls;
mod corpus;
mod credit;
mod deadlines;
mod golden;
mod handshake;
mod hostile;
mod limits;
mod liveness;
mod pair;
mod references;
mod shutdown;
mod splits;
