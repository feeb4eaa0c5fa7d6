//! Instants as numbers, and the other side's clock as seen from here.

use std::time::Duration;

/// An instant, in microseconds since whatever moment the owner of the clock started to count. Never runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The first instant of a clock.
    pub const ZERO: Self = Self(0);

    /// Returns the instant that lies this many microseconds after the start of the clock.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns how many microseconds the instant lies after the start of the clock.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns how long after `earlier` this instant is; zero if it is before.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;

    /// Adds a duration; an instant beyond the end of the clock becomes its end.
    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// How long a sample of the other clock stays the best one: clocks drift apart, by some 50 µs a second.
const WINDOW: Duration = Duration::from_secs(60);

/// Converts instants of the other side's clock to this side's.
///
/// Each reading of the other clock tells its difference to this one plus the delay of one way. The smallest sum of
/// the last two windows is the best estimate, and what it errs is a delay: instants come out late, never early.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerClock {
    best: Option<i64>,
    best_of_last_window: Option<i64>,
    window_end: Time,
}

impl PeerClock {
    /// Takes a reading: the other side's clock said `theirs` in what arrived at `now`.
    pub(crate) fn sample(&mut self, now: Time, theirs: Time) {
        let difference = now.0.wrapping_sub(theirs.0).cast_signed();
        if now >= self.window_end {
            self.best_of_last_window = self.best.take();
            self.window_end = now + WINDOW;
        }
        self.best = Some(self.best.map_or(difference, |best| best.min(difference)));
    }

    /// Converts an instant on the other clock. Before the first reading, every instant is the end of time.
    pub(crate) fn to_local(&self, theirs: Time) -> Time {
        let best = match (self.best, self.best_of_last_window) {
            (Some(one), Some(other)) => one.min(other),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return Time(u64::MAX),
        };
        // Two numbers of 64 bits may be further apart than `i64` tells; a peer that says so gets a deadline that is
        // merely far away or long past.
        Time(theirs.0.saturating_add_signed(best))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_least_delay_counts() {
        let mut clock = PeerClock::default();
        clock.sample(Time(1_000_500), Time(500));
        clock.sample(Time(1_000_900), Time(890));
        clock.sample(Time(1_002_000), Time(1_000));
        // Differences: 1_000_000, 1_000_010, 1_001_000.
        assert_eq!(clock.to_local(Time(5_000)), Time(1_005_000));
    }

    #[test]
    fn old_samples_are_forgotten() {
        let mut clock = PeerClock::default();
        clock.sample(Time(100), Time(100));
        let later = Time::ZERO + WINDOW + WINDOW;
        clock.sample(later, Time(later.0 - 7));
        assert_eq!(
            clock.to_local(Time(0)),
            Time(0),
            "the last window still counts"
        );
        let latest = later + WINDOW;
        clock.sample(latest, Time(latest.0 - 9));
        assert_eq!(clock.to_local(Time(0)), Time(7));
    }

    #[test]
    fn extreme_clocks_saturate() {
        let mut clock = PeerClock::default();
        assert_eq!(clock.to_local(Time(3)), Time(u64::MAX));
        clock.sample(Time(0), Time(u64::MAX));
        let _ = clock.to_local(Time(u64::MAX));
        clock.sample(Time(u64::MAX), Time(0));
        let _ = clock.to_local(Time(u64::MAX));
        assert_eq!(Time(u64::MAX) + Duration::MAX, Time(u64::MAX));
    }
}
