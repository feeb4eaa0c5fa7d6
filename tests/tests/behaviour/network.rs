//! A network between clients and a daemon that can be cut, at a byte or altogether.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use farref::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where a connection is cut: once so many bytes have passed in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) to_daemon: bool,
    pub(crate) after: usize,
}

/// A network. Dropping it cuts it for good.
pub(crate) struct Network {
    uri: Uri,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Where the connections to come are cut, one after the other.
    cuts: Mutex<VecDeque<Cut>>,
    /// Whether new connections get nowhere.
    is_down: AtomicBool,
    /// Raised to cut the connections that there are.
    generation: watch::Sender<usize>,
    /// Whether what clients say is held back.
    holds: AtomicBool,
    /// Raised to let what was held back go on its way.
    releases: watch::Sender<usize>,
    /// The connections before this one carry nothing any more.
    silenced: AtomicUsize,
    connections: AtomicUsize,
    to_daemon: AtomicUsize,
    to_client: AtomicUsize,
}

impl Network {
    /// A network before this daemon.
    pub(crate) async fn before(daemon: &Daemon) -> Self {
        let daemon: SocketAddr = daemon.uris()[0]
            .to_string()
            .trim_start_matches("far://")
            .parse()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("far://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    if shared.is_down.load(Ordering::SeqCst) {
                        continue;
                    }
                    let daemon = TcpStream::connect(daemon).await.unwrap();
                    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(relay(Arc::clone(&shared), number, client, daemon));
                }
            }
        });
        Network {
            uri: uri.parse().unwrap(),
            shared,
            accepting,
        }
    }

    /// The daemon's object of this name, through the network.
    pub(crate) fn uri(&self, name: &str) -> Uri {
        self.uri.with_object(name)
    }

    /// Cuts the next connections at these places, one after the other.
    pub(crate) fn cut_at(&self, cuts: impl IntoIterator<Item = Cut>) {
        self.shared.cuts.lock().unwrap().extend(cuts);
    }

    /// Forgets the cuts that have not been made.
    pub(crate) fn mend(&self) {
        self.shared.cuts.lock().unwrap().clear();
    }

    /// Cuts all connections that there are.
    pub(crate) fn cut(&self) {
        self.shared
            .generation
            .send_modify(|generation| *generation += 1);
    }

    /// Lets no new connection through, or lets them through again.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.shared.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Holds back what clients say from now on, or no more. What is held when a connection is cut is on its way to the
    /// daemon still, which hears nothing of the cut.
    pub(crate) fn hold(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::SeqCst);
    }

    /// Lets what was held back arrive, over the connections that it was said on.
    pub(crate) fn release(&self) {
        self.shared.releases.send_modify(|releases| *releases += 1);
    }

    /// Has the connections that there are carry nothing any more. Nobody is told.
    pub(crate) fn silence(&self) {
        self.shared
            .silenced
            .store(self.connections(), Ordering::SeqCst);
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many bytes have passed to the daemon and to its clients since this was asked last.
    pub(crate) fn take_passed(&self) -> (usize, usize) {
        (
            self.shared.to_daemon.swap(0, Ordering::SeqCst),
            self.shared.to_client.swap(0, Ordering::SeqCst),
        )
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn relay(shared: Arc<Shared>, number: usize, client: TcpStream, daemon: TcpStream) {
    let cut = shared.cuts.lock().unwrap().pop_front();
    let limit = |to_daemon| match cut {
        Some(cut) if cut.to_daemon == to_daemon => cut.after,
        _ => usize::MAX,
    };
    let mut generation = shared.generation.subscribe();
    let mut releases = shared.releases.subscribe();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_daemon, mut to_daemon) = daemon.into_split();
    let mut held = Vec::new();
    tokio::select! {
        () = pass(&mut from_daemon, &mut to_client, limit(false), |piece| {
            shared.to_client.fetch_add(piece.len(), Ordering::SeqCst);
            shared.silenced.load(Ordering::SeqCst) <= number
        }) => {}
        () = pass(&mut from_client, &mut to_daemon, limit(true), |piece| {
            shared.to_daemon.fetch_add(piece.len(), Ordering::SeqCst);
            let holds = shared.holds.load(Ordering::SeqCst);
            if holds {
                held.extend_from_slice(piece);
            }
            !holds && shared.silenced.load(Ordering::SeqCst) <= number
        }) => {}
        _ = generation.changed() => {}
    }
    // The client's side goes at once. The daemon's stays for as long as something is held.
    drop((from_client, to_client));
    if !held.is_empty() {
        let _ = releases.changed().await;
        let _ = to_daemon.write_all(&held).await;
        // Until the daemon has had a chance to read it: it closes the connection, having another.
        let _ = from_daemon.read_to_end(&mut Vec::new()).await;
    }
}

/// Passes bytes on, those of which `passes` says so, until so many have come.
async fn pass(
    from: &mut tcp::OwnedReadHalf,
    to: &mut tcp::OwnedWriteHalf,
    limit: usize,
    mut passes: impl FnMut(&[u8]) -> bool,
) {
    let mut left = limit;
    let mut buffer = [0; 4096];
    while left > 0 {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let piece = &buffer[..read.min(left)];
        left -= piece.len();
        if passes(piece) && to.write_all(piece).await.is_err() {
            return;
        }
    }
}
