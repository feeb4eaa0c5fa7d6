//! What the tests share: a client and a daemon that know each other, and their tables at the baseline.

use std::sync::atomic::{AtomicU32, Ordering};

use farref::daemon_object::DaemonObjectProxy;
use farref::prelude::*;
use farref::{ClientBuilder, DaemonBuilder, FaultKind, Outcome, Peer, TableSizes};

/// How many round trips the tables get to empty themselves. A handler that was cancelled is dropped by another task, so
/// one is not always enough.
const ROUND_TRIPS: usize = 500;

/// A client and a daemon with one session between them, which lasts as long as this.
pub(crate) struct Pair {
    pub(crate) daemon: Daemon,
    pub(crate) client: Client,
    /// Keeps the session open, and makes the round trips.
    keeper: DaemonObjectProxy,
}

impl Pair {
    /// Over TCP, on a port of its own.
    pub(crate) async fn tcp() -> Self {
        Pair::of(Daemon::builder(), Client::builder()).await
    }

    /// Through memory, where no byte leaves the process and paused time is all the time there is.
    pub(crate) async fn memory() -> Self {
        Pair::of_memory(Daemon::builder(), Client::builder()).await
    }

    /// Over TCP, configured.
    pub(crate) async fn of(daemon: DaemonBuilder, client: ClientBuilder) -> Self {
        Pair::connected(daemon.listen("far://127.0.0.1:0"), client).await
    }

    /// Through memory, configured.
    pub(crate) async fn of_memory(daemon: DaemonBuilder, client: ClientBuilder) -> Self {
        Pair::connected(daemon.listen(memory_uri()), client).await
    }

    async fn connected(daemon: DaemonBuilder, client: ClientBuilder) -> Self {
        let daemon = daemon.bind().await.unwrap();
        let client = client.build();
        let keeper = client.connect(&daemon.uris()[0]).await.unwrap();
        Pair {
            daemon,
            client,
            keeper,
        }
    }

    /// Registers an object and connects to it on the session of this pair.
    pub(crate) async fn serve<P: Proxy>(&self, name: &str, object: P) -> P {
        let uri = self.daemon.register(name, object).unwrap();
        let proxy: P = self.client.connect(&uri).await.unwrap();
        assert!(!proxy.is_near());
        proxy
    }

    /// The client's books of the session.
    pub(crate) fn client_tables(&self) -> TableSizes {
        only(&self.client.peers()).tables()
    }

    /// The daemon's books of the session.
    pub(crate) fn daemon_tables(&self) -> TableSizes {
        only(&self.daemon.peers()).tables()
    }

    /// A round trip through the session: what was sent before has been read, and what that caused has been written.
    pub(crate) async fn barrier(&self) {
        self.keeper.ping().await.unwrap();
    }

    /// Makes round trips until `reached`.
    pub(crate) async fn until(&self, what: &str, mut reached: impl FnMut(&Pair) -> bool) {
        for _ in 0..ROUND_TRIPS {
            self.barrier().await;
            if reached(self) {
                return;
            }
        }
        panic!(
            "{what}: client {:?}, daemon {:?}",
            self.client_tables(),
            self.daemon_tables()
        );
    }

    /// Waits until both sides hold nothing but the session itself. The test must have dropped its proxies.
    pub(crate) async fn at_baseline(&self) {
        self.until("the tables are not at their baseline", |pair| {
            let (client, daemon) = (pair.client_tables(), pair.daemon_tables());
            is_empty(&client) && is_empty(&daemon)
                // The keeper.
                && (client.imports, client.aliases, daemon.imports, daemon.aliases) == (1, 0, 0, 1)
        })
        .await;
    }
}

fn is_empty(tables: &TableSizes) -> bool {
    (
        tables.calls_out,
        tables.calls_in,
        tables.exports,
        tables.events,
        tables.streams_in,
        tables.streams_out,
        tables.promises_in + tables.promises_out,
    ) == (0, 0, 0, 0, 0, 0, 0)
}

fn only(peers: &[Peer]) -> &Peer {
    let [peer] = peers else {
        panic!("there are {} sessions: {peers:?}", peers.len())
    };
    peer
}

/// A name in memory that no other test has.
pub(crate) fn memory_uri() -> Uri {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("far+mem:behaviour-{}", NEXT.fetch_add(1, Ordering::Relaxed))
        .parse()
        .unwrap()
}

/// Asserts what a fault says: its kind, and whether the method ran.
#[track_caller]
pub(crate) fn assert_fault(fault: &Fault, kind: FaultKind, outcome: Outcome) {
    assert_eq!(
        (fault.kind(), fault.outcome()),
        (kind, outcome),
        "{fault:?}"
    );
}

/// A directory of its own, removed when it is dropped.
pub(crate) struct Directory(std::path::PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("farref-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
