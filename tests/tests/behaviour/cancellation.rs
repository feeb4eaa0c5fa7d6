//! Giving up: a call that is dropped or late is cancelled, with all that was done on its behalf.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use farref::prelude::*;
use farref::{FaultKind, Outcome};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::support::{Pair, assert_fault};

#[expose]
trait Worker {
    /// Waits until it is released, or dropped.
    async fn work(&self, name: &str);
    #[no_cancel]
    async fn work_anyway(&self, name: &str);
    #[oneway]
    async fn tell(&self, name: &str);
    /// Works here, and lets the other work meanwhile.
    async fn delegate(&self, name: &str, other: WorkerProxy);
    async fn deadline(&self) -> Option<u64>;
    async fn deadline_of(&self, other: WorkerProxy) -> Option<u64>;
    /// The deadline as a oneway call that is made here sees it.
    async fn deadline_of_oneway(&self, other: WorkerProxy);
    #[oneway]
    async fn report_deadline(&self);
}

#[derive(Clone, Debug, PartialEq)]
enum Event {
    Started(String),
    Dropped(String),
    Ended(String),
    Deadline(Option<u64>),
}

fn started(name: &str) -> Event {
    Event::Started(name.to_owned())
}

fn dropped(name: &str) -> Event {
    Event::Dropped(name.to_owned())
}

fn ended(name: &str) -> Event {
    Event::Ended(name.to_owned())
}

struct Object {
    events: mpsc::UnboundedSender<Event>,
    release: Arc<Notify>,
}

type Events = mpsc::UnboundedReceiver<Event>;

impl Object {
    fn new() -> (Self, Events, Arc<Notify>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let release = Arc::<Notify>::default();
        (
            Object {
                events,
                release: Arc::clone(&release),
            },
            receiver,
            release,
        )
    }

    async fn run(&self, name: &str) {
        let mut on_drop = OnDrop(self.events.clone(), Some(name.to_owned()));
        self.events.send(started(name)).unwrap();
        self.release.notified().await;
        on_drop.1 = None;
        self.events.send(ended(name)).unwrap();
    }
}

/// Says that a handler was dropped before its end.
struct OnDrop(mpsc::UnboundedSender<Event>, Option<String>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(name) = self.1.take() {
            let _ = self.0.send(Event::Dropped(name));
        }
    }
}

/// Milliseconds until the deadline of the current call.
fn deadline() -> Option<u64> {
    let deadline = CallContext::current()?.deadline()?;
    Some(u64::try_from((deadline - Instant::now()).as_millis()).unwrap())
}

impl Worker for Object {
    async fn work(&self, name: &str) {
        self.run(name).await;
    }
    async fn work_anyway(&self, name: &str) {
        self.run(name).await;
    }
    async fn tell(&self, name: &str) {
        self.run(name).await;
    }
    async fn delegate(&self, name: &str, other: WorkerProxy) {
        let theirs = format!("{name}, delegated");
        let (_, ()) = tokio::join!(other.work(&theirs), self.run(name));
    }
    async fn deadline(&self) -> Option<u64> {
        deadline()
    }
    async fn deadline_of(&self, other: WorkerProxy) -> Option<u64> {
        other.deadline().await.unwrap()
    }
    async fn deadline_of_oneway(&self, other: WorkerProxy) {
        other.report_deadline().await.unwrap();
    }
    async fn report_deadline(&self) {
        self.events.send(Event::Deadline(deadline())).unwrap();
    }
}

#[tokio::test]
async fn dropping_a_call_drops_its_handler_at_the_next_await() {
    let pair = Pair::tcp().await;
    let (object, mut events, _release) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    {
        let mut call = Box::pin(worker.work("a"));
        tokio::select! {
            result = &mut call => panic!("{result:?}"),
            event = events.recv() => assert_eq!(event, Some(started("a"))),
        }
    }
    assert_eq!(events.recv().await, Some(dropped("a")));
    drop(worker);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_no_cancel_method_runs_to_its_end() {
    let pair = Pair::tcp().await;
    let (object, mut events, release) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let call = tokio::spawn({
        let worker = worker.clone();
        async move { worker.work_anyway("a").await }
    });
    assert_eq!(events.recv().await, Some(started("a")));
    call.abort();
    assert!(call.await.is_err());
    pair.barrier().await;
    release.notify_one();
    assert_eq!(events.recv().await, Some(ended("a")));
    drop(worker);
    pair.at_baseline().await;
}

#[tokio::test]
async fn nested_calls_are_cancelled_with_the_call_that_made_them() {
    let pair = Pair::tcp().await;
    let (object, mut events, _) = Object::new();
    let (mine, mut my_events, _) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let call = tokio::spawn({
        let worker = worker.clone();
        async move { worker.delegate("a", WorkerProxy::new(mine)).await }
    });
    assert_eq!(events.recv().await, Some(started("a")));
    assert_eq!(my_events.recv().await, Some(started("a, delegated")));
    call.abort();
    assert_eq!(events.recv().await, Some(dropped("a")));
    assert_eq!(my_events.recv().await, Some(dropped("a, delegated")));
    drop(worker);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_oneway_is_not_cancelled() {
    let pair = Pair::tcp().await;
    let (object, mut events, release) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    worker.tell("a").await.unwrap();
    assert_eq!(events.recv().await, Some(started("a")));
    release.notify_one();
    assert_eq!(events.recv().await, Some(ended("a")));
}

#[tokio::test]
async fn handlers_are_dropped_with_their_session_and_no_cancel_ones_run_on() {
    let pair = Pair::tcp().await;
    let (object, mut events, release) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let calls =
        tokio::spawn(async move { tokio::join!(worker.work("a"), worker.work_anyway("b")) });
    assert_eq!(events.recv().await, Some(started("a")));
    assert_eq!(events.recv().await, Some(started("b")));
    pair.client.peers()[0].abort();
    assert_eq!(events.recv().await, Some(dropped("a")));
    release.notify_one();
    assert_eq!(events.recv().await, Some(ended("b")));
    let (a, b) = calls.await.unwrap();
    assert_fault(&a.unwrap_err(), FaultKind::SessionLost, Outcome::Unknown);
    assert_fault(&b.unwrap_err(), FaultKind::SessionLost, Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_call_past_its_deadline_is_dropped_on_both_sides() {
    let pair = Pair::memory().await;
    let (object, mut events, _) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let begun = Instant::now();
    let fault = worker
        .work("a")
        .timeout(Duration::from_secs(5))
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(events.recv().await, Some(started("a")));
    assert_eq!(events.recv().await, Some(dropped("a")));
    // The session lives on, and the late answer confuses nobody.
    assert_eq!(worker.deadline().await.unwrap(), None);
    drop(worker);
    pair.at_baseline().await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_may_be_the_calls_the_proxys_or_the_clients_and_the_earliest_counts() {
    let seconds = Duration::from_secs;
    let pair = Pair::of_memory(Daemon::builder(), Client::builder().timeout(seconds(50))).await;
    let (object, ..) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let left = |milliseconds: Option<u64>| milliseconds.unwrap().div_ceil(1000);
    assert_eq!(left(worker.deadline().await.unwrap()), 50);
    let hasty = worker.clone().with_timeout(seconds(20));
    assert_eq!(left(hasty.deadline().await.unwrap()), 20);
    assert_eq!(
        left(hasty.deadline().timeout(seconds(10)).await.unwrap()),
        10
    );
    assert_eq!(
        left(hasty.deadline().timeout(seconds(30)).await.unwrap()),
        20
    );
    assert_eq!(
        worker
            .with_timeout(Duration::ZERO)
            .deadline()
            .await
            .unwrap(),
        None,
        "zero is no limit"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_travels_with_every_call_made_on_behalf_of_the_call() {
    let pair = Pair::memory().await;
    let (object, ..) = Object::new();
    let (mine, mut my_events, _) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let mine = WorkerProxy::new(mine);
    let left = worker
        .deadline_of(mine.clone())
        .timeout(Duration::from_secs(7))
        .await
        .unwrap();
    assert_eq!(left.unwrap().div_ceil(1000), 7);
    assert_eq!(
        worker.deadline_of(mine.clone()).await.unwrap(),
        None,
        "there is no default timeout"
    );
    // A oneway starts a chain of its own.
    worker
        .deadline_of_oneway(mine)
        .timeout(Duration::from_secs(7))
        .await
        .unwrap();
    assert_eq!(my_events.recv().await, Some(Event::Deadline(None)));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_nested_call_ends_all_of_its_chain() {
    let pair = Pair::memory().await;
    let (object, mut events, _) = Object::new();
    let (mine, mut my_events, _) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let call = worker
        .delegate("a", WorkerProxy::new(mine))
        .timeout(Duration::from_secs(3));
    assert_fault(
        &call.await.unwrap_err(),
        FaultKind::DeadlineExceeded,
        Outcome::Unknown,
    );
    assert_eq!(events.recv().await, Some(started("a")));
    assert_eq!(events.recv().await, Some(dropped("a")));
    assert_eq!(my_events.recv().await, Some(started("a, delegated")));
    assert_eq!(my_events.recv().await, Some(dropped("a, delegated")));
    drop(worker);
    pair.at_baseline().await;
}

/// Limits that let a peer have 16 calls unfinished, the fewest that there are.
fn tight() -> farref::Limits {
    let mut limits = farref::Limits::default();
    limits.calls = 16;
    limits
}

#[tokio::test(start_paused = true)]
async fn a_call_that_still_waits_for_room_never_started() {
    let pair = Pair::of_memory(Daemon::builder().limits(tight()), Client::builder()).await;
    let (object, mut events, release) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let mut calls: Vec<_> = (0..16).map(|_| Box::pin(worker.work("a"))).collect();
    for call in &mut calls {
        assert!(
            call.as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    for _ in 0..16 {
        assert_eq!(events.recv().await, Some(started("a")));
    }
    // A deadline while it waits.
    let fault = worker
        .work("late")
        .timeout(Duration::from_secs(1))
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::NotStarted);
    // Dropped while it waits.
    {
        let mut call = Box::pin(worker.work("given up"));
        assert!(
            call.as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    // One that waits gets its turn when there is room.
    let next = tokio::spawn({
        let worker = worker.clone();
        async move { worker.work("next").await }
    });
    tokio::task::yield_now().await;
    drop(calls.pop());
    assert_eq!(events.recv().await, Some(dropped("a")));
    assert_eq!(
        events.recv().await,
        Some(started("next")),
        "nothing else started meanwhile"
    );
    drop(calls);
    for _ in 0..15 {
        assert_eq!(events.recv().await, Some(dropped("a")));
    }
    release.notify_one();
    next.await.unwrap().unwrap();
    assert_eq!(events.recv().await, Some(ended("next")));
    drop(worker);
    pair.at_baseline().await;
}

#[tokio::test]
async fn calls_and_cancellations_in_any_number_leave_nothing_behind() {
    let pair = Pair::of(Daemon::builder().limits(tight()), Client::builder()).await;
    let (object, mut events, _) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    for round in 0..500 {
        let mut calls: Vec<_> = (0..round % 40)
            .map(|_| Box::pin(worker.work("a")))
            .collect();
        for call in &mut calls {
            assert!(
                call.as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        drop(calls);
        if round % 7 == 0 {
            pair.barrier().await;
        }
    }
    drop(worker);
    pair.at_baseline().await;
    let (mut began, mut gone) = (0, 0);
    while let Ok(event) = events.try_recv() {
        match event {
            Event::Started(_) => began += 1,
            Event::Dropped(_) => gone += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(began, gone, "each handler that started was dropped");
}

#[tokio::test(start_paused = true)]
async fn a_call_has_no_timeout_unless_somebody_says_one() {
    let pair = Pair::memory().await;
    let (object, mut events, release) = Object::new();
    let worker = pair.serve("worker", WorkerProxy::new(object)).await;
    let begun = Instant::now();
    let call = tokio::spawn(async move { worker.work("long").await });
    assert_eq!(events.recv().await.unwrap(), started("long"));
    let day = Duration::from_secs(24 * 60 * 60);
    tokio::time::sleep(day).await;
    assert!(!call.is_finished());
    release.notify_one();
    call.await.unwrap().unwrap();
    assert_eq!(events.recv().await.unwrap(), ended("long"));
    assert!(begun.elapsed() >= day);
}
