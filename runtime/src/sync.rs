//! The locks and atomics of what is tested under many schedules: those of the standard library and, in such a test, those
//! of shuttle, which decides who goes on at each of them.
//!
//! `RUSTFLAGS='--cfg shuttle' cargo test -p farref --lib schedules` runs these tests. Who waits without a thread is woken
//! through tokio's `Notify` and wakers there, too.

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

/// Runs what shuttle is to look at, under as many schedules as there is time for.
#[cfg(all(test, shuttle))]
pub(crate) fn under_many_schedules(run: impl Fn() + Send + Sync + Copy + 'static) {
    const SCHEDULES: usize = 5000;
    shuttle::check_random(run, SCHEDULES);
    // Few changes at the wrong moments are what most mistakes need.
    shuttle::check_pct(run, SCHEDULES, 3);
}
