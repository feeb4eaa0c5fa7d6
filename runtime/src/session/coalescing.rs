//! Waiting, before a write, for those who are about to add to it.
//!
//! What one read brings wakes many callers, and most of them call again. If the first of them had its call written at once,
//! it would be answered alone as well, and come back alone: what belongs together would fall into ever smaller pieces, each
//! of which costs both sides a system call or two. So the task that writes waits until those have had their turn who were
//! answered, for a few turns of the runtime at most, and fewer if they are long. They may be in no hurry.

use std::time::Duration;

use tokio::time::Instant;

use super::Session;

/// With so many bytes there is no waiting for more: the peer might have nothing to do meanwhile.
const ENOUGH: usize = 1 << 10;
/// In how many turns of the runtime whoever was answered may have something to add.
const TURNS: u32 = 16;
/// After this long no further turn begins: somebody else takes the time.
const LONG: Duration = Duration::from_micros(100);
/// How many turns may pass without anybody having come. Another thread of the runtime may need a moment to begin.
const IDLE_TURNS: u32 = 4;

/// What the task that writes knows of those for whom it might wait.
#[derive(Debug, Default)]
pub(super) struct Coalescing {
    /// How many did not come when it waited for them, and still have not.
    missing: usize,
}

/// Who has come, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Added {
    bytes: usize,
    /// How many were answered and have not come for their answer.
    awaited: usize,
}

impl Coalescing {
    /// Whether to wait for more than this.
    fn waits(&mut self, added: Added) -> bool {
        self.missing = self.missing.min(added.awaited);
        added.bytes < ENOUGH && added.awaited > self.missing
    }
}

impl Session {
    /// Lets those who are about to call add to what is written.
    pub(super) async fn coalesce(&self, coalescing: &mut Coalescing) {
        let begun = Instant::now();
        let mut before = None;
        let mut idle = 0;
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            let added = self.added();
            if !coalescing.waits(added) {
                return;
            }
            idle = if before == Some(added) { idle + 1 } else { 0 };
            before = Some(added);
            if idle == IDLE_TURNS || begun.elapsed() >= LONG {
                break;
            }
        }
        coalescing.missing = before.map_or(0, |added| added.awaited);
    }

    fn added(&self) -> Added {
        let state = self.lock();
        Added {
            bytes: state.connection.unsent(),
            awaited: state.questions.untaken(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(bytes: usize, awaited: usize) -> Added {
        Added { bytes, awaited }
    }

    #[test]
    fn it_waits_for_all_who_were_answered_unless_there_is_enough() {
        let mut coalescing = Coalescing::default();
        assert!(coalescing.waits(added(0, 2)));
        assert!(coalescing.waits(added(ENOUGH - 1, 1)));
        assert!(!coalescing.waits(added(ENOUGH, 1)));
        assert!(!coalescing.waits(added(1, 0)));
    }

    #[test]
    fn it_does_not_wait_again_for_those_who_did_not_come() {
        let mut coalescing = Coalescing { missing: 2 };
        assert!(!coalescing.waits(added(1, 2)));
        assert!(coalescing.waits(added(1, 3)));
        // One of the two has come.
        assert!(!coalescing.waits(added(1, 1)));
        assert!(coalescing.waits(added(1, 2)));
    }
}
