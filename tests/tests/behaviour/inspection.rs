//! Looking into a daemon: what it has given out, what runs, who waits for whom; and closing it from afar.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farref::daemon_object::{DaemonObjectProxy, DaemonStat, WaitStat, clock_offset};
use farref::prelude::*;
use farref::{Denied, FaultKind, Identity, Outcome, Permission};
use tokio::sync::Notify;

use crate::support::{Pair, assert_fault};

#[expose]
trait Desk {
    async fn item(&self) -> ItemProxy;
    async fn wait(&self);
    #[oneway]
    async fn wait_unheard(&self);
}

#[expose]
trait Item {
    async fn look(&self, at: &ItemProxy) -> Result<(), String>;
    async fn hold(&self);
}

#[derive(Clone, Default)]
struct Office {
    go_on: Arc<Notify>,
}

impl Desk for Office {
    async fn item(&self) -> ItemProxy {
        ItemProxy::new(self.clone())
    }
    async fn wait(&self) {
        self.go_on.notified().await;
    }
    async fn wait_unheard(&self) {
        self.go_on.notified().await;
    }
}

impl Item for Office {
    async fn look(&self, at: &ItemProxy) -> Result<(), String> {
        at.hold().await.map_err(|fault| fault.to_string())
    }
    async fn hold(&self) {
        self.go_on.notified().await;
    }
}

async fn daemon_object(pair: &Pair) -> DaemonObjectProxy {
    pair.client.connect(&pair.daemon.uris()[0]).await.unwrap()
}

#[tokio::test]
async fn a_daemon_lists_what_it_exports_and_to_whom() {
    let pair = Pair::tcp().await;
    let desk = pair.serve("desk", DeskProxy::new(Office::default())).await;
    let items = [desk.item().await.unwrap(), desk.item().await.unwrap()];
    let session = pair.daemon.peers()[0].session_number();
    let mut listed = pair.daemon.exports();
    assert!(listed.iter().all(|export| export.session == session));
    assert_eq!(listed[0].peer, pair.daemon.peers()[0].address().to_string());
    let mut names: Vec<_> = listed
        .iter()
        .map(|export| (export.interface.as_str(), export.grants))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [("Desk", 0), ("Item", 1), ("Item", 1), ("farref.Daemon", 0)]
    );
    // From afar, page by page.
    let tool = daemon_object(&pair).await;
    let mut seen = Vec::new();
    let mut page = tool.exports(session, 0).await.unwrap();
    while !page.is_empty() {
        seen.append(&mut page);
        let skip = u32::try_from(seen.len()).unwrap();
        page = tool.exports(session, skip).await.unwrap();
    }
    // The tool is one more that holds the daemon object.
    listed.push(seen.last().unwrap().clone());
    listed.sort_by_key(|export| (export.object, export.grants));
    seen.sort_by_key(|export| (export.object, export.grants));
    assert_eq!(seen, listed);
    assert!(tool.exports(session + 1000, 0).await.unwrap().is_empty());
    drop((items, desk, tool));
    pair.at_baseline().await;
    assert_eq!(pair.daemon.exports().len(), 1);
}

/// The call of this method that waits for an object which another holds, if there is one.
fn waits_for<'a>(stat: &'a DaemonStat, method: &str) -> Option<&'a WaitStat> {
    stat.waits.iter().find(|wait| wait.waiting == method)
}

#[tokio::test]
async fn a_daemon_tells_which_calls_are_under_way() {
    let pair = Pair::tcp().await;
    let office = Office::default();
    let desk = pair.serve("desk", DeskProxy::new(office.clone())).await;
    let item = desk.item().await.unwrap();
    let waiting = tokio::spawn({
        let desk = desk.clone();
        async move { desk.wait().await }
    });
    desk.wait_unheard().await.unwrap();
    pair.until("the calls have not arrived", |pair| {
        pair.daemon.stat().sessions[0].calls.len() == 2
    })
    .await;
    let stat = daemon_object(&pair).await.stat().await.unwrap();
    let [session] = &stat.sessions[..] else {
        panic!("{stat:?}")
    };
    assert_eq!(session.number, pair.daemon.peers()[0].session_number());
    assert!(!session.authenticated);
    // The call that asks is one of them.
    assert_eq!(session.serving, 3);
    assert_eq!(session.exports, 1);
    assert_eq!(session.names, 3);
    let mut calls: Vec<_> = session
        .calls
        .iter()
        .map(|call| (call.method.as_str(), call.oneway, call.depth))
        .collect();
    calls.sort_unstable();
    assert_eq!(
        calls,
        [("Desk.wait", false, 0), ("Desk.wait_unheard", true, 0)]
    );
    // Other daemons of this process may have somebody who waits.
    assert!(waits_for(&stat, "Desk.wait").is_none());
    waiting.abort();
    office.go_on.notify_waiters();
    drop((desk, item));
    pair.at_baseline().await;
    pair.until("calls are listed that have ended", |pair| {
        pair.daemon.stat().sessions[0].calls.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_daemon_tells_who_waits_for_whom() {
    let pair = Pair::tcp().await;
    let office = Office::default();
    let first: ItemProxy = Object::serial(office.clone()).proxy();
    let first = pair.serve("first", first).await;
    let other = pair.serve("other", ItemProxy::new(office.clone())).await;
    let holding = tokio::spawn({
        let first = first.clone();
        async move { first.hold().await }
    });
    pair.until("the object is not held", |pair| {
        pair.daemon.stat().sessions[0].calls.len() == 1
    })
    .await;
    // Calls back on behalf of its caller, so that both processes know its chain.
    let looking = tokio::spawn({
        let (first, other) = (first.clone(), other.clone());
        async move { other.look(&first).await }
    });
    pair.until("nobody waits", |pair| {
        waits_for(&pair.daemon.stat(), "Item.hold").is_some()
    })
    .await;
    let stat = daemon_object(&pair).await.stat().await.unwrap();
    let wait = waits_for(&stat, "Item.hold").unwrap();
    assert_eq!(
        (wait.waiting.as_str(), wait.holder.as_str()),
        ("Item.hold", "Item.hold")
    );
    assert_ne!(wait.chain, wait.holder_chain);
    let chain_of = |method: &str| {
        let calls = stat.sessions[0].calls.iter();
        let mut found = calls.filter(|call| call.method == method);
        found.next().unwrap().chain.clone()
    };
    assert_eq!(wait.holder_chain, chain_of("Item.hold"));
    assert_eq!(wait.chain, chain_of("Item.look"), "its caller's chain");
    office.go_on.notify_waiters();
    holding.await.unwrap().unwrap();
    looking.abort();
    drop((first, other));
    pair.at_baseline().await;
    assert!(waits_for(&pair.daemon.stat(), "Item.hold").is_none());
}

#[tokio::test]
async fn only_those_look_into_a_daemon_and_close_it_whom_its_policy_lets() {
    let strict = Daemon::builder().grant(|_, _| false);
    let pair = Pair::of(strict, Client::builder()).await;
    let tool = daemon_object(&pair).await;
    let denied = |permission| Some(Denied(permission));
    let error = tool.stat().await.unwrap_err();
    assert_eq!(error.app().cloned(), denied(Permission::Inspect));
    let error = tool.exports(1, 0).await.unwrap_err();
    assert_eq!(error.app().cloned(), denied(Permission::Inspect));
    let error = pair.client.peers()[0].shut_down().await.unwrap_err();
    assert_eq!(error.app().cloned(), denied(Permission::ShutDown));
    tool.ping().await.unwrap();
    // Unless told otherwise, those on the machine may look, and nobody may close.
    let pair = Pair::tcp().await;
    let tool = daemon_object(&pair).await;
    assert!(tool.stat().await.is_ok());
    let error = tool.shut_down().await.unwrap_err();
    assert_eq!(error.app().cloned(), denied(Permission::ShutDown));
}

#[tokio::test]
async fn closing_a_daemon_from_afar_informs_all_its_clients() {
    let daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .token("swordfish")
        .grant(|peer, _| peer.identity() == Identity::Token)
        .bind()
        .await
        .unwrap();
    let office = Office::default();
    let uri = daemon
        .register("desk", DeskProxy::new(office.clone()))
        .unwrap();
    let client = || Client::builder().token("swordfish").build();
    let (admin, user) = (client(), client());
    let desk: DeskProxy = user.connect(&uri).await.unwrap();
    let tool: DaemonObjectProxy = admin.connect(&daemon.uris()[0]).await.unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let waiting = tokio::spawn({
        let (desk, ended) = (desk.clone(), Arc::clone(&ended));
        async move {
            let result = desk.wait().await;
            ended.store(true, Ordering::SeqCst);
            result
        }
    });
    while daemon
        .stat()
        .sessions
        .iter()
        .all(|stat| stat.calls.is_empty())
    {
        tokio::task::yield_now().await;
    }
    let informed = tokio::spawn({
        let peer = user.peers()[0].clone();
        async move { peer.closed().await }
    });
    tool.shut_down().await.unwrap();
    tool.shut_down().await.unwrap_or_else(|error| {
        assert_eq!(error.fault().unwrap().kind(), FaultKind::ShuttingDown);
    });
    // New calls are refused, and those under way still end.
    loop {
        match desk.item().await {
            Ok(_) => tokio::task::yield_now().await,
            Err(fault) => {
                assert_fault(&fault, FaultKind::ShuttingDown, Outcome::NotStarted);
                break;
            }
        }
    }
    assert!(!ended.load(Ordering::SeqCst));
    let again = tokio::spawn({
        let peer = admin.peers()[0].clone();
        async move { peer.shut_down().await }
    });
    office.go_on.notify_waiters();
    waiting.await.unwrap().unwrap();
    let reason = informed.await.unwrap();
    assert!(reason.to_string().contains("shut down"), "{reason}");
    again.await.unwrap().unwrap();
    daemon.stopped().await;
    let peer = tokio::time::timeout(Duration::from_secs(10), user.connect::<DeskProxy>(&uri));
    let fault = peer.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
}

#[tokio::test]
async fn the_offset_of_a_clock_is_measured_with_its_error() {
    let pair = Pair::tcp().await;
    let tool = daemon_object(&pair).await;
    let peer = pair.client.peers()[0].clone();
    for measured in [
        clock_offset(&tool).await.unwrap(),
        peer.clock_offset().await.unwrap(),
    ] {
        // It is the same clock.
        assert!(
            u128::from(measured.micros.unsigned_abs()) <= measured.error.as_micros(),
            "{measured:?}"
        );
        assert!(measured.error < Duration::from_secs(1), "{measured:?}");
    }
    let client = pair.daemon.peers()[0].clone();
    let fault = client.clock_offset().await.unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchObject, Outcome::NotStarted);
    pair.client.close().await;
    let fault = peer.clock_offset().await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::SessionLost);
}
