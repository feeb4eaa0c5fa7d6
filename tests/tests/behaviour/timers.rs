//! Timers: from start to start, at once, without making up for what is late.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::timer::{Schedule, TimerEnd};
use farref::{FaultKind, every};
use tokio::time::Instant;

use crate::support::Pair;

/// When calls started, in milliseconds.
#[derive(Clone)]
struct Starts(Instant, Arc<Mutex<Vec<u128>>>);

impl Starts {
    fn new() -> Self {
        Starts(Instant::now(), Arc::default())
    }
    fn note(&self) -> usize {
        let mut starts = self.1.lock().unwrap();
        starts.push(self.0.elapsed().as_millis());
        starts.len()
    }
    fn seen(&self) -> Vec<u128> {
        self.1.lock().unwrap().clone()
    }
}

const INTERVAL: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn a_timer_calls_at_once_and_from_start_to_start() {
    let starts = Starts::new();
    let noted = starts.clone();
    let timer = Schedule::every(INTERVAL)
        .limit(4)
        .call(move || {
            noted.note();
            // The time that a call takes is part of the interval.
            tokio::time::sleep(Duration::from_millis(60))
        })
        .unwrap();
    assert_eq!(timer.ended().await, TimerEnd::Limit);
    assert_eq!(starts.seen(), [0, 100, 200, 300]);
    assert_eq!(timer.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_not_made_up_for() {
    let starts = Starts::new();
    let noted = starts.clone();
    let timer = Schedule::every(INTERVAL)
        .after(Duration::from_millis(30))
        .limit(4)
        .call(move || {
            let takes = if noted.note() == 2 { 250 } else { 10 };
            tokio::time::sleep(Duration::from_millis(takes))
        })
        .unwrap();
    assert_eq!(timer.ended().await, TimerEnd::Limit);
    // The third call follows the late one at once, and the fourth comes an interval after the third.
    assert_eq!(starts.seen(), [30, 130, 380, 480]);
}

#[tokio::test(start_paused = true)]
async fn a_timer_ends_when_it_is_told_to_dropped_or_panics() {
    let starts = Starts::new();
    let count = |starts: &Starts| {
        let noted = starts.clone();
        every(INTERVAL, move || {
            noted.note();
            async {}
        })
        .unwrap()
    };
    let timer = count(&starts);
    tokio::time::sleep(Duration::from_millis(250)).await;
    timer.stop();
    assert_eq!(timer.ended().await, TimerEnd::Stopped);
    let dropped = count(&starts);
    tokio::task::yield_now().await;
    drop(dropped);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(starts.seen().len(), 4, "three, and one of the second timer");
    count(&starts).detach();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(starts.seen().len(), 6, "nobody holds it, and it goes on");
    let timer = every(INTERVAL, || async { ControlFlow::Break(()) }).unwrap();
    assert_eq!(timer.ended().await, TimerEnd::Callback);
    let timer = every(INTERVAL, || async { panic_now() }).unwrap();
    assert_eq!(timer.ended().await, TimerEnd::Panicked);
    assert_eq!(timer.calls(), 1);
}

fn panic_now() {
    panic!("as the test wants it");
}

#[callback]
trait Clock {
    fn strike(&self);
    fn count(&self) -> usize;
}

impl Clock for Starts {
    fn strike(&self) {
        self.note();
    }
    fn count(&self) -> usize {
        self.seen().len()
    }
}

#[expose]
trait Tower {
    async fn watch(&self, clock: ClockProxy);
    async fn end(&self) -> String;
}

#[derive(Default)]
struct Church(Mutex<Option<farref::Timer>>);

impl Tower for Church {
    async fn watch(&self, clock: ClockProxy) {
        let timer = every(Duration::from_millis(1), move || {
            let clock = clock.clone();
            async move { clock.strike().await }
        });
        *self.0.lock().unwrap() = Some(timer.unwrap());
    }
    async fn end(&self) -> String {
        let timer = self.0.lock().unwrap().take().unwrap();
        format!("{:?}", timer.ended().await)
    }
}

#[tokio::test]
async fn a_timer_calls_a_proxy_until_its_object_is_gone() {
    let pair = Pair::tcp().await;
    let tower = pair
        .serve("tower", TowerProxy::new(Church::default()))
        .await;
    let starts = Starts::new();
    let clock = ClockProxy::new(starts.clone());
    let other = Client::new();
    let theirs: TowerProxy = other.connect(tower.uri().unwrap()).await.unwrap();
    theirs.watch(clock.clone()).await.unwrap();
    while starts.seen().len() < 3 {
        tokio::task::yield_now().await;
    }
    other.close().await;
    assert_eq!(tower.end().await.unwrap(), "Callback");
    // A fault of another kind is no reason to stop.
    let faults = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&faults);
    let timer = Schedule::every(Duration::from_millis(1))
        .limit(3)
        .call(move || {
            *counted.lock().unwrap() += 1;
            async {
                Err(Fault::new(
                    FaultKind::Overloaded,
                    farref::Outcome::NotStarted,
                    "busy",
                ))
            }
        });
    assert_eq!(timer.unwrap().ended().await, TimerEnd::Limit);
    assert_eq!(*faults.lock().unwrap(), 3);
}

#[test]
fn a_timer_needs_no_runtime_of_the_programs_own() {
    let (sent, received) = std::sync::mpsc::channel();
    let timer = every(Duration::from_millis(1), move || {
        let _ = sent.send(());
        async {}
    })
    .unwrap();
    for _ in 0..3 {
        received.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    drop(timer);
}
