//! Serial objects: one call at a time, and an error where a call would wait for itself.

use std::sync::{Arc, Mutex};

use farref::prelude::*;
use farref::{FaultKind, Outcome};
use tokio::sync::{Notify, mpsc};

use crate::support::{Pair, assert_fault};

#[expose]
trait Account {
    /// Calls the other while this object is held.
    async fn call(&self, other: AccountProxy) -> Result<u32, Refusal>;
    /// Waits inside until it is released, and then calls the other.
    async fn call_later(&self, other: AccountProxy) -> Result<u32, Refusal>;
    /// Calls the other, which is to call this one again.
    async fn call_through(&self, other: AccountProxy, me: AccountProxy) -> Result<u32, Refusal>;
    /// Calls the other twice at once.
    async fn call_twice(&self, other: AccountProxy) -> Result<u32, Refusal>;
    async fn balance(&self) -> u32;
    /// Waits inside until it is released.
    async fn hold(&self);
    /// Calls the other from a task that leaves the chain, or takes it along.
    async fn spawn(&self, other: AccountProxy, along: bool);
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Refusal(String, String);

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal(
            format!("{:?} {:?}", fault.kind(), fault.outcome()),
            fault.to_string(),
        )
    }
}

fn refusal(error: CallError<Refusal>) -> Refusal {
    match error {
        CallError::App(refusal) => refusal,
        CallError::Fault(fault) => fault.into(),
    }
}

struct Book {
    entered: mpsc::UnboundedSender<()>,
    release: Arc<Notify>,
    results: Arc<Mutex<Vec<Result<u32, Refusal>>>>,
    spawned: mpsc::UnboundedSender<Result<u32, Refusal>>,
}

struct Events {
    entered: mpsc::UnboundedReceiver<()>,
    release: Arc<Notify>,
    spawned: mpsc::UnboundedReceiver<Result<u32, Refusal>>,
}

impl Book {
    fn new() -> (Self, Events) {
        let (entered, entered_receiver) = mpsc::unbounded_channel();
        let (spawned, spawned_receiver) = mpsc::unbounded_channel();
        let release = Arc::<Notify>::default();
        let book = Book {
            entered,
            release: Arc::clone(&release),
            results: Arc::default(),
            spawned,
        };
        (
            book,
            Events {
                entered: entered_receiver,
                release,
                spawned: spawned_receiver,
            },
        )
    }

    fn serial() -> AccountProxy {
        AccountProxy::serial(Book::new().0)
    }
}

impl Account for Book {
    async fn call(&self, other: AccountProxy) -> Result<u32, Refusal> {
        let _ = self.entered.send(());
        Ok(other.balance().await?)
    }
    async fn call_later(&self, other: AccountProxy) -> Result<u32, Refusal> {
        self.entered.send(()).unwrap();
        self.release.notified().await;
        Ok(other.balance().await?)
    }
    async fn call_through(&self, other: AccountProxy, me: AccountProxy) -> Result<u32, Refusal> {
        other.call(me).await.map_err(refusal)
    }
    async fn call_twice(&self, other: AccountProxy) -> Result<u32, Refusal> {
        let (one, two) = tokio::try_join!(other.balance(), other.balance())?;
        Ok(one + two)
    }
    async fn balance(&self) -> u32 {
        tokio::task::yield_now().await;
        7
    }
    async fn hold(&self) {
        self.entered.send(()).unwrap();
        self.release.notified().await;
        self.results.lock().unwrap().push(Ok(1));
    }
    async fn spawn(&self, other: AccountProxy, along: bool) {
        let spawned = self.spawned.clone();
        let call = async move {
            spawned
                .send(other.balance().await.map_err(Refusal::from))
                .unwrap()
        };
        match along {
            true => drop(tokio::spawn(farref::chain::scope(call))),
            false => drop(tokio::spawn(call)),
        }
        let _ = self.entered.send(());
        self.release.notified().await;
    }
}

#[tokio::test]
async fn a_near_serial_object_that_is_entered_again_refuses_at_once_and_names_both_calls() {
    let account = Book::serial();
    let refusal = refusal(account.call(account.clone()).await.unwrap_err());
    assert_eq!(refusal.0, "WouldDeadlock NotStarted");
    assert!(
        refusal.1.contains("`Account.balance`") && refusal.1.contains("`Account.call`"),
        "{}",
        refusal.1
    );
    assert_eq!(account.balance().await.unwrap(), 7, "it is free again");
}

#[tokio::test]
async fn a_far_serial_object_that_is_entered_again_refuses_at_once() {
    let pair = Pair::tcp().await;
    let account = pair.serve("account", Book::serial()).await;
    // The daemon's object calls mine, and mine calls the daemon's again.
    let mine = AccountProxy::new(Book::new().0);
    let refusal = refusal(
        account
            .call_through(mine, account.clone())
            .await
            .unwrap_err(),
    );
    assert_eq!(refusal.0, "WouldDeadlock NotStarted");
    assert!(
        refusal.1.contains("`Account.balance`") && refusal.1.contains("`Account.call_through`"),
        "{}",
        refusal.1
    );
    assert_eq!(account.balance().await.unwrap(), 7);
    drop(account);
    pair.at_baseline().await;
}

#[tokio::test]
async fn an_object_that_is_not_serial_is_entered_again() {
    let pair = Pair::tcp().await;
    let account = pair
        .serve("account", AccountProxy::new(Book::new().0))
        .await;
    assert_eq!(
        account
            .call_through(Book::serial(), account.clone())
            .await
            .unwrap(),
        7
    );
    drop(account);
    pair.at_baseline().await;
}

#[tokio::test]
async fn siblings_of_one_chain_wait_for_each_other() {
    let pair = Pair::tcp().await;
    let outer = pair.serve("outer", Book::serial()).await;
    let inner = pair.serve("inner", Book::serial()).await;
    assert_eq!(outer.call_twice(inner.clone()).await.unwrap(), 14, "far");
    assert_eq!(
        outer.call_twice(Book::serial()).await.unwrap(),
        14,
        "called back"
    );
    assert_eq!(
        Book::serial().call_twice(Book::serial()).await.unwrap(),
        14,
        "near"
    );
    drop((outer, inner));
    pair.at_baseline().await;
}

#[tokio::test]
async fn other_chains_wait_for_the_object() {
    let pair = Pair::tcp().await;
    let (book, mut events) = Book::new();
    let account = pair.serve("account", AccountProxy::serial(book)).await;
    let holds = tokio::spawn({
        let account = account.clone();
        async move { account.hold().await }
    });
    events.entered.recv().await.unwrap();
    let waits = tokio::spawn({
        let account = account.clone();
        async move { account.balance().await }
    });
    pair.barrier().await;
    assert!(!waits.is_finished());
    events.release.notify_one();
    holds.await.unwrap().unwrap();
    assert_eq!(waits.await.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn a_circle_of_two_chains_is_found_where_all_its_objects_live() {
    let pair = Pair::tcp().await;
    let (one, mut one_events) = Book::new();
    let (two, mut two_events) = Book::new();
    let one = pair.serve("one", AccountProxy::serial(one)).await;
    let two = pair.serve("two", AccountProxy::serial(two)).await;
    // Each holds its object and then wants the other's. The first waits, the second closes the circle.
    let release = async {
        one_events.entered.recv().await.unwrap();
        two_events.entered.recv().await.unwrap();
        one_events.release.notify_one();
        two_events.release.notify_one();
    };
    let (first, second, ()) = tokio::join!(
        one.call_later(two.clone()),
        two.call_later(one.clone()),
        release
    );
    let mut results = [first, second].map(|result| result.map_err(refusal));
    results.sort_by_key(Result::is_err);
    let [served, refused] = results;
    assert_eq!(served, Ok(7), "the other one's way is free again");
    assert_eq!(refused.unwrap_err().0, "WouldDeadlock NotStarted");
    drop((one, two));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_task_that_a_handler_spawned_leaves_the_chain_unless_it_takes_it_along() {
    let pair = Pair::tcp().await;
    let (book, mut events) = Book::new();
    let account = pair.serve("account", AccountProxy::serial(book)).await;
    let call = tokio::spawn({
        let account = account.clone();
        async move { account.spawn(account.clone(), true).await }
    });
    let refused = events.spawned.recv().await.unwrap().unwrap_err();
    assert_eq!(refused.0, "WouldDeadlock NotStarted");
    events.release.notify_one();
    call.await.unwrap().unwrap();

    let call = tokio::spawn({
        let account = account.clone();
        async move { account.spawn(account.clone(), false).await }
    });
    events.entered.recv().await.unwrap();
    events.entered.recv().await.unwrap();
    pair.barrier().await;
    assert!(
        events.spawned.try_recv().is_err(),
        "it waits for the object"
    );
    events.release.notify_one();
    call.await.unwrap().unwrap();
    assert_eq!(events.spawned.recv().await.unwrap(), Ok(7));
}

#[tokio::test]
async fn giving_up_while_waiting_for_the_object_runs_nothing() {
    let pair = Pair::tcp().await;
    let (book, mut events) = Book::new();
    let account = pair.serve("account", AccountProxy::serial(book)).await;
    let holds = tokio::spawn({
        let account = account.clone();
        async move { account.hold().await }
    });
    events.entered.recv().await.unwrap();
    let waits = tokio::spawn({
        let account = account.clone();
        async move { account.hold().await }
    });
    pair.until("the second call waits", |pair| {
        pair.daemon_tables().calls_in == 2
    })
    .await;
    waits.abort();
    pair.until("the second call is cancelled", |pair| {
        pair.daemon_tables().calls_in == 1
    })
    .await;
    events.release.notify_one();
    holds.await.unwrap().unwrap();
    assert_eq!(account.balance().await.unwrap(), 7);
    assert!(events.entered.try_recv().is_err(), "it never entered");
}

#[tokio::test]
async fn a_panic_frees_the_object() {
    #[expose]
    trait Fragile {
        async fn panic(&mut self);
        fn count(&mut self) -> u32;
    }
    struct Object(u32);
    impl Fragile for Object {
        async fn panic(&mut self) {
            self.0 += 1;
            panic!("as the test wants it");
        }
        fn count(&mut self) -> u32 {
            self.0
        }
    }
    let pair = Pair::tcp().await;
    let fragile = pair.serve("fragile", FragileProxy::serial(Object(0))).await;
    assert_fault(
        &fragile.panic().await.unwrap_err(),
        FaultKind::Panicked,
        Outcome::Ran,
    );
    assert_eq!(fragile.count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_oneway_to_itself_starts_a_chain_of_its_own_and_waits_its_turn() {
    #[expose]
    trait Echo {
        async fn call(&self, me: EchoProxy);
        #[oneway]
        async fn tell(&self);
    }
    struct Object(mpsc::UnboundedSender<&'static str>);
    impl Echo for Object {
        async fn call(&self, me: EchoProxy) {
            me.tell().await.unwrap();
            tokio::task::yield_now().await;
            self.0.send("called").unwrap();
        }
        async fn tell(&self) {
            self.0.send("told").unwrap();
        }
    }
    let pair = Pair::tcp().await;
    let (sender, mut events) = mpsc::unbounded_channel();
    let near = EchoProxy::serial(Object(sender));
    let far = pair.serve("echo", near.clone()).await;
    for echo in [near, far] {
        echo.call(echo.clone()).await.unwrap();
        assert_eq!(events.recv().await, Some("called"));
        assert_eq!(events.recv().await, Some("told"));
    }
    pair.at_baseline().await;
}
