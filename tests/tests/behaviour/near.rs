//! A near call keeps the rules of a far one, and encodes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farref::prelude::*;
use farref::{FaultKind, Outcome};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::{Notify, mpsc};

use crate::support::assert_fault;

/// A value that cannot be encoded or decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Inert(u32);

impl Serialize for Inert {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("encoded"))
    }
}

impl<'de> Deserialize<'de> for Inert {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("decoded"))
    }
}

#[expose]
trait Near {
    async fn inert(&self, value: &Inert) -> Inert;
    async fn address(&self, text: &str) -> usize;
    async fn panic(&self);
    async fn wait(&self);
    #[no_cancel]
    async fn wait_anyway(&self);
    #[oneway]
    async fn tell(&self, text: &str);
    async fn peer(&self) -> bool;
}

#[derive(Default)]
struct Events {
    release: Notify,
    dropped: AtomicBool,
}

struct Object {
    events: Arc<Events>,
    told: mpsc::UnboundedSender<String>,
}

impl Object {
    fn new() -> (Self, Arc<Events>, mpsc::UnboundedReceiver<String>) {
        let events = Arc::<Events>::default();
        let (told, receiver) = mpsc::unbounded_channel();
        (
            Object {
                events: Arc::clone(&events),
                told,
            },
            events,
            receiver,
        )
    }
}

/// Notes that a handler was dropped.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Near for Object {
    async fn inert(&self, value: &Inert) -> Inert {
        *value
    }
    async fn address(&self, text: &str) -> usize {
        text.as_ptr() as usize
    }
    async fn panic(&self) {
        panic!("the password is swordfish");
    }
    async fn wait(&self) {
        let _dropped = OnDrop(&self.events.dropped);
        self.told.send("waiting".into()).unwrap();
        self.events.release.notified().await;
    }
    async fn wait_anyway(&self) {
        self.told.send("waiting".into()).unwrap();
        self.events.release.notified().await;
        self.told.send("done".into()).unwrap();
    }
    async fn tell(&self, text: &str) {
        self.told.send(text.to_owned()).unwrap();
    }
    async fn peer(&self) -> bool {
        CallContext::current().unwrap().peer().is_some()
    }
}

#[tokio::test]
async fn a_near_call_encodes_nothing_and_lends_its_arguments() {
    let (object, ..) = Object::new();
    let near = NearProxy::new(object);
    assert!(near.is_near() && near.uri().is_none());
    assert_eq!(near.inert(&Inert(1)).await.unwrap(), Inert(1));
    let text = String::from("here");
    assert_eq!(
        near.address(&text).await.unwrap(),
        text.as_ptr() as usize,
        "not a copy"
    );
    assert!(!near.peer().await.unwrap(), "a near call has no peer");
}

#[tokio::test]
async fn a_near_panic_is_contained() {
    let (object, ..) = Object::new();
    let near = NearProxy::new(object);
    let fault = near.panic().await.unwrap_err();
    assert_fault(&fault, FaultKind::Panicked, Outcome::Ran);
    assert!(!format!("{fault:?}").contains("swordfish"));
}

#[tokio::test(start_paused = true)]
async fn a_near_call_has_a_deadline() {
    let (object, events, _told) = Object::new();
    let near = NearProxy::new(object);
    let fault = near
        .wait()
        .timeout(Duration::from_secs(5))
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
    assert!(events.dropped.load(Ordering::SeqCst));
    let fault = near
        .with_timeout(Duration::from_secs(1))
        .wait()
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
}

#[tokio::test]
async fn dropping_a_near_call_drops_its_handler() {
    let (object, events, mut told) = Object::new();
    let near = NearProxy::new(object);
    let call = tokio::spawn(async move { near.wait().await });
    told.recv().await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert!(events.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_near_no_cancel_call_runs_on_when_its_caller_is_gone() {
    let (object, events, mut told) = Object::new();
    let near = NearProxy::new(object);
    let call = tokio::spawn(async move { near.wait_anyway().await });
    assert_eq!(told.recv().await.unwrap(), "waiting");
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    events.release.notify_one();
    assert_eq!(told.recv().await.unwrap(), "done");
}

#[tokio::test]
async fn a_near_oneway_is_queued_and_outlives_its_arguments() {
    let (object, _, mut told) = Object::new();
    let near = NearProxy::new(object);
    {
        let text = String::from("short-lived");
        near.tell(&text).await.unwrap();
    }
    assert!(told.try_recv().is_err(), "the caller did not wait for it");
    assert_eq!(told.recv().await.unwrap(), "short-lived");
    near.wait().oneway().await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "waiting");
}

#[tokio::test]
async fn near_oneways_start_in_order() {
    let (object, _, mut told) = Object::new();
    let near = NearProxy::new(object);
    for n in 0..100 {
        near.tell(&n.to_string()).await.unwrap();
    }
    for n in 0..100 {
        assert_eq!(told.recv().await.unwrap(), n.to_string());
    }
}

#[tokio::test]
async fn near_calls_of_a_serial_object_enter_one_at_a_time() {
    let (object, events, mut told) = Object::new();
    let near = NearProxy::serial(object);
    let holds = {
        let near = near.clone();
        tokio::spawn(async move { near.wait().await })
    };
    assert_eq!(told.recv().await.unwrap(), "waiting");
    let waits = {
        let near = near.clone();
        tokio::spawn(async move { near.inert(&Inert(1)).await })
    };
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    events.release.notify_one();
    holds.await.unwrap().unwrap();
    assert_eq!(waits.await.unwrap().unwrap(), Inert(1));
}

#[test]
fn a_near_call_needs_no_runtime() {
    let (object, ..) = Object::new();
    let near = NearProxy::new(object);
    let mut call = std::pin::pin!(near.inert(&Inert(2)));
    let polled = call
        .as_mut()
        .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, std::task::Poll::Ready(Ok(Inert(2)))));
}
