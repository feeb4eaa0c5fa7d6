//! The network for tests: its faults are those of networks, and sessions outlive them in paused time as in any other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::testing::{Network, Pair};
use farref::{FaultKind, Outcome, SessionState, TableSizes};
use tokio::time::Instant;

use crate::support::assert_fault;

#[expose]
trait Diary {
    /// Writes a number down, and says how many there are.
    async fn write(&self, n: u32) -> usize;
    #[oneway(ordered)]
    async fn note(&self, n: u32);
    fn read(&self) -> impl Stream<Item = u32>;
    async fn think(&self) -> u32;
}

#[derive(Default)]
struct Pages {
    written: Mutex<Vec<u32>>,
    thinking: AtomicU32,
}

struct Shared(Arc<Pages>);

struct Thought<'a>(&'a Pages);

impl Drop for Thought<'_> {
    fn drop(&mut self) {
        self.0.thinking.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Items(std::vec::IntoIter<u32>);

impl Stream for Items {
    type Item = u32;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<u32>> {
        std::task::Poll::Ready(self.0.next())
    }
}

impl Diary for Shared {
    async fn write(&self, n: u32) -> usize {
        let mut written = self.0.written.lock().unwrap();
        written.push(n);
        written.len()
    }
    async fn note(&self, n: u32) {
        self.0.written.lock().unwrap().push(n);
    }
    fn read(&self) -> impl Stream<Item = u32> {
        Items(self.0.written.lock().unwrap().clone().into_iter())
    }
    async fn think(&self) -> u32 {
        self.0.thinking.fetch_add(1, Ordering::SeqCst);
        let _thought = Thought(&self.0);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        42
    }
}

async fn diary() -> (Pair, DiaryProxy, Arc<Pages>) {
    let pair = Pair::new().await.unwrap();
    let (diary, pages) = serve(&pair).await;
    (pair, diary, pages)
}

async fn serve(pair: &Pair) -> (DiaryProxy, Arc<Pages>) {
    let pages = Arc::new(Pages::default());
    let near = DiaryProxy::new(Shared(Arc::clone(&pages)));
    (pair.serve("diary", near).await.unwrap(), pages)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Calls, and what they came to.
async fn converse(diary: &DiaryProxy) -> Vec<u32> {
    for n in 1..=3 {
        diary.write(n).await.unwrap();
        diary.note(n * 10).await.unwrap();
    }
    let mut pages = diary.read();
    let mut read = Vec::new();
    while let Some(page) = pages.next().await {
        read.push(page.unwrap());
    }
    read
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_cut_after_any_byte_is_the_same() {
    let (pair, diary, _) = diary().await;
    let ends = [pair.client_host(), pair.daemon_host()];
    let before = ends.map(|end| pair.link().sent(end));
    let uncut = converse(&diary).await;
    assert_eq!(uncut, [1, 10, 2, 20, 3, 30]);
    let lengths = [0, 1].map(|end| pair.link().sent(ends[end]) - before[end]);
    for (end, length) in ends.into_iter().zip(lengths) {
        for bytes in 0..=usize::try_from(length).unwrap() {
            let (diary, _) = {
                pair.daemon.unregister("diary");
                serve(&pair).await
            };
            pair.link().cut_after(end, bytes);
            assert_eq!(converse(&diary).await, uncut, "{end:?} {bytes}");
        }
    }
    assert!(pair.link().connections() > 200);
    assert_eq!(pair.daemon.peers().len(), 1, "it is one session");
}

#[tokio::test(start_paused = true)]
async fn both_ends_hear_at_once_that_their_connection_broke() {
    let (pair, diary, _) = diary().await;
    for end in [pair.client_host(), pair.daemon_host()] {
        for bytes in [0, 1] {
            pair.link().cut_after(end, bytes);
            let begun = Instant::now();
            diary.write(1).await.unwrap();
            assert!(begun.elapsed() < seconds(1), "{end:?} {bytes}");
        }
    }
    assert_eq!(pair.link().connections(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_heals_in_time_only_takes_time() {
    let (pair, diary, pages) = diary().await;
    let begun = Instant::now();
    // Shorter than it takes to notice, and as long as the connection is given up and none can be made.
    for (away, connections) in [(10, 1), (45, 2)] {
        pair.link().partition();
        let healed = async {
            tokio::time::sleep(seconds(away)).await;
            pair.link().heal();
        };
        let (written, ()) = tokio::join!(diary.write(1), healed);
        written.unwrap();
        assert_eq!(pair.link().connections(), connections);
    }
    assert!(begun.elapsed() >= seconds(55));
    assert_eq!(*pages.written.lock().unwrap(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_does_not_heal_is_a_lost_session() {
    let (pair, diary, pages) = diary().await;
    diary.write(1).await.unwrap();
    let peer = pair.client.peers().remove(0);
    pair.link().partition();
    let begun = Instant::now();
    let fault = diary.write(2).await.unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    // 20 s until it is noticed, 30 s until nothing is waited for any more.
    let waited = begun.elapsed();
    assert!((seconds(49)..seconds(53)).contains(&waited), "{waited:?}");
    assert_eq!(peer.state(), SessionState::Closed);
    pair.link().heal();
    assert_eq!(diary.write(3).await.unwrap(), 2, "the same proxy finds it");
    assert_eq!(*pages.written.lock().unwrap(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn one_direction_that_is_blocked_is_found_by_the_other_end() {
    let (pair, diary, pages) = diary().await;
    for from in [pair.client_host(), pair.daemon_host()] {
        let peer = pair.client.peers().remove(0);
        let daemons = pair.daemon.peers().remove(0);
        let mut state = match std::ptr::eq(from, pair.client_host()) {
            true => daemons.watch_state(),
            false => peer.watch_state(),
        };
        let begun = Instant::now();
        pair.link().block(from);
        let write = diary.write(1);
        let healed = async {
            assert_eq!(state.changed().await, SessionState::Reconnecting);
            let waited = begun.elapsed();
            assert!(waited <= seconds(21), "{waited:?}");
            pair.link().heal();
        };
        let (written, ()) = tokio::join!(write, healed);
        written.unwrap();
    }
    assert_eq!(*pages.written.lock().unwrap(), [1, 1]);
    assert_eq!(pair.link().connections(), 3);
}

#[tokio::test(start_paused = true)]
async fn silence_is_found_and_left_for_another_connection() {
    let (pair, diary, pages) = diary().await;
    pair.link().silence();
    let begun = Instant::now();
    assert_eq!(diary.write(1).await.unwrap(), 1);
    assert!((seconds(19)..seconds(22)).contains(&begun.elapsed()));
    assert_eq!(*pages.written.lock().unwrap(), [1]);
    assert_eq!(pair.link().connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_one_end_broke_counts_once() {
    let (pair, diary, pages) = diary().await;
    pair.link().set_delay(Duration::from_millis(200));
    for n in 1..=5 {
        let written = async {
            // The call is on its way. The client dials again, and the old connection still brings it to the daemon.
            tokio::time::sleep(Duration::from_millis(n * 50)).await;
            pair.link().cut_at(pair.client_host());
        };
        let (length, ()) = tokio::join!(diary.write(0), written);
        assert_eq!(length.unwrap(), usize::try_from(n).unwrap());
    }
    assert_eq!(pages.written.lock().unwrap().len(), 5);
    assert_eq!(pair.daemon.peers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_than_its_deadline_fails_and_ends() {
    let (pair, diary, pages) = diary().await;
    pair.link().set_delay(Duration::from_millis(400));
    let begun = Instant::now();
    let fault = diary.think().timeout(seconds(1)).await.unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
    assert_eq!(begun.elapsed(), seconds(1));
    // The reply comes when nobody waits for it.
    let fault = diary.write(1).timeout(Duration::from_millis(500)).await;
    assert_fault(
        &fault.unwrap_err(),
        FaultKind::DeadlineExceeded,
        Outcome::Unknown,
    );
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(pages.thinking.load(Ordering::SeqCst), 0, "it was dropped");
    assert_eq!(diary.write(2).await.unwrap(), 2);
    let tables: Vec<TableSizes> = [pair.client.peers(), pair.daemon.peers()]
        .into_iter()
        .flatten()
        .map(|peer| peer.tables())
        .collect();
    assert!(
        tables
            .iter()
            .all(|tables| tables.calls_in + tables.calls_out == 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_starts_anew_is_found_again() {
    let (mut pair, diary, _) = diary().await;
    diary.write(1).await.unwrap();
    let peer = pair.client.peers().remove(0);
    let thinking = tokio::spawn({
        let diary = diary.clone();
        async move { diary.think().await }
    });
    tokio::time::sleep(seconds(1)).await;
    pair.restart().await.unwrap();
    let fault = thinking.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert_eq!(peer.state(), SessionState::Closed);
    let (_, pages) = serve(&pair).await;
    assert_eq!(diary.write(2).await.unwrap(), 1);
    assert_eq!(*pages.written.lock().unwrap(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_was_shut_down_frees_its_address() {
    let network = Network::new();
    let (one, other) = (network.host("one"), network.host("other"));
    let daemon = one.daemon().bind().await.unwrap();
    one.daemon().bind().await.unwrap_err();
    daemon.shutdown(Shutdown::Abort).await;
    let daemon = one.daemon().bind().await.unwrap();
    let pages = Arc::new(Pages::default());
    daemon
        .register("diary", DiaryProxy::new(Shared(pages)))
        .unwrap();
    let client = other.client().build();
    let diary: DiaryProxy = client.connect(one.uri("diary")).await.unwrap();
    assert_eq!(diary.write(1).await.unwrap(), 1);
    // Who is not of the network is not concerned.
    network.link(&one, &other).partition();
    let outside: DiaryProxy = Client::new().connect(one.uri("diary")).await.unwrap();
    assert_eq!(outside.write(1).await.unwrap(), 2);
    network.heal();
    assert_eq!(diary.write(1).await.unwrap(), 3);
    one.crash();
    let fault = diary.write(1).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::SessionLost);
}

/// When a client that tries again and again found each of ten daemons, in nanoseconds of paused time. The waits between
/// its attempts are random.
async fn arrivals(seed: u64) -> Vec<u128> {
    farref::testing::seed(seed);
    let network = Network::new();
    let (one, other) = (network.host("one"), network.host("other"));
    let begun = Instant::now();
    let mut arrived = Vec::new();
    for _ in 0..10 {
        let client = other.client().connect_attempts(100).build();
        let daemon = async {
            tokio::time::sleep(seconds(12)).await;
            let daemon = one.daemon().bind().await.unwrap();
            let near = DiaryProxy::new(Shared(Arc::default()));
            daemon.register("diary", near).unwrap();
            daemon
        };
        let diary = async {
            client
                .connect::<DiaryProxy>(one.uri("diary"))
                .await
                .unwrap()
        };
        let (daemon, _diary) = tokio::join!(daemon, diary);
        arrived.push(begun.elapsed().as_nanos());
        daemon.shutdown(Shutdown::Abort).await;
    }
    arrived
}

#[test]
fn what_is_seeded_happens_again() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        std::thread::spawn(move || runtime.block_on(arrivals(seed)))
            .join()
            .unwrap()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
