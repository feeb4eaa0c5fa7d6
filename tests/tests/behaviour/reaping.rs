//! Objects that were passed and that nobody calls any more: reaped where the daemon is told to, and only then.
//!
//! Time is paused: it passes when everything waits for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::{DaemonBuilder, FaultKind, Identity, Outcome, Verdict};
use tokio::sync::Notify;

use crate::support::{Pair, assert_fault};

const AGE: Duration = Duration::from_secs(60);
/// Longer than an object lives that nobody calls.
const LONG: Duration = Duration::from_secs(76);

#[expose]
trait Cursor {
    fn row(&self) -> u32;
    /// Ends when it is told to.
    async fn wait(&self);
}

#[expose]
trait Table {
    fn open(&self) -> CursorProxy;
    /// The one that the table holds, too.
    fn kept(&self) -> CursorProxy;
    async fn listen(&self, listener: ListenerProxy);
    async fn tell(&self) -> bool;
    async fn hold(&self, cursor: CursorProxy);
    async fn read(&self) -> Result<u32, String>;
}

#[callback]
trait Listener {
    fn heard(&self) -> bool;
}

struct Ear;
impl Listener for Ear {
    fn heard(&self) -> bool {
        true
    }
}

#[derive(Default)]
struct Rows {
    alive: Arc<AtomicUsize>,
    go: Arc<Notify>,
    kept: Mutex<Option<CursorProxy>>,
    listener: Mutex<Option<ListenerProxy>>,
    held: Mutex<Option<CursorProxy>>,
}

struct Row {
    alive: Arc<AtomicUsize>,
    go: Arc<Notify>,
}

impl Cursor for Row {
    fn row(&self) -> u32 {
        7
    }
    async fn wait(&self) {
        self.go.notified().await;
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Rows {
    fn row(&self) -> CursorProxy {
        self.alive.fetch_add(1, Ordering::SeqCst);
        CursorProxy::new(Row {
            alive: Arc::clone(&self.alive),
            go: Arc::clone(&self.go),
        })
    }
}

impl Table for Rows {
    fn open(&self) -> CursorProxy {
        self.row()
    }
    fn kept(&self) -> CursorProxy {
        let mut kept = self.kept.lock().unwrap();
        kept.get_or_insert_with(|| self.row()).clone()
    }
    async fn listen(&self, listener: ListenerProxy) {
        *self.listener.lock().unwrap() = Some(listener);
    }
    async fn tell(&self) -> bool {
        let listener = self.listener.lock().unwrap().clone().unwrap();
        listener.heard().await.unwrap()
    }
    async fn hold(&self, cursor: CursorProxy) {
        *self.held.lock().unwrap() = Some(cursor);
    }
    async fn read(&self) -> Result<u32, String> {
        let held = self.held.lock().unwrap().clone().unwrap();
        let read = held.row().await;
        read.map_err(|fault| format!("{:?}", fault.kind()))
    }
}

struct Served {
    pair: Pair,
    table: TableProxy,
    alive: Arc<AtomicUsize>,
    go: Arc<Notify>,
}

async fn served(daemon: DaemonBuilder) -> Served {
    served_to(daemon, Client::builder()).await
}

async fn served_to(daemon: DaemonBuilder, client: farref::ClientBuilder) -> Served {
    let pair = Pair::of_memory(daemon, client).await;
    let rows = Rows::default();
    let (alive, go) = (Arc::clone(&rows.alive), Arc::clone(&rows.go));
    let table = pair.serve("table", TableProxy::new(rows)).await;
    Served {
        pair,
        table,
        alive,
        go,
    }
}

fn assert_reaped(fault: &Fault) {
    assert_fault(fault, FaultKind::StaleReference, Outcome::NotStarted);
    assert!(fault.message().contains("was reaped"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_calls_is_reaped_and_dropped() {
    let Served {
        pair, table, alive, ..
    } = served(Daemon::builder().reap(AGE)).await;
    let cursor = table.open().await.unwrap();
    assert_eq!(cursor.row().await.unwrap(), 7);
    // Used again and again, it stays.
    for _ in 0..5 {
        tokio::time::sleep(AGE - Duration::from_secs(1)).await;
        assert_eq!(cursor.row().await.unwrap(), 7);
    }
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    tokio::time::sleep(LONG).await;
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert_reaped(&cursor.row().await.unwrap_err());

    // Nothing else is: not what has a name, and not the session.
    drop((cursor, table.open().await.unwrap()));
    drop(table);
    pair.at_baseline().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reaped_unless_the_daemon_is_told_to() {
    let Served {
        pair: _pair,
        table,
        alive,
        ..
    } = served(Daemon::builder()).await;
    let cursor = table.open().await.unwrap();
    tokio::time::sleep(AGE * 1000).await;
    assert_eq!(cursor.row().await.unwrap(), 7);
    assert_eq!(alive.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_is_a_use() {
    let Served {
        pair: _pair,
        table,
        alive,
        go,
    } = served(Daemon::builder().reap(AGE)).await;
    let cursor = table.open().await.unwrap();
    let waiting = tokio::spawn({
        let cursor = cursor.clone();
        async move { cursor.wait().await }
    });
    tokio::time::sleep(LONG * 3).await;
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    go.notify_one();
    waiting.await.unwrap().unwrap();
    assert_eq!(cursor.row().await.unwrap(), 7);
    tokio::time::sleep(LONG).await;
    assert_reaped(&cursor.row().await.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn what_one_peer_uses_stays_for_all() {
    let Served {
        pair, table, alive, ..
    } = served(Daemon::builder().reap(AGE)).await;
    let mine = table.kept().await.unwrap();
    let other = Client::new();
    let uri = pair.daemon.uris()[0].with_object("table");
    let table: TableProxy = other.connect(&uri).await.unwrap();
    let yours = table.kept().await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(AGE - Duration::from_secs(1)).await;
        yours.row().await.unwrap();
    }
    mine.row().await.unwrap();
    tokio::time::sleep(LONG).await;
    assert_reaped(&mine.row().await.unwrap_err());
    assert_reaped(&yours.row().await.unwrap_err());
    // The daemon holds it itself: who asks again gets it again.
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    assert_eq!(table.kept().await.unwrap().row().await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn passing_a_reference_again_is_a_use() {
    let Served {
        pair: _pair, table, ..
    } = served(Daemon::builder().reap(AGE)).await;
    let cursor = table.kept().await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(AGE - Duration::from_secs(1)).await;
        drop(table.kept().await.unwrap());
    }
    assert_eq!(cursor.row().await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_has_a_name_is_exempt() {
    let Served { pair, table, .. } = served(Daemon::builder().reap(AGE)).await;
    let passed = table.kept().await.unwrap();
    // Its name is found by the daemon, and nobody holds it by that.
    let near = pair.daemon.registered();
    assert!(near.contains_key("table"));
    pair.daemon.register("row", passed.clone()).unwrap();
    tokio::time::sleep(LONG * 3).await;
    assert_eq!(passed.row().await.unwrap(), 7);
    pair.daemon.unregister("row");
    tokio::time::sleep(LONG * 2).await;
    assert_reaped(&passed.row().await.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn a_hook_keeps_or_reaps_and_knows_what_it_is_asked_about() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let daemon = Daemon::builder().reap(AGE).before_reaping({
        let asked = Arc::clone(&asked);
        move |idle| {
            assert!(idle.duration() >= AGE);
            assert_eq!(idle.interface(), "Cursor");
            assert!(idle.proxy::<CursorProxy>().unwrap().is_near());
            assert!(idle.proxy::<TableProxy>().is_none());
            let [peer] = idle.peers() else {
                panic!("{:?}", idle.peers())
            };
            assert_eq!(peer.identity(), Identity::Anonymous);
            let times = {
                let mut asked = asked.lock().unwrap();
                asked.push(idle.duration());
                asked.len()
            };
            match times {
                1 => Verdict::Keep,
                2 => panic!("a hook that does not know"),
                _ => Verdict::Reap,
            }
        }
    });
    let Served {
        pair: _pair,
        table,
        alive,
        ..
    } = served(daemon).await;
    let cursor = table.open().await.unwrap();
    tokio::time::sleep(LONG).await;
    assert_eq!(alive.load(Ordering::SeqCst), 1, "it was kept");
    tokio::time::sleep(LONG).await;
    assert_eq!(alive.load(Ordering::SeqCst), 1, "a panic keeps it");
    tokio::time::sleep(LONG).await;
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert_reaped(&cursor.row().await.unwrap_err());
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_reaps_too_and_spares_callbacks() {
    let client = Client::builder().reap(AGE);
    let Served {
        pair: _pair, table, ..
    } = served_to(Daemon::builder(), client).await;
    let rows = Rows::default();
    let mine = rows.row();
    table.hold(mine).await.unwrap();
    table.listen(ListenerProxy::new(Ear)).await.unwrap();
    assert_eq!(table.read().await.unwrap(), 7);
    assert_eq!(rows.alive.load(Ordering::SeqCst), 1);
    tokio::time::sleep(LONG).await;
    assert_eq!(rows.alive.load(Ordering::SeqCst), 0);
    assert_eq!(
        table.read().await.unwrap_err().app().unwrap(),
        "StaleReference"
    );
    assert!(table.tell().await.unwrap());
}
