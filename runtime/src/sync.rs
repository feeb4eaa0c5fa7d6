//! The locks, atomics and thread locals of what is tested under many schedules: those of the standard library and, in such
//! a test, those of shuttle, which decides who goes on at each of them.
//!
//! `RUSTFLAGS='--cfg shuttle' cargo test -p farref --features testing --lib schedules` runs these tests. Who waits without
//! a thread is woken through tokio's `Notify` and wakers there, too, and [`task`](crate::task) starts shuttle's tasks.
//!
//! What holds a lock of the standard library must not come to one of these meanwhile: a test would hang.

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic,
};
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::thread_local;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::thread_local;

/// Runs what shuttle is to look at, under as many schedules as there is time for.
#[cfg(all(test, shuttle))]
pub(crate) fn under_many_schedules(run: impl Fn() + Send + Sync + Copy + 'static) {
    under_schedules(5000, run);
}

/// Runs what shuttle is to look at under so many schedules.
#[cfg(all(test, shuttle))]
pub(crate) fn under_schedules(count: usize, run: impl Fn() + Send + Sync + Copy + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};

    // That of a session's task is deeper than shuttle's own default, without optimization.
    const STACK: usize = 1 << 20;
    let mut config = shuttle::Config::new();
    config.stack_size = STACK;
    shuttle::Runner::new(RandomScheduler::new(count), config.clone()).run(run);
    // Few changes at the wrong moments are what most mistakes need.
    shuttle::Runner::new(PctScheduler::new(3, count), config).run(run);
}
