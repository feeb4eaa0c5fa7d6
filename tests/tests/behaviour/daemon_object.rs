//! The daemon itself as an object: what names it has, what they are, whether it is alive.

use std::time::{SystemTime, UNIX_EPOCH};

use farref::daemon_object::{DaemonObjectProxy, NotRegistered};
use farref::prelude::*;
use farref::{FaultKind, InterfaceInfo, Outcome};

use crate::support::{Pair, assert_fault};

/// Says a word.
#[expose(name = "test.Word")]
trait Word {
    fn word(&self) -> String;
    #[oneway]
    fn fail(&self);
}

struct Object;

impl Word for Object {
    fn word(&self) -> String {
        "word".to_owned()
    }
    fn fail(&self) {
        panic!("as the test wants it");
    }
}

async fn daemon_object(pair: &Pair) -> DaemonObjectProxy {
    pair.client.connect(&pair.daemon.uris()[0]).await.unwrap()
}

#[tokio::test]
async fn the_daemon_tells_its_names_and_their_interfaces() {
    let pair = Pair::tcp().await;
    let daemon = daemon_object(&pair).await;
    assert!(daemon.registered().await.unwrap().is_empty());
    let word = pair.serve("word", WordProxy::new(Object)).await;
    assert_eq!(
        daemon.registered().await.unwrap(),
        [("word".to_owned(), "test.Word".to_owned())].into()
    );
    pair.daemon.unregister("word");
    assert!(daemon.registered().await.unwrap().is_empty());
    assert_eq!(word.word().await.unwrap(), "word");
}

#[tokio::test]
async fn the_daemon_describes_its_objects_and_itself() {
    let pair = Pair::tcp().await;
    let daemon = daemon_object(&pair).await;
    let _word = pair.serve("word", WordProxy::new(Object)).await;
    assert_eq!(
        daemon.describe("word").await.unwrap(),
        InterfaceInfo::of(WordProxy::DESCRIPTOR)
    );
    let itself = daemon.describe("").await.unwrap();
    assert_eq!(itself.name, "farref.Daemon");
    assert!(itself.method("describe").unwrap().flags.idempotent);
    let error = daemon.describe("nobody").await.unwrap_err();
    assert_eq!(error.app(), Some(&NotRegistered("nobody".to_owned())));
}

#[tokio::test]
async fn the_daemon_answers_and_tells_the_time_and_its_state() {
    let pair = Pair::of(Daemon::builder().name("the daemon"), Client::builder()).await;
    let daemon = daemon_object(&pair).await;
    daemon.ping().await.unwrap();
    let now = || {
        u64::try_from(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_micros(),
        )
        .unwrap()
    };
    let before = now();
    let clock = daemon.clock().await.unwrap();
    assert!((before..=now()).contains(&clock));
    let word = pair.serve("word", WordProxy::new(Object)).await;
    word.fail().await.unwrap();
    pair.barrier().await;
    let info = daemon.info().await.unwrap();
    assert_eq!(
        (info.name.as_str(), info.sessions, info.failed_oneways),
        ("the daemon", 1, 1)
    );
    assert_eq!(info.codecs, ["postcard", "msgpack", "json"]);
    assert!(!info.version.is_empty());
    assert_eq!(pair.daemon.name(), "the daemon");
    assert_eq!(pair.client.peers()[0].name(), "the daemon");
}

#[tokio::test]
async fn strangers_do_not_reach_the_daemon_object() {
    let daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .token("swordfish")
        .bind()
        .await
        .unwrap();
    let object: DaemonObjectProxy = Client::new().lazy(&daemon.uris()[0]).unwrap();
    assert_fault(
        &object.ping().await.unwrap_err(),
        FaultKind::Refused,
        Outcome::NotStarted,
    );
}
