//! References whose interface is not known where they are kept.

use std::sync::Mutex;

use farref::prelude::*;
use farref::{AnyProxy, FaultKind, Outcome};

use crate::support::{Pair, assert_fault};

#[expose]
trait Bell {
    fn ring(&self) -> String;
}

#[expose]
trait Lamp {
    fn light(&self) -> u32;
}

struct Brass;
impl Bell for Brass {
    fn ring(&self) -> String {
        "ding".to_owned()
    }
}

#[expose]
trait Shelf {
    fn put(&self, objects: Vec<AnyProxy>);
    fn take(&self) -> Vec<AnyProxy>;
    fn is_it(&self, object: AnyProxy) -> bool;
    fn home(&self) -> AnyProxy;
    /// Its own bell, if the caller passes it.
    async fn ring_mine(&self, object: AnyProxy) -> Option<String>;
}

struct Board {
    objects: Mutex<Vec<AnyProxy>>,
    mine: BellProxy,
}

impl Shelf for Board {
    fn put(&self, objects: Vec<AnyProxy>) {
        *self.objects.lock().unwrap() = objects;
    }
    fn take(&self) -> Vec<AnyProxy> {
        std::mem::take(&mut self.objects.lock().unwrap())
    }
    fn is_it(&self, object: AnyProxy) -> bool {
        self.objects.lock().unwrap().contains(&object)
    }
    fn home(&self) -> AnyProxy {
        AnyProxy::of(&self.mine)
    }
    async fn ring_mine(&self, object: AnyProxy) -> Option<String> {
        let bell: BellProxy = object.downcast().ok().filter(Proxy::is_near)?;
        bell.ring().await.ok()
    }
}

#[tokio::test]
async fn references_of_any_interface_cross_and_come_home() {
    let pair = Pair::tcp().await;
    let board = Board {
        objects: Mutex::default(),
        mine: BellProxy::new(Brass),
    };
    let shelf = pair.serve("shelf", ShelfProxy::new(board)).await;
    let bell = BellProxy::new(Brass);
    let one = AnyProxy::of(&bell);
    let other = AnyProxy::of(&BellProxy::new(Brass));
    assert!(one.is_near());
    assert_eq!(one, AnyProxy::of(&bell));
    assert_ne!(one, other);

    shelf.put(vec![one.clone(), other.clone()]).await.unwrap();
    assert!(shelf.is_it(one.clone()).await.unwrap());
    let third = AnyProxy::of(&BellProxy::new(Brass));
    assert!(!shelf.is_it(third).await.unwrap());
    // Home again, they are the objects themselves.
    let taken = shelf.take().await.unwrap();
    assert_eq!(taken, [one, other]);
    assert_eq!(taken[0].downcast::<BellProxy>().unwrap(), bell);
    let fault = taken[0].downcast::<LampProxy>().unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);

    // One from elsewhere: its interface is found out by calls.
    let far = shelf.home().await.unwrap();
    assert!(!far.is_near());
    assert_eq!(far, shelf.home().await.unwrap());
    let far_bell: BellProxy = far.downcast().unwrap();
    assert_eq!(far_bell.ring().await.unwrap(), "ding");
    let lamp: LampProxy = far.downcast().unwrap();
    let fault = lamp.light().await.unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchMethod, Outcome::NotStarted);
    assert_eq!(shelf.ring_mine(far).await.unwrap().unwrap(), "ding");
    assert_eq!(shelf.ring_mine(AnyProxy::of(&bell)).await.unwrap(), None);

    drop((taken, bell, far_bell, lamp, shelf));
    pair.at_baseline().await;
}
