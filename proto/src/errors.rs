//! How many errors the other side has made, as far as they are not forgotten.

use std::time::Duration;

use crate::error::ConnectionError;
use crate::time::Time;

/// Errors that add up and are forgotten one by one.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    count: u32,
    /// From when on the next one is on its way to be forgotten.
    since: Time,
}

impl Errors {
    /// Counts an error, and forgets those whose time has passed: one after each `pardon`.
    pub(crate) fn add(&mut self, now: Time, pardon: Duration) {
        let pardon = pardon.max(Duration::from_micros(1)).as_micros();
        let forgotten = now.saturating_since(self.since).as_micros() / pardon;
        self.count = self
            .count
            .saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
        self.since = match self.count {
            0 => now,
            // It fits: it is not more than what has passed.
            _ => self.since + Duration::from_micros((forgotten * pardon) as u64),
        };
        self.count = self.count.saturating_add(1);
    }

    /// Fails if there are more than `limit`, as of the last one.
    pub(crate) fn check(&self, limit: u32) -> Result<(), ConnectionError> {
        match self.count > limit {
            true => Err(ConnectionError::TooManyErrors { limit }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARDON: Duration = Duration::from_millis(10);

    fn at(millis: u64) -> Time {
        Time::from_micros(5_000_000 + 1000 * millis)
    }

    #[test]
    fn errors_at_once_add_up() {
        let mut errors = Errors::default();
        for _ in 0..3 {
            assert_eq!(errors.check(2), Ok(()));
            errors.add(at(0), PARDON);
        }
        let spent = ConnectionError::TooManyErrors { limit: 2 };
        assert_eq!(errors.check(2), Err(spent));
        assert_eq!(errors.check(3), Ok(()));
    }

    #[test]
    fn one_is_forgotten_after_each_pardon_and_no_part_of_one_is_lost() {
        let mut errors = Errors::default();
        for step in 0..1000 {
            // Three in two pardons: every second one stays.
            errors.add(at(step * 20 / 3), PARDON);
        }
        assert!((330..340).contains(&errors.count), "{errors:?}");
    }

    #[test]
    fn who_errs_seldom_is_always_forgiven() {
        let mut errors = Errors::default();
        for step in 0..100_000 {
            errors.add(at(step * 10), PARDON);
            assert!(errors.count <= 2, "{errors:?}");
        }
    }

    #[test]
    fn extreme_times_are_survived() {
        let mut errors = Errors::default();
        errors.add(Time::from_micros(u64::MAX), Duration::ZERO);
        errors.add(Time::ZERO, Duration::MAX);
        errors.add(Time::from_micros(u64::MAX), Duration::MAX);
        assert!(errors.check(3).is_ok());
    }
}
