//! Sessions outlive their connections: nothing above notices, until the time is over.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::{ClientBuilder, DaemonBuilder, FaultKind, Limits, Outcome, Peer, StreamWindow};
use tokio::sync::{Notify, mpsc};

use crate::network::{Cut, Network};
use crate::support::assert_fault;

#[expose]
trait Ledger {
    /// Adds to the sum, tells the watcher, and returns the sum.
    async fn add(&self, n: u32) -> u32;
    #[oneway(ordered)]
    async fn note(&self, n: u32);
    async fn notes(&self) -> Vec<u32>;
    async fn watch(&self, watcher: WatcherProxy);
    async fn open(&self) -> CounterProxy;
    async fn echo(&self, text: String) -> String;
    fn history(&self, count: u32) -> impl Stream<Item = String>;
    async fn total(&self, numbers: RemoteStream<u32>) -> Result<u32, String>;
    /// Says that it has begun, and returns when it may.
    async fn wait(&self) -> u32;
}

#[callback]
trait Watcher {
    async fn seen(&self, n: u32) -> u32;
}

#[expose]
trait Counter {
    async fn up(&self) -> u32;
}

#[derive(Default)]
struct Book {
    sum: AtomicU32,
    notes: Mutex<Vec<u32>>,
    watchers: tokio::sync::Mutex<Vec<WatcherProxy>>,
    counters: Arc<AtomicUsize>,
    began: Option<mpsc::UnboundedSender<&'static str>>,
    may_end: Notify,
}

/// Counts, and says so when it is dropped.
struct Tally(AtomicU32, Arc<AtomicUsize>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counter for Tally {
    async fn up(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

struct OnDrop<'a>(&'a Book);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        if let Some(began) = &self.0.began {
            let _ = began.send("ended");
        }
    }
}

/// The ledger itself, which the test looks into as well.
struct Shelf(Arc<Book>);

impl Ledger for Shelf {
    async fn add(&self, n: u32) -> u32 {
        let sum = self.0.sum.fetch_add(n, Ordering::SeqCst) + n;
        for watcher in &*self.0.watchers.lock().await {
            assert_eq!(watcher.seen(n).await.unwrap(), n);
        }
        sum
    }
    async fn note(&self, n: u32) {
        self.0.notes.lock().unwrap().push(n);
    }
    async fn notes(&self) -> Vec<u32> {
        self.0.notes.lock().unwrap().clone()
    }
    async fn watch(&self, watcher: WatcherProxy) {
        self.0.watchers.lock().await.push(watcher);
    }
    async fn open(&self) -> CounterProxy {
        self.0.counters.fetch_add(1, Ordering::SeqCst);
        CounterProxy::new(Tally(AtomicU32::new(0), Arc::clone(&self.0.counters)))
    }
    async fn echo(&self, text: String) -> String {
        text
    }
    fn history(&self, count: u32) -> impl Stream<Item = String> {
        RemoteItems(0..count)
    }
    async fn total(&self, mut numbers: RemoteStream<u32>) -> Result<u32, String> {
        let mut total = 0;
        while let Some(number) = numbers.next().await {
            total += number.map_err(|fault| fault.to_string())?;
        }
        Ok(total)
    }
    async fn wait(&self) -> u32 {
        let _ended = OnDrop(&self.0);
        if let Some(began) = &self.0.began {
            began.send("began").unwrap();
        }
        self.0.may_end.notified().await;
        self.0.sum.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[derive(Clone, Default)]
struct Reader(Arc<Mutex<Vec<u32>>>);

impl Watcher for Reader {
    async fn seen(&self, n: u32) -> u32 {
        self.0.lock().unwrap().push(n);
        n
    }
}

/// A daemon, a network, and a client whose connections pass through it.
struct World {
    daemon: Daemon,
    network: Network,
    client: Client,
}

impl World {
    async fn new() -> Self {
        World::of(Daemon::builder(), Client::builder()).await
    }

    async fn of(daemon: DaemonBuilder, client: ClientBuilder) -> Self {
        let daemon = daemon.listen("far://127.0.0.1:0").bind().await.unwrap();
        let network = Network::before(&daemon).await;
        World {
            daemon,
            network,
            client: client.build(),
        }
    }

    /// Registers a ledger, and connects to it through the network.
    async fn ledger(&self, book: Book) -> (LedgerProxy, Arc<Book>) {
        let book = Arc::new(book);
        let near = LedgerProxy::new(Shelf(Arc::clone(&book)));
        self.daemon.register("ledger", near).unwrap();
        let ledger = self.client.connect(self.network.uri("ledger")).await;
        (ledger.unwrap(), book)
    }

    fn daemons_view(&self) -> Peer {
        let peers = self.daemon.peers();
        assert_eq!(peers.len(), 1, "{peers:?}");
        peers[0].clone()
    }
}

struct RemoteItems(std::ops::Range<u32>);

impl Stream for RemoteItems {
    type Item = String;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<String>> {
        std::task::Poll::Ready(self.0.next().map(|n| format!("entry {n} ").repeat(20)))
    }
}

/// What a conversation came to, on both sides.
#[derive(Debug, PartialEq, Eq)]
struct Story {
    told: Vec<String>,
    seen: Vec<u32>,
    notes: Vec<u32>,
    sum: u32,
    counters: usize,
}

/// Calls of every kind, callbacks, references passed and dropped, batches, calls on what is promised, streams both ways.
async fn converse(ledger: &LedgerProxy) -> Result<(Vec<String>, Vec<u32>), Fault> {
    let reader = Reader::default();
    let mut told = Vec::new();
    ledger.watch(WatcherProxy::new(reader.clone())).await?;
    for n in 1..=4 {
        told.push(format!("sum {}", ledger.add(n).await?));
        ledger.note(n).await?;
    }
    let counter = ledger.open().await?;
    let (one, two, text) = tokio::join!(
        counter.up(),
        ledger.add(10),
        ledger.echo("a longer text".repeat(100))
    );
    told.push(format!("{} {} {}", one?, two?, text?.len()));
    ledger.note(5).await?;
    told.push(format!("counter {}", counter.up().await?));
    drop(counter);
    let (sum, text, ()) = farref::batch((
        ledger.add(20),
        ledger.echo("among others".to_owned()),
        ledger.note(6),
    ))
    .await?;
    told.push(format!("batch {sum} {text}"));
    let promised = ledger.open().pipeline();
    let (one, two) = tokio::join!(promised.up(), promised.up());
    told.push(format!("promised {} {}", one?, two?));
    drop(promised);
    let mut history = ledger.history(100).window(StreamWindow::items(16));
    while let Some(entry) = history.next().await {
        let entry = entry?;
        told.push(entry[..10].to_owned());
    }
    let numbers = RemoteStream::from_iter(0..200);
    match ledger.total(numbers).await {
        Ok(total) => told.push(format!("total {total}")),
        Err(CallError::App(text)) => told.push(text),
        Err(CallError::Fault(fault)) => return Err(fault),
    }
    told.push(format!("notes {:?}", ledger.notes().await?));
    let seen = reader.0.lock().unwrap().clone();
    Ok((told, seen))
}

/// Has the conversation through the network, with an object of its own. Returns what it came to, if its session was not
/// lost before it began.
async fn tell(world: &World, name: &str) -> Result<Story, Fault> {
    let book = Arc::new(Book::default());
    let near = LedgerProxy::new(Shelf(Arc::clone(&book)));
    world.daemon.register(name, near).unwrap();
    let client = Client::new();
    let conversation = async {
        let ledger: LedgerProxy = client.lazy(world.network.uri(name))?;
        converse(&ledger).await
    };
    let conversation = conversation.await;
    world.network.mend();
    world.daemon.unregister(name);
    client.close().await;
    // The goodbye is behind the release of the counter.
    while book.counters.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    let (told, seen) = conversation?;
    let notes = book.notes.lock().unwrap().clone();
    Ok(Story {
        told,
        seen,
        notes,
        sum: book.sum.load(Ordering::SeqCst),
        counters: book.counters.load(Ordering::SeqCst),
    })
}

/// Marsaglia's xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[tokio::test]
async fn a_conversation_over_tcp_cut_at_random_bytes_is_the_same() {
    let world = World::new().await;
    let uncut = tell(&world, "uncut").await.unwrap();
    let lengths = world.network.take_passed();
    let mut random = Random(0x00c0_ffee_1234_5678);
    let (mut resumed, mut lost) = (0, 0);
    for run in 0..200 {
        let to_daemon = random.below(2) == 0;
        let length = if to_daemon { lengths.0 } else { lengths.1 };
        let first = Cut {
            to_daemon,
            after: random.below(length) + 1,
        };
        // Within the handshake of the next connection, or a little behind it.
        let second = Cut {
            to_daemon: random.below(2) == 0,
            after: random.below(400) + 1,
        };
        let connections = world.network.connections();
        world.network.cut_at([first, second]);
        match tell(&world, &format!("run {run}")).await {
            Ok(story) => {
                assert_eq!(story, uncut, "run {run}: {first:?}, {second:?}");
                resumed += usize::from(world.network.connections() > connections + 1);
            }
            Err(fault) => {
                // The server's hello had not come: this is within the first flight.
                assert!(first.after < 400, "run {run}: {first:?}: {fault:?}");
                lost += 1;
            }
        }
    }
    println!("taken up again: {resumed}, lost before they began: {lost}, of 200");
    assert!(resumed > 150, "{resumed}");
}

#[tokio::test]
async fn calls_callbacks_and_references_go_on_after_an_outage() {
    let world = World::new().await;
    let (began, mut events) = mpsc::unbounded_channel();
    let book = Book {
        began: Some(began),
        ..Book::default()
    };
    let (ledger, book) = world.ledger(book).await;
    let reader = Reader::default();
    ledger
        .watch(WatcherProxy::new(reader.clone()))
        .await
        .unwrap();
    let counter = ledger.open().await.unwrap();
    assert_eq!(counter.up().await.unwrap(), 1);
    let waiting = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.wait().await }
    });
    assert_eq!(events.recv().await, Some("began"));
    let number = world.daemons_view().session_number();

    world.network.set_down(true);
    world.network.cut();
    let (added, noted, up) = (ledger.add(5), ledger.note(1), counter.up());
    let meanwhile = async { tokio::join!(added, noted, up) };
    let mend = async {
        // The handler ends while nobody hears it.
        book.may_end.notify_one();
        assert_eq!(events.recv().await, Some("ended"));
        world.network.set_down(false);
    };
    let ((added, noted, up), ()) = tokio::join!(meanwhile, mend);
    noted.unwrap();
    assert_eq!((added.unwrap(), up.unwrap()), (6, 2));
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
    assert_eq!(
        *reader.0.lock().unwrap(),
        [5],
        "the callback is still there"
    );
    assert_eq!(ledger.notes().await.unwrap(), [1]);
    assert_eq!(world.daemons_view().session_number(), number);
    assert!(world.network.connections() > 1);
}

#[tokio::test]
async fn when_the_time_is_over_each_call_says_what_is_true_of_it() {
    let linger = Duration::from_millis(300);
    let world = World::of(Daemon::builder().linger(linger), Client::builder()).await;
    let (began, mut events) = mpsc::unbounded_channel();
    let book = Book {
        began: Some(began),
        ..Book::default()
    };
    let (ledger, book) = world.ledger(book).await;
    let counter = ledger.open().await.unwrap();
    let running = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.wait().await }
    });
    assert_eq!(events.recv().await, Some("began"));
    world.network.set_down(true);
    world.network.cut();
    let peer = world.client.peers().remove(0);
    // As soon as its connection is known to be lost, a call has not gone anywhere.
    while peer.state() != farref::SessionState::Reconnecting {
        tokio::task::yield_now().await;
    }
    let fault = counter.up().await.unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::NotStarted);
    let fault = running.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert_eq!(events.recv().await, Some("ended"), "the handler is dropped");
    while book.counters.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(book.sum.load(Ordering::SeqCst), 0);
    assert_eq!(peer.state(), farref::SessionState::Closed);

    let fault = counter.up().await.unwrap_err();
    assert_fault(&fault, FaultKind::StaleReference, Outcome::NotStarted);
    ledger.add(1).await.unwrap_err();
    world.network.set_down(false);
    assert_eq!(ledger.add(1).await.unwrap(), 1, "it is found again");
}

#[tokio::test]
async fn the_application_is_told_of_a_lost_session_and_waits_for_the_next() {
    let (lost, mut losses) = mpsc::unbounded_channel();
    let client = Client::builder()
        .linger(Duration::from_millis(100))
        .on_session_lost(move |peer, fault| {
            lost.send((peer, fault)).unwrap();
        });
    let world = World::of(Daemon::builder(), client).await;
    let (ledger, _) = world.ledger(Book::default()).await;
    let reader = Reader::default();
    ledger
        .watch(WatcherProxy::new(reader.clone()))
        .await
        .unwrap();
    let peer = world.client.peers().remove(0);
    world.network.cut();
    ledger.reconnect(1, Duration::ZERO).await.unwrap();
    assert_eq!(peer.state(), farref::SessionState::Connected);

    world.network.set_down(true);
    world.network.cut();
    let mend = async {
        let (gone, fault) = losses.recv().await.unwrap();
        assert_eq!(gone, peer);
        assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
        ledger.reconnect(2, Duration::ZERO).await.unwrap_err();
        world.network.set_down(false);
    };
    let every = Duration::from_millis(5);
    let (reconnected, ()) = tokio::join!(ledger.reconnect(u32::MAX, every), mend);
    reconnected.unwrap();
    // The daemon keeps the old session for longer, but its client has told it nothing since: who wants to be told of
    // sums has to say so again.
    ledger
        .watch(WatcherProxy::new(reader.clone()))
        .await
        .unwrap();
    let before = world.client.peers().len();
    world.client.close().await;
    assert_eq!(before, 1);
    ledger.echo("found again".to_owned()).await.unwrap();
    assert!(losses.try_recv().is_err(), "closing is no loss");
}

#[tokio::test]
async fn what_the_old_connection_still_brings_does_not_count() {
    let world = World::new().await;
    let (ledger, book) = world.ledger(Book::default()).await;
    assert_eq!(ledger.add(1).await.unwrap(), 1);
    world.network.hold(true);
    let adding = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.add(10).await }
    });
    world.network.take_passed();
    while world.network.take_passed().0 == 0 {
        tokio::task::yield_now().await;
    }
    // The client's side of the connection goes, and the daemon does not hear of it: to the daemon there are two.
    world.network.hold(false);
    world.network.cut();
    assert_eq!(adding.await.unwrap().unwrap(), 11, "over the second");
    world.network.release();
    assert_eq!(ledger.add(100).await.unwrap(), 111);
    assert_eq!(book.sum.load(Ordering::SeqCst), 111, "each once");
    assert_eq!(world.network.connections(), 2);
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_callers_wait() {
    const BOUND: u64 = 64 << 10;
    let mut limits = Limits::default();
    limits.kept_bytes = BOUND;
    let world = World::of(
        Daemon::builder().limits(limits.clone()),
        Client::builder().limits(limits),
    )
    .await;
    let (ledger, _) = world.ledger(Book::default()).await;
    let reader = Reader::default();
    let watcher = WatcherProxy::new(reader.clone());
    ledger.watch(watcher).await.unwrap();
    world.network.set_down(true);
    world.network.cut();
    let text = "x".repeat(1000);
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let (ledger, text) = (ledger.clone(), text.clone());
            tokio::spawn(async move { ledger.echo(text).await })
        })
        .collect();
    let peer = world.client.peers().remove(0);
    while peer.tables().unacknowledged < BOUND {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
        let kept = peer.tables().unacknowledged;
        assert!(kept < BOUND + 2000, "{kept}");
    }
    world.network.set_down(false);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), text);
    }
}

#[tokio::test]
async fn sessions_without_a_connection_are_few_for_each_peer() {
    let world = World::of(
        Daemon::builder().max_lingering(2, 1 << 20),
        Client::builder(),
    )
    .await;
    world
        .daemon
        .register("ledger", LedgerProxy::new(Shelf(Arc::default())))
        .unwrap();
    let mut ledgers = Vec::new();
    for _ in 0..4 {
        let client = Client::new();
        let ledger: LedgerProxy = client.connect(world.network.uri("ledger")).await.unwrap();
        let peer = client.peers().remove(0);
        ledgers.push((client, ledger, peer));
    }
    assert_eq!(world.daemon.peers().len(), 4);
    world.network.set_down(true);
    world.network.cut();
    while world.daemon.peers().len() > 2 {
        tokio::task::yield_now().await;
    }
    world.network.set_down(false);
    let mut alive = 0;
    for (_, ledger, peer) in &ledgers {
        let mut state = peer.watch_state();
        while state.current() == farref::SessionState::Reconnecting {
            state.changed().await;
        }
        alive += usize::from(!peer.is_closed());
        assert_eq!(ledger.echo("there".to_owned()).await.unwrap(), "there");
    }
    assert_eq!(alive, 2);
}

#[tokio::test]
async fn a_daemon_that_shuts_down_waits_for_no_connection_that_has_everything() {
    let mut limits = Limits::default();
    limits.ack_every = 1;
    let world = World::of(
        Daemon::builder().limits(limits.clone()),
        Client::builder().limits(limits),
    )
    .await;
    let (ledger, _) = world.ledger(Book::default()).await;
    let peer = world.daemons_view();
    while peer.tables().unacknowledged > 0 {
        tokio::task::yield_now().await;
    }
    world.network.set_down(true);
    world.network.cut();
    while peer.state() != farref::SessionState::Reconnecting {
        tokio::task::yield_now().await;
    }
    world.daemon.shutdown(Shutdown::default()).await;
    assert!(peer.is_closed());
    drop(ledger);
}

#[tokio::test]
async fn a_network_that_has_fallen_silent_is_left_for_another_connection() {
    let mut limits = Limits::default();
    limits.peer_timeout = Duration::from_millis(400);
    limits.beat_interval = Duration::from_millis(100);
    let world = World::of(
        Daemon::builder().limits(limits.clone()),
        Client::builder().limits(limits),
    )
    .await;
    let (ledger, book) = world.ledger(Book::default()).await;
    assert_eq!(ledger.add(1).await.unwrap(), 1);
    world.network.silence();
    assert_eq!(ledger.add(10).await.unwrap(), 11);
    assert_eq!(world.network.connections(), 2);
    assert_eq!(book.sum.load(Ordering::SeqCst), 11);
}
