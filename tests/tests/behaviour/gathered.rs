//! Calls of one method of one object that are made at once, which share frames on their way: whatever becomes of each of
//! them is as if it had come alone.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use farref::prelude::*;
use farref::{FaultKind, Limits, Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::flights::Wire;
use crate::support::{Pair, assert_fault};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Odd(u32);

#[expose]
trait Mill {
    fn grind(&self, n: u32) -> u32;
    fn halve(&self, n: u32) -> Result<u32, Odd>;
    fn crumble(&self, n: u32) -> u32;
    fn stretch(&self, text: String) -> String;
    fn twin(&self, n: u32) -> MillProxy;
    async fn wait(&self, n: u32) -> u32;
    fn ground(&self) -> Vec<u32>;
    fn waiting(&self) -> u32;
    #[oneway]
    fn drop_in(&self, n: u32);
    #[oneway]
    fn pour(&self, text: String);
}

#[derive(Clone)]
struct Stones {
    ground: Arc<Mutex<Vec<u32>>>,
    gate: Arc<Semaphore>,
    waiting: Arc<AtomicU32>,
}

impl Stones {
    fn new() -> Self {
        Stones {
            ground: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            waiting: Arc::default(),
        }
    }
}

/// Counts who waits, until it is dropped.
struct Waiting(Arc<AtomicU32>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Mill for Stones {
    fn grind(&self, n: u32) -> u32 {
        self.ground.lock().unwrap().push(n);
        n + 1
    }

    fn halve(&self, n: u32) -> Result<u32, Odd> {
        match n % 2 {
            0 => Ok(n / 2),
            _ => Err(Odd(n)),
        }
    }

    fn crumble(&self, n: u32) -> u32 {
        assert!(n % 10 != 3, "{n} is too hard");
        n
    }

    fn stretch(&self, text: String) -> String {
        text.repeat(2)
    }

    fn twin(&self, _n: u32) -> MillProxy {
        MillProxy::new(self.clone())
    }

    async fn wait(&self, n: u32) -> u32 {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(Arc::clone(&self.waiting));
        self.gate.acquire().await.unwrap().forget();
        n
    }

    fn ground(&self) -> Vec<u32> {
        self.ground.lock().unwrap().clone()
    }

    fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    fn pour(&self, text: String) {
        self.ground.lock().unwrap().push(text.len() as u32);
    }

    fn drop_in(&self, n: u32) {
        assert!(n != 7, "not this one");
        self.ground.lock().unwrap().push(n);
    }
}

/// Waits for all of these at once.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|cx| {
        let mut all = Poll::Ready(());
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => all = Poll::Pending,
                }
            }
        }
        all
    })
    .await;
    futures
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

#[tokio::test]
async fn the_room_that_oneways_take_comes_back() {
    const ROUNDS: usize = 20;
    const LENGTH: u32 = 1000;
    // A hundredth of what is sent.
    let mut tight = Limits::default();
    tight.call_bytes = 16 << 10;
    let daemon = Daemon::builder().limits(tight);
    let pair = Pair::of(daemon, Client::builder()).await;
    let mill = pair.serve("mill", MillProxy::new(Stones::new())).await;
    let text = "x".repeat(LENGTH as usize);
    let pours = async {
        for _ in 0..ROUNDS {
            for poured in all((0..80).map(|_| mill.pour(text.clone()))).await {
                poured.unwrap();
            }
        }
        mill.ground().await.unwrap()
    };
    let ground = tokio::time::timeout(Duration::from_secs(30), pours).await;
    let ground = ground.expect("there is room again for what comes");
    assert_eq!(ground, vec![LENGTH; ROUNDS * 80]);
    drop(mill);
    pair.at_baseline().await;
}

#[tokio::test]
async fn calls_at_once_share_frames_and_run_in_their_order() {
    let wire = Wire::new().await;
    let mill = wire.serve("mill", MillProxy::new(Stones::new())).await;
    mill.grind(0).await.unwrap();
    let spoken = wire.spoken();
    let results = all((1..=500).map(|n| mill.grind(n))).await;
    // A call alone takes 30 bytes.
    let spoken = wire.spoken() - spoken;
    assert!(spoken < 500 * 12, "{spoken} bytes");
    for (n, result) in (1..).zip(results) {
        assert_eq!(result.unwrap(), n + 1);
    }
    let ground = mill.ground().await.unwrap();
    assert!(ground.into_iter().eq(0..=500));
}

#[tokio::test]
async fn each_of_many_calls_at_once_has_its_own_error() {
    let pair = Pair::memory().await;
    let mill = pair.serve("mill", MillProxy::new(Stones::new())).await;
    mill.grind(0).await.unwrap();
    let halves = all((0..100).map(|n| mill.halve(n))).await;
    for (n, half) in (0..).zip(halves) {
        match half {
            Ok(half) => assert_eq!(half * 2, n),
            Err(error) => assert_eq!(error.app(), Some(&Odd(n))),
        }
    }
    let crumbs = all((0..100).map(|n| mill.crumble(n))).await;
    for (n, crumb) in (0..).zip(crumbs) {
        match crumb {
            Ok(crumb) => assert_eq!((crumb, n % 10 == 3), (n, false)),
            Err(fault) => {
                assert_eq!(n % 10, 3);
                assert_fault(&fault, FaultKind::Panicked, Outcome::Ran);
            }
        }
    }
    drop(mill);
    pair.at_baseline().await;
}

#[tokio::test]
async fn calls_at_once_carry_texts_of_all_lengths_and_references() {
    let pair = Pair::memory().await;
    let mill = pair.serve("mill", MillProxy::new(Stones::new())).await;
    mill.grind(0).await.unwrap();
    let text = |n: usize| "ab".repeat(n * n);
    let stretched = all((0..80).map(|n| mill.stretch(text(n)))).await;
    for (n, stretched) in stretched.into_iter().enumerate() {
        assert_eq!(stretched.unwrap(), text(n).repeat(2));
    }
    let twins = all((0..50).map(|n| mill.twin(n))).await;
    let twins: Vec<_> = twins.into_iter().map(Result::unwrap).collect();
    let results = all((0..).zip(&twins).map(|(n, twin)| twin.grind(n))).await;
    assert!(results.into_iter().map(Result::unwrap).eq(1..=50));
    drop(twins);
    drop(mill);
    pair.at_baseline().await;
}

#[tokio::test]
async fn one_of_many_calls_at_once_is_given_up() {
    let pair = Pair::memory().await;
    let stones = Stones::new();
    let mill = pair.serve("mill", MillProxy::new(stones.clone())).await;
    mill.grind(0).await.unwrap();
    let mut calls: Vec<_> = (0..10)
        .map(|n| {
            let mill = mill.clone();
            tokio::spawn(async move { mill.wait(n).await })
        })
        .collect();
    while mill.waiting().await.unwrap() < 10 {}
    let given_up = calls.remove(4);
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    while mill.waiting().await.unwrap() > 9 {}
    stones.gate.add_permits(9);
    for (n, call) in [0, 1, 2, 3, 5, 6, 7, 8, 9].into_iter().zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), n);
    }
    drop(mill);
    pair.at_baseline().await;
}

#[tokio::test]
async fn oneways_in_a_row_run_in_order_and_fail_alone() {
    let wire = Wire::new().await;
    let mill = wire.serve("mill", MillProxy::new(Stones::new())).await;
    mill.grind(100).await.unwrap();
    let spoken = wire.spoken();
    for n in 0..50 {
        mill.drop_in(n).await.unwrap();
    }
    let ground = mill.ground().await.unwrap();
    let spoken = wire.spoken() - spoken;
    assert!(spoken < 50 * 12 + 100, "{spoken} bytes");
    let expected = [100].into_iter().chain((0..50).filter(|n| *n != 7));
    assert!(ground.iter().copied().eq(expected), "{ground:?}");
}

/// On a thread of a runtime that runs whoever was woken last at once: the first of those who were answered has called again
/// before the others know that they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn those_who_were_answered_together_call_together() {
    const CALLERS: u32 = 8;
    const ROUNDS: usize = 50;
    let on_the_worker = tokio::spawn(async {
        let wire = Wire::new().await;
        let mill = wire.serve("mill", MillProxy::new(Stones::new())).await;
        mill.grind(0).await.unwrap();
        let before = wire.flights();
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let mill = mill.clone();
            callers.spawn(async move {
                for _ in 0..ROUNDS {
                    assert_eq!(mill.grind(caller).await.unwrap(), caller + 1);
                }
            });
        }
        callers.join_all().await;
        wire.flights() - before
    });
    let flights = on_the_worker.await.unwrap();
    assert!(
        flights <= ROUNDS + 2,
        "{flights} flights for {ROUNDS} rounds"
    );
}
