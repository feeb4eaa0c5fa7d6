//! Calls start in the order in which they were made; what that means for oneways and for serial objects.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::Mutex;
use std::task::{Context, Waker};
use std::time::Duration;

use farref::prelude::*;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::support::Pair;

/// Notes what starts and what ends, in order.
#[expose]
trait Recorder {
    async fn call(&self, n: u32);
    #[oneway]
    async fn tell(&self, n: u32);
    #[oneway(ordered)]
    async fn tell_in_order(&self, n: u32);
    #[oneway]
    #[expose(spawn)]
    async fn spawned(&self, n: u32);
    #[blocking]
    fn blocking(&self, n: u32);
    /// Does not stop at the gate.
    fn log(&self) -> Vec<(String, u32)>;
}

struct Log {
    entries: Mutex<Vec<(String, u32)>>,
    /// Lets those in who wait inside a call.
    gate: Arc<Semaphore>,
    ended: mpsc::UnboundedSender<u32>,
}

impl Log {
    fn new() -> (Self, Arc<Semaphore>, mpsc::UnboundedReceiver<u32>) {
        let gate = Arc::new(Semaphore::new(0));
        let (ended, receiver) = mpsc::unbounded_channel();
        (
            Log {
                entries: Mutex::default(),
                gate: Arc::clone(&gate),
                ended,
            },
            gate,
            receiver,
        )
    }

    fn note(&self, what: &str, n: u32) {
        self.entries.lock().unwrap().push((what.to_owned(), n));
    }

    async fn pass(&self, n: u32) {
        self.note("start", n);
        self.gate.acquire().await.unwrap().forget();
        self.note("end", n);
        self.ended.send(n).unwrap();
    }
}

impl Recorder for Log {
    async fn call(&self, n: u32) {
        self.pass(n).await;
    }
    async fn tell(&self, n: u32) {
        self.pass(n).await;
    }
    async fn tell_in_order(&self, n: u32) {
        self.pass(n).await;
    }
    async fn spawned(&self, n: u32) {
        self.pass(n).await;
    }
    fn blocking(&self, n: u32) {
        self.note("start", n);
    }
    fn log(&self) -> Vec<(String, u32)> {
        self.entries.lock().unwrap().clone()
    }
}

fn started(log: &[(String, u32)]) -> Vec<u32> {
    log.iter()
        .filter(|(what, _)| what == "start")
        .map(|(_, n)| *n)
        .collect()
}

/// Polls a call once, which sends it.
fn poll_once(call: Pin<&mut impl Future>) {
    assert!(
        call.poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
}

#[tokio::test]
async fn calls_and_oneways_start_in_the_order_of_their_first_polls() {
    let pair = Pair::tcp().await;
    let (log, gate, _ended) = Log::new();
    let recorder = pair.serve("recorder", RecorderProxy::new(log)).await;
    let clone = recorder.clone();
    let mut second = Box::pin(clone.call(2));
    let mut first = Box::pin(clone.call(1));
    poll_once(first.as_mut());
    recorder.tell(10).await.unwrap();
    poll_once(second.as_mut());
    recorder.call(11).oneway().await.unwrap();
    let log = recorder.log().await.unwrap();
    assert_eq!(started(&log), [1, 10, 2, 11]);
    gate.add_permits(4);
    first.await.unwrap();
    second.await.unwrap();
    drop((clone, recorder));
    pair.at_baseline().await;
}

#[tokio::test]
async fn order_holds_across_clones_and_for_many_calls() {
    let pair = Pair::tcp().await;
    let (log, gate, _ended) = Log::new();
    gate.add_permits(10_000);
    let recorder = pair.serve("recorder", RecorderProxy::new(log)).await;
    let clones = [recorder.clone(), recorder.clone()];
    for n in 0..3000_u32 {
        clones[usize::try_from(n % 2).unwrap()]
            .tell(n)
            .await
            .unwrap();
    }
    let log = recorder.log().await.unwrap();
    assert_eq!(started(&log), (0..3000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_oneway_returns_before_it_ran_and_stalls_nothing_behind_it() {
    let pair = Pair::tcp().await;
    let (log, gate, mut ended) = Log::new();
    let recorder = pair.serve("recorder", RecorderProxy::new(log)).await;
    recorder.tell(1).await.unwrap();
    recorder.tell(2).await.unwrap();
    // The first still waits at the gate.
    assert_eq!(started(&recorder.log().await.unwrap()), [1, 2]);
    gate.add_permits(2);
    assert_eq!((ended.recv().await, ended.recv().await), (Some(1), Some(2)));
}

#[tokio::test]
async fn ordered_oneways_end_one_before_the_next_starts() {
    let pair = Pair::tcp().await;
    let (log, gate, mut ended) = Log::new();
    let recorder = pair.serve("recorder", RecorderProxy::new(log)).await;
    for n in 0..5 {
        recorder.tell_in_order(n).await.unwrap();
    }
    assert_eq!(
        started(&recorder.log().await.unwrap()),
        [0],
        "the others wait for it, and calls do not"
    );
    gate.add_permits(5);
    for n in 0..5 {
        assert_eq!(ended.recv().await, Some(n));
    }
    let expected: Vec<_> = (0..5)
        .flat_map(|n| [("start".to_owned(), n), ("end".to_owned(), n)])
        .collect();
    assert_eq!(recorder.log().await.unwrap(), expected);
    drop(recorder);
    pair.at_baseline().await;
}

#[tokio::test]
async fn spawned_and_blocking_methods_are_handed_over_in_order() {
    let pair = Pair::tcp().await;
    let (log, gate, mut ended) = Log::new();
    let recorder = pair.serve("recorder", RecorderProxy::new(log)).await;
    // On one thread, tasks begin in the order in which they were spawned.
    for n in 0..20 {
        recorder.spawned(n).await.unwrap();
    }
    gate.add_permits(20);
    for n in 0..20 {
        assert_eq!(ended.recv().await, Some(n));
    }
    for n in 20..25 {
        recorder.blocking(n).await.unwrap();
    }
    assert_eq!(
        started(&recorder.log().await.unwrap()),
        (0..25).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn replies_come_in_any_order() {
    let pair = Pair::tcp().await;
    let object = Turns::default();
    let turns = pair.serve("turns", TakingTurnsProxy::new(object)).await;
    let mut first = pin!(turns.wait());
    poll_once(first.as_mut());
    turns.wake().await.unwrap();
    first.await.unwrap();
}

#[expose]
trait TakingTurns {
    async fn wait(&self);
    async fn wake(&self);
}

#[derive(Default)]
struct Turns(Notify);

impl TakingTurns for Turns {
    async fn wait(&self) {
        self.0.notified().await;
    }
    async fn wake(&self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_serial_object_ends_one_call_before_the_next_starts() {
    let pair = Pair::tcp().await;
    let (log, gate, mut ended) = Log::new();
    let recorder = pair.serve("recorder", RecorderProxy::serial(log)).await;
    let mut calls: Vec<_> = (0..5).map(|n| Box::pin(recorder.call(n))).collect();
    for call in &mut calls {
        poll_once(call.as_mut());
    }
    recorder.tell(5).await.unwrap();
    for n in 0..=5 {
        gate.add_permits(1);
        assert_eq!(ended.recv().await, Some(n));
    }
    let expected: Vec<_> = (0..=5)
        .flat_map(|n| [("start".to_owned(), n), ("end".to_owned(), n)])
        .collect();
    assert_eq!(recorder.log().await.unwrap(), expected);
    drop(calls);
    drop(recorder);
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_failure_of_a_oneway_is_counted_where_it_happened() {
    #[expose]
    trait Failing {
        #[oneway]
        async fn fail(&self);
        async fn error(&self) -> Result<(), String>;
    }
    struct Object;
    impl Failing for Object {
        async fn fail(&self) {
            panic!("as the test wants it");
        }
        async fn error(&self) -> Result<(), String> {
            Err("as the test wants it".into())
        }
    }
    let pair = Pair::tcp().await;
    let failing = pair.serve("failing", FailingProxy::new(Object)).await;
    failing.fail().await.unwrap();
    failing.error().oneway().await.unwrap();
    pair.barrier().await;
    assert_eq!(pair.daemon.failed_oneways(), 2);
}

#[tokio::test]
async fn the_caller_may_make_any_call_oneway() {
    let pair = Pair::tcp().await;
    let (log, gate, mut ended) = Log::new();
    let recorder = pair.serve("recorder", RecorderProxy::new(log)).await;
    recorder.call(1).oneway().await.unwrap();
    gate.add_permits(1);
    assert_eq!(ended.recv().await, Some(1));
    drop(recorder);
    pair.at_baseline().await;
}

/// Counts what is told in order while another thread tells more.
#[expose]
trait Tally {
    #[oneway(ordered)]
    async fn add(&self, n: u32);
    fn added(&self) -> Vec<u32>;
}

#[derive(Default)]
struct Counted(Mutex<Vec<u32>>);

impl Tally for Counted {
    async fn add(&self, n: u32) {
        // Each goes on in a task, and ends about when the next one comes.
        tokio::task::yield_now().await;
        self.0.lock().unwrap().push(n);
    }
    fn added(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_ordered_oneway_that_comes_when_the_one_before_ends_is_not_lost() {
    const COUNT: u32 = 20_000;
    let pair = Pair::tcp().await;
    let near = TallyProxy::new(Counted::default());
    let far = pair
        .serve("tally", TallyProxy::new(Counted::default()))
        .await;
    for (tally, per_round) in [(near, 1), (far, 2)] {
        let mut told = 0;
        while told < COUNT {
            for _ in 0..per_round {
                tally.add(told).await.unwrap();
                told += 1;
            }
            // About as long as a task takes to begin.
            for _ in 0..told % 64 {
                std::hint::spin_loop();
            }
        }
        let all = async {
            loop {
                let added = tally.added().await.unwrap();
                if added.len() >= COUNT as usize {
                    return added;
                }
            }
        };
        let added = tokio::time::timeout(Duration::from_secs(60), all).await;
        assert!(added.expect("some are lost").into_iter().eq(0..COUNT));
    }
}
