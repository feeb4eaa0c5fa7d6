//! What the tests share: daemons on every transport, and the tables of both sides at their baseline.

use farref::prelude::*;
use farref::{Peer, Result};

/// A daemon that listens on a port of its own.
pub(crate) async fn tcp_daemon() -> Daemon {
    Daemon::bind("far://127.0.0.1:0").await.expect("loopback can be bound")
}

/// Waits until all that was released on this side has reached the other: a round trip through the same session, made by
/// a proxy that holds the session open.
pub(crate) async fn barrier(client: &Client, daemon: &Daemon) -> Result<()> {
    let uri = daemon.uris()[0].clone();
    let object: farref::daemon_object::DaemonObjectProxy = client.lazy(uri)?;
    object.ping().await
}

/// Asserts that neither side of any session holds anything.
pub(crate) fn assert_baseline(peers: &[Peer], what: &str) {
    for peer in peers {
        let tables = peer.tables();
        assert_eq!((tables.calls_out, tables.calls_in, tables.exports), (0, 0, 0), "{what}: {tables:?}");
    }
}
