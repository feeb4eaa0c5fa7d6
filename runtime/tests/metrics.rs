//! What a recorder of the crate `metrics` is told: `cargo test -p farref --features metrics,testing --test metrics`.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use farref::metrics::metrics;
use farref::prelude::*;
use farref::testing::Pair;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Keeps all that it is told, by name and labels: `name{label=value,..}`.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<BTreeMap<String, f64>>>);

struct One(Told, String);

impl One {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.0.0.lock().unwrap().entry(self.1.clone()).or_default());
    }
}

impl CounterFn for One {
    fn increment(&self, value: u64) {
        self.change(|known| *known += value as f64);
    }
    fn absolute(&self, value: u64) {
        self.change(|known| *known = value as f64);
    }
}

impl GaugeFn for One {
    fn increment(&self, value: f64) {
        self.change(|known| *known += value);
    }
    fn decrement(&self, value: f64) {
        self.change(|known| *known -= value);
    }
    fn set(&self, value: f64) {
        self.change(|known| *known = value);
    }
}

impl HistogramFn for One {
    /// Counts how many values there were.
    fn record(&self, _: f64) {
        self.change(|known| *known += 1.0);
    }
}

impl Told {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(One(self.clone(), name))
    }

    fn get(&self, name: &str) -> f64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0.0)
    }

    #[track_caller]
    fn assert(&self, expected: &[(&str, f64)]) {
        for (name, value) in expected {
            let all = self.0.lock().unwrap();
            let found = all.get(*name).copied().unwrap_or(0.0);
            assert!(found == *value, "{name}: {found}, not {value}, in {all:#?}");
        }
    }
}

impl Recorder for Told {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

#[expose]
trait Clock {
    fn tick(&self) -> u32;
    fn fail(&self) -> Result<(), String>;
    fn panic(&self);
    #[idempotent]
    async fn hang(&self) -> u32;
    #[oneway]
    fn note(&self);
    fn another(&self) -> ClockProxy;
    fn ticks(&self) -> impl Stream<Item = u32>;
}

struct Endless;

impl Stream for Endless {
    type Item = u32;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        Poll::Ready(Some(1))
    }
}

struct Object;

impl Clock for Object {
    fn tick(&self) -> u32 {
        1
    }
    fn fail(&self) -> Result<(), String> {
        Err("as it was asked to".to_owned())
    }
    fn panic(&self) {
        panic!("as it was asked to");
    }
    async fn hang(&self) -> u32 {
        std::future::pending().await
    }
    fn note(&self) {}
    fn another(&self) -> ClockProxy {
        ClockProxy::new(Object)
    }
    fn ticks(&self) -> impl Stream<Item = u32> {
        Endless
    }
}

async fn clock() -> (Pair, ClockProxy) {
    let pair = Pair::new().await.unwrap();
    let clock = pair.serve("clock", ClockProxy::new(Object)).await.unwrap();
    (pair, clock)
}

fn call(direction: &str, method: &str, outcome: &str) -> String {
    format!(
        "farref_calls_total{{direction={direction},interface=Clock,method={method},outcome={outcome}}}"
    )
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_on_both_sides_by_how_they_end() {
    let told = Told::default();
    let _recording = metrics::set_default_local_recorder(&told);
    let (pair, clock) = clock().await;
    for _ in 0..3 {
        clock.tick().await.unwrap();
    }
    // The long way counts like the short one.
    clock.tick().timeout(Duration::from_secs(1)).await.unwrap();
    clock.fail().await.unwrap_err();
    clock.panic().await.unwrap_err();
    clock.note().await.unwrap();
    let in_flight = [
        "farref_calls_in_flight{direction=out}",
        "farref_calls_in_flight{direction=in}",
    ];
    {
        let before = in_flight.map(|name| told.get(name));
        let hanging = tokio::time::timeout(Duration::from_secs(1), clock.hang());
        let looking = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            in_flight.map(|name| told.get(name))
        };
        let (gone, meanwhile) = tokio::join!(hanging, looking);
        assert!(gone.is_err());
        assert_eq!(meanwhile, before.map(|count| count + 1.0));
    }
    let late = clock.hang().timeout(Duration::from_secs(1)).await;
    late.unwrap_err();
    clock.tick().await.unwrap();

    for direction in ["out", "in"] {
        for (method, outcome, count) in [
            ("tick", "ok", 5.0),
            ("fail", "error", 1.0),
            ("panic", "panicked", 1.0),
            ("note", "ok", 1.0),
        ] {
            told.assert(&[(&call(direction, method, outcome), count)]);
        }
    }
    told.assert(&[
        (&call("out", "hang", "dropped"), 1.0),
        (&call("out", "hang", "deadline_exceeded"), 1.0),
        (
            "farref_call_seconds{direction=out,interface=Clock,method=tick}",
            5.0,
        ),
        (
            "farref_call_seconds{direction=in,interface=Clock,method=hang}",
            2.0,
        ),
        (in_flight[0], 0.0),
        (in_flight[1], 0.0),
        ("farref_sessions{}", 2.0),
    ]);
    drop(clock);
    pair.client.close().await;
    pair.daemon.shutdown(Shutdown::default()).await;
    told.assert(&[("farref_sessions{}", 0.0)]);
    // Whatever one side took, the other gave.
    let bytes = told.get("farref_bytes_total{direction=out}");
    assert!(bytes > 500.0);
    told.assert(&[("farref_bytes_total{direction=in}", bytes)]);
}

#[tokio::test(start_paused = true)]
async fn calls_of_batches_and_on_promises_are_counted_and_near_ones_are_not() {
    let told = Told::default();
    let _recording = metrics::set_default_local_recorder(&told);
    let (_pair, clock) = clock().await;
    let mut batch = farref::Batch::new();
    let failed = (batch.add(clock.tick()), batch.add(clock.fail()));
    let skipped = batch.add(clock.tick());
    batch.send().await.unwrap_err();
    assert!(failed.0.take().is_ok() && failed.1.take().is_err() && skipped.take().is_err());
    let another = clock.another().pipeline();
    another.note().await.unwrap();
    let near = ClockProxy::new(Object);
    near.note().await.unwrap();
    near.tick().start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for direction in ["out", "in"] {
        told.assert(&[
            (&call(direction, "tick", "ok"), 1.0),
            (&call(direction, "fail", "error"), 1.0),
            (&call(direction, "tick", "skipped"), 1.0),
            (&call(direction, "another", "ok"), 1.0),
            (&call(direction, "note", "ok"), 1.0),
            (
                &format!("farref_calls_in_flight{{direction={direction}}}"),
                0.0,
            ),
        ]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_made_again_counts_once_where_it_is_made() {
    let told = Told::default();
    let _recording = metrics::set_default_local_recorder(&told);
    let (_pair, clock) = clock().await;
    let patient = clock
        .with_attempt_timeout(Duration::from_secs(1))
        .with_max_retries(2);
    patient.hang().await.unwrap_err();
    patient.tick().await.unwrap();
    told.assert(&[
        (&call("out", "hang", "deadline_exceeded"), 1.0),
        (
            "farref_call_seconds{direction=in,interface=Clock,method=hang}",
            3.0,
        ),
        ("farref_calls_in_flight{direction=in}", 0.0),
    ]);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_go_on_and_what_they_send_again_are_counted() {
    let told = Told::default();
    let _recording = metrics::set_default_local_recorder(&told);
    let (pair, clock) = clock().await;
    told.assert(&[("farref_resumes_total{}", 0.0)]);
    pair.link().cut_after(pair.client_host(), 10);
    clock.tick().await.unwrap();
    // Both sides are in this process.
    told.assert(&[("farref_resumes_total{}", 2.0)]);
    let again = told.get("farref_retransmitted_bytes_total{}");
    assert!((1.0..1000.0).contains(&again), "{again}");
    pair.link().cut();
    clock.tick().await.unwrap();
    told.assert(&[("farref_resumes_total{}", 4.0)]);
}

#[tokio::test(start_paused = true)]
async fn references_and_streams_are_counted_while_there_are_some() {
    let told = Told::default();
    let _recording = metrics::set_default_local_recorder(&told);
    let (pair, clock) = clock().await;
    let names = [
        "farref_references{direction=out}",
        "farref_references{direction=in}",
        "farref_streams{direction=out}",
        "farref_streams{direction=in}",
    ];
    let later = async || {
        // Long enough for both sides to have looked.
        tokio::time::sleep(Duration::from_secs(3)).await;
        names.map(|name| told.get(name))
    };
    let before = later().await;
    let another = clock.another().await.unwrap();
    let mut ticks = clock.ticks();
    ticks.next().await.unwrap().unwrap();
    let change = |now: [f64; 4]| -> Vec<f64> {
        now.iter()
            .zip(before)
            .map(|(now, before)| now - before)
            .collect()
    };
    assert_eq!(change(later().await), [1.0; 4]);
    drop((another, ticks));
    assert_eq!(change(later().await), [0.0; 4]);
    drop(clock);
    pair.client.close().await;
    pair.daemon.shutdown(Shutdown::default()).await;
    assert_eq!(later().await, [0.0; 4]);
}
