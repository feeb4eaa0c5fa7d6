//! Calls that are made again: after a timeout and after a lost session, so often and for so long, and only if that is safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use farref::prelude::*;
use farref::{FaultKind, Outcome, ProxyOptions};
use tokio::time::Instant;

use crate::support::{Pair, assert_fault, memory_uri};

const SECOND: Duration = Duration::from_secs(1);

#[expose]
trait Gauge {
    /// How often it was asked.
    #[idempotent]
    async fn read(&self) -> u32;
    async fn charge(&self) -> u32;
    /// Reads another, as often as that proxy makes its calls again.
    async fn relay(&self, other: GaugeProxy) -> Result<u32, String>;
    #[no_cancel]
    #[idempotent]
    async fn finish(&self) -> u32;
}

#[derive(Clone, Default)]
struct Object {
    /// How many of the first calls never end by themselves.
    hangs: u32,
    runs: Arc<AtomicU32>,
    dropped: Arc<AtomicU32>,
    /// The deadlines that the handlers saw, in seconds from when they started.
    deadlines: Arc<std::sync::Mutex<Vec<u64>>>,
}

/// Counts handlers that were dropped.
struct OnDrop(Arc<AtomicU32>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Object {
    fn hanging(hangs: u32) -> Self {
        Object {
            hangs,
            ..Object::default()
        }
    }

    async fn run(&self) -> u32 {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(deadline) = CallContext::current().and_then(|call| call.deadline()) {
            let left = (deadline - Instant::now()).as_secs_f64().round() as u64;
            self.deadlines.lock().unwrap().push(left);
        }
        if run <= self.hangs {
            let _on_drop = OnDrop(Arc::clone(&self.dropped));
            std::future::pending::<()>().await;
        }
        run
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Gauge for Object {
    async fn read(&self) -> u32 {
        self.run().await
    }
    async fn charge(&self) -> u32 {
        self.run().await
    }
    async fn relay(&self, other: GaugeProxy) -> Result<u32, String> {
        let patient = other.with_attempt_timeout(SECOND).with_max_retries(9);
        patient.read().await.map_err(|fault| fault.to_string())
    }
    async fn finish(&self) -> u32 {
        self.run().await
    }
}

async fn gauge(pair: &Pair, object: &Object) -> GaugeProxy {
    pair.serve("gauge", GaugeProxy::new(object.clone())).await
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_cancelled_and_made_again() {
    let pair = Pair::memory().await;
    let object = Object::hanging(2);
    let gauge = gauge(&pair, &object).await;
    let patient = gauge.with_attempt_timeout(SECOND).with_max_retries(3);
    let begun = Instant::now();
    assert_eq!(patient.read().await.unwrap(), 3);
    assert_eq!(begun.elapsed().as_secs(), 2, "one second for each in vain");
    pair.barrier().await;
    assert_eq!(object.dropped.load(Ordering::SeqCst), 2);
    assert_eq!(*object.deadlines.lock().unwrap(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn attempts_have_an_end_and_the_last_one_says_so() {
    let pair = Pair::memory().await;
    let object = Object::hanging(u32::MAX);
    let gauge = gauge(&pair, &object).await;
    let begun = Instant::now();
    let patient = gauge
        .clone()
        .with_attempt_timeout(SECOND)
        .with_max_retries(3);
    let fault = patient.read().await.unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
    assert_eq!((begun.elapsed().as_secs(), object.runs()), (4, 4));

    // A timeout bounds all of them together, and so does the call's own.
    let begun = Instant::now();
    let bounded = patient.clone().with_timeout(SECOND * 5 / 2);
    let fault = bounded.read().await.unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
    assert_eq!(begun.elapsed().as_millis(), 2500);
    assert_eq!(object.runs(), 4 + 3);
    let begun = Instant::now();
    patient.read().timeout(SECOND * 2).await.unwrap_err();
    assert_eq!((begun.elapsed().as_secs(), object.runs()), (2, 7 + 2));

    // Without a word about attempts, a timeout is the end.
    let begun = Instant::now();
    let fault = gauge
        .with_timeout(SECOND)
        .with_max_retries(3)
        .read()
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
    assert_eq!((begun.elapsed().as_secs(), object.runs()), (1, 9 + 1));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_run_twice_is_never_made_again_after_a_timeout() {
    let client = Client::builder().attempt_timeout(SECOND).max_retries(3);
    let pair = Pair::of_memory(Daemon::builder(), client).await;
    let object = Object::hanging(1);
    let gauge = gauge(&pair, &object).await;
    // It takes as long as it takes.
    let fault = gauge.charge().timeout(SECOND * 9).await.unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
    assert_eq!(object.runs(), 1);
    assert_eq!(*object.deadlines.lock().unwrap(), [9]);
    // Unless the proxy was told to.
    let object = Object::hanging(1);
    let uri = pair
        .daemon
        .register("other", GaugeProxy::new(object.clone()))
        .unwrap();
    let bold = pair.client.connect::<GaugeProxy>(&uri).await.unwrap();
    let bold = bold.with_options(ProxyOptions {
        retry_all: true,
        ..ProxyOptions::default()
    });
    assert_eq!(bold.charge().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_clients_choice_holds_for_its_proxies_and_a_handler_that_goes_on_runs_beside_the_next()
{
    let client = Client::builder().attempt_timeout(SECOND).max_retries(1);
    let pair = Pair::of_memory(Daemon::builder(), client).await;
    let object = Object::hanging(1);
    let gauge = gauge(&pair, &object).await;
    assert_eq!(gauge.finish().await.unwrap(), 2);
    pair.barrier().await;
    assert_eq!(
        object.dropped.load(Ordering::SeqCst),
        0,
        "it runs to its end, whoever waits"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_call_on_whose_behalf_it_is_made_bounds_all_attempts() {
    let pair = Pair::memory().await;
    let object = Object::hanging(u32::MAX);
    let gauge = gauge(&pair, &object).await;
    let far_off = Pair::memory().await;
    let uri = far_off
        .daemon
        .register("other", GaugeProxy::new(object.clone()))
        .unwrap();
    let other: GaugeProxy = pair.client.connect(&uri).await.unwrap();
    let begun = Instant::now();
    let fault = gauge
        .relay(other)
        .timeout(SECOND * 7 / 2)
        .await
        .unwrap_err();
    assert!(
        matches!(&fault, CallError::Fault(fault) if fault.kind() == FaultKind::DeadlineExceeded)
    );
    assert_eq!(begun.elapsed().as_millis(), 3500);
    far_off.barrier().await;
    assert_eq!(object.runs(), 4, "at 0, 1, 2 and 3 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_and_a_timeout_count_alike() {
    /// Ends its caller's session the first time, hangs the second time, and then answers.
    struct Unlucky(Object);
    impl Gauge for Unlucky {
        async fn read(&self) -> u32 {
            if self.0.runs() == 0 {
                CallContext::current().unwrap().peer().unwrap().abort();
            }
            self.0.run().await
        }
        async fn charge(&self) -> u32 {
            self.read().await
        }
        async fn relay(&self, _: GaugeProxy) -> Result<u32, String> {
            Ok(self.read().await)
        }
        async fn finish(&self) -> u32 {
            self.read().await
        }
    }
    for (retries, expected) in [(2, Some(3)), (1, None)] {
        let daemon = Daemon::bind(memory_uri()).await.unwrap();
        let object = Object::hanging(2);
        let uri = daemon
            .register("gauge", GaugeProxy::new(Unlucky(object.clone())))
            .unwrap();
        let gauge: GaugeProxy = Client::new().connect(&uri).await.unwrap();
        let begun = Instant::now();
        let read = gauge
            .with_attempt_timeout(SECOND)
            .with_max_retries(retries)
            .read()
            .await;
        assert_eq!(begun.elapsed().as_secs(), 1);
        match expected {
            Some(expected) => assert_eq!(read.unwrap(), expected),
            None => {
                let fault = read.unwrap_err();
                assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
            }
        }
    }
}
