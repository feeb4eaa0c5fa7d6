//! Calls on what a call will return: they travel at once, in order, and hold what was promised.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use farref::prelude::*;
use farref::{FaultKind, Outcome};
use tokio::sync::Semaphore;

use crate::flights::Wire;
use crate::support::{Pair, assert_fault};

/// Makes others of its kind.
#[expose]
trait Maker {
    /// Waits at the gate.
    async fn slow(&self, name: &str) -> MakerProxy;
    fn fast(&self, name: &str) -> MakerProxy;
    fn fallible(&self, name: &str) -> Result<MakerProxy, String>;
    fn panic(&self) -> MakerProxy;
    fn same(&self, maker: MakerProxy) -> MakerProxy;
    fn note(&self, what: &str) -> String;
    async fn wait(&self, what: &str) -> String;
    #[oneway]
    fn tell(&self, what: &str);
    async fn use_it(&self, maker: MakerProxy, what: &str) -> String;
}

#[derive(Clone)]
struct Workshop {
    name: String,
    log: Arc<Mutex<Vec<String>>>,
    gate: Arc<Semaphore>,
    alive: Arc<AtomicUsize>,
    _life: Arc<Life>,
}

struct Life(Arc<AtomicUsize>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Workshop {
    fn new() -> Self {
        let alive = Arc::new(AtomicUsize::new(1));
        Workshop {
            name: String::new(),
            log: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            alive: Arc::clone(&alive),
            _life: Arc::new(Life(alive)),
        }
    }

    fn make(&self, name: &str) -> MakerProxy {
        self.alive.fetch_add(1, Ordering::SeqCst);
        MakerProxy::new(Workshop {
            name: format!("{}/{name}", self.name),
            _life: Arc::new(Life(Arc::clone(&self.alive))),
            ..self.clone()
        })
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl Maker for Workshop {
    async fn slow(&self, name: &str) -> MakerProxy {
        self.log.lock().unwrap().push(format!("slow {name}"));
        self.gate.acquire().await.unwrap().forget();
        self.make(name)
    }
    fn fast(&self, name: &str) -> MakerProxy {
        self.make(name)
    }
    fn fallible(&self, name: &str) -> Result<MakerProxy, String> {
        match name {
            "" => Err("it needs a name".to_owned()),
            name => Ok(self.make(name)),
        }
    }
    fn panic(&self) -> MakerProxy {
        panic!("as the test wants it");
    }
    fn same(&self, maker: MakerProxy) -> MakerProxy {
        maker
    }
    fn note(&self, what: &str) -> String {
        let noted = format!("{}:{what}", self.name);
        self.log.lock().unwrap().push(noted.clone());
        noted
    }
    async fn wait(&self, what: &str) -> String {
        self.note(what);
        self.gate.acquire().await.unwrap().forget();
        what.to_owned()
    }
    fn tell(&self, what: &str) {
        self.note(what);
    }
    async fn use_it(&self, maker: MakerProxy, what: &str) -> String {
        maker.note(what).await.unwrap()
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_chain_of_calls_takes_one_round_trip() {
    let wire = Wire::new().await;
    let maker = wire.serve("maker", MakerProxy::new(Workshop::new())).await;
    let before = wire.flights();
    let a = maker.fast("a").pipeline();
    let b = a.fast("b").pipeline();
    let c = b.fallible("c").pipeline();
    assert_eq!(c.note("x").await.unwrap(), "/a/b/c:x");
    assert_eq!(wire.flights() - before, 1);
    // A batch on it is still one.
    let before = wire.flights();
    let d = c.fast("d").pipeline();
    let (one, two) = farref::batch((d.note("1"), d.note("2"))).await.unwrap();
    assert_eq!((one.as_str(), two.as_str()), ("/a/b/c/d:1", "/a/b/c/d:2"));
    assert_eq!(wire.flights() - before, 1);
}

#[tokio::test]
async fn calls_on_a_promise_start_in_order_with_those_that_come_later() {
    let pair = Pair::tcp().await;
    let workshop = Workshop::new();
    let maker = pair.serve("maker", MakerProxy::new(workshop.clone())).await;
    let promised = maker.slow("a").pipeline();
    let calls: Vec<_> = (0..10)
        .map(|n| {
            let promised = promised.clone();
            async move { promised.note(&n.to_string()).await.unwrap() }
        })
        .collect();
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    for call in &mut calls {
        assert!(poll_once(call.as_mut()).is_pending());
    }
    promised.tell("told").await.unwrap();
    pair.barrier().await;
    assert_eq!(workshop.log(), ["slow a"], "they wait for the object");
    workshop.gate.add_permits(1);
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await, format!("/a:{n}"));
    }
    // The object is there now, and later calls come later.
    for n in 10..20 {
        promised.note(&n.to_string()).await.unwrap();
    }
    let mut expected = vec!["slow a".to_owned()];
    expected.extend((0..10).map(|n| format!("/a:{n}")));
    expected.push("/a:told".to_owned());
    expected.extend((10..20).map(|n| format!("/a:{n}")));
    assert_eq!(workshop.log(), expected);
    drop((promised, maker));
    pair.at_baseline().await;
    assert_eq!(workshop.alive.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn once_nothing_is_outstanding_calls_go_to_the_object_itself() {
    let pair = Pair::tcp().await;
    let maker = pair.serve("maker", MakerProxy::new(Workshop::new())).await;
    let promised = maker.fast("a").pipeline();
    promised.note("1").await.unwrap();
    assert_eq!(pair.client_tables().promises_out, 1);
    promised.note("2").await.unwrap();
    pair.barrier().await;
    let (client, daemon) = (pair.client_tables(), pair.daemon_tables());
    assert_eq!((client.promises_out, daemon.promises_in), (0, 0));
    assert_eq!(daemon.exports, 1, "the object is held by its own reference");
    drop((promised, maker));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_failed_promise_fails_the_calls_on_it_and_says_why() {
    let pair = Pair::tcp().await;
    let maker = pair.serve("maker", MakerProxy::new(Workshop::new())).await;
    let promised = maker.fallible("").pipeline();
    let deeper = promised.fast("b").pipeline();
    let (one, two) = tokio::join!(promised.note("x"), deeper.note("y"));
    let (one, two) = (one.unwrap_err(), two.unwrap_err());
    for fault in [&one, &two] {
        assert_fault(fault, FaultKind::BrokenPromise, Outcome::NotStarted);
    }
    assert_eq!(
        one.message(),
        two.message(),
        "a longer chain says no more of the culprit"
    );
    // Also later, and to whoever waits for the object.
    for fault in [
        promised.note("z").await.unwrap_err(),
        promised.ensure_connected().await.unwrap_err(),
    ] {
        assert_fault(&fault, FaultKind::BrokenPromise, Outcome::NotStarted);
        assert!(fault.to_string().contains("error of its own"), "{fault}");
    }
    let panicked = maker.panic().pipeline();
    let fault = panicked.note("x").await.unwrap_err();
    assert_fault(&fault, FaultKind::BrokenPromise, Outcome::NotStarted);
    assert!(fault.to_string().contains("panicked"), "{fault}");
    maker
        .fallible("a")
        .pipeline()
        .ensure_connected()
        .await
        .unwrap();
    drop((promised, deeper, panicked, maker));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_dropped_promise_cancels_its_call_when_no_call_on_it_remains() {
    let pair = Pair::tcp().await;
    let workshop = Workshop::new();
    let maker = pair.serve("maker", MakerProxy::new(workshop.clone())).await;
    // A call on it holds it.
    let promised = maker.slow("a").pipeline();
    let held = promised.clone();
    let mut call = Box::pin(async move { held.note("x").await });
    assert!(poll_once(call.as_mut()).is_pending());
    drop(promised);
    pair.barrier().await;
    workshop.gate.add_permits(1);
    assert_eq!(call.await.unwrap(), "/a:x");
    // Nobody holds this one.
    let promised = maker.slow("b").pipeline();
    pair.barrier().await;
    drop(promised);
    pair.until("the call is cancelled", |pair| {
        pair.daemon_tables().calls_in <= 1
    })
    .await;
    // And of this one the only call is given up.
    let promised = maker.slow("c").pipeline();
    {
        let mut call = Box::pin(promised.note("never"));
        assert!(poll_once(call.as_mut()).is_pending());
        pair.barrier().await;
    }
    drop(promised);
    drop(maker);
    pair.at_baseline().await;
    assert_eq!(workshop.alive.load(Ordering::SeqCst), 1);
    assert!(!workshop.log().iter().any(|note| note.contains("never")));
}

#[tokio::test]
async fn a_dropped_promise_gives_its_object_back() {
    let pair = Pair::tcp().await;
    let workshop = Workshop::new();
    let maker = pair.serve("maker", MakerProxy::new(workshop.clone())).await;
    for _ in 0..50 {
        let promised = maker.fast("a").pipeline();
        promised.tell("x").await.unwrap();
        promised.note("y").await.unwrap();
    }
    drop(maker);
    pair.at_baseline().await;
    assert_eq!(workshop.alive.load(Ordering::SeqCst), 1);
    assert_eq!(workshop.log().len(), 100);
}

#[tokio::test]
async fn near_promises_behave_as_far_ones() {
    let workshop = Workshop::new();
    let maker = MakerProxy::new(workshop.clone());
    let promised = maker.slow("a").pipeline();
    let deeper = promised.fast("b").pipeline();
    let mut call = Box::pin(deeper.note("x"));
    assert!(poll_once(call.as_mut()).is_pending());
    workshop.gate.add_permits(1);
    assert_eq!(call.await.unwrap(), "/a/b:x");
    assert_eq!(promised.note("y").await.unwrap(), "/a:y");
    let broken = maker.fallible("").pipeline();
    let fault = broken.note("x").await.unwrap_err();
    assert_fault(&fault, FaultKind::BrokenPromise, Outcome::NotStarted);
}

#[tokio::test]
async fn the_first_use_of_an_object_may_be_pipelined() {
    let pair = Pair::memory().await;
    let workshop = Workshop::new();
    let uri = pair
        .daemon
        .register("maker", MakerProxy::new(workshop.clone()))
        .unwrap();
    let maker: MakerProxy = pair.client.lazy(&uri).unwrap();
    let promised = maker.fast("a").pipeline();
    let (one, two) = tokio::join!(promised.note("1"), promised.note("2"));
    assert_eq!((one.unwrap(), two.unwrap()), ("/a:1".into(), "/a:2".into()));
    assert_eq!(workshop.log(), ["/a:1", "/a:2"]);
    // One that cannot be reached breaks its promise.
    let nowhere: MakerProxy = pair.client.lazy("far+mem:nowhere/maker").unwrap();
    let fault = nowhere.fast("a").pipeline().note("x").await.unwrap_err();
    assert_fault(&fault, FaultKind::BrokenPromise, Outcome::NotStarted);
}

#[tokio::test]
async fn a_promise_may_be_passed_on() {
    let pair = Pair::tcp().await;
    let workshop = Workshop::new();
    let maker = pair.serve("maker", MakerProxy::new(workshop.clone())).await;
    let promised = maker.slow("a").pipeline();
    let other = maker.clone();
    let passed = promised.clone();
    let mut call = Box::pin(async move { other.use_it(passed, "x").await });
    assert!(poll_once(call.as_mut()).is_pending());
    pair.barrier().await;
    workshop.gate.add_permits(1);
    assert_eq!(call.await.unwrap(), "/a:x");
    // Once it is there, it goes home without a detour.
    promised.ensure_connected().await.unwrap();
    assert_eq!(maker.use_it(promised.clone(), "y").await.unwrap(), "/a:y");
    drop((promised, maker));
    pair.at_baseline().await;
}

#[tokio::test]
async fn what_comes_home_is_called_here() {
    let pair = Pair::tcp().await;
    let maker = pair.serve("maker", MakerProxy::new(Workshop::new())).await;
    let mine = Workshop::new();
    let promised = maker.same(MakerProxy::new(mine.clone())).pipeline();
    promised.note("1").await.unwrap();
    promised.note("2").await.unwrap();
    promised.note("3").await.unwrap();
    assert_eq!(mine.log(), [":1", ":2", ":3"]);
    drop((promised, maker));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_lost_session_breaks_its_promises() {
    let pair = Pair::tcp().await;
    let maker = pair.serve("maker", MakerProxy::new(Workshop::new())).await;
    let promised = maker.slow("a").pipeline();
    let mut call = Box::pin(promised.note("x"));
    assert!(poll_once(call.as_mut()).is_pending());
    pair.barrier().await;
    for peer in pair.daemon.peers() {
        peer.abort();
    }
    let fault = call.await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::SessionLost, "{fault:?}");
    assert!(promised.note("y").await.is_err());
    assert!(promised.ensure_connected().await.is_err());
}

#[tokio::test]
async fn as_many_results_are_kept_as_calls_are_granted() {
    let mut limits = farref::Limits::default();
    limits.calls = 16;
    let daemon = Daemon::builder().limits(limits);
    let pair = Pair::of_memory(daemon, Client::builder()).await;
    let maker = pair.serve("maker", MakerProxy::new(Workshop::new())).await;
    let mut promises = Vec::new();
    // They are kept as long as no call goes to them again.
    for n in 0..16 {
        let promised = maker.fast(&n.to_string()).pipeline();
        promised.ensure_connected().await.unwrap();
        promises.push(promised);
    }
    let broken = maker.fast("16").pipeline().note("x").await.unwrap_err();
    assert_fault(&broken, FaultKind::BrokenPromise, Outcome::NotStarted);
    assert!(
        broken.to_string().contains("no more are accepted"),
        "{broken}"
    );
    promises[15].note("x").await.unwrap();
    pair.barrier().await;
    maker.fast("17").pipeline().note("x").await.unwrap();
    drop((promises, maker));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_batch_waits_for_what_was_promised() {
    let pair = Pair::tcp().await;
    let workshop = Workshop::new();
    let maker = pair.serve("maker", MakerProxy::new(workshop.clone())).await;
    let promised = maker.slow("a").pipeline();
    let mut batch = Box::pin(farref::batch((
        maker.note("1"),
        promised.note("2"),
        promised.wait("3"),
        promised.note("4"),
    )));
    assert!(poll_once(batch.as_mut()).is_pending());
    pair.barrier().await;
    assert_eq!(workshop.log(), ["slow a", ":1"]);
    workshop.gate.add_permits(2);
    batch.as_mut().await.unwrap();
    assert_eq!(workshop.log(), ["slow a", ":1", "/a:2", "/a:3", "/a:4"]);
    drop(batch);
    // Given up before the object is there, nothing of it begins.
    let promised_again = maker.slow("b").pipeline();
    {
        let mut batch = Box::pin(farref::batch((promised_again.note("5"), maker.note("6"))));
        assert!(poll_once(batch.as_mut()).is_pending());
        pair.barrier().await;
    }
    pair.barrier().await;
    workshop.gate.add_permits(1);
    promised_again.ensure_connected().await.unwrap();
    pair.barrier().await;
    assert_eq!(workshop.log().last().unwrap(), "slow b");
    drop((promised, promised_again, maker));
    pair.at_baseline().await;
}

#[test]
fn pipelining_needs_no_async() {
    let daemon = farref::blocking::bind("far://127.0.0.1:0").unwrap();
    let uri = daemon
        .register("maker", MakerProxy::new(Workshop::new()))
        .unwrap();
    let maker: MakerProxy = farref::blocking::connect(&uri).unwrap();
    let promised = maker.fast("a").pipeline().fast("b").pipeline();
    assert_eq!(promised.note("x").wait().unwrap(), "/a/b:x");
}
