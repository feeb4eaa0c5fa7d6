//! Code of the application that sees every call, at both ends.

use std::sync::{Arc, Mutex};

use farref::prelude::*;
use farref::{CallInfo, Direction, FaultKind, Intercepted, Interceptor, Outcome};

use crate::support::{Pair, assert_fault};

#[expose(name = "test.Greeter")]
trait Greeter {
    async fn greet(&self, name: &str) -> String;
    async fn fail(&self) -> Result<(), String>;
    async fn panic(&self);
    #[oneway]
    async fn tell(&self);
    async fn call_back(&self, other: GreeterProxy) -> String;
}

struct Object;

impl Greeter for Object {
    async fn greet(&self, name: &str) -> String {
        let note =
            CallContext::current().and_then(|context| context.annotation("salutation").cloned());
        let salutation = note.map_or_else(
            || "hello".to_owned(),
            |note| String::from_utf8(note.to_vec()).unwrap(),
        );
        format!("{salutation}, {name}")
    }
    async fn fail(&self) -> Result<(), String> {
        Err("as the test wants it".into())
    }
    async fn panic(&self) {
        panic!("as the test wants it");
    }
    async fn tell(&self) {}
    async fn call_back(&self, other: GreeterProxy) -> String {
        other.greet("back").await.unwrap()
    }
}

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what it sees.
struct Recording(&'static str, Log);

impl Interceptor for Recording {
    fn before<'a>(&'a self, call: &'a mut CallInfo) -> Intercepted<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert!(call.interface() == "test.Greeter" || call.interface() == "farref.Daemon");
            if call.interface() == "test.Greeter" {
                let direction = match call.direction() {
                    Direction::Incoming => "in",
                    _ => "out",
                };
                self.1.lock().unwrap().push(format!(
                    "{} before {direction} {}",
                    self.0,
                    call.method()
                ));
            }
            Ok(())
        })
    }

    fn after(&self, call: &CallInfo, result: Result<(), &Fault>) {
        if call.interface() == "test.Greeter" {
            let result = result.map_err(Fault::kind);
            self.1
                .lock()
                .unwrap()
                .push(format!("{} after {} {result:?}", self.0, call.method()));
        }
    }
}

#[tokio::test]
async fn interceptors_see_each_call_at_both_ends_in_order() {
    let log = Log::default();
    let pair = Pair::of(
        Daemon::builder()
            .interceptor(Recording("d1", Arc::clone(&log)))
            .interceptor(Recording("d2", Arc::clone(&log))),
        Client::builder().interceptor(Recording("c", Arc::clone(&log))),
    )
    .await;
    let greeter = pair.serve("greeter", GreeterProxy::new(Object)).await;
    let take = || std::mem::take(&mut *log.lock().unwrap());
    take();
    assert_eq!(greeter.greet("you").await.unwrap(), "hello, you");
    let expected = [
        "c before out greet",
        "d1 before in greet",
        "d2 before in greet",
        "d2 after greet Ok(())",
        "d1 after greet Ok(())",
        "c after greet Ok(())",
    ];
    assert_eq!(take(), expected);
    greeter.fail().await.unwrap_err();
    assert_eq!(
        take()[3],
        "d2 after fail Ok(())",
        "the method's own error is no fault"
    );
    greeter.panic().await.unwrap_err();
    let seen = take();
    assert_eq!(seen.last().unwrap(), "c after panic Err(Panicked)");
    greeter.tell().await.unwrap();
    pair.barrier().await;
    assert!(take().contains(&"d1 before in tell".to_owned()));
}

#[tokio::test]
async fn callbacks_are_intercepted_at_both_ends_too() {
    let log = Log::default();
    let pair = Pair::of(
        Daemon::builder().callback_interceptor(Recording("d", Arc::clone(&log))),
        Client::builder().callback_interceptor(Recording("c", Arc::clone(&log))),
    )
    .await;
    let greeter = pair.serve("greeter", GreeterProxy::new(Object)).await;
    assert_eq!(
        greeter.call_back(GreeterProxy::new(Object)).await.unwrap(),
        "hello, back"
    );
    let expected = [
        "d before out greet",
        "c before in greet",
        "c after greet Ok(())",
        "d after greet Ok(())",
    ];
    assert_eq!(*log.lock().unwrap(), expected);
    drop(greeter);
    pair.at_baseline().await;
}

/// Lets nobody greet.
struct Deny(&'static str, Outcome);

impl Interceptor for Deny {
    fn before<'a>(&'a self, call: &'a mut CallInfo) -> Intercepted<'a> {
        let denied = call.method() == "greet";
        Box::pin(async move {
            match denied {
                true => Err(Fault::new(FaultKind::Denied, self.1, self.0)),
                false => Ok(()),
            }
        })
    }
}

#[tokio::test]
async fn an_interceptor_refuses_a_call_and_nothing_runs() {
    for at_daemon in [true, false] {
        let deny = || Deny("not today", Outcome::NotStarted);
        let pair = match at_daemon {
            true => Pair::of(Daemon::builder().interceptor(deny()), Client::builder()).await,
            false => Pair::of(Daemon::builder(), Client::builder().interceptor(deny())).await,
        };
        let greeter = pair.serve("greeter", GreeterProxy::new(Object)).await;
        let fault = greeter.greet("you").await.unwrap_err();
        assert_fault(&fault, FaultKind::Denied, Outcome::NotStarted);
        assert_eq!(fault.message(), "not today");
        greeter.tell().await.unwrap();
        drop(greeter);
        pair.at_baseline().await;
    }
}

/// Adds a note to each call.
struct Annotate(&'static str);

impl Interceptor for Annotate {
    fn before<'a>(&'a self, call: &'a mut CallInfo) -> Intercepted<'a> {
        call.annotate("salutation", self.0);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn an_interceptor_annotates_calls_at_either_end() {
    let pair = Pair::of(
        Daemon::builder(),
        Client::builder().interceptor(Annotate("good morning")),
    )
    .await;
    let greeter = pair.serve("greeter", GreeterProxy::new(Object)).await;
    assert_eq!(greeter.greet("you").await.unwrap(), "good morning, you");
    let pair = Pair::of(
        Daemon::builder().interceptor(Annotate("good evening")),
        Client::builder(),
    )
    .await;
    let greeter = pair.serve("greeter", GreeterProxy::new(Object)).await;
    assert_eq!(greeter.greet("you").await.unwrap(), "good evening, you");
}

#[tokio::test]
async fn an_incoming_interceptor_knows_who_calls() {
    struct Peers(Log);
    impl Interceptor for Peers {
        fn before<'a>(&'a self, call: &'a mut CallInfo) -> Intercepted<'a> {
            let peer = call
                .peer()
                .map(|peer| (peer.name(), format!("{:?}", peer.identity())));
            self.0.lock().unwrap().push(format!(
                "{peer:?} {} {}",
                call.depth(),
                call.deadline().is_some()
            ));
            Box::pin(std::future::ready(Ok(())))
        }
    }
    let log = Log::default();
    let daemon = Daemon::builder()
        .token("swordfish")
        .interceptor(Peers(Arc::clone(&log)));
    let pair = Pair::of(daemon, Client::builder().token("swordfish").name("me")).await;
    let greeter = pair.serve("greeter", GreeterProxy::new(Object)).await;
    log.lock().unwrap().clear();
    greeter
        .greet("you")
        .timeout(std::time::Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(*log.lock().unwrap(), [r#"Some(("me", "Token")) 0 true"#]);
}
