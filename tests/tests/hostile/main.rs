//! Attacks on a daemon: each module is a kind of attack, made with a raw socket by a thread that knows nothing of the
//! runtime.
//!
//! While an attack goes on, a victim works on the same daemon; afterwards nothing may be left of the attack, and a new
//! connection must work. See [`arena::Arena::endure`].

mod annotations;
mod arena;
mod attacker;
mod batches;
mod decoding;
mod descriptors;
mod errors;
mod floods;
mod forgery;
mod gathered;
mod handoff;
mod handshake;
mod lengths;
mod panics;
mod promises;
mod recursion;
mod senseless;
mod silence;
mod streams;
mod target;
mod unread;
