//! Errors by blame and by outcome: a call that failed says whose fault it was, and whether it may have run.

use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use farref::prelude::*;
use farref::{FaultKind, Outcome};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::support::{Pair, assert_fault};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum MediaError {
    NotFound { name: String },
    Broken(Vec<u8>),
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "media: {self:?}")
    }
}

impl std::error::Error for MediaError {}

/// Decodes nothing but even numbers, and encodes nothing above 100.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Picky(u32);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 > 100 {
            return Err(serde::ser::Error::custom("more than 100"));
        }
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            odd if odd % 2 == 1 => Err(serde::de::Error::custom("an odd number")),
            even => Ok(Picky(even)),
        }
    }
}

#[expose]
trait Fallible {
    async fn find(&self, name: &str) -> Result<u32, MediaError>;
    async fn panic(&self, when: u32) -> u32;
    fn picky(&self, first: u32, picky: Picky) -> Picky;
    async fn pass_on(&self, other: FallibleProxy) -> Result<u32, MediaError>;
    #[blocking]
    fn panic_blocking(&self);
    fn ran(&self) -> u32;
    fn large(&self, size: u32) -> Vec<u8>;
}

#[derive(Default)]
struct Object {
    ran: AtomicU32,
}

impl Fallible for Object {
    async fn find(&self, name: &str) -> Result<u32, MediaError> {
        match name {
            "there" => Ok(1),
            "broken" => Err(MediaError::Broken(vec![0, 255])),
            _ => Err(MediaError::NotFound {
                name: name.to_owned(),
            }),
        }
    }
    async fn panic(&self, when: u32) -> u32 {
        assert_ne!(when, 0, "the password is swordfish");
        tokio::task::yield_now().await;
        assert_ne!(when, 1, "the password is swordfish");
        when
    }
    fn picky(&self, first: u32, picky: Picky) -> Picky {
        self.ran.fetch_add(1, Ordering::Relaxed);
        Picky(first + picky.0)
    }
    async fn pass_on(&self, other: FallibleProxy) -> Result<u32, MediaError> {
        match other.find("elsewhere").await {
            Ok(n) => Ok(n),
            Err(CallError::App(error)) => Err(error),
            Err(CallError::Fault(fault)) => Err(MediaError::NotFound {
                name: fault.to_string(),
            }),
        }
    }
    fn panic_blocking(&self) {
        panic!("the password is swordfish");
    }
    fn ran(&self) -> u32 {
        self.ran.load(Ordering::Relaxed)
    }
    fn large(&self, size: u32) -> Vec<u8> {
        vec![0; usize::try_from(size).unwrap()]
    }
}

#[tokio::test]
async fn the_methods_own_error_arrives_as_it_was() {
    let pair = Pair::tcp().await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    assert_eq!(object.find("there").await.unwrap(), 1);
    let error = object.find("nope").await.unwrap_err();
    assert_eq!(
        error.app(),
        Some(&MediaError::NotFound {
            name: "nope".into()
        })
    );
    assert_eq!(error.outcome(), Outcome::Ran);
    assert!(error.may_have_run());
    assert!(error.fault().is_none());
    assert_eq!(error.to_string(), r#"media: NotFound { name: "nope" }"#);
    let error = object.find("broken").await.unwrap_err();
    assert_eq!(error.app(), Some(&MediaError::Broken(vec![0, 255])));
}

#[tokio::test]
async fn an_error_of_my_own_that_passed_through_the_peer_is_the_same_when_it_comes_home() {
    let pair = Pair::tcp().await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    let error = object
        .pass_on(FallibleProxy::new(Object::default()))
        .await
        .unwrap_err();
    assert_eq!(
        error.app(),
        Some(&MediaError::NotFound {
            name: "elsewhere".into()
        })
    );
    drop(object);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_panic_fails_its_own_call_and_tells_a_stranger_nothing() {
    let pair = Pair::tcp().await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    for when in [0, 1] {
        let fault = object.panic(when).await.unwrap_err();
        assert_fault(&fault, FaultKind::Panicked, Outcome::Ran);
        assert!(!format!("{fault:?}").contains("swordfish"), "{fault:?}");
        assert!(fault.message().contains("Fallible.panic"), "{fault}");
        assert_eq!(fault.backtrace(), None);
    }
    let fault = object.panic_blocking().await.unwrap_err();
    assert_fault(&fault, FaultKind::Panicked, Outcome::Ran);
    assert_eq!(
        object.panic(2).await.unwrap(),
        2,
        "the session and the object live on"
    );
    drop(object);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_fault_names_the_processes_that_it_came_through() {
    let pair = Pair::of(Daemon::builder().name("far away"), Client::builder()).await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    let fault = object.panic(0).await.unwrap_err();
    assert_eq!(fault.hops(), ["far away"]);
    let near = FallibleProxy::new(Object::default());
    assert!(
        near.panic(0).await.unwrap_err().hops().is_empty(),
        "it arose here"
    );
}

#[tokio::test]
async fn an_argument_that_does_not_decode_is_named_and_nothing_ran() {
    let pair = Pair::tcp().await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    let fault = object.picky(1, Picky(3)).await.unwrap_err();
    assert_fault(&fault, FaultKind::BadArguments, Outcome::NotStarted);
    assert!(
        fault.message().contains("`picky`") && fault.message().contains("Fallible.picky"),
        "{fault}"
    );
    assert_eq!(object.ran().await.unwrap(), 0);
    assert_eq!(object.picky(2, Picky(4)).await.unwrap(), Picky(6));
}

#[tokio::test]
async fn an_argument_that_does_not_encode_is_named_and_nothing_is_sent() {
    let pair = Pair::tcp().await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    let fault = object.picky(1, Picky(101)).await.unwrap_err();
    assert_fault(&fault, FaultKind::Unencodable, Outcome::NotStarted);
    assert!(fault.message().contains("`picky`"), "{fault}");
    assert_eq!(object.ran().await.unwrap(), 0);
}

#[tokio::test]
async fn a_result_that_does_not_encode_says_that_the_method_ran() {
    let pair = Pair::tcp().await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    let fault = object.picky(98, Picky(4)).await.unwrap_err();
    assert_fault(&fault, FaultKind::Unencodable, Outcome::Ran);
    assert_eq!(object.ran().await.unwrap(), 1);
}

#[tokio::test]
async fn a_result_that_does_not_decode_says_that_the_method_ran() {
    let pair = Pair::tcp().await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    let fault = object.picky(1, Picky(4)).await.unwrap_err();
    assert_fault(&fault, FaultKind::BadReply, Outcome::Ran);
    assert_eq!(object.ran().await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_too_large_fails_its_own_call() {
    let mut limits = farref::Limits::default();
    limits.max_message = 256 << 10;
    let pair = Pair::of(
        Daemon::builder().limits(limits.clone()),
        Client::builder().limits(limits),
    )
    .await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    let fault = object.find(&"x".repeat(300 << 10)).await.unwrap_err();
    assert_fault(
        fault.fault().unwrap(),
        FaultKind::TooLarge,
        Outcome::NotStarted,
    );
    let fault = object.large(300 << 10).await.unwrap_err();
    assert_fault(&fault, FaultKind::TooLarge, Outcome::Ran);
    assert_eq!(object.large(200 << 10).await.unwrap().len(), 200 << 10);
    drop(object);
    pair.at_baseline().await;
}

#[tokio::test]
async fn an_unknown_object_is_an_error_of_the_call_that_wanted_it() {
    let pair = Pair::tcp().await;
    let uri = pair.daemon.uris()[0].with_object("nobody");
    let fault = pair
        .client
        .connect::<FallibleProxy>(&uri)
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchObject, Outcome::NotStarted);
    assert!(fault.message().contains("nobody"));
    let lazy: FallibleProxy = pair.client.lazy(&uri).unwrap();
    let error = lazy.find("there").await.unwrap_err();
    assert_fault(
        error.fault().unwrap(),
        FaultKind::NoSuchObject,
        Outcome::NotStarted,
    );
    drop(lazy);
    pair.at_baseline().await;
}

#[tokio::test]
async fn nobody_who_listens_is_a_failed_connection_with_its_cause() {
    let client = Client::builder().build();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let uri = format!("far://{free}/object");
    let fault = client
        .connect::<FallibleProxy>(uri.as_str())
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
    assert!(fault.source().is_some(), "{fault:?}");
    assert!(!fault.may_have_run());
    assert!(client.peers().is_empty());
}

#[tokio::test]
async fn a_session_that_ends_leaves_the_outcome_of_its_calls_unknown() {
    let pair = Pair::tcp().await;
    let (gate, mut entered) = Gate::new();
    let waiting = pair.serve("gate", WaitingProxy::new(gate)).await;
    let call = tokio::spawn(async move { waiting.wait().await });
    entered.recv().await.unwrap();
    pair.daemon.peers()[0].abort();
    let fault = call.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert!(fault.may_have_run());
}

#[expose]
trait Waiting {
    async fn wait(&self);
}

struct Gate(tokio::sync::mpsc::UnboundedSender<()>);

impl Gate {
    fn new() -> (Self, tokio::sync::mpsc::UnboundedReceiver<()>) {
        let (entered, receiver) = tokio::sync::mpsc::unbounded_channel();
        (Gate(entered), receiver)
    }
}

impl Waiting for Gate {
    async fn wait(&self) {
        self.0.send(()).unwrap();
        std::future::pending().await
    }
}

#[tokio::test]
async fn errors_convert_into_what_applications_use() {
    async fn with_anyhow(object: &FallibleProxy) -> anyhow::Result<u32> {
        object.panic(2).await?;
        Ok(object.find("nope").await?)
    }
    async fn with_a_box(object: &FallibleProxy) -> Result<u32, Box<dyn std::error::Error>> {
        Ok(object.find("nope").await?)
    }
    async fn with_a_box_that_is_sent(
        object: &FallibleProxy,
    ) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        Ok(object.panic(0).await?)
    }
    let pair = Pair::tcp().await;
    let object = pair
        .serve("object", FallibleProxy::new(Object::default()))
        .await;
    let error = with_anyhow(&object).await.unwrap_err();
    let error = error.downcast::<CallError<MediaError>>().unwrap();
    assert!(matches!(error, CallError::App(MediaError::NotFound { .. })));
    assert!(
        with_a_box(&object)
            .await
            .unwrap_err()
            .downcast_ref::<CallError<MediaError>>()
            .is_some()
    );
    assert!(
        with_a_box_that_is_sent(&object)
            .await
            .unwrap_err()
            .downcast_ref::<Fault>()
            .is_some()
    );
}

#[test]
fn a_fault_has_its_chain_of_causes() {
    let root = std::io::Error::other("the disk is full");
    let fault = Fault::new(FaultKind::Internal, Outcome::Unknown, "cannot store").with_cause(&root);
    assert_eq!(
        fault.to_string(),
        "cannot store",
        "the chain is not in the message"
    );
    assert_eq!(fault.source().unwrap().to_string(), "the disk is full");
    let error = CallError::<MediaError>::from(fault);
    assert_eq!(error.source().unwrap().to_string(), "the disk is full");
}

#[tokio::test]
async fn the_chain_of_causes_crosses_processes() {
    struct Deny;
    impl farref::Interceptor for Deny {
        fn before<'a>(&'a self, _: &'a mut farref::CallInfo) -> farref::Intercepted<'a> {
            let cause = std::io::Error::other("no ticket");
            let fault =
                Fault::new(FaultKind::Denied, Outcome::NotStarted, "not you").with_cause(&cause);
            Box::pin(std::future::ready(Err(fault)))
        }
    }
    let daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .interceptor(Deny)
        .bind()
        .await
        .unwrap();
    let uri = daemon
        .register("object", FallibleProxy::new(Object::default()))
        .unwrap();
    let object: FallibleProxy = Client::new().lazy(&uri).unwrap();
    let fault = object.panic(2).await.unwrap_err();
    assert_fault(&fault, FaultKind::Denied, Outcome::NotStarted);
    assert_eq!(fault.source().unwrap().to_string(), "no ticket");
}
