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
pub(super) struct Gathering {
    /// How many did not come when it waited for them, and still have not.
    missing: usize,
}

/// Who has come, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gathered {
    bytes: usize,
    /// How many were answered and have not come for their answer.
    awaited: usize,
}

impl Gathering {
    /// Whether to wait for more than this.
    fn waits(&mut self, gathered: Gathered) -> bool {
        self.missing = self.missing.min(gathered.awaited);
        gathered.bytes < ENOUGH && gathered.awaited > self.missing
    }
}

impl Session {
    /// Lets those who are about to call add to what is written.
    pub(super) async fn gather(&self, gathering: &mut Gathering) {
        let begun = Instant::now();
        let mut before = None;
        let mut idle = 0;
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            let gathered = self.gathered();
            if !gathering.waits(gathered) {
                return;
            }
            idle = if before == Some(gathered) {
                idle + 1
            } else {
                0
            };
            if idle == IDLE_TURNS || begun.elapsed() >= LONG {
                break;
            }
            before = Some(gathered);
        }
        gathering.missing = self.gathered().awaited;
    }

    fn gathered(&self) -> Gathered {
        let state = self.lock();
        Gathered {
            bytes: state.connection.unsent(),
            awaited: state.questions.untaken(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(bytes: usize, awaited: usize) -> Gathered {
        Gathered { bytes, awaited }
    }

    #[test]
    fn it_waits_for_all_who_were_answered_unless_there_is_enough() {
        let mut gathering = Gathering::default();
        assert!(gathering.waits(gathered(0, 2)));
        assert!(gathering.waits(gathered(ENOUGH - 1, 1)));
        assert!(!gathering.waits(gathered(ENOUGH, 1)));
        assert!(!gathering.waits(gathered(1, 0)));
    }

    #[test]
    fn it_does_not_wait_again_for_those_who_did_not_come() {
        let mut gathering = Gathering { missing: 2 };
        assert!(!gathering.waits(gathered(1, 2)));
        assert!(gathering.waits(gathered(1, 3)));
        // One of the two has come.
        assert!(!gathering.waits(gathered(1, 1)));
        assert!(gathering.waits(gathered(1, 2)));
    }
}
