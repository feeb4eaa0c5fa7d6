//! Calls that are started now and collected later.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::{Batch, FaultKind, Outcome, Started};
use tokio::sync::{Semaphore, mpsc};

use crate::events::Log;
use crate::support::{Pair, assert_fault};

#[expose]
trait Desk {
    fn note(&self, what: &str) -> u32;
    async fn wait(&self, what: &str) -> u32;
    fn fail(&self) -> Result<u32, String>;
    fn panic(&self);
    fn notes(&self) -> Vec<String>;
}

#[derive(Clone)]
struct Clerk {
    notes: Arc<Mutex<Vec<String>>>,
    gate: Arc<Semaphore>,
}

impl Clerk {
    fn new() -> Self {
        Clerk {
            notes: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Desk for Clerk {
    fn note(&self, what: &str) -> u32 {
        let mut notes = self.notes.lock().unwrap();
        notes.push(what.to_owned());
        u32::try_from(notes.len()).unwrap()
    }
    async fn wait(&self, what: &str) -> u32 {
        let number = self.note(what);
        self.gate.acquire().await.unwrap().forget();
        number
    }
    fn fail(&self) -> Result<u32, String> {
        Err("as the test wants it".to_owned())
    }
    fn panic(&self) {
        panic!("as the test wants it");
    }
    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_call_is_started_now_and_collected_later() {
    let pair = Pair::memory().await;
    let clerk = Clerk::new();
    let far = pair.serve("desk", DeskProxy::new(clerk.clone())).await;
    for desk in [far, DeskProxy::new(clerk.clone())] {
        clerk.notes.lock().unwrap().clear();
        // The argument's borrow ends at once.
        let started = desk.wait(&String::from("1")).start();
        // It was sent before what comes later.
        desk.note("2").await.unwrap();
        assert_eq!(clerk.notes(), ["1", "2"]);
        assert!(!started.is_ready());
        assert!(!started.ready_within(Duration::ZERO).await);
        clerk.gate.add_permits(1);
        assert!(started.ready_within(LONG).await);
        assert!(started.is_ready());
        assert_eq!(started.await.unwrap(), 1);
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_chain_runs_in_order_and_passes_results_and_errors_on() {
    let pair = Pair::tcp().await;
    let clerk = Clerk::new();
    let desk = pair.serve("desk", DeskProxy::new(clerk.clone())).await;
    let (second, third) = (desk.clone(), desk.clone());
    let chain = desk
        .wait("1")
        .start()
        .then(|n| async move { second.note(&format!("{n} 2")).await })
        .then(|n| async move { third.note(&format!("{n} 3")).await });
    desk.note("in between").await.unwrap();
    clerk.gate.add_permits(1);
    assert_eq!(chain.await.unwrap(), 4);
    assert_eq!(clerk.notes(), ["1", "in between", "1 2", "3 3"]);
    // On a result that is there already the next step begins at once.
    let ready = desk.note("4").start();
    assert!(ready.ready_within(LONG).await);
    let (ran, mut has_run) = mpsc::unbounded_channel();
    let next = ready.then(|n| async move {
        ran.send(n).unwrap();
        Ok(n)
    });
    assert_eq!(has_run.try_recv().unwrap(), 5);
    drop(next);
    // An error skips the steps, and is shown to who asks for it.
    let (seen, mut was_seen) = mpsc::unbounded_channel();
    let failed = desk
        .fail()
        .start()
        .then(|n: u32| async move { unreachable!("{n}") })
        .on_error(move |error| seen.send(error.app().cloned()).unwrap());
    let failed: Result<u32, CallError<String>> = failed.await;
    assert!(matches!(failed, Err(CallError::App(_))));
    assert!(was_seen.recv().await.unwrap().is_some());
    drop(desk);
    pair.at_baseline().await;
}

#[tokio::test]
async fn an_error_that_nobody_looks_at_is_logged() {
    let pair = Pair::memory().await;
    let desk = pair.serve("desk", DeskProxy::new(Clerk::new())).await;
    let logged = |log: &Log, text: &str| log.count("WARN", text);
    let (log, _guard) = Log::start();
    // Dropped after its end, and before.
    let ended = desk.fail().start();
    assert!(ended.ready_within(LONG).await);
    assert_eq!(logged(&log, "nobody looked"), 0);
    drop(ended);
    assert_eq!(logged(&log, "nobody looked"), 1);
    drop(desk.fail().start());
    pair.until("the error is logged", |_| {
        logged(&log, "nobody looked") == 2
    })
    .await;
    // Whoever awaits it, or asks for errors, has looked.
    desk.fail().start().await.unwrap_err();
    let looked = desk.fail().start().on_error(|_| ());
    assert!(looked.ready_within(LONG).await);
    drop(looked);
    desk.note("x").start().await.unwrap();
    drop(desk.note("y").start());
    pair.barrier().await;
    assert_eq!(logged(&log, "nobody looked"), 2);
}

#[tokio::test]
async fn batches_are_started_and_collected_later() {
    let pair = Pair::memory().await;
    let clerk = Clerk::new();
    let far = pair.serve("desk", DeskProxy::new(clerk.clone())).await;
    for desk in [far, DeskProxy::new(clerk.clone())] {
        clerk.notes.lock().unwrap().clear();
        let started = farref::batch((desk.wait("1"), desk.note("2"))).start();
        desk.note("3").await.unwrap();
        assert!(!started.is_ready());
        clerk.gate.add_permits(1);
        assert_eq!(started.await.unwrap(), (1, 3));
        let names: Vec<String> = (0..10).map(|n| format!("slot {n}")).collect();
        let mut batch = Batch::new();
        let slots: Vec<_> = names
            .iter()
            .map(|name| batch.add(desk.note(name)))
            .collect();
        let started = batch.start();
        drop(batch);
        drop(names);
        started.await.unwrap();
        for (n, slot) in (4..).zip(slots) {
            assert_eq!(slot.take().unwrap(), n);
        }
        let failed = farref::batch((desk.fail(), desk.note("never"))).start();
        assert!(matches!(failed.await, Err(CallError::App(_))));
        assert!(!clerk.notes().contains(&"never".to_owned()));
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn anything_can_be_started_and_cancelled() {
    let sum: Started<u32, Fault> = farref::start(async { Ok(1 + 1) });
    assert!(sum.is_ready(), "it has nothing to wait for");
    assert_eq!(sum.await.unwrap(), 2);
    let (_kept, mut never) = mpsc::unbounded_channel::<()>();
    let waits: Started<(), Fault> = farref::start(async move {
        never.recv().await;
        Ok(())
    });
    waits.cancel();
    let fault = waits.await.unwrap_err();
    assert_fault(&fault, FaultKind::Cancelled, Outcome::Unknown);
    // A call is cancelled where it runs.
    let pair = Pair::tcp().await;
    let desk = pair.serve("desk", DeskProxy::new(Clerk::new())).await;
    let waits = desk.wait("x").start();
    pair.barrier().await;
    waits.cancel();
    waits.await.unwrap_err();
    drop(desk);
    pair.at_baseline().await;
}

#[test]
fn results_are_collected_without_async() {
    let daemon = farref::blocking::bind("far://127.0.0.1:0").unwrap();
    let clerk = Clerk::new();
    let uri = daemon
        .register("desk", DeskProxy::new(clerk.clone()))
        .unwrap();
    let desk: DeskProxy = farref::blocking::connect(&uri).unwrap();
    let started = desk.wait("1").start();
    assert!(!started.wait_ready(Duration::ZERO).unwrap());
    clerk.gate.add_permits(1);
    assert!(started.wait_ready(LONG).unwrap());
    let other = desk.clone();
    let chain = started.then(|n| async move { other.note(&n.to_string()).await });
    assert_eq!(chain.wait().unwrap(), 2);
    let both = farref::batch((desk.note("3"), desk.note("4"))).start();
    assert_eq!(both.wait().unwrap(), (3, 4));
    desk.panic().start().wait().unwrap_err();
}
