//! A place in a trace.

use std::fmt;
use std::sync::Arc;

use super::state;
use crate::random;

/// Bit 0 of the flags: who made the span recorded it.
const SAMPLED: u8 = 1;
/// The flags that have a meaning: that it was recorded, and that the trace's id is random.
const KNOWN_FLAGS: u8 = 3;
/// Characters of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A place in a trace, as the W3C's recommendation Trace Context has it: the trace, a span in it, and what vendors add.
///
/// # Examples
///
/// ```
/// use farref::trace::TraceContext;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = TraceContext::parse(header, Some("rojo=00f067aa0ba902b7")).expect("is well-formed");
/// assert!(context.is_sampled());
/// assert_eq!(context.state(), "rojo=00f067aa0ba902b7");
/// assert_eq!(context.to_string(), header);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
    state: String,
}

impl TraceContext {
    /// The place of the code that runs now: that of the call that is being served, else that of [`scope`](super::scope).
    pub fn current() -> Option<Self> {
        super::current().map(Arc::unwrap_or_clone)
    }

    /// The place of this span in this trace; `None` if either consists of zeros. Unknown flags are left out, and so is a
    /// state that is not as the recommendation says.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8, state: &str) -> Option<Self> {
        let is_valid = trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then(|| TraceContext {
            trace_id,
            span_id,
            flags: flags & KNOWN_FLAGS,
            state: match state::is_valid(state) {
                true => state.to_owned(),
                false => String::new(),
            },
        })
    }

    /// Reads the headers `traceparent` and `tracestate`; `None` if the first is not exactly as the recommendation says. A
    /// bad state is left out alone.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let bytes = traceparent.as_bytes();
        let [version] = hex(bytes.get(0..2)?)?;
        let is_length_right = match version {
            0x00 => bytes.len() == LENGTH,
            0xff => false,
            // Later versions may add to the end.
            _ => bytes.get(LENGTH).is_none_or(|next| *next == b'-'),
        };
        let dashes = [2, 35, 52];
        if !is_length_right || dashes.iter().any(|&place| bytes.get(place) != Some(&b'-')) {
            return None;
        }
        let trace_id = hex(bytes.get(3..35)?)?;
        let span_id = hex(bytes.get(36..52)?)?;
        let [flags] = hex(bytes.get(53..LENGTH)?)?;
        TraceContext::new(trace_id, span_id, flags, tracestate.unwrap_or_default())
    }

    /// The header `traceparent`, version 00.
    pub fn traceparent(&self) -> String {
        self.to_string()
    }

    /// The trace.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span in it.
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The flags of version 00; see [`is_sampled`](TraceContext::is_sampled).
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether whoever made the span may have recorded it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The header `tracestate`: what vendors add; empty if nothing.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The place of a span that begins a trace.
    pub(super) fn root() -> Self {
        TraceContext {
            trace_id: some(),
            span_id: some(),
            flags: KNOWN_FLAGS,
            state: String::new(),
        }
    }

    /// The place of a span below this one.
    pub(super) fn child(&self) -> Self {
        TraceContext {
            span_id: some(),
            ..self.clone()
        }
    }

    /// What arrived with a call, if it makes sense.
    pub(super) fn received(context: &farref_proto::TraceContext) -> Option<Self> {
        TraceContext::new(
            context.trace_id,
            context.span_id,
            context.flags,
            &context.state,
        )
    }

    /// What is sent with a call.
    pub(super) fn to_send(&self) -> farref_proto::TraceContext {
        farref_proto::TraceContext {
            trace_id: self.trace_id,
            span_id: self.span_id,
            flags: self.flags,
            state: self.state.clone(),
        }
    }
}

/// The same as [`traceparent`](TraceContext::traceparent).
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (Hex(&self.trace_id), Hex(&self.span_id));
        write!(f, "00-{trace}-{span}-{:02x}", self.flags)
    }
}

/// Bytes as they are written in headers and fields.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Random bytes that are not all zero, as ids have to be.
fn some<const N: usize>() -> [u8; N] {
    loop {
        let bytes = random::bytes();
        if bytes != [0; N] {
            return bytes;
        }
    }
}

/// Reads twice as many digits of base 16, none of them in upper case.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (digits.len() == 2 * N).then_some(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]
mod tests {
    use super::TraceContext;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn headers_are_read_exactly_as_the_recommendation_says() {
        let good = format!("00-{TRACE}-{SPAN}-01");
        let context = TraceContext::parse(&good, None).unwrap();
        assert_eq!(context.traceparent(), good);
        assert!(context.is_sampled() && context.state().is_empty());
        let quiet = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-00"), None).unwrap();
        assert!(!quiet.is_sampled());
        // Versions to come add to the end, and what they add is not passed on.
        for later in [
            format!("01-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-comes"),
        ] {
            assert_eq!(TraceContext::parse(&later, None), Some(context.clone()));
        }
    }

    #[test]
    fn headers_that_are_not_so_are_none() {
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-011"),
            format!("01-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-0G"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{}\u{e9}-{SPAN}-01", &TRACE[..30]),
        ] {
            assert_eq!(TraceContext::parse(&bad, None), None, "{bad:?}");
        }
    }

    #[test]
    fn a_bad_state_is_left_out_alone() {
        let good = format!("00-{TRACE}-{SPAN}-01");
        let context = TraceContext::parse(&good, Some("not a state")).unwrap();
        assert_eq!(context.state(), "");
        assert_eq!(
            TraceContext::new([1; 16], [2; 8], 0xff, "")
                .unwrap()
                .flags(),
            3
        );
    }

    #[test]
    fn a_child_is_another_span_of_the_same_trace() {
        let root = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-00"), Some("a=1")).unwrap();
        let child = root.child();
        assert_eq!(child.trace_id(), root.trace_id());
        assert_ne!(child.span_id(), root.span_id());
        assert_eq!((child.flags(), child.state()), (0, "a=1"));
        assert_ne!(
            TraceContext::root().trace_id(),
            TraceContext::root().trace_id()
        );
    }
}
