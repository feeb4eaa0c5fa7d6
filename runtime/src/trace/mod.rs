//! Spans of the crate [`tracing`] for every call, joined across processes by the W3C's Trace Context.
//!
//! With the feature `tracing` each call that crosses processes is a span where it is made (`call`) and another where it is
//! served (`serve`), both with the target `farref::trace` and the level `INFO`. The place of the first in its trace travels
//! with the call, and the second is its child. The handler runs in its span: what it logs belongs there, and the calls that
//! it makes, callbacks included, are children of it.
//!
//! | field | what it is |
//! |---|---|
//! | `interface`, `method` | wire names of what is called; empty for a call that is only passed on |
//! | `peer` | where the other process is, once there is a connection |
//! | `trace_id`, `span_id`, `parent_id` | the place in the trace, in hex; a span that begins a trace has no `parent_id` |
//! | `outcome` | `ok`; `error`, for the method's own error; the kind of the [`Fault`](crate::Fault), such as `deadline_exceeded`; `dropped`, for a call that its caller gave up |
//! | `otel.kind`, `otel.name`, `otel.status_code` | the same for OpenTelemetry: `client` or `server`, `Interface.method`, `ERROR` for every outcome but `ok` |
//!
//! The span of a oneway ends, where it is made, when the call is on its way; that of a call which returns a stream ends, where it is
//! served, when the stream has ended. A call that is made again is one span where it is made, and one for each time where
//! it is served. Calls of a batch, and calls on a promise, have spans of their own. Calls within this process cross nothing
//! and have none: what they log, and what they call, belongs to the span that they were made in.
//!
//! Any subscriber will do. Where it does not want the spans, the place in the trace is passed on as it came.
//!
//! # OpenTelemetry
//!
//! Subscribers that number spans themselves, as `tracing-opentelemetry` does, are asked for their numbers by a
//! [`Propagator`]:
//!
//! ```ignore
//! use farref::trace::{Propagator, TraceContext};
//! use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};
//! use opentelemetry::Context;
//! use tracing_opentelemetry::OpenTelemetrySpanExt;
//!
//! struct OpenTelemetry;
//!
//! impl Propagator for OpenTelemetry {
//!     fn inject(&self, span: &tracing::Span) -> Option<TraceContext> {
//!         let context = span.context();
//!         let context = context.span().span_context().clone();
//!         TraceContext::new(
//!             context.trace_id().to_bytes(),
//!             context.span_id().to_bytes(),
//!             context.trace_flags().to_u8(),
//!             &context.trace_state().header(),
//!         )
//!     }
//!
//!     fn extract(&self, span: &tracing::Span, parent: &TraceContext) {
//!         let parent = SpanContext::new(
//!             TraceId::from_bytes(parent.trace_id()),
//!             SpanId::from_bytes(parent.span_id()),
//!             TraceFlags::new(parent.flags()),
//!             true,
//!             parent.state().parse().unwrap_or_default(),
//!         );
//!         let _ = span.set_parent(Context::new().with_remote_span_context(parent));
//!     }
//! }
//!
//! // Once, before the first call:
//! farref::trace::set_propagator(OpenTelemetry).expect("there is no other");
//! ```

mod context;
mod state;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tracing::Span;

pub use self::context::TraceContext;
use crate::context::Scope;

/// Asks whoever numbers spans for the place of one in its trace, and tells it the place of its parent.
///
/// Without one, or where it knows nothing of a span, farref numbers the spans itself.
pub trait Propagator: Send + Sync + 'static {
    /// The place of this span in its trace, which is sent with the call that it stands for.
    fn inject(&self, span: &Span) -> Option<TraceContext>;

    /// Makes this span, which has just begun, a child of one in another process.
    fn extract(&self, span: &Span, parent: &TraceContext);
}

static PROPAGATOR: OnceLock<Box<dyn Propagator>> = OnceLock::new();

/// There is a [`Propagator`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PropagatorIsSet;

impl fmt::Display for PropagatorIsSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a propagator of trace contexts is set already")
    }
}

impl std::error::Error for PropagatorIsSet {}

/// Says once for this process, as with its subscriber, who numbers spans. Do so before the first call.
///
/// # Errors
///
/// [`PropagatorIsSet`], if somebody else was named before.
pub fn set_propagator(propagator: impl Propagator) -> Result<(), PropagatorIsSet> {
    PROPAGATOR
        .set(Box::new(propagator))
        .map_err(|_| PropagatorIsSet)
}

thread_local! {
    static OUTSIDE: RefCell<Option<Arc<TraceContext>>> = const { RefCell::new(None) };
}

/// Runs `future` at this place in a trace: calls that it makes outside any call that is being served are children of it.
///
/// It is for a place that came by another way, as the header of an HTTP request.
///
/// # Cancel safety
///
/// As cancel safe as `future`.
///
/// # Examples
///
/// ```
/// use farref::trace::{self, TraceContext};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = TraceContext::parse(header, None).expect("is well-formed");
/// trace::scope(context.clone(), async {
///     assert_eq!(TraceContext::current(), Some(context));
/// })
/// .await;
/// # }
/// ```
pub fn scope<F: Future>(context: TraceContext, future: F) -> impl Future<Output = F::Output> {
    Placed {
        context: Arc::new(context),
        future: Box::pin(future),
    }
}

/// A future that is polled at a place in a trace.
struct Placed<F> {
    context: Arc<TraceContext>,
    future: Pin<Box<F>>,
}

/// Goes back to the place before.
struct Back(Option<Arc<TraceContext>>);

impl Drop for Back {
    fn drop(&mut self) {
        OUTSIDE.set(self.0.take());
    }
}

impl<F: Future> Future for Placed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _back = Back(OUTSIDE.replace(Some(Arc::clone(&self.context))));
        self.future.as_mut().poll(cx)
    }
}

/// The place of the code that runs now.
pub(crate) fn current() -> Option<Arc<TraceContext>> {
    Scope::current_trace().or_else(|| OUTSIDE.with_borrow(Clone::clone))
}

/// The place of a span that was just made, below this one. Its ids are written into its fields.
pub(crate) fn place(span: &Span, parent: Option<&Arc<TraceContext>>) -> Option<Arc<TraceContext>> {
    if span.is_disabled() {
        return parent.cloned();
    }
    let numbered = PROPAGATOR.get().and_then(|known| known.inject(span));
    let context = numbered.unwrap_or_else(|| match parent {
        Some(parent) => parent.child(),
        None => TraceContext::root(),
    });
    note(span, "trace_id", &context.trace_id());
    note(span, "span_id", &context.span_id());
    if let Some(parent) = parent
        && parent.trace_id() == context.trace_id()
    {
        note(span, "parent_id", &parent.span_id());
    }
    Some(Arc::new(context))
}

fn note(span: &Span, field: &str, id: &[u8]) {
    span.record(field, tracing::field::display(context::Hex(id)));
}

/// The place of a span that serves a call which came from there.
pub(crate) fn place_served(
    span: &Span,
    received: Option<&farref_proto::TraceContext>,
) -> Option<Arc<TraceContext>> {
    let parent = received.and_then(TraceContext::received).map(Arc::new);
    if !span.is_disabled()
        && let (Some(propagator), Some(parent)) = (PROPAGATOR.get(), &parent)
    {
        propagator.extract(span, parent);
    }
    place(span, parent.as_ref())
}

/// What is sent with a call from this place.
pub(crate) fn to_send(context: &TraceContext) -> farref_proto::TraceContext {
    context.to_send()
}
