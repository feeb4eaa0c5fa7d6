//! Objects that travel as copies or as references, as whoever asks for them wishes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use farref::prelude::*;
use farref::{DynProxy, Passed, Wish, same_object};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::Pair;

/// What a counter is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Count {
    count: u32,
}

#[expose]
trait Counter {
    fn add(&self) -> u32;
}

struct Served(AtomicU32);
impl Counter for Served {
    fn add(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn served(count: Count) -> CounterProxy {
    CounterProxy::new(Served(AtomicU32::new(count.count)))
}

#[expose]
trait Office {
    /// The counter: a copy, unless the caller wishes otherwise.
    fn counter(&self) -> Passed<Count, CounterProxy>;
    /// The same: a reference, unless the caller wishes otherwise.
    fn original(&self) -> Result<Vec<Passed<Count, CounterProxy>>, String>;
    /// One that cannot be copied.
    fn unique(&self) -> Passed<Count, CounterProxy>;
    /// Takes a counter in, and returns where it is now.
    async fn keep(&self, counter: Passed<Count, CounterProxy>) -> CounterProxy;
    /// Counts what was taken in last.
    async fn add_kept(&self) -> u32;
    /// A new counter.
    fn create(&self, start: u32) -> Result<CounterProxy, String>;
    /// Fetches the counter from an office elsewhere, as the caller wishes.
    async fn ask(&self, other: OfficeProxy) -> Passed<Count, CounterProxy>;
}

#[derive(Clone)]
struct Bureau {
    counter: CounterProxy,
    kept: Arc<Mutex<Option<CounterProxy>>>,
}

impl Bureau {
    fn new() -> Self {
        Bureau {
            counter: served(Count { count: 10 }),
            kept: Arc::default(),
        }
    }
}

impl Office for Bureau {
    fn counter(&self) -> Passed<Count, CounterProxy> {
        Passed::as_wished(Wish::Value, || Count { count: 10 }, || self.counter.clone())
    }
    fn original(&self) -> Result<Vec<Passed<Count, CounterProxy>>, String> {
        Ok(vec![Passed::as_wished(
            Wish::Reference,
            || Count { count: 10 },
            || self.counter.clone(),
        )])
    }
    fn unique(&self) -> Passed<Count, CounterProxy> {
        Passed::Reference(self.counter.clone())
    }
    async fn keep(&self, counter: Passed<Count, CounterProxy>) -> CounterProxy {
        let counter = counter.into_proxy(served);
        *self.kept.lock().unwrap() = Some(counter.clone());
        counter
    }
    async fn add_kept(&self) -> u32 {
        let kept = self.kept.lock().unwrap().clone().unwrap();
        kept.add().await.unwrap()
    }
    fn create(&self, start: u32) -> Result<CounterProxy, String> {
        match start {
            0 => Err("counters begin at 1".to_owned()),
            count => Ok(served(Count { count })),
        }
    }
    async fn ask(&self, other: OfficeProxy) -> Passed<Count, CounterProxy> {
        // Wishes are for the method that is called, and do not travel on.
        other.counter().await.unwrap()
    }
}

async fn office() -> (Pair, OfficeProxy) {
    let pair = Pair::memory().await;
    let office = pair.serve("office", OfficeProxy::new(Bureau::new())).await;
    (pair, office)
}

#[tokio::test]
async fn an_object_is_fetched_by_value_or_by_reference_as_the_caller_wishes() {
    let (pair, far) = office().await;
    let near = OfficeProxy::new(Bureau::new());
    for office in [&far, &near] {
        let copy = Passed::Value(Count { count: 10 });
        assert_eq!(office.counter().await.unwrap(), copy);
        assert_eq!(office.counter().by_value().await.unwrap(), copy);
        let counter = office.counter().by_reference().await.unwrap();
        let counter = counter.proxy().unwrap();
        assert_eq!(counter.is_near(), office.is_near());

        let copies = office.original().by_value().await.unwrap();
        assert_eq!(copies, [copy]);
        let original = office.original().await.unwrap().remove(0).proxy().unwrap();
        assert!(same_object(&original, &counter));
        // A reference shows what changes, and a copy does not.
        counter.add().await.unwrap();
        assert_eq!(original.add().await.unwrap(), 12);
        assert_eq!(copies[0].clone().value().unwrap().count, 10);
    }
    drop(far);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_wish_is_no_order() {
    let (_pair, office) = office().await;
    let unique = office.unique().by_value().await.unwrap();
    assert_eq!(unique.proxy().unwrap().add().await.unwrap(), 11);
    // And it is for one method.
    let elsewhere = OfficeProxy::new(Bureau::new());
    let asked = office.ask(elsewhere).by_reference().await.unwrap();
    assert_eq!(asked, Passed::Value(Count { count: 10 }));
    assert_eq!(Wish::of_caller(), None);
}

#[tokio::test]
async fn tools_wish_too() {
    let (_pair, office) = office().await;
    let office = DynProxy::of(&office).await.unwrap();
    let count = office.call("counter", json!(null)).await.unwrap();
    assert_eq!(count, json!({"Value": {"count": 10}}));
    let office = office.with_wish(Wish::Reference);
    let reply = office.call_full("counter", json!(null)).await.unwrap();
    assert_eq!(reply.references(), 1);
    let counter = reply.dynamic(0).await.unwrap();
    assert_eq!(counter.call("add", json!(null)).await.unwrap(), json!(11));
    let office = office.with_wish(None);
    let reply = office.call_full("counter", json!(null)).await.unwrap();
    assert_eq!(reply.references(), 0);
}

#[tokio::test]
async fn an_object_moves_to_the_server_or_is_offered_to_it() {
    let (pair, office) = office().await;
    // By its value: it goes on counting over there.
    let moved = office
        .keep(Passed::Value(Count { count: 5 }))
        .await
        .unwrap();
    assert!(!moved.is_near());
    assert_eq!(moved.add().await.unwrap(), 6);
    assert_eq!(office.add_kept().await.unwrap(), 7);
    // By reference: it stays, and comes home as itself.
    let mine = served(Count { count: 100 });
    let offered = office.keep(Passed::Reference(mine.clone())).await.unwrap();
    assert!(offered.is_near());
    assert_eq!(offered, mine);
    assert_eq!(office.add_kept().await.unwrap(), 101);
    assert_eq!(mine.add().await.unwrap(), 102);
    office
        .keep(Passed::Value(Count { count: 0 }))
        .await
        .unwrap();
    drop((moved, office));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_constructor_is_a_method_that_returns_a_proxy() {
    let (pair, office) = office().await;
    let (one, other) = (
        office.create(1).await.unwrap(),
        office.create(1).await.unwrap(),
    );
    assert_ne!(one, other);
    assert_eq!((one.add().await.unwrap(), one.add().await.unwrap()), (2, 3));
    assert_eq!(other.add().await.unwrap(), 2);
    let error = office.create(0).await.unwrap_err();
    assert_eq!(error.app().unwrap(), "counters begin at 1");
    // Whoever made one holds it, and lets it go.
    drop((one, other, office));
    pair.at_baseline().await;
}
