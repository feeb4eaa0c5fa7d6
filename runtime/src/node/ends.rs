//! Telling of the ends of handlers and sessions, at no cost while nobody wants to know.

use std::pin::pin;

use tokio::sync::Notify;

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Who waits for an end.
pub(crate) struct Ends {
    told: Notify,
    /// How many wait.
    watchers: AtomicUsize,
}

impl Ends {
    pub(crate) fn new() -> Self {
        Ends {
            told: Notify::new(),
            watchers: AtomicUsize::new(0),
        }
    }

    /// Says that something has ended. Whoever asks is to see it by now, in the order of `SeqCst`.
    pub(crate) fn tell(&self) {
        // Whoever begins to watch looks afterwards at what is left, so one of the two sees the other.
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.told.notify_waiters();
        }
    }

    /// Waits until so much has ended that `is_over`, which is asked after each end.
    pub(crate) async fn until(&self, is_over: impl Fn() -> bool) {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let _watching = Watching(self);
        loop {
            let mut told = pin!(self.told.notified());
            told.as_mut().enable();
            if is_over() {
                return;
            }
            told.await;
        }
    }
}

/// Watches until it is dropped.
struct Watching<'a>(&'a Ends);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(all(test, shuttle))]
mod schedules {
    use std::sync::Arc;

    use shuttle::{future, thread};

    use super::*;
    use crate::sync::under_many_schedules;

    #[test]
    fn the_last_end_is_never_missed() {
        under_many_schedules(|| {
            let ends = Arc::new(Ends::new());
            let serving = Arc::new(AtomicUsize::new(3));
            for _ in 0..3 {
                let (ends, serving) = (Arc::clone(&ends), Arc::clone(&serving));
                thread::spawn(move || {
                    serving.fetch_sub(1, Ordering::SeqCst);
                    ends.tell();
                });
            }
            let waiting = [(); 2].map(|()| {
                let (ends, serving) = (Arc::clone(&ends), Arc::clone(&serving));
                future::spawn(async move {
                    ends.until(|| serving.load(Ordering::SeqCst) == 0).await;
                })
            });
            // One of them is given up meanwhile.
            let [waits, given_up] = waiting;
            given_up.abort();
            future::block_on(waits).expect("it ends");
            let left = || ends.watchers.load(Ordering::SeqCst);
            assert!(left() <= 1, "{}", left());
        });
    }
}
