//! What the name server promises, by behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod announcing;
mod directory;
mod discovery;
mod failover;
mod finding;
mod persistence;
mod support;
mod watching;
