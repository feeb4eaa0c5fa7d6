//! What farref promises, by behaviour: each module shows one promise, and `features.toml` maps features to tests here.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod allocations;
mod any_proxies;
mod batches;
mod blocking;
mod blocking_proxies;
mod bounds;
mod callbacks;
mod calls;
mod cancellation;
mod client;
mod codecs;
mod context;
mod daemon;
mod daemon_object;
mod dynamic;
mod dynamic_streams;
mod errors;
mod events;
mod factories;
mod faults;
mod flights;
mod futures;
mod handoffs;
mod handover;
mod inspection;
mod interceptors;
mod interfaces;
mod life_cycle;
mod listeners;
mod near;
mod network;
mod order;
mod pinned;
mod pipelining;
mod processes;
mod publishing;
mod reaping;
mod receivers;
mod references;
mod releases;
mod remote_signals;
mod resolving;
mod resuming;
mod serial;
mod signals;
#[cfg(unix)]
mod spawning;
mod streams;
mod subscriptions;
mod support;
mod testing;
mod timers;
mod topics;
mod versions;
