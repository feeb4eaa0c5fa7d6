//! Faults of networks and of those behind them stay small: what else goes on goes on, and nothing is left of them.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use farref::prelude::*;
use farref::testing::{Network, Pair};
use farref::{DaemonBuilder, FaultKind, Limits, Outcome, StreamWindow, TableSizes};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::assert_fault;

#[expose]
trait Office {
    /// Returns when it may.
    async fn work(&self, n: u32) -> u32;
    async fn visit(&self, guest: GuestProxy) -> GuestProxy;
    fn letters(&self, count: u32) -> impl Stream<Item = u32>;
    async fn file(&self, letters: RemoteStream<u32>) -> u32;
    #[oneway]
    async fn note(&self, n: u32);
}

#[callback]
trait Guest {
    async fn greet(&self) -> u32;
}

#[derive(Default)]
struct Desks {
    begun: AtomicU32,
    ended: AtomicU32,
    may_end: Notify,
    is_open: std::sync::atomic::AtomicBool,
    noted: Mutex<Vec<u32>>,
}

struct Rooms(Arc<Desks>);

struct Letters(std::ops::Range<u32>);

impl Stream for Letters {
    type Item = u32;
    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        Poll::Ready(self.0.next())
    }
}

impl Office for Rooms {
    async fn work(&self, n: u32) -> u32 {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        if !self.0.is_open.load(Ordering::SeqCst) {
            self.0.may_end.notified().await;
        }
        self.0.ended.fetch_add(1, Ordering::SeqCst);
        n
    }
    async fn visit(&self, guest: GuestProxy) -> GuestProxy {
        assert!(guest.greet().await.is_ok());
        guest
    }
    fn letters(&self, count: u32) -> impl Stream<Item = u32> {
        Letters(0..count)
    }
    async fn file(&self, mut letters: RemoteStream<u32>) -> u32 {
        let mut count = 0;
        while let Some(Ok(_)) = letters.next().await {
            count += 1;
        }
        count
    }
    async fn note(&self, n: u32) {
        self.0.noted.lock().unwrap().push(n);
    }
}

struct Caller;

impl Guest for Caller {
    async fn greet(&self) -> u32 {
        1
    }
}

fn office(is_open: bool) -> (OfficeProxy, Arc<Desks>) {
    let desks = Arc::new(Desks::default());
    desks.is_open.store(is_open, Ordering::SeqCst);
    (OfficeProxy::new(Rooms(Arc::clone(&desks))), desks)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is_idle(tables: &TableSizes) -> bool {
    let calls = tables.calls_in + tables.calls_out + tables.streams_in + tables.streams_out;
    calls + tables.exports + tables.events == 0 && tables.imports + tables.aliases == 1
}

/// Everything that a call can be, one after the other.
async fn everything(office: &OfficeProxy) -> Result<(), Fault> {
    office.work(1).await?;
    office.note(2).await?;
    let guest = office.visit(GuestProxy::new(Caller)).await?;
    guest.greet().await?;
    let mut letters = office.letters(20);
    while let Some(letter) = letters.next().await {
        letter?;
    }
    office.file(RemoteStream::from_iter(0..20)).await?;
    let (_, _) = farref::batch((office.work(3), office.work(4))).await?;
    office.work(5).timeout(seconds(60)).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_at_any_of_its_awaits_leaves_nothing_and_breaks_nothing() {
    let pair = Pair::new().await.unwrap();
    let (near, _) = office(true);
    let office = pair.serve("office", near).await.unwrap();
    pair.link().set_delay(Duration::from_millis(1));
    let mut steps = 0;
    loop {
        // Polled so often, with as much time between as something needs to happen, and dropped.
        let is_done = {
            let mut all = pin!(everything(&office));
            let mut is_done = false;
            for _ in 0..=steps {
                let polled = all.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(result) = polled {
                    result.unwrap();
                    is_done = true;
                    break;
                }
                tokio::time::sleep(Duration::from_micros(700)).await;
            }
            is_done
        };
        tokio::time::sleep(seconds(1)).await;
        for peer in [pair.client.peers(), pair.daemon.peers()].concat() {
            assert!(is_idle(&peer.tables()), "{steps}: {:?}", peer.tables());
        }
        assert_eq!(pair.link().connections(), 1, "no frame was torn");
        if is_done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 20, "{steps}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_drains_under_load_lets_clients_come_back_for_their_answers() {
    let pair = Pair::new().await.unwrap();
    let (near, desks) = office(false);
    let office = pair.serve("office", near).await.unwrap();
    let calls: Vec<_> = (0..100)
        .map(|n| {
            let office = office.clone();
            tokio::spawn(async move { office.work(n).await })
        })
        .collect();
    while desks.begun.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    pair.link().partition();
    pair.link().cut();
    tokio::time::sleep(seconds(1)).await;
    let newcomer = pair.daemon_host().client().build();
    let draining = pair.daemon.shutdown(Shutdown::Drain(seconds(25)));
    let rest = async {
        tokio::time::sleep(seconds(2)).await;
        let uri = pair.daemon_host().uri("office");
        let fault = newcomer.connect::<OfficeProxy>(uri).await.unwrap_err();
        assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
        assert!(fault.message().contains("shutting down"), "{fault}");
        desks.may_end.notify_waiters();
        tokio::time::sleep(seconds(1)).await;
        pair.link().heal();
    };
    tokio::join!(draining, rest);
    assert_eq!(desks.ended.load(Ordering::SeqCst), 100);
    for (n, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), n);
    }
    let fault = office.work(1).await.unwrap_err();
    assert_eq!(fault.outcome(), Outcome::NotStarted);
    assert_eq!(desks.begun.load(Ordering::SeqCst), 100);
}

/// How long a daemon takes to drain whose client has lost its connection before it got an answer, and never comes back.
async fn time_to_drain(linger: Duration, limit: Duration) -> Duration {
    let mut limits = Limits::default();
    limits.linger = linger;
    let configured = move |daemon: DaemonBuilder| daemon.limits(limits.clone());
    let pair = Pair::with(configured, |client| client).await.unwrap();
    let (near, desks) = office(false);
    let office = pair.serve("office", near).await.unwrap();
    let call = tokio::spawn(async move { office.work(1).await });
    while desks.begun.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    pair.link().partition();
    pair.link().cut();
    tokio::time::sleep(seconds(1)).await;
    desks.may_end.notify_waiters();
    let begun = Instant::now();
    pair.daemon.shutdown(Shutdown::Drain(limit)).await;
    let took = begun.elapsed();
    let fault = call.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    took
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_drains_waits_for_lost_clients_as_long_as_their_sessions_linger_and_no_longer_than_it_may()
 {
    let took = time_to_drain(seconds(10), seconds(60)).await;
    assert!(seconds(8) < took && took < seconds(11), "{took:?}");
    let took = time_to_drain(seconds(30), seconds(5)).await;
    assert!(seconds(5) <= took && took < seconds(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_hears_nothing_delays_nobody_else() {
    let network = Network::new();
    let [serving, deaf, other] = ["serving", "deaf", "other"].map(|name| network.host(name));
    let daemon = serving.daemon().bind().await.unwrap();
    let (near, _) = office(true);
    daemon.register("office", near).unwrap();
    let (one, two) = (deaf.client().build(), other.client().build());
    let stuck: OfficeProxy = one.connect(serving.uri("office")).await.unwrap();
    let free: OfficeProxy = two.connect(serving.uri("office")).await.unwrap();
    // Nothing gets to the one any more, who asks for more than fits into a connection.
    network.link(&serving, &deaf).block(&serving);
    let streams: Vec<_> = (0..8)
        .map(|_| {
            let stuck = stuck.clone();
            tokio::spawn(async move {
                let mut letters = stuck.letters(5000);
                let mut count = 0;
                while let Some(letter) = letters.next().await {
                    letter.unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    let begun = Instant::now();
    for n in 0..100 {
        assert_eq!(free.work(n).await.unwrap(), n);
    }
    assert_eq!(
        free.file(RemoteStream::from_iter(0..1000)).await.unwrap(),
        1000
    );
    assert!(begun.elapsed() < seconds(1), "{:?}", begun.elapsed());
    network.heal();
    for stream in streams {
        assert_eq!(stream.await.unwrap(), 5000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_stalls_and_goes_gives_its_credit_back() {
    let pair = Pair::new().await.unwrap();
    let (near, _) = office(true);
    let office = pair.serve("office", near).await.unwrap();
    for _ in 0..50 {
        let mut letters = office.letters(u32::MAX);
        assert_eq!(letters.next().await.unwrap().unwrap(), 0);
        tokio::time::sleep(seconds(60)).await;
        let tables = pair.daemon.peers()[0].tables();
        assert_eq!(tables.streams_out, 1, "it waits");
    }
    tokio::time::sleep(seconds(1)).await;
    for peer in [pair.client.peers(), pair.daemon.peers()].concat() {
        assert!(is_idle(&peer.tables()), "{:?}", peer.tables());
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_connections_for_one_session_the_newer_one_wins() {
    let pair = Pair::new().await.unwrap();
    let (near, desks) = office(true);
    let office = pair.serve("office", near).await.unwrap();
    for n in 0..10 {
        // The daemon's end of the old one is still there when the next one comes.
        pair.link().cut_at(pair.client_host());
        office.note(n).await.unwrap();
        assert_eq!(office.work(n).await.unwrap(), n);
        assert_eq!(pair.daemon.peers().len(), 1);
    }
    assert_eq!(*desks.noted.lock().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(pair.link().connections(), 11);
}

#[tokio::test(start_paused = true)]
async fn without_a_time_to_linger_a_lost_connection_is_a_lost_session() {
    let pair = Pair::with(|daemon| daemon.linger(Duration::ZERO), |client| client)
        .await
        .unwrap();
    let (near, desks) = office(false);
    let office = pair.serve("office", near).await.unwrap();
    let call = tokio::spawn({
        let office = office.clone();
        async move { office.work(1).await }
    });
    while desks.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    pair.link().cut();
    let fault = call.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    desks.is_open.store(true, Ordering::SeqCst);
    assert_eq!(office.work(2).await.unwrap(), 2, "it is found again");
}

/// A stream that says when its producer is dropped.
struct Watched(std::ops::Range<u32>, Arc<AtomicU32>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Stream for Watched {
    type Item = u32;
    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        Poll::Ready(self.0.next())
    }
}

#[expose]
trait Library {
    fn pages(&self) -> impl Stream<Item = u32>;
}

struct Shelves(Arc<AtomicU32>);

impl Library for Shelves {
    fn pages(&self) -> impl Stream<Item = u32> {
        Watched(0..u32::MAX, Arc::clone(&self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_an_outage_for_as_long_as_its_producer_waits() {
    for (linger, away, goes_on) in [(5, 3, true), (5, 8, false), (0, 3, false), (60, 20, true)] {
        let pair = Pair::with(
            move |daemon| daemon.stream_linger(seconds(linger)),
            |client| client,
        )
        .await
        .unwrap();
        let dropped = Arc::new(AtomicU32::new(0));
        let near = LibraryProxy::new(Shelves(Arc::clone(&dropped)));
        let library = pair.serve("library", near).await.unwrap();
        let mut pages = library.pages().window(StreamWindow::items(10));
        let peer = pair.client.peers().remove(0);
        let mut next = 0;
        for _ in 0..15 {
            assert_eq!(pages.next().await.unwrap().unwrap(), next);
            next += 1;
        }
        pair.link().partition();
        pair.link().cut();
        tokio::time::sleep(seconds(away)).await;
        assert_eq!(dropped.load(Ordering::SeqCst), u32::from(!goes_on));
        pair.link().heal();
        let fault = loop {
            match pages.next().await.unwrap() {
                Ok(page) => {
                    assert_eq!(page, next);
                    next += 1;
                }
                Err(fault) => break Some(fault),
            }
            if next == 200 {
                break None;
            }
        };
        assert_eq!(fault.is_none(), goes_on, "{linger} {away}");
        if let Some(fault) = fault {
            assert_fault(&fault, FaultKind::SessionLost, Outcome::Ran);
            assert!(pages.next().await.is_none());
        }
        assert!(!peer.is_closed(), "the session goes on");
        drop(pages);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        for peer in [pair.client.peers(), pair.daemon.peers()].concat() {
            assert!(is_idle(&peer.tables()), "{:?}", peer.tables());
        }
    }
}
