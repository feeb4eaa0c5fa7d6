//! A handler that blocks its thread, though it should not.

use std::sync::{Mutex, mpsc as blocking};
use std::time::Duration;

use farref::prelude::*;
use farref::{Limits, SessionState};
use tokio::sync::mpsc;

#[expose]
trait Stage {
    /// Blocks its thread until it is told to go on.
    fn block(&self) -> u32;
    fn pass(&self) -> u32;
}

struct Door {
    entered: mpsc::UnboundedSender<()>,
    open: Mutex<blocking::Receiver<u32>>,
}

impl Stage for Door {
    fn block(&self) -> u32 {
        self.entered.send(()).unwrap();
        self.open.lock().unwrap().recv().unwrap()
    }
    fn pass(&self) -> u32 {
        1
    }
}

/// How long the daemon hears nothing of a peer before it takes it for dead.
const PATIENCE: Duration = Duration::from_millis(400);

/// The daemon's end of the session of this client.
fn served(daemon: &Daemon, name: &str) -> farref::Peer {
    let mut peers = daemon.peers();
    peers.retain(|peer| peer.name() == name);
    assert_eq!(peers.len(), 1);
    peers.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_stalls_its_own_connection_alone_which_still_shows_signs_of_life() {
    let (entered, mut has_entered) = mpsc::unbounded_channel();
    let (go_on, open) = blocking::channel();
    let mut limits = Limits::default();
    limits.beat_interval = PATIENCE / 8;
    limits.peer_timeout = PATIENCE;
    let daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .limits(limits)
        .bind()
        .await
        .unwrap();
    let door = Door {
        entered,
        open: Mutex::new(open),
    };
    let uri = daemon.register("stage", StageProxy::new(door)).unwrap();
    let blocked = Client::builder().name("blocked").build();
    let stage: StageProxy = blocked.connect(&uri).await.unwrap();
    let free = Client::builder().name("free").build();
    let other: StageProxy = free.connect(&uri).await.unwrap();
    let block = stage.clone();
    let call = tokio::spawn(async move { block.block().await });
    has_entered.recv().await.unwrap();

    // A beat says that the call has arrived; nothing else does.
    let peer = blocked.peers().remove(0);
    while peer.tables().unacknowledged > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let behind = tokio::spawn(async move { stage.pass().await });
    for _ in 0..100 {
        assert_eq!(other.pass().await.unwrap(), 1, "others are served");
    }
    // Not to wait for anything: it is the time that passes in which the blocked session is not taken for a dead one.
    tokio::time::sleep(PATIENCE * 4).await;
    let served = served(&daemon, "blocked");
    assert_eq!(served.state(), SessionState::Connected, "nothing was read");
    assert_eq!(peer.state(), SessionState::Connected);
    assert!(!call.is_finished() && !behind.is_finished());
    go_on.send(7).unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 7);
    assert_eq!(behind.await.unwrap().unwrap(), 1);
}
