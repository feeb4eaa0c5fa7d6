//! References that lead in a circle through two processes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use farref::prelude::*;

use crate::support::Pair;

#[expose]
trait Knot {
    fn tie(&self, other: KnotProxy);
    async fn length(&self, most: u32) -> u32;
}

#[expose]
trait Rope {
    fn knot(&self) -> KnotProxy;
}

struct Tied {
    alive: Arc<AtomicUsize>,
    other: Mutex<Option<KnotProxy>>,
}

impl Tied {
    fn proxy(alive: &Arc<AtomicUsize>) -> KnotProxy {
        alive.fetch_add(1, Ordering::SeqCst);
        KnotProxy::new(Tied {
            alive: Arc::clone(alive),
            other: Mutex::default(),
        })
    }
}

impl Knot for Tied {
    fn tie(&self, other: KnotProxy) {
        let old = self.other.lock().unwrap().replace(other);
        drop(old);
    }
    async fn length(&self, most: u32) -> u32 {
        let other = self.other.lock().unwrap().clone();
        match other {
            Some(other) if most > 0 => 1 + other.length(most - 1).await.unwrap(),
            _ => 0,
        }
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Coil(Arc<AtomicUsize>);

impl Rope for Coil {
    fn knot(&self) -> KnotProxy {
        Tied::proxy(&self.0)
    }
}

#[tokio::test]
async fn a_circle_of_references_through_two_processes_lives_until_its_session_ends() {
    let pair = Pair::tcp().await;
    let alive = Arc::<AtomicUsize>::default();
    let rope = pair
        .serve("rope", RopeProxy::new(Coil(Arc::clone(&alive))))
        .await;
    let far = rope.knot().await.unwrap();
    let near = Tied::proxy(&alive);
    far.tie(near.clone()).await.unwrap();
    near.tie(far.clone()).await.unwrap();
    assert_eq!(near.length(10).await.unwrap(), 10);
    drop((far, near));
    for _ in 0..10 {
        pair.barrier().await;
    }
    assert_eq!(alive.load(Ordering::SeqCst), 2, "each holds the other");

    let peer = pair.client.peers().remove(0);
    let served = pair.daemon.peers().remove(0);
    peer.close();
    peer.closed().await;
    served.closed().await;
    for _ in 0..1000 {
        if alive.load(Ordering::SeqCst) == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} are still alive", alive.load(Ordering::SeqCst));
}
