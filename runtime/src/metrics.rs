//! What this process says of itself through the facade of the crate [`metrics`]: any recorder that an application installs,
//! such as an exporter for Prometheus, gets it.
//!
//! | name | kind | labels | what it is |
//! |---|---|---|---|
//! | `farref_calls_total` | counter | `direction`, `interface`, `method`, `outcome` | calls that have ended |
//! | `farref_call_seconds` | histogram | `direction`, `interface`, `method` | how long they took |
//! | `farref_calls_in_flight` | gauge | `direction` | calls that have begun and not ended |
//! | `farref_bytes_total` | counter | `direction` | bytes that transports took and gave |
//! | `farref_sessions` | gauge | | sessions that have begun and not ended, also those without a connection |
//! | `farref_references` | gauge | `direction` | objects of this process that others hold (`out`), and theirs that it holds (`in`) |
//! | `farref_streams` | gauge | `direction` | streams that it produces (`out`) and consumes (`in`) |
//! | `farref_resumes_total` | counter | | how often a session has gone on over another connection |
//! | `farref_retransmitted_bytes_total` | counter | | bytes that were sent again then |
//!
//! `direction` is `out` or `in`: calls that this process makes, and calls that it serves. `outcome` is `ok`; `error`, for
//! the method's own error; the kind of the [`Fault`](crate::Fault), such as `deadline_exceeded`; or `dropped`, for a call
//! that its caller gave up. A oneway is `ok` for its caller when it is on its way. A call that is made again counts once. Calls
//! within this process cross nothing and are not counted; a call that this process only passes on has no `interface`, since it
//! is not looked into. References and streams are looked at once a second.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> farref::Result<()> {
//! // Once, before the first call: any recorder will do.
//! metrics::set_global_recorder(metrics::NoopRecorder).ok();
//! # Ok(())
//! # }
//! ```

#[doc(inline)]
pub use ::metrics;

/// How many calls have ended.
pub const CALLS: &str = "farref_calls_total";
/// How long calls took, in seconds.
pub const CALL_SECONDS: &str = "farref_call_seconds";
/// How many calls have begun and not ended.
pub const CALLS_IN_FLIGHT: &str = "farref_calls_in_flight";
/// How many bytes transports took and gave.
pub const BYTES: &str = "farref_bytes_total";
/// How many sessions there are.
pub const SESSIONS: &str = "farref_sessions";
/// How many objects are held across sessions.
pub const REFERENCES: &str = "farref_references";
/// How many streams are under way.
pub const STREAMS: &str = "farref_streams";
/// How often sessions have gone on over another connection.
pub const RESUMES: &str = "farref_resumes_total";
/// How many bytes were sent again then.
pub const RETRANSMITTED_BYTES: &str = "farref_retransmitted_bytes_total";

/// The label that says whether this process calls (`out`) or is called (`in`).
pub const DIRECTION: &str = "direction";
/// The label with the wire name of the interface.
pub const INTERFACE: &str = "interface";
/// The label with the wire name of the method.
pub const METHOD: &str = "method";
/// The label that says how a call ended.
pub const OUTCOME: &str = "outcome";
