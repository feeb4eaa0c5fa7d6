//! Factories: each session gets an object of its own, made when it first asks and dropped with the session.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use farref::prelude::*;
use farref::{FaultKind, Outcome, same_object};
use tokio::sync::Semaphore;

use crate::support::{Pair, assert_fault};

#[expose]
trait Counter {
    /// Counts one up.
    fn next(&self) -> u32;
}

#[expose]
trait Account: Counter {
    #[oneway]
    async fn note(&self, word: String);
    async fn notes(&self) -> Vec<String>;
    /// Whether this very account came home.
    async fn is_home(&self, account: AccountProxy) -> bool;
}

/// What all accounts of a test report to.
#[derive(Default)]
struct Bank {
    made: AtomicU32,
    alive: AtomicU32,
}

struct Book {
    bank: Arc<Bank>,
    count: AtomicU32,
    notes: Mutex<Vec<String>>,
}

impl Book {
    fn proxy(bank: &Arc<Bank>) -> AccountProxy {
        bank.made.fetch_add(1, Ordering::SeqCst);
        bank.alive.fetch_add(1, Ordering::SeqCst);
        AccountProxy::new(Book {
            bank: Arc::clone(bank),
            count: AtomicU32::new(0),
            notes: Mutex::default(),
        })
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.bank.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counter for Book {
    fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl Account for Book {
    async fn note(&self, word: String) {
        self.notes.lock().unwrap().push(word);
    }
    async fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
    async fn is_home(&self, account: AccountProxy) -> bool {
        account.is_near()
    }
}

fn bank(pair: &Pair) -> (Uri, Arc<Bank>) {
    let bank = Arc::new(Bank::default());
    let maker = Arc::clone(&bank);
    let made = move |_: &_| Ok(Book::proxy(&maker));
    (pair.daemon.register_factory("account", made).unwrap(), bank)
}

#[tokio::test]
async fn each_session_has_an_object_of_its_own_until_it_ends() {
    let pair = Pair::tcp().await;
    let (uri, bank) = bank(&pair);
    assert_eq!(bank.made.load(Ordering::SeqCst), 0, "nobody asked yet");
    let mine: AccountProxy = pair.client.connect(&uri).await.unwrap();
    assert_eq!(bank.made.load(Ordering::SeqCst), 1);
    let other = Client::new();
    let yours: AccountProxy = other.connect(&uri).await.unwrap();
    assert_eq!(bank.made.load(Ordering::SeqCst), 2);
    assert_eq!(
        (mine.next().await.unwrap(), mine.next().await.unwrap()),
        (1, 2)
    );
    assert_eq!(yours.next().await.unwrap(), 1);
    assert!(!same_object(&mine, &yours));

    drop(mine);
    let again: CounterProxy = pair.client.connect(&uri).await.unwrap();
    assert_eq!(
        again.next().await.unwrap(),
        3,
        "the session's object outlives its proxies"
    );

    other.close().await;
    pair.until("the object outlived its session", |_| {
        bank.alive.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(
        yours.next().await.unwrap(),
        1,
        "a new session has a new object"
    );
    drop(again);
    other.close().await;
    while pair.daemon.peers().len() > 1 {
        pair.barrier().await;
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn proxies_of_one_session_share_the_object_and_it_comes_home_near() {
    let pair = Pair::tcp().await;
    let (uri, bank) = bank(&pair);
    let account: AccountProxy = pair.client.connect(&uri).await.unwrap();
    let counter: CounterProxy = pair.client.connect(&uri).await.unwrap();
    assert!(same_object(&account, &counter));
    assert_eq!(account.next().await.unwrap(), 1);
    assert_eq!(counter.next().await.unwrap(), 2);
    assert!(account.is_home(account.clone()).await.unwrap());
    assert_eq!(bank.made.load(Ordering::SeqCst), 1);
    assert_eq!(
        pair.daemon.registered().into_iter().collect::<Vec<_>>(),
        [("account".to_owned(), "Account".to_owned())]
    );
}

#[tokio::test]
async fn calls_sent_along_with_the_bind_find_the_object() {
    let pair = Pair::tcp().await;
    let (uri, _bank) = bank(&pair);
    let account: AccountProxy = pair.client.lazy(&uri).unwrap();
    account.note("first".to_owned()).await.unwrap();
    assert_eq!(account.notes().await.unwrap(), ["first"]);
}

#[tokio::test]
async fn errors_and_panics_of_a_factory_fail_the_calls_and_the_next_bind_tries_again() {
    let pair = Pair::tcp().await;
    let bank = Arc::new(Bank::default());
    let attempts = AtomicU32::new(0);
    let maker = Arc::clone(&bank);
    let make = move |_: &_| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Fault::new(
            FaultKind::Overloaded,
            Outcome::Unknown,
            "no more accounts today",
        )),
        1 => panic!("as the test wants it"),
        _ => Ok(Book::proxy(&maker)),
    };
    let uri = pair.daemon.register_factory("account", make).unwrap();
    let connected = pair.client.connect::<AccountProxy>(&uri).await;
    let fault = connected.unwrap_err();
    assert_fault(&fault, FaultKind::Overloaded, Outcome::NotStarted);
    assert!(fault.message().contains("no more accounts today"));

    let account: AccountProxy = pair.client.lazy(&uri).unwrap();
    assert_fault(
        &account.next().await.unwrap_err(),
        FaultKind::Panicked,
        Outcome::NotStarted,
    );
    assert_eq!(account.next().await.unwrap(), 1);
    assert_eq!(bank.made.load(Ordering::SeqCst), 1);
    drop(account);
    pair.at_baseline().await;
}

/// A factory that waits until it is let.
fn slow_bank(pair: &Pair) -> (Uri, Arc<Bank>, Arc<Semaphore>) {
    let bank = Arc::new(Bank::default());
    let gate = Arc::new(Semaphore::new(0));
    let (maker, entrance) = (Arc::clone(&bank), Arc::clone(&gate));
    let make = move |_: farref::Peer| {
        let (bank, gate) = (Arc::clone(&maker), Arc::clone(&entrance));
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Book::proxy(&bank))
        }
    };
    let uri = pair.daemon.register_async_factory("account", make).unwrap();
    (uri, bank, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_for_an_async_factory_start_in_their_order() {
    let pair = Pair::tcp().await;
    let (uri, bank, gate) = slow_bank(&pair);
    let account: AccountProxy = pair.client.lazy(&uri).unwrap();
    let words: Vec<_> = (0..100).map(|word| word.to_string()).collect();
    for (index, word) in words.iter().enumerate() {
        account.note(word.clone()).await.unwrap();
        if index == 50 {
            // They have arrived, and the object is not there; the rest comes while those start.
            pair.barrier().await;
            assert_eq!(bank.made.load(Ordering::SeqCst), 0);
            gate.add_permits(1);
        }
    }
    assert_eq!(account.notes().await.unwrap(), words);
    assert_eq!(bank.made.load(Ordering::SeqCst), 1);
    drop(account);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_bind_that_is_given_up_leaves_the_object_to_others() {
    let pair = Pair::tcp().await;
    let (uri, bank, gate) = slow_bank(&pair);
    let connecting = pair.client.connect::<AccountProxy>(&uri);
    let barrier = pair.barrier();
    tokio::select! {
        biased;
        _ = connecting => panic!("the factory waits"),
        () = barrier => {}
    }
    gate.add_permits(1);
    let account: AccountProxy = pair.client.connect(&uri).await.unwrap();
    assert_eq!(account.next().await.unwrap(), 1);
    assert_eq!(bank.made.load(Ordering::SeqCst), 1);
    drop(account);
    pair.at_baseline().await;
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_end_of_the_session_ends_its_factory() {
    let pair = Pair::tcp().await;
    let dropped = Arc::new(AtomicBool::new(false));
    let started = Arc::new(Semaphore::new(0));
    let (flag, begun) = (Arc::clone(&dropped), Arc::clone(&started));
    let make = move |_: farref::Peer| {
        let held = Dropped(Arc::clone(&flag));
        begun.add_permits(1);
        async move {
            let _held = held;
            std::future::pending::<farref::Result<AccountProxy>>().await
        }
    };
    let uri = pair.daemon.register_async_factory("account", make).unwrap();
    let client = Client::new();
    let account: AccountProxy = client.lazy(&uri).unwrap();
    let call = tokio::spawn(async move { account.next().await });
    started.acquire().await.unwrap().forget();
    client.close().await;
    let fault = call.await.unwrap().unwrap_err();
    assert_eq!(fault.kind(), FaultKind::SessionLost);
    pair.until("the factory outlived its session", |_| {
        dropped.load(Ordering::SeqCst)
    })
    .await;
}

#[tokio::test]
async fn unregistering_a_factory_leaves_sessions_what_they_have_and_revoking_does_not() {
    let pair = Pair::tcp().await;
    let accounts: Arc<Mutex<Vec<AccountProxy>>> = Arc::default();
    let bank = Arc::new(Bank::default());
    let (maker, kept) = (Arc::clone(&bank), Arc::clone(&accounts));
    let make = move |_: &_| {
        let account = Book::proxy(&maker);
        kept.lock().unwrap().push(account.clone());
        Ok(account)
    };
    let uri = pair.daemon.register_factory("account", make).unwrap();
    let account: AccountProxy = pair.client.connect(&uri).await.unwrap();
    assert!(pair.daemon.unregister("account"));
    assert_eq!(account.next().await.unwrap(), 1);
    let connected = pair.client.connect::<AccountProxy>(&uri).await;
    assert_eq!(
        connected.unwrap_err().kind(),
        FaultKind::NoSuchObject,
        "the name is gone"
    );

    let near = accounts.lock().unwrap().pop().unwrap();
    pair.daemon.revoke(&near);
    assert_fault(
        &account.next().await.unwrap_err(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
    drop(near);
    assert_eq!(bank.alive.load(Ordering::SeqCst), 0);
}
