//! Faults stay small, also the awkward ones: what panics, races or is forwarded disturbs nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use farref::prelude::*;
use farref::{FaultKind, Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::support::{Pair, assert_fault};

/// Where a panic happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Where {
    Nowhere,
    InDrop,
    InSerialize,
}

/// Panics when it is encoded, if it is to.
#[derive(Clone, Debug, Deserialize)]
struct Explosive(Where);

impl Serialize for Explosive {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, Where::InSerialize, "as the test wants it");
        self.0.serialize(serializer)
    }
}

#[expose]
trait Bomb {
    async fn make(&self, explodes: Where) -> BombProxy;
    async fn encode(&self, explodes: Where) -> Explosive;
    /// Waits for ever; what it holds panics when it is dropped.
    async fn wait(&self, explodes: Where);
    #[oneway(ordered)]
    async fn tell(&self, n: u32);
    async fn told(&self) -> Vec<u32>;
    async fn echo(&self, bombs: Vec<BombProxy>) -> Vec<BombProxy>;
    async fn call_all(&self, bombs: Vec<BombProxy>) -> u32;
    async fn one(&self) -> u32;
    async fn note(&self) -> bool;
    async fn deadline(&self) -> bool;
}

#[derive(Default)]
struct Device {
    explodes: Option<Where>,
    told: std::sync::Mutex<Vec<u32>>,
    alive: Arc<AtomicUsize>,
    events: Option<mpsc::UnboundedSender<&'static str>>,
}

struct OnDrop(Where, Option<mpsc::UnboundedSender<&'static str>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(events) = &self.1 {
            let _ = events.send("dropped");
        }
        assert_ne!(self.0, Where::InDrop, "as the test wants it");
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(explodes) = self.explodes {
            self.alive.fetch_sub(1, Ordering::SeqCst);
            assert_ne!(explodes, Where::InDrop, "as the test wants it");
        }
    }
}

impl Bomb for Device {
    async fn make(&self, explodes: Where) -> BombProxy {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let alive = Arc::clone(&self.alive);
        let mut made = Device::default();
        (made.explodes, made.alive) = (Some(explodes), alive);
        BombProxy::new(made)
    }
    async fn encode(&self, explodes: Where) -> Explosive {
        Explosive(explodes)
    }
    async fn wait(&self, explodes: Where) {
        let _on_drop = OnDrop(explodes, self.events.clone());
        if let Some(events) = &self.events {
            events.send("waiting").unwrap();
        }
        std::future::pending().await
    }
    async fn tell(&self, n: u32) {
        tokio::task::yield_now().await;
        assert_ne!(n, 0, "as the test wants it");
        self.told.lock().unwrap().push(n);
    }
    async fn told(&self) -> Vec<u32> {
        self.told.lock().unwrap().clone()
    }
    async fn echo(&self, bombs: Vec<BombProxy>) -> Vec<BombProxy> {
        bombs
    }
    async fn call_all(&self, bombs: Vec<BombProxy>) -> u32 {
        let mut sum = 0;
        for bomb in &bombs {
            sum += bomb.one().await.unwrap();
        }
        sum
    }
    async fn one(&self) -> u32 {
        1
    }
    async fn note(&self) -> bool {
        let context = CallContext::current().unwrap();
        context.set_reply_annotation("back", "b");
        context.annotation("there") == Some(&Bytes::from_static(b"t"))
    }
    async fn deadline(&self) -> bool {
        CallContext::current().unwrap().deadline().is_some()
    }
}

#[tokio::test]
async fn an_object_whose_drop_panics_takes_nothing_along() {
    let pair = Pair::tcp().await;
    let device = Device::default();
    let alive = Arc::clone(&device.alive);
    let bomb = pair.serve("bomb", BombProxy::new(device)).await;
    let (explosive, harmless) = (
        bomb.make(Where::InDrop).await.unwrap(),
        bomb.make(Where::Nowhere).await.unwrap(),
    );
    drop(explosive);
    pair.until("the object is dropped", |_| {
        alive.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(harmless.one().await.unwrap(), 1, "the session lives on");
    drop((bomb, harmless));
    pair.at_baseline().await;
}

#[tokio::test]
async fn objects_whose_drop_panics_end_with_the_session_and_so_do_the_others() {
    let pair = Pair::tcp().await;
    let device = Device::default();
    let alive = Arc::clone(&device.alive);
    let bomb = pair.serve("bomb", BombProxy::new(device)).await;
    let mut held = Vec::new();
    for explodes in [
        Where::Nowhere,
        Where::InDrop,
        Where::Nowhere,
        Where::InDrop,
        Where::Nowhere,
    ] {
        held.push(bomb.make(explodes).await.unwrap());
    }
    pair.client.close().await;
    while alive.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bomb.one().await.unwrap(), 1, "the daemon serves on");
}

#[tokio::test]
async fn a_panic_while_a_result_is_encoded_fails_that_call() {
    let pair = Pair::tcp().await;
    let bomb = pair.serve("bomb", BombProxy::new(Device::default())).await;
    let fault = bomb.encode(Where::InSerialize).await.unwrap_err();
    assert_fault(&fault, FaultKind::Panicked, Outcome::Ran);
    assert_eq!(bomb.encode(Where::Nowhere).await.unwrap().0, Where::Nowhere);
    drop(bomb);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_panic_of_a_handler_that_is_cancelled_is_contained() {
    let pair = Pair::tcp().await;
    let (events, mut received) = mpsc::unbounded_channel();
    let mut device = Device::default();
    device.events = Some(events);
    let bomb = pair.serve("bomb", BombProxy::new(device)).await;
    let call = tokio::spawn({
        let bomb = bomb.clone();
        async move { bomb.wait(Where::InDrop).await }
    });
    assert_eq!(received.recv().await, Some("waiting"));
    call.abort();
    assert_eq!(received.recv().await, Some("dropped"));
    assert_eq!(bomb.one().await.unwrap(), 1);
    drop(bomb);
    pair.at_baseline().await;
}

#[tokio::test]
async fn an_ordered_oneway_that_panics_does_not_stop_those_behind_it() {
    let pair = Pair::tcp().await;
    let bomb = pair.serve("bomb", BombProxy::new(Device::default())).await;
    for n in [1, 0, 2, 0, 3] {
        bomb.tell(n).await.unwrap();
    }
    while bomb.told().await.unwrap() != [1, 2, 3] {}
    assert_eq!(pair.daemon.failed_oneways(), 2);
    drop(bomb);
    pair.at_baseline().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn references_that_cross_their_releases_are_counted_exactly() {
    let pair = Pair::tcp().await;
    let device = Device::default();
    let alive = Arc::clone(&device.alive);
    let bomb = pair.serve("bomb", BombProxy::new(device)).await;
    let mine = Device::default();
    let my_alive = Arc::clone(&mine.alive);
    let mine = BombProxy::new(mine);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (bomb, mine) = (bomb.clone(), mine.clone());
            tokio::spawn(async move {
                for round in 0..40_u32 {
                    let theirs = bomb.make(Where::Nowhere).await.unwrap();
                    let ours = mine.make(Where::Nowhere).await.unwrap();
                    let all = vec![theirs.clone(), ours.clone(), theirs.clone(), mine.clone()];
                    let back = bomb.echo(all.clone());
                    let sum = bomb.call_all(all.clone());
                    if round % 5 == 0 {
                        // Given up at some point on the way.
                        let _ = tokio::time::timeout(
                            Duration::from_micros(u64::from(round) * 10),
                            back,
                        )
                        .await;
                        continue;
                    }
                    let (back, sum) = tokio::join!(back, sum);
                    assert_eq!((back.unwrap(), sum.unwrap()), (all, 4));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop((bomb, mine));
    pair.at_baseline().await;
    pair.until("each object is dropped", |_| {
        alive.load(Ordering::SeqCst) == 0 && my_alive.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test]
async fn a_middleman_passes_everything_on() {
    let owner = Pair::tcp().await;
    let middle = Pair::tcp().await;
    let (events, mut received) = mpsc::unbounded_channel();
    let mut device = Device::default();
    device.events = Some(events);
    let direct = owner.serve("bomb", BombProxy::new(device)).await;
    let bomb = middle.serve("forwarded", direct.clone()).await;
    // Notes both ways, and the deadline.
    let (seen, notes) = bomb.note().annotate("there", "t").with_annotations().await;
    assert!(seen.unwrap());
    assert_eq!(notes, [("back".to_owned(), Bytes::from_static(b"b"))]);
    assert!(
        bomb.deadline()
            .timeout(Duration::from_secs(60))
            .await
            .unwrap()
    );
    assert!(!bomb.deadline().await.unwrap());
    // Cancellation.
    let call = tokio::spawn({
        let bomb = bomb.clone();
        async move { bomb.wait(Where::Nowhere).await }
    });
    assert_eq!(received.recv().await, Some("waiting"));
    call.abort();
    assert_eq!(received.recv().await, Some("dropped"));
    // Faults, with all the processes on the way, and oneways in their order.
    let fault = bomb.encode(Where::InSerialize).await.unwrap_err();
    assert_fault(&fault, FaultKind::Panicked, Outcome::Ran);
    assert_eq!(fault.hops().len(), 2, "{fault:?}");
    for n in 1..50 {
        bomb.tell(n).await.unwrap();
    }
    while bomb.told().await.unwrap().len() < 49 {}
    assert_eq!(bomb.told().await.unwrap(), (1..50).collect::<Vec<_>>());
    drop(bomb);
    middle.at_baseline().await;
}

#[tokio::test]
async fn a_chain_is_known_through_a_middleman() {
    #[expose]
    trait Lock {
        async fn call(&self, other: LockProxy) -> Result<u32, String>;
        async fn inner(&self) -> u32;
    }
    struct Object;
    impl Lock for Object {
        async fn call(&self, other: LockProxy) -> Result<u32, String> {
            other
                .inner()
                .await
                .map_err(|fault| format!("{:?}", fault.kind()))
        }
        async fn inner(&self) -> u32 {
            1
        }
    }
    let owner = Pair::tcp().await;
    let middle = Pair::tcp().await;
    let direct = owner.serve("lock", LockProxy::serial(Object)).await;
    let lock = middle.serve("forwarded", direct).await;
    // The lock's owner is asked to call the lock by the long way round.
    let error = lock
        .call(lock.clone())
        .timeout(Duration::from_secs(10))
        .await
        .unwrap_err();
    assert_eq!(
        error.app().map(String::as_str),
        Some("WouldDeadlock"),
        "{error:?}"
    );
}

/// Calls on from object to object, each of which is entered by one call at a time.
#[expose]
trait Hop {
    async fn hop(&self, way: Vec<HopProxy>) -> Result<u32, FaultText>;
}

#[derive(Debug, Serialize, Deserialize)]
struct FaultText(String);

struct Stone;

impl Hop for Stone {
    async fn hop(&self, mut way: Vec<HopProxy>) -> Result<u32, FaultText> {
        tokio::task::yield_now().await;
        let Some(next) = way.pop() else { return Ok(0) };
        match next.hop(way).await {
            Ok(hops) => Ok(hops + 1),
            Err(CallError::App(text)) => Err(text),
            Err(CallError::Fault(fault)) => Err(FaultText(format!("{:?}", fault.kind()))),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn serial_objects_that_call_each_other_in_any_order_never_hang() {
    let pair = Pair::tcp().await;
    let mut stones = Vec::new();
    for name in ["one", "two", "three"] {
        // All objects live in one process, where each circle is found; calls go there and back.
        stones.push(pair.serve(name, HopProxy::serial(Stone)).await);
    }
    let tasks: Vec<_> = (0..12_usize)
        .map(|task| {
            let stones = stones.clone();
            tokio::spawn(async move {
                let (mut served, mut refused) = (0, 0);
                for round in 0..30_usize {
                    let way: Vec<_> = (0..3)
                        .map(|step| stones[(task + round * step) % 3].clone())
                        .collect();
                    let call = stones[(task + 2 * round) % 3].hop(way);
                    match tokio::time::timeout(Duration::from_secs(60), call)
                        .await
                        .expect("no hang")
                    {
                        Ok(hops) => {
                            assert_eq!(hops, 3);
                            served += 1;
                        }
                        Err(error) => {
                            assert_eq!(
                                error.app().map(|text| text.0.as_str()),
                                Some("WouldDeadlock"),
                                "{error:?}"
                            );
                            refused += 1;
                        }
                    }
                }
                (served, refused)
            })
        })
        .collect();
    let mut all = 0;
    for task in tasks {
        let (served, refused) = task.await.unwrap();
        all += served + refused;
    }
    assert_eq!(all, 12 * 30);
    drop(stones);
    pair.at_baseline().await;
}
