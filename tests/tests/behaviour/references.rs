//! References: equal without a round trip, home again as near objects, and dropped with their last holder.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use farref::prelude::*;
use farref::{FaultKind, Outcome, same_object};
use serde::{Deserialize, Serialize};

use crate::support::{Pair, assert_fault};

#[expose]
trait Item {
    fn id(&self) -> u32;
}

/// Counts those that are alive.
struct Counted(u32, Arc<AtomicUsize>);

impl Counted {
    fn proxy(id: u32, alive: &Arc<AtomicUsize>) -> ItemProxy {
        alive.fetch_add(1, Ordering::SeqCst);
        ItemProxy::new(Counted(id, Arc::clone(alive)))
    }
}

impl Item for Counted {
    fn id(&self) -> u32 {
        self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parcel {
    label: String,
    item: ItemProxy,
    more: Vec<ItemProxy>,
    maybe: Option<ItemProxy>,
    by_name: HashMap<String, ItemProxy>,
}

#[expose]
trait Shop {
    async fn make(&self, id: u32) -> ItemProxy;
    async fn make_many(&self, count: u32) -> Vec<ItemProxy>;
    async fn try_make(&self, id: u32) -> Result<Option<ItemProxy>, u32>;
    /// Whether the item is an object of the shop's own process.
    async fn is_near(&self, item: ItemProxy) -> bool;
    async fn id_of(&self, item: &ItemProxy) -> Result<u32, String>;
    async fn same(&self, one: ItemProxy, other: ItemProxy) -> bool;
    async fn echo(&self, parcel: Parcel) -> Parcel;
    async fn keep(&self, item: ItemProxy);
    async fn kept(&self) -> Option<ItemProxy>;
    async fn forget(&self);
    async fn id_of_kept(&self) -> Result<u32, String>;
    async fn fail_with_item(&self, item: ItemProxy, n: NonZero) -> u32;
}

/// Decodes nothing but numbers that are not zero.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct NonZero(std::num::NonZeroU32);

#[derive(Default)]
struct Corner {
    alive: Arc<AtomicUsize>,
    kept: Mutex<Option<ItemProxy>>,
}

impl Shop for Corner {
    async fn make(&self, id: u32) -> ItemProxy {
        Counted::proxy(id, &self.alive)
    }
    async fn make_many(&self, count: u32) -> Vec<ItemProxy> {
        (0..count)
            .map(|id| Counted::proxy(id, &self.alive))
            .collect()
    }
    async fn try_make(&self, id: u32) -> Result<Option<ItemProxy>, u32> {
        match id {
            0 => Ok(None),
            1..100 => Ok(Some(Counted::proxy(id, &self.alive))),
            _ => Err(id),
        }
    }
    async fn is_near(&self, item: ItemProxy) -> bool {
        item.is_near()
    }
    async fn id_of(&self, item: &ItemProxy) -> Result<u32, String> {
        item.id()
            .await
            .map_err(|fault| format!("{:?}", fault.kind()))
    }
    async fn same(&self, one: ItemProxy, other: ItemProxy) -> bool {
        one == other
    }
    async fn echo(&self, parcel: Parcel) -> Parcel {
        parcel
    }
    async fn keep(&self, item: ItemProxy) {
        let old = self.kept.lock().unwrap().replace(item);
        drop(old);
    }
    async fn kept(&self) -> Option<ItemProxy> {
        self.kept.lock().unwrap().clone()
    }
    async fn forget(&self) {
        let old = self.kept.lock().unwrap().take();
        drop(old);
    }
    async fn id_of_kept(&self) -> Result<u32, String> {
        let kept = self
            .kept
            .lock()
            .unwrap()
            .clone()
            .ok_or("nothing was kept")?;
        kept.id()
            .await
            .map_err(|fault| format!("{:?} {:?}", fault.kind(), fault.outcome()))
    }
    async fn fail_with_item(&self, item: ItemProxy, n: NonZero) -> u32 {
        item.id().await.unwrap() + n.0.get()
    }
}

/// A pair whose daemon has a shop, and the number of items of the shop that are alive.
async fn shop() -> (Pair, ShopProxy, Arc<AtomicUsize>) {
    let pair = Pair::tcp().await;
    let corner = Corner::default();
    let alive = Arc::clone(&corner.alive);
    let shop = pair.serve("shop", ShopProxy::new(corner)).await;
    (pair, shop, alive)
}

/// Waits until that many items are alive.
async fn until_alive(pair: &Pair, alive: &AtomicUsize, count: usize) {
    pair.until("items are alive that nobody holds", |_| {
        alive.load(Ordering::SeqCst) == count
    })
    .await;
}

#[tokio::test]
async fn dropping_the_last_far_proxy_drops_the_object() {
    let (pair, shop, alive) = shop().await;
    let item = shop.make(7).await.unwrap();
    assert_eq!(item.id().await.unwrap(), 7);
    let clone = item.clone();
    drop(item);
    pair.barrier().await;
    assert_eq!(clone.id().await.unwrap(), 7);
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    drop(clone);
    until_alive(&pair, &alive, 0).await;
    drop(shop);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_thousand_references_come_and_go() {
    let (pair, shop, alive) = shop().await;
    for _ in 0..4 {
        let items = shop.make_many(1000).await.unwrap();
        assert_eq!(items[999].id().await.unwrap(), 999);
        assert_eq!(pair.daemon_tables().exports, 1000);
        drop(items);
        until_alive(&pair, &alive, 0).await;
    }
    drop(shop);
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_end_of_the_session_drops_what_only_it_held() {
    let (pair, shop, alive) = shop().await;
    let item = shop.make(7).await.unwrap();
    pair.client.close().await;
    while !pair.daemon.peers().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert_fault(
        &item.id().await.unwrap_err(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
    assert!(
        shop.kept().await.unwrap().is_none(),
        "a named object is found again"
    );
}

#[tokio::test]
async fn proxies_of_one_object_are_equal_without_a_round_trip() {
    let (pair, shop, alive) = shop().await;
    shop.keep(Counted::proxy(1, &alive)).await.unwrap();
    let mine = shop.make(1).await.unwrap();
    shop.keep(mine.clone()).await.unwrap();
    let again = shop.kept().await.unwrap().unwrap();
    let other = shop.make(1).await.unwrap();
    let before = pair.client_tables();
    assert_eq!(mine, again);
    assert_ne!(mine, other);
    assert!(same_object(&mine, &again) && !same_object(&mine, &other));
    #[expect(
        clippy::mutable_key_type,
        reason = "what changes inside a proxy has no part in its hash"
    )]
    let set: HashSet<ItemProxy> = [mine.clone(), again.clone(), other.clone()].into();
    assert_eq!(set.len(), 2);
    assert_eq!(pair.client_tables().unsent, before.unsent);
    assert!(shop.same(mine.clone(), again).await.unwrap());
    assert!(!shop.same(mine, other).await.unwrap());
    // A near object and its reference that came home, and two proxies by URI.
    let near = Counted::proxy(2, &alive);
    assert_eq!(near, near.clone());
    let uri = shop.uri().unwrap();
    let lazy: ShopProxy = pair.client.lazy(uri).unwrap();
    assert_eq!(lazy, shop);
}

#[tokio::test]
async fn proxies_of_what_one_arc_holds_are_equal_however_often_it_is_shared() {
    let (pair, shop, _) = shop().await;
    let alive = Arc::new(AtomicUsize::new(2));
    let [object, other] = [1, 1].map(|id| Arc::new(Counted(id, Arc::clone(&alive))));
    let one = ItemProxy::shared(Arc::clone(&object));
    let again: ItemProxy = Object::shared(Arc::clone(&object)).limit(3).proxy();
    let different = ItemProxy::shared(other);
    assert_eq!(one, again);
    assert!(same_object(&one, &again));
    assert_ne!(one, different);
    #[expect(
        clippy::mutable_key_type,
        reason = "what changes inside a proxy has no part in its hash"
    )]
    let set: HashSet<ItemProxy> = [one.clone(), again.clone(), different.clone()].into();
    assert_eq!(set.len(), 2);
    // So they are to whoever gets them.
    assert!(shop.same(one.clone(), again.clone()).await.unwrap());
    assert!(!shop.same(one.clone(), different).await.unwrap());
    shop.keep(one.clone()).await.unwrap();
    let kept = shop.kept().await.unwrap().unwrap();
    assert!(kept.is_near() && kept == again);
    // What is made when nobody refers to the object any more is of another one.
    shop.forget().await.unwrap();
    drop((set, one, again, kept));
    pair.until("somebody else holds it", |_| {
        Arc::strong_count(&object) == 1
    })
    .await;
    assert_eq!(alive.load(Ordering::SeqCst), 1, "the application does");
    let later = ItemProxy::shared(object);
    assert_eq!(shop.id_of(&later).await.unwrap(), 1);
}

#[tokio::test]
async fn a_reference_comes_home_as_the_near_object() {
    let (pair, shop, alive) = shop().await;
    // Mine, there and back.
    let mine = Counted::proxy(1, &alive);
    assert!(!shop.is_near(mine.clone()).await.unwrap());
    shop.keep(mine.clone()).await.unwrap();
    let back = shop.kept().await.unwrap().unwrap();
    assert!(back.is_near(), "no detour over the network");
    assert_eq!(back, mine);
    // Theirs, here and back.
    let theirs = shop.make(2).await.unwrap();
    assert!(!theirs.is_near());
    assert!(shop.is_near(theirs.clone()).await.unwrap());
    assert_eq!(shop.id_of(&theirs).await.unwrap(), 2);
    shop.forget().await.unwrap();
    drop((mine, back, theirs, shop));
    pair.at_baseline().await;
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn references_travel_inside_any_value_and_in_every_codec() {
    let (pair, shop, alive) = shop().await;
    for codec in farref::Codec::ALL {
        let shop = shop.clone().with_codec(codec);
        let theirs = shop.make(1).await.unwrap();
        let parcel = Parcel {
            label: "parcel".into(),
            item: Counted::proxy(10, &alive),
            more: vec![theirs.clone(), Counted::proxy(11, &alive), theirs.clone()],
            maybe: Some(Counted::proxy(12, &alive)),
            by_name: [("theirs".to_owned(), theirs.clone())].into(),
        };
        let back = shop.echo(parcel.clone()).await.unwrap();
        assert_eq!(back.item, parcel.item);
        assert_eq!(back.more, parcel.more);
        assert_eq!(back.maybe, parcel.maybe);
        assert_eq!(back.by_name, parcel.by_name);
        assert!(back.item.is_near() && !back.more[0].is_near() && back.more[1].is_near());
        assert_eq!(back.by_name["theirs"].id().await.unwrap(), 1);
        assert!(shop.try_make(0).await.unwrap().is_none());
        assert_eq!(
            shop.try_make(5).await.unwrap().unwrap().id().await.unwrap(),
            5
        );
        assert_eq!(shop.try_make(100).await.unwrap_err().app(), Some(&100));
    }
    drop(shop);
    pair.at_baseline().await;
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn references_in_calls_that_fail_leak_nothing() {
    let (pair, shop, alive) = shop().await;
    let item = Counted::proxy(1, &alive);
    // An unknown object.
    let nobody: ShopProxy = pair
        .client
        .lazy(pair.daemon.uris()[0].with_object("nobody"))
        .unwrap();
    nobody.keep(item.clone()).await.unwrap_err();
    // A call that is given up, whose reply brings a reference.
    for _ in 0..20 {
        let mut call = Box::pin(shop.make(1));
        assert!(
            std::future::Future::poll(
                call.as_mut(),
                &mut std::task::Context::from_waker(std::task::Waker::noop())
            )
            .is_pending()
        );
    }
    // A value beside it that does not encode.
    shop.fail_with_item(item.clone(), NonZero(1.try_into().unwrap()))
        .await
        .unwrap();
    drop((nobody, shop));
    pair.at_baseline().await;
    until_alive(&pair, &alive, 1).await;
    drop(item);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn unregistering_a_name_leaves_references_alive() {
    let (pair, shop, alive) = shop().await;
    let item = pair.serve("item", Counted::proxy(1, &alive)).await;
    assert!(pair.daemon.unregister("item") && !pair.daemon.unregister("item"));
    assert_eq!(item.id().await.unwrap(), 1, "it is held");
    let uri = pair.daemon.uris()[0].with_object("item");
    let fault = pair.client.connect::<ItemProxy>(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchObject, Outcome::NotStarted);
    drop((item, shop));
    pair.at_baseline().await;
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn revoking_ends_all_references() {
    let (pair, shop, alive) = shop().await;
    let object = Counted::proxy(1, &alive);
    let named = pair.serve("item", object.clone()).await;
    // And one without a name.
    shop.keep(named.clone()).await.unwrap();
    let held = shop.kept().await.unwrap().unwrap();
    assert_eq!(
        (held.id().await.unwrap(), named.id().await.unwrap()),
        (1, 1)
    );
    pair.daemon.revoke(&object);
    assert_fault(
        &held.id().await.unwrap_err(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
    assert_fault(
        &named.id().await.unwrap_err(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
    assert_eq!(
        object.id().await.unwrap(),
        1,
        "the object itself is untouched"
    );
    assert!(pair.daemon.registered().keys().all(|name| name != "item"));
    shop.forget().await.unwrap();
    drop((held, named, object, shop));
    pair.at_baseline().await;
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_reference_passed_on_works_through_the_middleman() {
    let (near_pair, near_shop, alive) = shop().await;
    let (far_pair, far_shop, _) = shop().await;
    // An item of one daemon is given to another by this process, which is then in the middle.
    let item = near_shop.make(7).await.unwrap();
    far_shop.keep(item.clone()).await.unwrap();
    assert_eq!(far_shop.id_of_kept().await.unwrap(), 7);
    drop(item);
    near_pair.barrier().await;
    assert_eq!(
        far_shop.id_of_kept().await.unwrap(),
        7,
        "it is a grant of its own"
    );
    let back = far_shop.kept().await.unwrap().unwrap();
    assert_eq!(back.id().await.unwrap(), 7);
    drop(back);
    far_shop.forget().await.unwrap();
    far_pair.barrier().await;
    until_alive(&near_pair, &alive, 0).await;
    drop((near_shop, far_shop));
    near_pair.at_baseline().await;
    far_pair.at_baseline().await;
}

#[tokio::test]
async fn a_daemon_serves_a_proxy_to_an_object_elsewhere() {
    let (near_pair, near_shop, alive) = shop().await;
    let far_pair = Pair::tcp().await;
    let forwarded = far_pair.serve("forwarded", near_shop.clone()).await;
    let item = forwarded.make(9).await.unwrap();
    assert_eq!(item.id().await.unwrap(), 9);
    assert_eq!(forwarded.id_of(&item).await.unwrap(), 9);
    assert!(
        forwarded.is_near(item.clone()).await.unwrap(),
        "it came home through the middleman"
    );
    assert_eq!(forwarded.try_make(500).await.unwrap_err().app(), Some(&500));
    drop((item, forwarded));
    far_pair.at_baseline().await;
    until_alive(&near_pair, &alive, 0).await;
}

#[tokio::test]
async fn a_proxy_is_written_only_into_calls() {
    let (_pair, shop, alive) = shop().await;
    let item = Counted::proxy(1, &alive);
    let error = serde_json::to_string(&item).unwrap_err();
    assert!(
        error.to_string().contains("keep its URI instead"),
        "{error}"
    );
    assert!(serde_json::from_str::<ItemProxy>("0").is_err());
    let _ = shop;
}
