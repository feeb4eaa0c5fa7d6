//! What is attacked: an object whose methods take what attackers like to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farref::prelude::*;
use serde::{Deserialize, Deserializer, Serialize};

/// The argument that makes [`Target::trip`] panic at once.
pub(crate) const TRIPS: u32 = 13;
/// The argument that makes [`Target::trip`] panic in its task.
pub(crate) const TRIPS_LATER: u32 = 14;
/// What the panics say; no caller may see it.
pub(crate) const SECRET: &str = "the safe opens at 7-31-5";

/// The attacked interface.
#[expose]
pub(crate) trait Target {
    /// The honest call: what attackers make first, and victims all the time.
    async fn add(&self, a: u32, b: u32) -> u32;
    /// Returns so many bytes of text.
    async fn page(&self, size: u32) -> String;
    /// Takes elements of no size, which cost the sender nothing.
    async fn units(&self, units: Vec<()>) -> u64;
    /// Takes a value that nests.
    async fn links(&self, link: Link) -> u32;
    /// Takes collections in collections.
    async fn nested(&self, lists: Vec<Vec<Vec<String>>>) -> u64;
    /// Panics at some inputs.
    async fn trip(&self, input: u32) -> u32;
    /// The same on a thread where blocking is allowed.
    #[blocking]
    fn trip_blocking(&self, input: u32) -> u32;
    /// The same for a caller that wants no answer.
    #[oneway]
    async fn trip_oneway(&self, input: u32);
    /// Takes a type whose decoding panics.
    async fn brittle(&self, value: Brittle) -> u32;
    /// Calls the caller back.
    async fn visit(&self, visitor: VisitorProxy) -> Result<u32, String>;
    /// Calls the caller back, and panics when it is cancelled meanwhile.
    async fn visit_and_break(&self, visitor: VisitorProxy) -> u32;
    /// Streams so many bytes of text for each item, without end.
    async fn pages(&self, size: u32) -> RemoteStream<String>;
    /// Fails with an error of its own.
    async fn refuse(&self) -> Result<u32, String>;
    /// Gives a new object out.
    async fn child(&self) -> TargetProxy;
}

/// What an attacker exports in order to be called back.
#[expose]
pub(crate) trait Visitor {
    /// Answers in its own time.
    async fn visited(&self) -> u32;
}

/// A value as deep as its sender likes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Link {
    /// The last.
    End,
    /// One more.
    Next(Box<Link>),
}

/// A value whose decoding panics: not the framework's fault, and still not fatal.
#[derive(Debug, Serialize)]
pub(crate) struct Brittle(u32);

impl<'de> Deserialize<'de> for Brittle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u32::deserialize(deserializer)?;
        assert_ne!(value, TRIPS, "{SECRET}");
        Ok(Brittle(value))
    }
}

/// The attacked object. All of its kin count on the same counters.
#[derive(Clone, Default)]
pub(crate) struct Bastion {
    /// Handlers that wait for a callback.
    pub(crate) waiting: Arc<AtomicUsize>,
}

/// A handler that waits, counted also when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Waiting(counter)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Panics when it is dropped.
struct Breaks;

impl Drop for Breaks {
    fn drop(&mut self) {
        panic!("{SECRET}");
    }
}

impl Target for Bastion {
    async fn add(&self, a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    async fn page(&self, size: u32) -> String {
        "x".repeat(size as usize)
    }

    async fn units(&self, units: Vec<()>) -> u64 {
        units.len() as u64
    }

    async fn links(&self, mut link: Link) -> u32 {
        let mut length = 0;
        while let Link::Next(next) = link {
            length += 1;
            link = *next;
        }
        length
    }

    async fn nested(&self, lists: Vec<Vec<Vec<String>>>) -> u64 {
        lists.iter().flatten().flatten().count() as u64
    }

    async fn trip(&self, input: u32) -> u32 {
        assert_ne!(input, TRIPS, "{SECRET}");
        tokio::task::yield_now().await;
        assert_ne!(input, TRIPS_LATER, "{SECRET}");
        input
    }

    fn trip_blocking(&self, input: u32) -> u32 {
        assert_ne!(input, TRIPS, "{SECRET}");
        input
    }

    async fn trip_oneway(&self, input: u32) {
        assert_ne!(input, TRIPS, "{SECRET}");
    }

    async fn brittle(&self, value: Brittle) -> u32 {
        value.0
    }

    async fn visit(&self, visitor: VisitorProxy) -> Result<u32, String> {
        let _waiting = Waiting::begin(&self.waiting);
        visitor.visited().await.map_err(|fault| fault.to_string())
    }

    async fn visit_and_break(&self, visitor: VisitorProxy) -> u32 {
        let _breaks = Breaks;
        visitor.visited().await.unwrap_or(0)
    }

    async fn pages(&self, size: u32) -> RemoteStream<String> {
        RemoteStream::from_iter(std::iter::repeat_with(move || "x".repeat(size as usize)))
    }

    async fn refuse(&self) -> Result<u32, String> {
        Err("not today".to_owned())
    }

    async fn child(&self) -> TargetProxy {
        TargetProxy::new(self.clone())
    }
}
