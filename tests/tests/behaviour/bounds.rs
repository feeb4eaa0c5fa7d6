//! Everything has a bound, and at the bound the producer waits; two honest peers never wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farref::prelude::*;
use farref::{FaultKind, Limits, Outcome};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Pair, assert_fault};

#[expose]
trait Sink {
    /// Ends when the sink is opened.
    async fn put(&self, bytes: &[u8]) -> u64;
    #[oneway]
    async fn push(&self, bytes: &[u8]);
    /// Puts as many bytes, as often, into the other.
    async fn flood(&self, other: SinkProxy, times: u32, size: u32) -> u64;
    /// Puts once, returning what went wrong.
    async fn push_to(&self, other: SinkProxy, times: u32) -> Result<u32, String>;
}

struct Bucket {
    inside: AtomicUsize,
    most: AtomicUsize,
    gate: Arc<Semaphore>,
    entered: mpsc::UnboundedSender<()>,
}

impl Bucket {
    fn new(open: bool) -> (Arc<Self>, mpsc::UnboundedReceiver<()>) {
        let (entered, receiver) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(if open {
            Semaphore::MAX_PERMITS / 2
        } else {
            0
        }));
        (
            Arc::new(Bucket {
                inside: AtomicUsize::new(0),
                most: AtomicUsize::new(0),
                gate,
                entered,
            }),
            receiver,
        )
    }

    async fn hold(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        let _ = self.entered.send(());
        self.gate.acquire().await.unwrap().forget();
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Sink for Bucket {
    async fn put(&self, bytes: &[u8]) -> u64 {
        self.hold().await;
        bytes.iter().map(|byte| u64::from(*byte)).sum()
    }
    async fn push(&self, _: &[u8]) {
        self.hold().await;
    }
    async fn flood(&self, other: SinkProxy, times: u32, size: u32) -> u64 {
        flood(&other, times, size).await
    }
    async fn push_to(&self, other: SinkProxy, times: u32) -> Result<u32, String> {
        for n in 0..times {
            if let Err(fault) = other.push(&[1]).await {
                return Err(format!("{n} {:?} {:?}", fault.kind(), fault.outcome()));
            }
        }
        Ok(times)
    }
}

/// Makes that many calls at once, and adds up what they return.
async fn flood(sink: &SinkProxy, times: u32, size: u32) -> u64 {
    let calls: Vec<_> = (0..times)
        .map(|_| {
            let sink = sink.clone();
            tokio::spawn(farref::chain::scope(async move {
                sink.put(&vec![1; usize::try_from(size).unwrap()])
                    .await
                    .unwrap()
            }))
        })
        .collect();
    let mut sum = 0;
    for call in calls {
        sum += call.await.unwrap();
    }
    sum
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn no_more_calls_are_in_flight_than_the_daemon_grants() {
    let pair = Pair::of(
        Daemon::builder().limits(limits(|limits| limits.calls = 20)),
        Client::builder(),
    )
    .await;
    let (bucket, mut entered) = Bucket::new(false);
    let sink = pair
        .serve("sink", SinkProxy::shared(Arc::clone(&bucket)))
        .await;
    let flooding = tokio::spawn({
        let sink = sink.clone();
        async move { flood(&sink, 100, 10).await }
    });
    for _ in 0..20 {
        entered.recv().await.unwrap();
    }
    assert_eq!(pair.daemon_tables().calls_in, 20);
    bucket.gate.add_permits(100);
    assert_eq!(flooding.await.unwrap(), 1000);
    assert_eq!(bucket.most.load(Ordering::SeqCst), 20);
    drop(sink);
    pair.at_baseline().await;
}

#[tokio::test]
async fn oneways_wait_for_room_too() {
    let pair = Pair::of(
        Daemon::builder().limits(limits(|limits| limits.calls = 16)),
        Client::builder(),
    )
    .await;
    let (bucket, mut entered) = Bucket::new(false);
    let sink = pair
        .serve("sink", SinkProxy::shared(Arc::clone(&bucket)))
        .await;
    let pushing = tokio::spawn({
        let sink = sink.clone();
        async move {
            for _ in 0..50 {
                sink.push(&[1]).await.unwrap();
            }
        }
    });
    for _ in 0..16 {
        entered.recv().await.unwrap();
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!pushing.is_finished(), "the producer waits");
    bucket.gate.add_permits(50);
    pushing.await.unwrap();
    for _ in 16..50 {
        entered.recv().await.unwrap();
    }
    assert_eq!(bucket.most.load(Ordering::SeqCst), 16);
    drop(sink);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_call_larger_than_the_window_moves_through_it() {
    let daemon = Daemon::builder().limits(limits(|limits| limits.call_bytes = 64 << 10));
    let pair = Pair::of(daemon, Client::builder()).await;
    let (bucket, _entered) = Bucket::new(true);
    let sink = pair
        .serve("sink", SinkProxy::shared(Arc::clone(&bucket)))
        .await;
    assert_eq!(flood(&sink, 20, 1 << 20).await, 20 << 20);
    assert!(
        bucket.most.load(Ordering::SeqCst) <= 1,
        "each overdraws the credit, so they go one by one"
    );
    drop(sink);
    pair.at_baseline().await;
}

#[tokio::test]
async fn two_honest_peers_that_flood_each_other_both_finish() {
    flood_each_other().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_honest_peers_that_flood_each_other_on_many_threads_both_finish() {
    flood_each_other().await;
}

async fn flood_each_other() {
    let tight = || limits(|limits| (limits.calls, limits.call_bytes) = (16, 64 << 10));
    let pair = Pair::of(
        Daemon::builder().limits(tight()),
        Client::builder().limits(tight()),
    )
    .await;
    let (theirs, _their_entered) = Bucket::new(true);
    let (mine, _my_entered) = Bucket::new(true);
    let sink = pair.serve("sink", SinkProxy::shared(theirs)).await;
    let mine = SinkProxy::shared(mine);
    pair.client.publish("sink", &mine).unwrap();
    let back: SinkProxy = pair.daemon.peers()[0].object("sink").await.unwrap();
    // Large calls both ways, and callbacks inside calls both ways.
    let (there, here, nested_there, nested_here) = tokio::join!(
        flood(&sink, 40, 300 << 10),
        flood(&back, 40, 300 << 10),
        sink.flood(mine.clone(), 20, 100 << 10),
        back.flood(sink.clone(), 20, 1 << 10),
    );
    assert_eq!((there, here), ((40 * 300) << 10, (40 * 300) << 10));
    assert_eq!(
        (nested_there.unwrap(), nested_here.unwrap()),
        ((20 * 100) << 10, 20 << 10)
    );
    drop((sink, back, mine));
    pair.at_baseline().await;
}

#[tokio::test]
async fn nested_calls_draw_on_a_reserve_while_outer_ones_fill_the_window() {
    let tight = || limits(|limits| limits.calls = 16);
    let pair = Pair::of(
        Daemon::builder().limits(tight()),
        Client::builder().limits(tight()),
    )
    .await;
    let (theirs, _their_entered) = Bucket::new(true);
    let (mine, _my_entered) = Bucket::new(true);
    let sink = pair.serve("sink", SinkProxy::shared(theirs)).await;
    let mine = SinkProxy::shared(mine);
    // Each of the 16 calls that fill the window calls back, and that back again through the same session.
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let (sink, mine) = (sink.clone(), mine.clone());
            tokio::spawn(async move { sink.flood(mine, 2, 10).await.unwrap() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 20);
    }
    drop((sink, mine));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_handler_does_not_wait_for_room_for_a_oneway() {
    let pair = Pair::of(
        Daemon::builder(),
        Client::builder().limits(limits(|limits| limits.calls = 16)),
    )
    .await;
    let (theirs, _their_entered) = Bucket::new(true);
    let (mine, _my_entered) = Bucket::new(false);
    let sink = pair.serve("sink", SinkProxy::shared(theirs)).await;
    let error = sink
        .push_to(SinkProxy::shared(Arc::clone(&mine)), 100)
        .await
        .unwrap_err();
    assert_eq!(error.app().unwrap(), "16 Overloaded NotStarted");
    mine.gate.add_permits(16);
    drop(sink);
    pair.at_baseline().await;
}

#[tokio::test]
async fn annotations_have_a_bound() {
    let pair = Pair::tcp().await;
    let (bucket, _entered) = Bucket::new(true);
    let sink = pair.serve("sink", SinkProxy::shared(bucket)).await;
    let fault = sink
        .put(&[1])
        .annotate("key", vec![0; 64 << 10])
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::TooLarge, Outcome::NotStarted);
    assert_eq!(
        sink.put(&[1])
            .annotate("key", vec![0; 8 << 10])
            .await
            .unwrap(),
        1
    );
    drop(sink);
    pair.at_baseline().await;
}

#[tokio::test]
async fn an_object_with_a_limit_refuses_one_call_more() {
    let pair = Pair::tcp().await;
    let (bucket, mut entered) = Bucket::new(false);
    let object = Object::shared(Arc::clone(&bucket)).limit(2);
    let sink = pair.serve("sink", object.proxy::<SinkProxy>()).await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let sink = sink.clone();
            tokio::spawn(async move { sink.put(&[1]).await })
        })
        .collect();
    for _ in 0..2 {
        entered.recv().await.unwrap();
    }
    let fault = sink.put(&[1]).await.unwrap_err();
    assert_fault(&fault, FaultKind::Overloaded, Outcome::NotStarted);
    let near: SinkProxy = object.proxy();
    assert_fault(
        &near.put(&[1]).await.unwrap_err(),
        FaultKind::Overloaded,
        Outcome::NotStarted,
    );
    bucket.gate.add_permits(3);
    for call in held {
        call.await.unwrap().unwrap();
    }
    assert_eq!(sink.put(&[1]).await.unwrap(), 1, "there is room again");
}

#[tokio::test]
async fn calls_that_wait_for_a_serial_object_count_against_its_limit() {
    let pair = Pair::tcp().await;
    let (entered_sender, mut entered) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let bucket = Bucket {
        inside: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        gate: Arc::clone(&gate),
        entered: entered_sender,
    };
    let sink = pair
        .serve("sink", Object::serial(bucket).limit(2).proxy::<SinkProxy>())
        .await;
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let sink = sink.clone();
            tokio::spawn(async move { sink.put(&[1]).await })
        })
        .collect();
    entered.recv().await.unwrap();
    pair.barrier().await;
    assert_fault(
        &sink.put(&[1]).await.unwrap_err(),
        FaultKind::Overloaded,
        Outcome::NotStarted,
    );
    gate.add_permits(2);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_blocking_call_that_is_given_up_keeps_its_place_until_its_thread_is_free() {
    #[expose]
    trait Heavy {
        #[blocking]
        fn heavy(&self);
    }
    struct Object(
        std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
        mpsc::UnboundedSender<()>,
    );
    impl Heavy for Object {
        fn heavy(&self) {
            self.1.send(()).unwrap();
            self.0.lock().unwrap().recv().unwrap();
        }
    }
    let pair = Pair::tcp().await;
    let (release, released) = std::sync::mpsc::channel();
    let (entered_sender, mut entered) = mpsc::unbounded_channel();
    let heavy = pair
        .serve(
            "heavy",
            HeavyProxy::new(Object(released.into(), entered_sender)),
        )
        .await;
    let call = tokio::spawn(async move { heavy.heavy().await });
    entered.recv().await.unwrap();
    call.abort();
    assert!(call.await.is_err());
    for _ in 0..20 {
        pair.barrier().await;
        assert_eq!(
            pair.daemon_tables().calls_in,
            1,
            "its handler has not ended"
        );
    }
    release.send(()).unwrap();
    pair.at_baseline().await;
}
