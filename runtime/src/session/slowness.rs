//! How long handlers hold whoever reads.

use std::time::{Duration, Instant};

use crate::context::CallName;

/// A handler that holds the reader longer than this is named in a warning.
const SLOW: Duration = Duration::from_millis(10);
/// Replies that are ready wait for those of the same read, but no longer than this.
const PATIENCE: Duration = Duration::from_micros(100);

/// Names handlers that hold the reader for too long. Looking at the clock costs as much as a small handler does, so it
/// is looked at for several at once.
pub(super) struct Watch {
    since: Instant,
    calls: [Option<CallName>; Watch::CALLS],
    count: usize,
    /// Whether any were named.
    has_named: bool,
}

impl Watch {
    const CALLS: usize = 4;

    pub(super) fn new() -> Self {
        Watch {
            since: Instant::now(),
            calls: [None; Watch::CALLS],
            count: 0,
            has_named: false,
        }
    }

    /// Names those that it has not looked at yet, too. Returns whether any were named.
    pub(super) fn ends(&mut self) -> bool {
        self.end();
        self.has_named
    }

    /// Counts a handler. Returns whether those that have ended should not wait for those to come.
    pub(super) fn took_long(&mut self, call: Option<CallName>) -> bool {
        self.calls[self.count] = call;
        self.count += 1;
        self.count == Watch::CALLS && self.end() > PATIENCE
    }

    /// Looks at the clock after several calls of one method. Returns whether those that have ended should not wait for
    /// those to come.
    pub(super) fn took_long_together(&mut self, call: CallName) -> bool {
        self.calls[..2].fill(Some(call));
        self.count = 2;
        self.end() > PATIENCE
    }

    /// Looks at the clock.
    fn end(&mut self) -> Duration {
        let now = Instant::now();
        let took = now - std::mem::replace(&mut self.since, now);
        let calls = &self.calls[..std::mem::take(&mut self.count)];
        if took > SLOW {
            self.has_named = true;
            match *calls {
                [Some(call)] => {
                    tracing::warn!(%call, ?took, "a handler held its connection; mark the method `#[blocking]` or `#[expose(spawn)]`")
                }
                _ => {
                    let calls: Vec<_> = calls.iter().flatten().map(CallName::to_string).collect();
                    tracing::warn!(
                        ?calls,
                        ?took,
                        "one of these handlers held its connection; mark the method `#[blocking]` or `#[expose(spawn)]`"
                    );
                }
            }
        }
        took
    }
}
