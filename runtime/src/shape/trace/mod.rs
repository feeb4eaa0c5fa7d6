//! Tracing: learning a type's shape by letting it deserialise itself from sample values.
//!
//! One pass deserialises the type once and notes what it asks for. A pass sees one variant of each enum on its way,
//! so passes are repeated until every variant was seen. Structs take further passes, which present their fields by
//! name and leave some out, to learn which have defaults. A type that refuses a sample is offered others; one that
//! refuses all *resists*, and so does what cannot be made without it, but their surroundings are traced all the
//! same. A recursive type meets itself again on the stack, and from there on gets the smallest value that ends the
//! recursion.
//!
//! Types that look different to people (in JSON) are traced twice, and the two views are joined.

mod access;
mod deserializer;
mod enums;
mod error;
mod finish;
mod node;
mod samples;
mod state;
mod structs;
mod views;

use std::cell::Cell;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use self::error::TraceError;
use self::node::Node;
use self::state::State;
use super::Shape;

/// What the name of a newtype struct begins with if it is a reference; the interface's name follows.
const REFERENCE_PREFIX: &str = "$farref.proxy:";

/// The most passes over one type; each learns something, so only enormous types come near it.
const MAX_PASSES: usize = 20_000;

/// How many passes in a row may learn nothing before the rest is given up. More than one, since enums take turns.
const MAX_IDLE_PASSES: usize = 64;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Tells whether this thread is tracing a type, so that the references it sees are samples.
pub(crate) fn is_tracing() -> bool {
    DEPTH.get() > 0
}

/// Marks this thread as tracing, also if a type panics.
struct Marker;

impl Marker {
    fn begin() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Traces a type, in both views if it has two.
pub(super) fn trace<T: DeserializeOwned>() -> Shape {
    let _marker = Marker::begin();
    let (binary, has_views) = trace_view::<T>(false);
    if has_views {
        views::join(binary, trace_view::<T>(true).0)
    } else {
        binary
    }
}

/// Traces one view of a type, and tells whether the type asked which view it is.
fn trace_view<T: DeserializeOwned>(human_readable: bool) -> (Shape, bool) {
    let mut state = State::new(human_readable);
    let mut root = Node::Unknown;
    let mut idle = 0;
    for _ in 0..MAX_PASSES {
        let mut seen = Node::Unknown;
        state.begin_pass();
        let result = access::trace_slot(&mut state, &mut seen, PhantomData::<T>, 0);
        root.merge(seen);
        if !matches!(result, Err(TraceError::Again)) && state.is_complete(&root) {
            break;
        }
        idle = if state.made_progress() { 0 } else { idle + 1 };
        if idle > MAX_IDLE_PASSES {
            break;
        }
    }
    (
        finish::finish(&state, &root, std::any::type_name::<T>()),
        state.was_asked_for_view(),
    )
}
