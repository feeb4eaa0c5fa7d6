//! The protocol's tests: one program, a module for each behaviour.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps nothing fails as it should"
)]

mod apart;
mod batches;
mod calls;
mod conversation;
mod corpus;
mod credit;
mod cuts;
mod deadlines;
mod gathering;
mod golden;
mod handoff;
mod handshake;
mod hostile;
mod limits;
mod liveness;
mod pair;
mod promises;
mod reference_model;
mod references;
mod resuming;
mod runs;
#[cfg(feature = "sabotage")]
mod sabotage;
mod shutdown;
mod splits;
mod streams;
