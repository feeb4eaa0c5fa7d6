//! How far another process's clock is from this one's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::daemon_object::DaemonObjectProxy;
use crate::error::Result;

/// How often the clock is asked for. The exchange that takes least time errs least.
const EXCHANGES: usize = 8;

/// How far a peer's wall clock is ahead of this process's, and how far that may be from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// The peer's clock less this one's, in microseconds; negative if the peer's is behind.
    pub micros: i64,
    /// The true difference is no further from `micros` than this, provided that neither clock was set meanwhile.
    pub error: Duration,
}

/// This process's wall clock, in microseconds since 1970.
pub(crate) fn wall_clock() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Measures how far a daemon's wall clock is from this process's: of eight exchanges the one with the shortest round trip
/// counts, as in the Network Time Protocol (RFC 5905).
///
/// # Errors
///
/// What the calls of [`clock`](DaemonObjectProxy::clock) fail with.
///
/// # Cancel safety
///
/// Dropping the future forgets the measurement.
pub async fn clock_offset(daemon: &DaemonObjectProxy) -> Result<ClockOffset> {
    let mut best = measure(daemon).await?;
    for _ in 1..EXCHANGES {
        let next = measure(daemon).await?;
        if next.error < best.error {
            best = next;
        }
    }
    Ok(best)
}

async fn measure(daemon: &DaemonObjectProxy) -> Result<ClockOffset> {
    let (begun, mine) = (Instant::now(), wall_clock());
    let theirs = daemon.clock().await?;
    let round_trip = begun.elapsed();
    Ok(ClockOffset::of_exchange(mine, theirs, round_trip))
}

impl ClockOffset {
    /// What one exchange says: the peer read its clock at some moment of the round trip, most likely in its middle.
    fn of_exchange(mine: u64, theirs: u64, round_trip: Duration) -> Self {
        let half = round_trip / 2;
        let middle = mine.saturating_add(u64::try_from(half.as_micros()).unwrap_or(u64::MAX));
        ClockOffset {
            micros: theirs.wrapping_sub(middle).cast_signed(),
            // Both clocks are read in whole microseconds, and half a round trip is rounded.
            error: half + Duration::from_micros(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_that_to_the_middle_of_the_round_trip() {
        let round_trip = Duration::from_micros(40);
        let ahead = ClockOffset::of_exchange(1_000, 6_020, round_trip);
        assert_eq!(ahead.micros, 5_000);
        assert_eq!(ahead.error, Duration::from_micros(22));
        let behind = ClockOffset::of_exchange(9_000, 4_020, round_trip);
        assert_eq!(behind.micros, -5_000);
    }
}
