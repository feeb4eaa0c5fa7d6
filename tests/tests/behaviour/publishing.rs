//! Names that peers give to their objects at a daemon.

use std::sync::atomic::{AtomicU32, Ordering};

use farref::daemon_object::DaemonObjectProxy;
use farref::prelude::*;
use farref::{AnyProxy, DaemonBuilder, Denied, FaultKind, Outcome, Permission, PublishError};

use crate::support::{assert_fault, memory_uri};

#[expose]
trait Bell {
    fn ring(&self) -> String;
    async fn wait(&self);
    #[oneway]
    fn strike(&self, hard: u32);
    fn struck(&self) -> u32;
}

struct Brass(&'static str, AtomicU32);

impl Brass {
    fn new(sound: &'static str) -> Self {
        Brass(sound, AtomicU32::new(0))
    }
}

impl Bell for Brass {
    fn ring(&self) -> String {
        self.0.to_owned()
    }
    async fn wait(&self) {
        std::future::pending().await
    }
    fn strike(&self, hard: u32) {
        self.1.fetch_add(hard, Ordering::SeqCst);
    }
    fn struck(&self) -> u32 {
        self.1.load(Ordering::SeqCst)
    }
}

fn bell(sound: &'static str) -> AnyProxy {
    AnyProxy::of(&BellProxy::new(Brass::new(sound)))
}

fn granting() -> DaemonBuilder {
    Daemon::builder()
        .listen(memory_uri())
        .grant(|_, permission| permission == Permission::Publish)
}

/// A client of its own, with the daemon object.
async fn client(daemon: &Daemon) -> (Client, DaemonObjectProxy) {
    let client = Client::new();
    let host = client.connect(&daemon.uris()[0]).await.unwrap();
    (client, host)
}

async fn find(client: &Client, daemon: &Daemon, name: &str) -> farref::Result<BellProxy> {
    client.connect(daemon.uris()[0].with_object(name)).await
}

#[tokio::test]
async fn a_client_gives_its_object_a_name_at_the_daemon_and_others_find_it() {
    let daemon = granting().bind().await.unwrap();
    let (publisher, _host) = client(&daemon).await;
    let (other, other_host) = client(&daemon).await;
    let peer = publisher.peers().remove(0);
    let mine = BellProxy::new(Brass::new("ding"));
    peer.publish("bell", &mine).await.unwrap();

    let found = find(&other, &daemon, "bell").await.unwrap();
    assert_eq!(found.ring().await.unwrap(), "ding");
    assert!(farref::same_object(&found, &mine));
    // The publisher finds itself.
    let own = find(&publisher, &daemon, "bell").await.unwrap();
    assert_eq!(own.ring().await.unwrap(), "ding");
    assert!(other_host.registered().await.unwrap().contains_key("bell"));

    // Nobody else takes the name back.
    assert!(!other_host.withdraw("bell").await.unwrap());
    assert!(peer.withdraw("bell").await.unwrap());
    assert!(!peer.withdraw("bell").await.unwrap());
    let fault = find(&other, &daemon, "bell").await.unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchObject, Outcome::NotStarted);
    // References live on.
    assert_eq!(found.ring().await.unwrap(), "ding");
}

#[tokio::test]
async fn who_is_not_granted_it_publishes_nothing() {
    let daemon = Daemon::builder().listen(memory_uri()).bind().await.unwrap();
    let (_client, host) = client(&daemon).await;
    let error = host.publish("bell", bell("ding")).await.unwrap_err();
    let denied = PublishError::Denied(Denied(Permission::Publish));
    assert_eq!(error.app(), Some(&denied));
    assert!(error.to_string().contains("publish objects"), "{error}");
    assert!(daemon.registered().is_empty());
}

#[tokio::test]
async fn a_name_is_there_once() {
    let daemon = granting().max_published(2).bind().await.unwrap();
    daemon
        .register("own", BellProxy::new(Brass::new("dong")))
        .unwrap();
    let (_one, one) = client(&daemon).await;
    let (_other, other) = client(&daemon).await;
    one.publish("bell", bell("ding")).await.unwrap();
    for (host, name) in [(&one, "own"), (&one, "bell"), (&other, "bell")] {
        let error = host.publish(name, bell("clang")).await.unwrap_err();
        let taken = PublishError::NameTaken(name.to_owned());
        assert_eq!(error.app(), Some(&taken));
    }
    // What the daemon registered is not a client's to take back.
    assert!(!one.withdraw("own").await.unwrap());
    let fault = daemon
        .register("bell", BellProxy::new(Brass::new("dong")))
        .unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Misuse);

    for name in [String::new(), "x".repeat(1025)] {
        let error = one.publish(&name, bell("ding")).await.unwrap_err();
        assert_eq!(error.app(), Some(&PublishError::UnfitName));
    }
    // A session has as many as the daemon takes, and another has its own.
    one.publish("second", bell("ding")).await.unwrap();
    let error = one.publish("third", bell("ding")).await.unwrap_err();
    assert_eq!(error.app(), Some(&PublishError::TooMany(2)));
    other.publish("third", bell("ding")).await.unwrap();
    assert!(one.withdraw("second").await.unwrap());
    one.publish("fourth", bell("ding")).await.unwrap();
    // The daemon takes back whatever it likes.
    assert!(daemon.unregister("fourth"));
    one.publish("fifth", bell("ding")).await.unwrap();
}

#[tokio::test]
async fn a_name_ends_with_the_session_that_gave_it() {
    let daemon = granting().bind().await.unwrap();
    let (publisher, host) = client(&daemon).await;
    let (other, other_host) = client(&daemon).await;
    host.publish("bell", bell("ding")).await.unwrap();
    other_host.publish("mine", bell("dong")).await.unwrap();
    let found = find(&other, &daemon, "bell").await.unwrap();
    let waiting = tokio::spawn({
        let found = found.clone();
        async move { found.wait().await }
    });
    assert_eq!(found.ring().await.unwrap(), "ding");
    let published_by = daemon
        .peers()
        .into_iter()
        .min_by_key(farref::Peer::session_number)
        .unwrap();
    publisher.close().await;
    published_by.closed().await;

    let fault = waiting.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    let fault = found.ring().await.unwrap_err();
    assert_fault(&fault, FaultKind::StaleReference, Outcome::NotStarted);
    let names: Vec<_> = daemon.registered().into_keys().collect();
    assert_eq!(names, ["mine"]);

    // The name is free for whoever comes next.
    let (_next, next) = client(&daemon).await;
    next.publish("bell", bell("clang")).await.unwrap();
    let anew = find(&other, &daemon, "bell").await.unwrap();
    assert_eq!(anew.ring().await.unwrap(), "clang");
}

/// A daemon at which a client has published a bell, and the proxy by which another client found it.
async fn published(sound: &'static str) -> (Daemon, Client, Client, BellProxy) {
    let daemon = granting().bind().await.unwrap();
    let (publisher, host) = client(&daemon).await;
    host.publish("bell", bell(sound)).await.unwrap();
    let other = Client::new();
    let found = find(&other, &daemon, "bell").await.unwrap();
    assert_eq!(found.ring().await.unwrap(), sound);
    (daemon, publisher, other, found)
}

/// Ends the session that gave the daemon the name, and waits until the daemon knows.
async fn lose(daemon: &Daemon, publisher: &Client) {
    let of_publisher = daemon
        .peers()
        .into_iter()
        .min_by_key(farref::Peer::session_number)
        .unwrap();
    publisher.close().await;
    of_publisher.closed().await;
}

#[tokio::test]
async fn a_name_that_somebody_publishes_anew_is_found_at_the_next_use_by_the_same_proxy() {
    let (daemon, publisher, other, found) = published("ding").await;
    let clone = found.clone();
    lose(&daemon, &publisher).await;
    let (_next, next) = client(&daemon).await;
    next.publish("bell", bell("clang")).await.unwrap();
    // Nothing was called meanwhile, so this is the call that learns of it.
    assert_eq!(found.ring().await.unwrap(), "clang");
    assert_eq!(clone.ring().await.unwrap(), "clang");
    let anew = find(&other, &daemon, "bell").await.unwrap();
    assert!(farref::same_object(&found, &anew));
}

#[tokio::test]
async fn every_kind_of_call_finds_what_has_the_name_now() {
    for kind in ["timeout", "started", "batch", "oneway", "by itself"] {
        let (daemon, publisher, _other, found) = published("ding").await;
        let dynamic = farref::DynProxy::of(&found).await.unwrap();
        lose(&daemon, &publisher).await;
        let (_next, next) = client(&daemon).await;
        next.publish("bell", bell("clang")).await.unwrap();
        let sound = match kind {
            "timeout" => {
                let patience = std::time::Duration::from_secs(60);
                found.ring().timeout(patience).await.unwrap()
            }
            "started" => found.ring().start().await.unwrap(),
            "batch" => {
                let (first, second) = farref::batch((found.ring(), found.ring())).await.unwrap();
                assert_eq!(first, second);
                first
            }
            "oneway" => {
                // Nobody learns what became of it.
                found.ring().oneway().await.unwrap();
                found.ring().await.unwrap()
            }
            _ => {
                let reply = dynamic.call("ring", serde_json::Value::Null).await;
                reply.unwrap().as_str().unwrap().to_owned()
            }
        };
        assert_eq!(sound, "clang", "{kind}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_any_more_says_so_and_is_looked_for_at_each_use() {
    let (daemon, publisher, _other, found) = published("ding").await;
    lose(&daemon, &publisher).await;
    let fault = found.ring().await.unwrap_err();
    assert_fault(&fault, FaultKind::StaleReference, Outcome::NotStarted);
    let fault = found.ring().await.unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchObject, Outcome::NotStarted);
    daemon
        .register("bell", BellProxy::new(Brass::new("dong")))
        .unwrap();
    assert_eq!(found.ring().await.unwrap(), "dong");
}

#[tokio::test]
async fn what_is_revoked_is_found_again_when_another_has_its_name() {
    let daemon = Daemon::builder().listen(memory_uri()).bind().await.unwrap();
    let old = BellProxy::new(Brass::new("old"));
    daemon.register("bell", old.clone()).unwrap();
    let client = Client::new();
    let found = find(&client, &daemon, "bell").await.unwrap();
    assert_eq!(found.ring().await.unwrap(), "old");
    daemon.revoke(&old);
    daemon
        .register("bell", BellProxy::new(Brass::new("new")))
        .unwrap();
    assert_eq!(found.ring().await.unwrap(), "new");
    // A name that was only taken away is not: references to its object live on.
    daemon.unregister("bell");
    daemon
        .register("bell", BellProxy::new(Brass::new("newer")))
        .unwrap();
    assert_eq!(found.ring().await.unwrap(), "new");
}

#[tokio::test]
async fn who_only_makes_oneways_finds_what_has_the_name_now_too() {
    let daemon = Daemon::builder().listen(memory_uri()).bind().await.unwrap();
    let old = BellProxy::new(Brass::new("old"));
    daemon.register("bell", old.clone()).unwrap();
    let (client, host) = client(&daemon).await;
    let found = find(&client, &daemon, "bell").await.unwrap();
    found.strike(1).await.unwrap();
    host.ping().await.unwrap();
    daemon.revoke(&old);
    let new = BellProxy::new(Brass::new("new"));
    daemon.register("bell", new.clone()).unwrap();
    // The notice has come when this has.
    host.ping().await.unwrap();
    found.strike(2).await.unwrap();
    found.strike(4).await.unwrap();
    assert_eq!(found.struck().await.unwrap(), 6);
    assert_eq!(
        (old.struck().await.unwrap(), new.struck().await.unwrap()),
        (1, 6)
    );
}
