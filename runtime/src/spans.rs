//! The spans of calls for the feature [`tracing`](mod@crate::trace). Without it, these types are empty and what they do is
//! nothing.
//!
//! **Invariant:** a subscriber is code of the application, so no span is made, entered or dropped under a lock.

pub(crate) use self::imp::{CallSpan, EnteredSpan, SentTrace, ServedSpan};

#[cfg(feature = "tracing")]
mod imp {
    use std::borrow::Cow;
    use std::sync::Arc;

    use tracing::Span;
    use tracing::field::{Empty, display};

    use crate::error::Fault;
    use crate::measure::outcome;
    use crate::peer::PeerAddress;
    use crate::trace::{self, TraceContext};

    const TARGET: &str = "farref::trace";

    /// The span of a call of this process: it ends with the call, whatever becomes of it.
    #[derive(Debug, Default)]
    pub(crate) struct CallSpan(State);

    #[derive(Debug, Default)]
    enum State {
        #[default]
        Unknown,
        /// It has not begun, and belongs there.
        Below(Span, Option<Arc<TraceContext>>),
        Begun(Span, Option<Arc<TraceContext>>),
        Ended,
    }

    impl CallSpan {
        /// A span that may begin elsewhere, and belongs here.
        pub(crate) fn here() -> Self {
            CallSpan(State::Below(Span::current(), trace::current()))
        }

        /// Begins the span, unless that has happened.
        pub(crate) fn begin(
            &mut self,
            names: impl FnOnce() -> (Cow<'static, str>, Cow<'static, str>),
        ) {
            let (outer, parent) = match &mut self.0 {
                State::Begun(..) | State::Ended => return,
                State::Unknown => (Span::current(), trace::current()),
                State::Below(outer, parent) => (outer.clone(), parent.take()),
            };
            let (interface, method) = names();
            let span = tracing::info_span!(
                target: TARGET,
                parent: &outer,
                "call",
                interface = &*interface,
                method = &*method,
                peer = Empty,
                trace_id = Empty,
                span_id = Empty,
                parent_id = Empty,
                outcome = Empty,
                otel.kind = "client",
                otel.name = %Name(&interface, &method),
                otel.status_code = Empty,
            );
            let context = trace::place(&span, parent.as_ref());
            self.0 = State::Begun(span, context);
        }

        /// Says whom the call goes to.
        pub(crate) fn is_for(&self, peer: &PeerAddress) {
            if let State::Begun(span, _) = &self.0 {
                span.record("peer", display(peer));
            }
        }

        /// The span that the call is made in, for one that needs none of its own.
        pub(crate) fn around(&self) -> ServedSpan {
            match &self.0 {
                State::Below(span, context) | State::Begun(span, context) => ServedSpan {
                    span: Some(span.clone()),
                    context: context.clone(),
                },
                State::Unknown | State::Ended => ServedSpan::here(),
            }
        }

        /// What is sent with the call.
        pub(crate) fn sent(&self) -> SentTrace {
            SentTrace(match &self.0 {
                State::Begun(_, context) => context.clone(),
                _ => None,
            })
        }

        /// Ends the span of a call that was answered: with the method's own error, or well; or that failed.
        pub(crate) fn ended(&mut self, result: Result<bool, &Fault>) {
            self.finish(|| outcome(result));
        }

        fn finish(&mut self, outcome: impl FnOnce() -> Cow<'static, str>) {
            if let State::Begun(span, _) = &self.0 {
                finish(span, outcome);
                self.0 = State::Ended;
            }
        }
    }

    impl Drop for CallSpan {
        fn drop(&mut self) {
            self.finish(|| "dropped".into());
        }
    }

    /// What a call that is sent says of its trace.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct SentTrace(Option<Arc<TraceContext>>);

    impl SentTrace {
        pub(crate) fn is_none(&self) -> bool {
            self.0.is_none()
        }

        pub(crate) fn to_proto(&self) -> Option<farref_proto::TraceContext> {
            self.0.as_deref().map(trace::to_send)
        }
    }

    /// The span that a call is served in, and its place in the trace; of a near call, those that it was made in.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct ServedSpan {
        span: Option<Span>,
        context: Option<Arc<TraceContext>>,
    }

    impl ServedSpan {
        /// Begins the span of a call that arrived.
        pub(crate) fn begin(
            interface: &str,
            method: &str,
            peer: &PeerAddress,
            received: Option<&farref_proto::TraceContext>,
        ) -> Self {
            let span = tracing::info_span!(
                target: TARGET,
                parent: None,
                "serve",
                interface,
                method,
                %peer,
                trace_id = Empty,
                span_id = Empty,
                parent_id = Empty,
                outcome = Empty,
                otel.kind = "server",
                otel.name = %Name(interface, method),
                otel.status_code = Empty,
            );
            let context = trace::place_served(&span, received);
            ServedSpan {
                span: Some(span),
                context,
            }
        }

        /// The span that the caller is in.
        pub(crate) fn here() -> Self {
            ServedSpan {
                span: Some(Span::current()),
                context: trace::current(),
            }
        }

        /// Its place in its trace.
        pub(crate) fn context(&self) -> Option<Arc<TraceContext>> {
            self.context.clone()
        }

        /// Enters the span on this thread until what this returns is dropped.
        pub(crate) fn enter(&self) -> EnteredSpan {
            let span = self.span.as_ref().filter(|span| !span.is_disabled());
            EnteredSpan(span.map(|span| span.clone().entered()))
        }

        /// Says how the call ended.
        pub(crate) fn ended(&self, result: Result<bool, &Fault>) {
            if let Some(span) = &self.span {
                finish(span, || outcome(result));
            }
        }
    }

    /// A span that this thread is in until it is dropped.
    #[derive(Debug)]
    pub(crate) struct EnteredSpan(Option<tracing::span::EnteredSpan>);

    impl EnteredSpan {
        pub(crate) const NONE: Self = EnteredSpan(None);
    }

    impl Drop for EnteredSpan {
        fn drop(&mut self) {
            drop(self.0.take());
        }
    }

    fn finish(span: &Span, outcome: impl FnOnce() -> Cow<'static, str>) {
        if span.is_disabled() {
            return;
        }
        let outcome = outcome();
        span.record("outcome", &*outcome);
        if outcome != "ok" {
            span.record("otel.status_code", "ERROR");
        }
    }

    /// How collectors show a call.
    struct Name<'a>(&'a str, &'a str);

    impl std::fmt::Display for Name<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match (self.0, self.1) {
                ("", "") => f.write_str("passed on"),
                (interface, method) => write!(f, "{interface}.{method}"),
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod imp {
    use std::borrow::Cow;

    use crate::error::Fault;
    use crate::peer::PeerAddress;

    #[derive(Debug, Default)]
    pub(crate) struct CallSpan(());

    impl CallSpan {
        #[inline(always)]
        pub(crate) fn here() -> Self {
            CallSpan(())
        }

        #[inline(always)]
        pub(crate) fn begin(&mut self, _: impl FnOnce() -> (Cow<'static, str>, Cow<'static, str>)) {
        }

        #[inline(always)]
        pub(crate) fn is_for(&self, _: &PeerAddress) {}

        #[inline(always)]
        pub(crate) fn around(&self) -> ServedSpan {
            ServedSpan(())
        }

        #[inline(always)]
        pub(crate) fn sent(&self) -> SentTrace {
            SentTrace(())
        }

        #[inline(always)]
        pub(crate) fn ended(&mut self, _: Result<bool, &Fault>) {}
    }

    #[derive(Clone, Debug, Default)]
    pub(crate) struct SentTrace(());

    impl SentTrace {
        #[inline(always)]
        pub(crate) fn is_none(&self) -> bool {
            true
        }

        #[inline(always)]
        pub(crate) fn to_proto(&self) -> Option<farref_proto::TraceContext> {
            None
        }
    }

    #[derive(Clone, Debug, Default)]
    pub(crate) struct ServedSpan(());

    impl ServedSpan {
        #[inline(always)]
        pub(crate) fn begin(
            _: &str,
            _: &str,
            _: &PeerAddress,
            _: Option<&farref_proto::TraceContext>,
        ) -> Self {
            ServedSpan(())
        }

        #[inline(always)]
        pub(crate) fn here() -> Self {
            ServedSpan(())
        }

        #[inline(always)]
        pub(crate) fn enter(&self) -> EnteredSpan {
            EnteredSpan::NONE
        }

        #[inline(always)]
        pub(crate) fn ended(&self, _: Result<bool, &Fault>) {}
    }

    #[derive(Debug)]
    pub(crate) struct EnteredSpan(());

    impl EnteredSpan {
        pub(crate) const NONE: Self = EnteredSpan(());
    }
}
