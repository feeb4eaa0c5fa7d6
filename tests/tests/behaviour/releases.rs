//! Giving references back: at once, all that is pending, and those that were only lent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use farref::prelude::*;
use farref::{FaultKind, Outcome};

use crate::support::{Pair, assert_fault};

#[expose]
trait Item {
    fn number(&self) -> usize;
    async fn wait(&self);
}

/// Counts those that are alive.
struct Counted(usize, Arc<AtomicUsize>);

impl Counted {
    fn proxy(number: usize, alive: &Arc<AtomicUsize>) -> ItemProxy {
        alive.fetch_add(1, Ordering::SeqCst);
        ItemProxy::new(Counted(number, Arc::clone(alive)))
    }
}

impl Item for Counted {
    fn number(&self) -> usize {
        self.0
    }
    async fn wait(&self) {
        std::future::pending().await
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

#[expose]
trait Shop {
    async fn make(&self, count: usize) -> Vec<ItemProxy>;
    async fn keep(&self, item: ItemProxy);
    async fn kept(&self) -> Option<ItemProxy>;
    async fn ask_kept(&self) -> Result<usize, String>;
}

#[derive(Default)]
struct Corner {
    alive: Arc<AtomicUsize>,
    kept: Mutex<Option<ItemProxy>>,
}

impl Shop for Corner {
    async fn make(&self, count: usize) -> Vec<ItemProxy> {
        (0..count)
            .map(|number| Counted::proxy(number, &self.alive))
            .collect()
    }
    async fn keep(&self, item: ItemProxy) {
        let old = self.kept.lock().unwrap().replace(item);
        drop(old);
    }
    async fn kept(&self) -> Option<ItemProxy> {
        self.kept.lock().unwrap().clone()
    }
    async fn ask_kept(&self) -> Result<usize, String> {
        let kept = self.kept.lock().unwrap().clone().ok_or("nothing is kept")?;
        let number = kept.number().await;
        number.map_err(|fault| format!("{:?} {:?}", fault.kind(), fault.outcome()))
    }
}

async fn shop() -> (Pair, ShopProxy, Arc<AtomicUsize>) {
    let pair = Pair::tcp().await;
    let corner = Corner::default();
    let alive = Arc::clone(&corner.alive);
    let shop = pair.serve("shop", ShopProxy::new(corner)).await;
    (pair, shop, alive)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_is_awaited_has_happened() {
    let (pair, shop, alive) = shop().await;
    for _ in 0..50 {
        let mut items = shop.make(2).await.unwrap();
        let (one, two) = (items.remove(0), items.remove(0));
        let copy = one.clone();
        one.release().await.unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 2, "a clone holds it");
        assert_eq!(copy.number().await.unwrap(), 0);
        copy.release().await.unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        two.release().await.unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }
    // Of a near object, and of one whose session has ended.
    Counted::proxy(1, &alive).release().await.unwrap();
    let item = shop.make(1).await.unwrap().remove(0);
    pair.client.close().await;
    item.release().await.unwrap();
}

#[tokio::test]
async fn the_last_release_of_a_session_is_seen_before_it_ends() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let corner = Corner::default();
    let alive = Arc::clone(&corner.alive);
    let uri = daemon.register("shop", ShopProxy::new(corner)).unwrap();
    let shop: ShopProxy = Client::new().connect(&uri).await.unwrap();
    let item = shop.make(1).await.unwrap().remove(0);
    drop(shop);
    item.release().await.unwrap();
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn pending_releases_are_flushed_on_request() {
    let (pair, shop, alive) = shop().await;
    drop(shop.make(1000).await.unwrap());
    pair.client.flush().await.unwrap();
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    // The other way round: the daemon gives back what its client lent it.
    let mine = Counted::proxy(1, &alive);
    shop.keep(mine.clone()).await.unwrap();
    shop.keep(shop.make(1).await.unwrap().remove(0))
        .await
        .unwrap();
    pair.daemon.peers()[0].flush().await.unwrap();
    assert_eq!(pair.client_tables().exports, 0);
    // Nothing is lost at the end either, though nobody waits for it before.
    drop(shop.make(1000).await.unwrap());
    pair.client.close().await;
    while !pair.daemon.peers().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        alive.load(Ordering::SeqCst),
        2,
        "mine, and the one that is kept"
    );
}

#[tokio::test]
async fn a_lent_reference_ends_with_its_loan() {
    let (pair, shop, alive) = shop().await;
    let mine = Counted::proxy(7, &alive);
    let loan = mine.lend();
    assert_ne!(*loan, mine);
    assert_eq!(loan.proxy(), *loan);
    assert_eq!(loan.number().await.unwrap(), 7);
    shop.keep(loan.proxy()).await.unwrap();
    assert_eq!(shop.ask_kept().await.unwrap(), 7);
    let back = shop.kept().await.unwrap().unwrap();
    assert_eq!(back, *loan, "what comes home is no more than was lent");
    // A call under way runs on.
    let waiting = tokio::spawn({
        let back = back.clone();
        async move { back.wait().await }
    });
    tokio::task::yield_now().await;
    loan.end();
    assert_fault(
        &back.number().await.unwrap_err(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
    let error = shop.ask_kept().await.unwrap_err();
    assert_eq!(error.app().unwrap(), "StaleReference NotStarted");
    assert_eq!(mine.number().await.unwrap(), 7);
    assert!(!waiting.is_finished());
    waiting.abort();
    // A grant of its own does not end.
    shop.keep(mine.clone()).await.unwrap();
    let second = mine.lend();
    drop(second);
    assert_eq!(shop.ask_kept().await.unwrap(), 7);
    shop.keep(shop.make(1).await.unwrap().remove(0))
        .await
        .unwrap();
    drop((mine, back, shop));
    let _ = waiting.await;
    pair.at_baseline().await;
    assert_eq!(
        alive.load(Ordering::SeqCst),
        1,
        "the one that the shop keeps"
    );
}

#[tokio::test]
async fn what_another_process_owns_is_lent_and_a_loan_is_lent_again() {
    let (near_pair, near_shop, alive) = shop().await;
    let (far_pair, far_shop, _) = shop().await;
    let item = near_shop.make(3).await.unwrap().remove(2);
    let loan = item.lend();
    let inner = loan.lend();
    far_shop.keep(inner.proxy()).await.unwrap();
    assert_eq!(far_shop.ask_kept().await.unwrap(), 2);
    // Revoked at its owner, every loan of it is worth nothing; ended in the middle, those behind it.
    drop(loan);
    let error = far_shop.ask_kept().await.unwrap_err();
    assert_eq!(error.app().unwrap(), "StaleReference NotStarted");
    assert_eq!(item.number().await.unwrap(), 2);
    drop((inner, item));
    near_pair.client.flush().await.unwrap();
    assert_eq!(
        alive.load(Ordering::SeqCst),
        0,
        "a loan that ended holds nothing"
    );
    drop((near_shop, far_shop));
    near_pair.at_baseline().await;
    far_pair
        .until("the loan is held", |pair| pair.client_tables().exports <= 1)
        .await;
}

#[tokio::test]
async fn revoking_an_object_ends_its_loans() {
    let (pair, shop, alive) = shop().await;
    let object = Counted::proxy(1, &alive);
    let _ = pair.serve("item", object.clone()).await;
    let loan = object.lend();
    let lent = pair.serve("lent", loan.proxy()).await;
    assert_eq!(lent.number().await.unwrap(), 1);
    pair.daemon.revoke(&object);
    assert_fault(
        &lent.number().await.unwrap_err(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
    drop(shop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_proxies_are_dropped_while_eight_tasks_call() {
    const ITEMS: usize = 100_000;
    const BATCH: usize = 2_000;
    let (pair, shop, alive) = shop().await;
    let dropping = tokio::spawn({
        let shop = shop.clone();
        async move {
            for _ in 0..ITEMS / BATCH {
                let items = shop.make(BATCH).await.unwrap();
                for item in items {
                    drop(item);
                }
            }
        }
    });
    let callers: Vec<_> = (0..8)
        .map(|task| {
            let shop = shop.clone();
            tokio::spawn(async move {
                for round in 0..500 {
                    let count = task + 1;
                    let items = shop.make(count).await.unwrap();
                    let last = items[(round + task) % count].number().await.unwrap();
                    assert_eq!(last, (round + task) % count);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    dropping.await.unwrap();
    pair.client.flush().await.unwrap();
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert_eq!(
        pair.client.peers().len(),
        1,
        "the session that it began with"
    );
    drop(shop);
    pair.at_baseline().await;
}
