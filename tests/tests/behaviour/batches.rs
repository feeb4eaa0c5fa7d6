//! Batches: many calls in one group, run one after the other, with typed results.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::{Context, Waker};
use std::time::Duration;

use farref::prelude::*;
use farref::{Batch, FaultKind, Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::flights::Wire;
use crate::support::{Pair, assert_fault};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Trouble {
    NotFound(String),
}

#[expose]
trait Shelf {
    fn put(&self, book: &str) -> u32;
    fn find(&self, book: &str) -> Result<u32, Trouble>;
    #[oneway]
    fn drop_a_hint(&self, book: &str);
    fn books(&self) -> Vec<String>;
    async fn wait(&self, book: &str) -> u32;
    fn panic(&self);
    fn other(&self) -> Result<(), String>;
    async fn open(&self, name: &str) -> ShelfProxy;
}

struct Wood {
    books: Arc<Mutex<Vec<String>>>,
    gate: Arc<Semaphore>,
}

impl Wood {
    fn new() -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        let wood = Wood {
            books: Arc::default(),
            gate: Arc::clone(&gate),
        };
        (wood, gate)
    }
}

impl Shelf for Wood {
    fn put(&self, book: &str) -> u32 {
        let mut books = self.books.lock().unwrap();
        books.push(book.to_owned());
        u32::try_from(books.len()).unwrap()
    }
    fn find(&self, book: &str) -> Result<u32, Trouble> {
        let books = self.books.lock().unwrap();
        let found = books.iter().position(|known| known == book);
        found
            .map(|place| u32::try_from(place).unwrap())
            .ok_or_else(|| Trouble::NotFound(book.to_owned()))
    }
    fn drop_a_hint(&self, book: &str) {
        self.put(book);
    }
    fn books(&self) -> Vec<String> {
        self.books.lock().unwrap().clone()
    }
    async fn wait(&self, book: &str) -> u32 {
        self.put(&format!("<{book}"));
        self.gate.acquire().await.unwrap().forget();
        self.put(&format!("{book}>"))
    }
    fn panic(&self) {
        panic!("as the test wants it");
    }
    fn other(&self) -> Result<(), String> {
        Ok(())
    }
    async fn open(&self, name: &str) -> ShelfProxy {
        self.put(name);
        ShelfProxy::new(Wood::new().0)
    }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_tuple_of_calls_across_objects_takes_one_round_trip_and_returns_typed_results() {
    let wire = Wire::new().await;
    let one = wire.serve("one", ShelfProxy::new(Wood::new().0)).await;
    let two = wire.serve("two", ShelfProxy::new(Wood::new().0)).await;
    let before = wire.flights();
    let (first, books, second, ()) = farref::batch((
        one.put("a"),
        one.books(),
        two.put("b"),
        two.drop_a_hint("c"),
    ))
    .await
    .unwrap();
    assert_eq!(wire.flights() - before, 1);
    assert_eq!((first, books, second), (1, vec!["a".to_owned()], 1));
    assert_eq!(two.books().await.unwrap(), ["b", "c"]);
    // In every codec.
    for codec in farref::Codec::ALL {
        let two = two.clone().with_codec(codec);
        farref::batch((two.drop_a_hint("d"), two.books()))
            .await
            .unwrap();
        two.drop_a_hint("d").await.unwrap();
    }
    // Methods with an error of their own decide what the batch fails with.
    let (place, count): (u32, u32) = farref::batch((one.find("a"), one.put("d"))).await.unwrap();
    assert_eq!((place, count), (0, 2));
}

#[tokio::test]
async fn a_batch_of_a_number_known_at_run_time_takes_one_round_trip_and_is_used_again() {
    let wire = Wire::new().await;
    let shelf = wire.serve("shelf", ShelfProxy::new(Wood::new().0)).await;
    let mut batch = Batch::new();
    for round in 0..3_u32 {
        let before = wire.flights();
        // The borrow of an argument may be as short as the batch's.
        let names: Vec<String> = (0..500).map(|n| format!("{round}.{n}")).collect();
        let mut batch = Batch::new();
        let slots: Vec<_> = names
            .iter()
            .map(|name| batch.add(shelf.put(name)))
            .collect();
        assert_eq!(batch.len(), 500);
        assert!(!slots[0].is_ready());
        batch.send().await.unwrap();
        assert!(batch.is_empty() && slots[0].is_ready());
        assert_eq!(wire.flights() - before, 1);
        for (n, slot) in (1..).zip(slots) {
            assert_eq!(slot.take().unwrap(), round * 500 + n, "in order");
        }
    }
    for n in 0..3 {
        let slot = batch.add(shelf.books());
        batch.send().await.unwrap();
        assert_eq!(slot.take().unwrap().len(), 1500, "{n}");
    }
    batch.send().await.unwrap();
}

#[tokio::test]
async fn a_batch_is_larger_than_the_room_for_calls() {
    let pair = Pair::memory().await;
    let shelf = pair.serve("shelf", ShelfProxy::new(Wood::new().0)).await;
    let mut batch = Batch::new();
    let slots: Vec<_> = (0..5000).map(|_| batch.add(shelf.put("x"))).collect();
    batch.send().await.unwrap();
    for (n, slot) in (1..).zip(slots) {
        assert_eq!(slot.take().unwrap(), n);
    }
    drop(batch);
    drop(shelf);
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_first_error_stops_a_batch_and_the_rest_was_not_started() {
    let pair = Pair::tcp().await;
    let shelf = pair.serve("shelf", ShelfProxy::new(Wood::new().0)).await;
    let (put, found, after, last) = farref::batch((
        shelf.put("a"),
        shelf.find("b"),
        shelf.put("c"),
        shelf.find("a"),
    ))
    .each()
    .await;
    assert_eq!(put.unwrap(), 1);
    assert!(matches!(found, Err(CallError::App(Trouble::NotFound(book))) if book == "b"));
    let fault = after.unwrap_err();
    assert_fault(&fault, FaultKind::Skipped, Outcome::NotStarted);
    assert!(
        fault.message().contains("`Shelf.put`") && fault.message().contains("`Shelf.find`"),
        "{fault}"
    );
    let fault = last.unwrap_err();
    assert_fault(
        fault.fault().unwrap(),
        FaultKind::Skipped,
        Outcome::NotStarted,
    );
    assert_eq!(shelf.books().await.unwrap(), ["a"]);
    // As a whole it fails with that error.
    let whole = farref::batch((shelf.find("b"), shelf.put("c"))).await;
    assert!(matches!(whole, Err(CallError::App(Trouble::NotFound(_)))));
    // A panic is an error, too, and so is what never leaves.
    let (panicked, skipped) = farref::batch((shelf.panic(), shelf.put("c"))).each().await;
    assert_fault(&panicked.unwrap_err(), FaultKind::Panicked, Outcome::Ran);
    assert_fault(
        &skipped.unwrap_err(),
        FaultKind::Skipped,
        Outcome::NotStarted,
    );
    let large = "x".repeat(5 << 20);
    let (first, large, skipped) =
        farref::batch((shelf.put("d"), shelf.put(&large), shelf.put("e")))
            .each()
            .await;
    assert_eq!(first.unwrap(), 2);
    assert_fault(
        &large.unwrap_err(),
        FaultKind::TooLarge,
        Outcome::NotStarted,
    );
    assert_fault(
        &skipped.unwrap_err(),
        FaultKind::Skipped,
        Outcome::NotStarted,
    );
    let mut batch = Batch::new();
    let slots = [batch.add(shelf.find("nope")), batch.add(shelf.find("a"))];
    assert_fault(
        &batch.send().await.unwrap_err(),
        FaultKind::Skipped,
        Outcome::NotStarted,
    );
    let [nope, skipped] = slots.map(farref::Slot::take);
    assert!(matches!(nope, Err(CallError::App(_))));
    assert!(skipped.is_err());
    drop(batch);
    drop(shelf);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_batch_goes_on_after_an_error_if_asked() {
    let pair = Pair::tcp().await;
    let shelf = pair.serve("shelf", ShelfProxy::new(Wood::new().0)).await;
    let large = "x".repeat(5 << 20);
    let (first, found, large, panicked, last) = farref::batch((
        shelf.put("a"),
        shelf.find("b"),
        shelf.put(&large),
        shelf.panic(),
        shelf.put("c"),
    ))
    .continue_on_error()
    .each()
    .await;
    assert_eq!(first.unwrap(), 1);
    assert!(matches!(found, Err(CallError::App(_))));
    assert_fault(
        &large.unwrap_err(),
        FaultKind::TooLarge,
        Outcome::NotStarted,
    );
    assert_fault(&panicked.unwrap_err(), FaultKind::Panicked, Outcome::Ran);
    assert_eq!(last.unwrap(), 2);
    drop(shelf);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_call_of_a_batch_starts_when_the_one_before_has_ended_and_holds_nobody_else() {
    let pair = Pair::tcp().await;
    let (wood, gate) = Wood::new();
    let shelf = pair.serve("shelf", ShelfProxy::new(wood)).await;
    let same = shelf.clone();
    let mut batch = Box::pin(farref::batch((
        same.wait("a"),
        same.wait("b"),
        same.put("c"),
        same.wait("d"),
    )));
    assert!(poll_once(batch.as_mut()).is_pending());
    // A call that was made behind it does not wait for it.
    assert_eq!(shelf.books().await.unwrap(), ["<a"]);
    gate.add_permits(1);
    pair.until("the second has not started", |_| true).await;
    while shelf.books().await.unwrap().len() < 3 {}
    assert_eq!(shelf.books().await.unwrap(), ["<a", "a>", "<b"]);
    gate.add_permits(2);
    assert_eq!(batch.as_mut().await.unwrap(), (2, 4, 5, 7));
    drop(batch);
    let order = ["<a", "a>", "<b", "b>", "c", "<d", "d>"];
    assert_eq!(shelf.books().await.unwrap(), order);
    drop((shelf, same));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_batch_without_answers_is_sent_and_delays_nobody() {
    let pair = Pair::tcp().await;
    let (wood, gate) = Wood::new();
    let shelf = pair.serve("shelf", ShelfProxy::new(wood)).await;
    farref::batch((shelf.wait("a"), shelf.put("b")))
        .oneway()
        .await
        .unwrap();
    assert_eq!(shelf.books().await.unwrap(), ["<a"], "nobody waits for it");
    gate.add_permits(1);
    while shelf.books().await.unwrap().len() < 3 {}
    assert_eq!(shelf.books().await.unwrap(), ["<a", "a>", "b"]);
    // Its failures are counted where they happened: the error, and the call that it kept from running.
    let mut batch = Batch::new();
    let slot = batch.add(shelf.find("nope"));
    let _ = batch.add(shelf.put("never"));
    batch.send_oneway().await.unwrap();
    assert!(!slot.is_ready());
    pair.barrier().await;
    assert_eq!(pair.daemon.failed_oneways(), 2);
    assert_eq!(shelf.books().await.unwrap().len(), 3);
    drop(batch);
    drop(shelf);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_dropped_batch_is_cancelled_and_what_has_not_begun_never_does() {
    let pair = Pair::tcp().await;
    let (wood, gate) = Wood::new();
    let shelf = pair.serve("shelf", ShelfProxy::new(wood)).await;
    {
        let mut batch = pin!(
            farref::batch((shelf.put("first"), shelf.wait("a"), shelf.put("b")))
                .continue_on_error()
        );
        assert!(poll_once(batch.as_mut()).is_pending());
        while shelf.books().await.unwrap().len() < 2 {}
    }
    pair.until("the calls are cancelled", |pair| {
        pair.daemon_tables().calls_in <= 1
    })
    .await;
    gate.add_permits(1);
    assert_eq!(shelf.books().await.unwrap(), ["first", "<a"]);
    drop(shelf);
    pair.at_baseline().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_and_each_of_its_calls_have_deadlines() {
    let pair = Pair::memory().await;
    let (wood, gate) = Wood::new();
    let shelf = pair.serve("shelf", ShelfProxy::new(wood)).await;
    let second = Duration::from_secs(1);
    let (late, skipped) = farref::batch((shelf.wait("a"), shelf.put("b")))
        .timeout(second)
        .each()
        .await;
    assert_fault(
        &late.unwrap_err(),
        FaultKind::DeadlineExceeded,
        Outcome::Unknown,
    );
    assert!(!skipped.unwrap_err().to_string().is_empty());
    let (late, goes_on) = farref::batch((shelf.wait("c").timeout(second), shelf.put("d")))
        .continue_on_error()
        .each()
        .await;
    assert_fault(
        &late.unwrap_err(),
        FaultKind::DeadlineExceeded,
        Outcome::Unknown,
    );
    goes_on.unwrap();
    drop(gate);
    drop(shelf);
    pair.at_baseline().await;
}

#[tokio::test]
async fn near_calls_and_several_sessions_mix_in_one_batch_in_order() {
    let one = Pair::tcp().await;
    let two = Pair::tcp().await;
    let (wood, _) = Wood::new();
    let books = Arc::clone(&wood.books);
    let near = ShelfProxy::new(wood);
    let far = one.serve("far", near.clone()).await;
    let other = two.serve("far", near.clone()).await;
    let results = farref::batch((
        near.put("a"),
        far.put("b"),
        far.put("c"),
        other.put("d"),
        near.put("e"),
        far.put("f"),
    ))
    .await
    .unwrap();
    assert_eq!(results, (1, 2, 3, 4, 5, 6));
    assert_eq!(*books.lock().unwrap(), ["a", "b", "c", "d", "e", "f"]);
    let (_, stopped, never) = farref::batch((near.put("g"), far.find("x"), other.put("h")))
        .each()
        .await;
    assert!(matches!(stopped, Err(CallError::App(_))));
    assert_fault(&never.unwrap_err(), FaultKind::Skipped, Outcome::NotStarted);
    assert_eq!(books.lock().unwrap().len(), 7);
    drop((far, other));
    one.at_baseline().await;
    two.at_baseline().await;
}

#[tokio::test]
async fn references_travel_in_batches_and_go_back() {
    let pair = Pair::tcp().await;
    let shelf = pair.serve("shelf", ShelfProxy::new(Wood::new().0)).await;
    let (one, two) = farref::batch((shelf.open("one"), shelf.open("two")))
        .await
        .unwrap();
    one.put("x").await.unwrap();
    two.put("y").await.unwrap();
    // Nobody takes these.
    let mut batch = Batch::new();
    let slots = [
        batch.add(shelf.open("three")),
        batch.add(shelf.open("four")),
    ];
    batch.send().await.unwrap();
    drop(slots);
    drop(batch);
    drop((one, two, shelf));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_batch_on_a_lost_session_says_what_may_have_run() {
    let pair = Pair::tcp().await;
    let (wood, _gate) = Wood::new();
    let shelf = pair.serve("shelf", ShelfProxy::new(wood)).await;
    let mut batch = pin!(farref::batch((shelf.wait("a"), shelf.put("b"))).each());
    assert!(poll_once(batch.as_mut()).is_pending());
    while shelf.books().await.unwrap().is_empty() {}
    for peer in pair.daemon.peers() {
        peer.abort();
    }
    let (one, two) = batch.await;
    assert_fault(&one.unwrap_err(), FaultKind::SessionLost, Outcome::Unknown);
    assert_fault(&two.unwrap_err(), FaultKind::SessionLost, Outcome::Unknown);
    // The named object is found again, by the whole batch.
    let results = farref::batch((shelf.put("c"), shelf.put("d")))
        .await
        .unwrap();
    assert_eq!(results, (2, 3));
}

#[tokio::test]
async fn the_first_use_of_an_object_may_be_a_batch() {
    let pair = Pair::memory().await;
    let uri = pair
        .daemon
        .register("shelf", ShelfProxy::new(Wood::new().0))
        .unwrap();
    let one: ShelfProxy = pair.client.lazy(&uri).unwrap();
    let two: ShelfProxy = pair.client.lazy(&uri).unwrap();
    // Two batches that each use both objects first do not wait for each other.
    let results = tokio::join!(
        async { farref::batch((one.put("a"), two.put("b"))).await },
        async { farref::batch((two.put("c"), one.put("d"))).await },
    );
    results.0.unwrap();
    results.1.unwrap();
    assert_eq!(one.books().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_batch_made_by_a_handler_belongs_to_its_chain() {
    #[expose]
    trait Nested {
        async fn go(&self, shelf: ShelfProxy) -> Vec<u32>;
    }
    struct Object;
    impl Nested for Object {
        async fn go(&self, shelf: ShelfProxy) -> Vec<u32> {
            let mut batch = Batch::new();
            // More than there is room for at this depth.
            let slots: Vec<_> = (0..200).map(|_| batch.add(shelf.put("x"))).collect();
            batch.send().await.unwrap();
            slots.into_iter().map(|slot| slot.take().unwrap()).collect()
        }
    }
    let pair = Pair::tcp().await;
    let nested = pair.serve("nested", NestedProxy::new(Object)).await;
    let numbers = nested.go(ShelfProxy::new(Wood::new().0)).await.unwrap();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    drop(nested);
    pair.at_baseline().await;
}

#[test]
fn a_batch_is_waited_for_without_async() {
    let daemon = farref::blocking::bind("far://127.0.0.1:0").unwrap();
    let uri = daemon
        .register("shelf", ShelfProxy::new(Wood::new().0))
        .unwrap();
    let shelf: ShelfProxy = farref::blocking::connect(&uri).unwrap();
    let both = farref::batch((shelf.put("a"), shelf.find("a")))
        .wait()
        .unwrap();
    assert_eq!(both, (1, 0));
    let mut batch = Batch::new();
    let slot = batch.add(shelf.put("b"));
    batch.send().wait().unwrap();
    assert_eq!(slot.take().unwrap(), 2);
    let each = farref::batch((shelf.find("x"), shelf.other()))
        .each()
        .wait();
    assert!(matches!(each.unwrap(), (Err(CallError::App(_)), Err(_))));
}
