//! A subscriber that keeps all spans, as a collector would.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// What is known of a span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) fields: BTreeMap<String, String>,
    /// The local parent, by its place in the list.
    pub(crate) parent: Option<usize>,
    pub(crate) events: Vec<String>,
    pub(crate) is_closed: bool,
}

impl Span {
    /// A field; empty if it was not recorded.
    pub(crate) fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    pub(crate) fn what(&self) -> String {
        format!("{} {}", self.name, self.get("otel.name"))
    }
}

#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Span>>>);

/// The place of a span in the list.
struct Place(usize);

impl Recorder {
    pub(crate) fn subscriber(&self) -> impl Subscriber + Send + Sync {
        tracing_subscriber::registry().with(self.clone())
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().clone()
    }

    /// The only span of this name.
    #[track_caller]
    pub(crate) fn the(&self, what: &str) -> Span {
        let spans = self.spans();
        let mut found = spans.iter().filter(|span| span.what().trim() == what);
        match (found.next(), found.next()) {
            (Some(span), None) => span.clone(),
            _ => panic!("there is not one `{what}` in {spans:#?}"),
        }
    }

    /// Both spans of a call: where it was made, and where it was served. They belong together.
    #[track_caller]
    pub(crate) fn call(&self, method: &str) -> (Span, Span) {
        let made = self.the(&format!("call {method}"));
        let served = self.the(&format!("serve {method}"));
        assert_eq!(made.get("otel.kind"), "client");
        assert_eq!(served.get("otel.kind"), "server");
        assert_is_child(&served, &made);
        assert_eq!(served.parent, None, "the other side knows nothing of it");
        (made, served)
    }
}

/// That one span comes right below another in their trace.
#[track_caller]
pub(crate) fn assert_is_child(child: &Span, parent: &Span) {
    assert_eq!(parent.get("trace_id").len(), 32, "{parent:#?}");
    assert_eq!(parent.get("span_id").len(), 16, "{parent:#?}");
    assert_eq!(child.get("trace_id"), parent.get("trace_id"));
    assert_eq!(child.get("parent_id"), parent.get("span_id"));
    assert_ne!(child.get("span_id"), parent.get("span_id"));
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let parent = span.parent().map(|parent| place(&parent));
        let mut known = Span {
            name: span.name().to_owned(),
            parent,
            ..Span::default()
        };
        attributes.record(&mut Fields(&mut known.fields));
        let mut spans = self.0.lock().unwrap();
        span.extensions_mut().insert(Place(spans.len()));
        spans.push(known);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let place = place(&context.span(id).unwrap());
        values.record(&mut Fields(&mut self.0.lock().unwrap()[place].fields));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        if let Some(span) = context.lookup_current() {
            let place = place(&span);
            let message = fields.remove("message").unwrap_or_default();
            self.0.lock().unwrap()[place].events.push(message);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let place = place(&context.span(&id).unwrap());
        self.0.lock().unwrap()[place].is_closed = true;
    }
}

fn place<'a, R: LookupSpan<'a>>(span: &tracing_subscriber::registry::SpanRef<'a, R>) -> usize {
    span.extensions().get::<Place>().unwrap().0
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}
