//! The calling side: when it connects, what sessions it shares, what it does when one is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use farref::prelude::*;
use farref::{FaultKind, Outcome, ProxyOptions};

use crate::support::{Pair, assert_fault, memory_uri};

#[expose]
trait Clock {
    async fn tick(&self) -> u32;
    /// Cuts the connection while the first calls are being served.
    #[idempotent]
    async fn fetch(&self) -> u32;
    /// The same, but not safe to repeat.
    async fn charge(&self) -> u32;
    async fn session(&self) -> u64;
    async fn child(&self) -> ClockProxy;
    /// Whether the call has a deadline.
    async fn limited(&self) -> bool;
    #[idempotent]
    async fn refuse(&self) -> Result<(), String>;
}

#[derive(Clone, Default)]
struct Ticker {
    runs: Arc<AtomicU32>,
    /// How many calls to cut off.
    cut: Arc<AtomicU32>,
    /// The daemon that the next call shuts down.
    stops: Arc<std::sync::Mutex<Option<farref::DaemonHandle>>>,
}

impl Ticker {
    fn cutting(calls: u32) -> Self {
        Ticker {
            runs: Arc::default(),
            cut: Arc::new(AtomicU32::new(calls)),
            stops: Arc::default(),
        }
    }

    fn run(&self) -> u32 {
        if self.cut.load(Ordering::SeqCst) > 0 {
            self.cut.fetch_sub(1, Ordering::SeqCst);
            CallContext::current().unwrap().peer().unwrap().abort();
        }
        self.runs.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl Clock for Ticker {
    async fn tick(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::SeqCst) + 1
    }
    async fn fetch(&self) -> u32 {
        let stops = self.stops.lock().unwrap().take();
        if let Some(daemon) = stops {
            let runs = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
            // The session ends here, and with it the future that serves this call.
            daemon.shutdown(Shutdown::Abort).await;
            return runs;
        }
        self.run()
    }
    async fn charge(&self) -> u32 {
        self.run()
    }
    async fn session(&self) -> u64 {
        CallContext::current()
            .unwrap()
            .peer()
            .unwrap()
            .session_number()
    }
    async fn child(&self) -> ClockProxy {
        ClockProxy::new(self.clone())
    }
    async fn limited(&self) -> bool {
        CallContext::current().unwrap().deadline().is_some()
    }
    async fn refuse(&self) -> Result<(), String> {
        self.run();
        Err("as the test wants it".into())
    }
}

async fn daemon_at(uri: &Uri, ticker: Ticker) -> (Daemon, Uri) {
    let daemon = Daemon::bind(uri).await.unwrap();
    let uri = daemon.register("clock", ClockProxy::new(ticker)).unwrap();
    (daemon, uri)
}

/// Waits until the client has noticed that its sessions are gone.
async fn without_sessions(client: &Client) {
    while !client.peers().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lazy_proxy_does_no_io_until_its_first_call() {
    let client = Client::new();
    let uri = memory_uri().with_object("clock");
    // Nobody is there yet.
    let clock: ClockProxy = client.lazy(&uri).unwrap();
    assert_eq!(clock.uri(), Some(&uri));
    assert!(client.peers().is_empty());
    let fault = clock.tick().await.unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
    let (_daemon, _) = daemon_at(&uri.without_object(), Ticker::default()).await;
    assert_eq!(clock.tick().await.unwrap(), 1, "the same proxy");
    assert_eq!(client.peers().len(), 1);
}

#[test]
fn a_lazy_proxy_needs_no_runtime_to_be_made() {
    let clock: ClockProxy = Client::new().lazy("far://127.0.0.1:1/clock").unwrap();
    assert!(!clock.is_near());
    let fault = Client::new()
        .lazy::<ClockProxy>("http://127.0.0.1/clock")
        .unwrap_err();
    assert_fault(&fault, FaultKind::InvalidUri, Outcome::NotStarted);
    assert!(farref::lazy::<ClockProxy>("far://127.0.0.1:1/clock").is_ok());
}

#[tokio::test]
async fn many_first_calls_at_once_share_one_session() {
    let (daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), Ticker::default()).await;
    let client = Client::new();
    let clock: ClockProxy = client.lazy(&uri).unwrap();
    let other: ClockProxy = client.lazy(&uri).unwrap();
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let clock = if n % 2 == 0 {
                clock.clone()
            } else {
                other.clone()
            };
            tokio::spawn(async move { clock.session().await.unwrap() })
        })
        .collect();
    let mut sessions = Vec::new();
    for call in calls {
        sessions.push(call.await.unwrap());
    }
    sessions.dedup();
    assert_eq!((sessions.len(), daemon.peers().len()), (1, 1));
}

#[tokio::test]
async fn a_dedicated_proxy_has_a_session_of_its_own() {
    let pair = Pair::tcp().await;
    let clock = pair
        .serve("clock", ClockProxy::new(Ticker::default()))
        .await;
    let dedicated = clock
        .with_timeout(Duration::from_secs(30))
        .dedicated()
        .unwrap();
    assert_eq!(dedicated.options().timeout, Some(Duration::from_secs(30)));
    let clone = dedicated.clone();
    assert_eq!(
        dedicated.session().await.unwrap(),
        clone.session().await.unwrap()
    );
    assert_eq!(pair.daemon.peers().len(), 2);
    drop((dedicated, clone));
    pair.until("the dedicated session ends", |pair| {
        pair.daemon.peers().len() == 1
    })
    .await;
    let near = ClockProxy::new(Ticker::default());
    assert_fault(
        &near.dedicated().unwrap_err(),
        FaultKind::Misuse,
        Outcome::NotStarted,
    );
}

#[tokio::test]
async fn a_session_ends_with_the_last_proxy() {
    let (daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), Ticker::default()).await;
    let client = Client::new();
    let clock: ClockProxy = client.connect(&uri).await.unwrap();
    let child = clock.child().await.unwrap();
    drop(clock);
    assert_eq!(
        child.tick().await.unwrap(),
        1,
        "a reference holds the session, too"
    );
    drop(child);
    without_sessions(&client).await;
    while !daemon.peers().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_proxy_that_was_disconnected_or_closed_connects_again() {
    let pair = Pair::tcp().await;
    let clock = pair
        .serve("clock", ClockProxy::new(Ticker::default()))
        .await;
    let before = clock.session().await.unwrap();
    clock.disconnect();
    pair.until("the name is given back", |pair| {
        pair.daemon_tables().aliases == 1
    })
    .await;
    assert_eq!(
        clock.session().await.unwrap(),
        before,
        "the session lives on for others"
    );
    pair.client.close().await;
    assert_ne!(clock.session().await.unwrap(), before);
    clock.ensure_connected().await.unwrap();
}

#[tokio::test]
async fn what_fails_to_connect_leaves_nothing_behind() {
    let (daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), Ticker::default()).await;
    let client = Client::new();
    client
        .connect::<ClockProxy>(&uri.with_object("nobody"))
        .await
        .unwrap_err();
    // And one that serves another interface.
    let fault = client.connect::<OtherProxy>(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    without_sessions(&client).await;
    while !daemon.peers().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[expose]
trait Other {
    async fn tock(&self);
}

#[tokio::test(start_paused = true)]
async fn connecting_is_tried_as_often_as_configured() {
    let uri = memory_uri();
    let client = Client::builder()
        .connect_attempts(3)
        .connect_wait(Duration::from_secs(4))
        .build();
    let begun = tokio::time::Instant::now();
    let fault = client
        .connect::<ClockProxy>(&uri.with_object("clock"))
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
    let waited = begun.elapsed().as_secs();
    assert!(
        (6..=10).contains(&waited),
        "two waits of 4 s, give or take a quarter, were {waited} s"
    );

    let connecting = tokio::spawn({
        let uri = uri.clone();
        async move {
            client
                .connect::<ClockProxy>(&uri.with_object("clock"))
                .await
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_daemon, _) = daemon_at(&uri, Ticker::default()).await;
    assert_eq!(connecting.await.unwrap().unwrap().tick().await.unwrap(), 1);
}

#[tokio::test]
async fn an_idempotent_call_is_made_again_when_its_session_is_lost() {
    let ticker = Ticker::cutting(2);
    let (_daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), ticker.clone()).await;
    let client = Client::builder().max_retries(2).build();
    let clock: ClockProxy = client.connect(&uri).await.unwrap();
    assert_eq!(
        clock.fetch().await.unwrap(),
        3,
        "twice in vain, and then once more"
    );
    // The method's own error is an answer.
    assert!(matches!(clock.refuse().await, Err(CallError::App(_))));
    assert_eq!(ticker.runs.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn retries_have_an_end() {
    let ticker = Ticker::cutting(10);
    let (_daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), ticker.clone()).await;
    let clock: ClockProxy = Client::new().connect(&uri).await.unwrap();
    let fault = clock.clone().with_max_retries(3).fetch().await.unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert_eq!(ticker.runs.load(Ordering::SeqCst), 4);
    // By default there are none.
    assert_fault(
        &clock.fetch().await.unwrap_err(),
        FaultKind::SessionLost,
        Outcome::Unknown,
    );
    assert_eq!(ticker.runs.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_call_that_may_have_run_is_never_repeated_unless_the_proxy_was_told_to() {
    let ticker = Ticker::cutting(2);
    let (_daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), ticker.clone()).await;
    let client = Client::builder().max_retries(5).build();
    let clock: ClockProxy = client.connect(&uri).await.unwrap();
    let fault = clock.charge().await.unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert_eq!(ticker.runs.load(Ordering::SeqCst), 1, "at most once");
    let bold = clock.with_options(ProxyOptions {
        retry_all: true,
        ..ProxyOptions::default()
    });
    assert_eq!(bold.charge().await.unwrap(), 3);
}

#[tokio::test]
async fn named_proxies_find_their_object_again_after_a_restart_and_references_are_stale() {
    let (daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), Ticker::default()).await;
    let client = Client::new();
    let clock: ClockProxy = client.connect(&uri).await.unwrap();
    let child = clock.child().await.unwrap();
    assert_eq!(clock.tick().await.unwrap(), 1);
    daemon.shutdown(Shutdown::default()).await;
    drop(daemon);
    without_sessions(&client).await;
    assert_fault(
        &clock.tick().await.unwrap_err(),
        FaultKind::ConnectFailed,
        Outcome::NotStarted,
    );
    let (_again, _) = daemon_at(&uri.without_object(), Ticker::default()).await;
    assert_eq!(
        clock.tick().await.unwrap(),
        1,
        "a new object behind the old name"
    );
    assert_fault(
        &child.tick().await.unwrap_err(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
    assert_eq!(clock.child().await.unwrap().tick().await.unwrap(), 2);
}

#[tokio::test]
async fn proxies_are_shared_between_threads_and_copied_by_clone() {
    fn is_shareable<T: Clone + Send + Sync + 'static>(_: &T) {}
    let (_daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), Ticker::default()).await;
    let clock: ClockProxy = farref::connect(&uri).await.unwrap();
    is_shareable(&clock);
    let copy = clock.clone();
    let here = tokio::task::spawn_blocking(move || {
        tokio::runtime::Handle::current().block_on(async { copy.tick().await })
    });
    here.await.unwrap().unwrap();
    assert_eq!(clock.tick().await.unwrap(), 2);
    // As text, or as a value; both are as good.
    let text = uri.to_string();
    let _: ClockProxy = farref::connect(text.as_str()).await.unwrap();
    let _: ClockProxy = farref::connect(text).await.unwrap();
    let _: ClockProxy = farref::connect(uri).await.unwrap();
}

#[tokio::test]
async fn closing_and_aborting_a_session_end_it_on_both_sides() {
    for close in [true, false] {
        let (daemon, uri) =
            daemon_at(&"far://127.0.0.1:0".parse().unwrap(), Ticker::default()).await;
        let client = Client::new();
        let clock: ClockProxy = client.connect(&uri).await.unwrap();
        let peer = client.peers().remove(0);
        match close {
            true => peer.close(),
            false => peer.abort(),
        }
        assert!(peer.is_closed());
        while !daemon.peers().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.tick().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn an_attempt_that_may_have_run_is_not_forgotten_by_the_next_one() {
    let start = || async {
        let ticker = Ticker::cutting(1);
        let (daemon, uri) = daemon_at(&"far://127.0.0.1:0".parse().unwrap(), ticker.clone()).await;
        let clock: ClockProxy = Client::new().connect(&uri).await.unwrap();
        (ticker, daemon, clock.with_max_retries(3))
    };
    // A reference cannot be found again: the second attempt never starts, and the first may have run.
    let (ticker, _daemon, clock) = start().await;
    let child = clock.child().await.unwrap().with_max_retries(3);
    let fault = child.fetch().await.unwrap_err();
    assert!(fault.may_have_run(), "{fault:?}");
    assert_eq!(ticker.runs.load(Ordering::SeqCst), 1);
    // Nobody is there any more for the second attempt.
    let (ticker, daemon, clock) = start().await;
    *ticker.stops.lock().unwrap() = Some((*daemon).clone());
    let fault = clock.fetch().await.unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::Unknown);
    assert_eq!(ticker.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_clients_timeout_holds_for_every_proxy_that_it_makes() {
    let (_daemon, uri) = daemon_at(&memory_uri(), Ticker::default()).await;
    let minute = Duration::from_secs(60);
    let client = Client::builder().timeout(minute).build();
    let clock: ClockProxy = client.connect(&uri).await.unwrap();
    let child = clock.child().await.unwrap();
    let named: ClockProxy = client.peers()[0].object("clock").await.unwrap();
    let dedicated = clock.dedicated().unwrap();
    for proxy in [clock, child, named, dedicated] {
        assert_eq!(proxy.options().timeout, Some(minute));
        assert!(proxy.limited().await.unwrap());
        let patient = proxy.with_timeout(Duration::ZERO);
        assert!(!patient.limited().await.unwrap());
    }
    let dynamic = client.dynamic(&uri).await.unwrap();
    let limited = dynamic.call("limited", serde_json::Value::Null);
    assert_eq!(limited.await.unwrap(), serde_json::json!(true));
}
