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
const PATIENCE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_stalls_its_own_connection_alone_which_still_shows_signs_of_life() {
    let (entered, mut has_entered) = mpsc::unbounded_channel();
    let (go_on, open) = blocking::channel();
    let mut limits = Limits::default();
    limits.beat_interval = PATIENCE / 20;
    limits.peer_timeout = PATIENCE;
    // There is something to write when the call has been read that blocks.
    limits.ack_every = 1;
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
    let other: StageProxy = Client::new().connect(&uri).await.unwrap();
    other.pass().await.unwrap();
    // Nobody dials a pipe again: who is taken for dead on it is lost.
    let blocked = Client::new();
    let (here, there) = tokio::io::duplex(1 << 10);
    let (peer, served) = tokio::join!(
        blocked.from_io(here, "daemon"),
        daemon.serve_io(there, "client")
    );
    let (peer, served) = (peer.unwrap(), served.unwrap());
    let stage: StageProxy = peer.object("stage").await.unwrap();
    let block = stage.clone();
    let call = tokio::spawn(async move { block.block().await });
    has_entered.recv().await.unwrap();

    // What is written from now on says that the call has arrived.
    let beats = async {
        while peer.tables().unacknowledged > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let beats = tokio::time::timeout(20 * PATIENCE, beats).await;
    // Told before anything fails: the runtime would wait for the handler.
    let fails = |what| {
        go_on.send(0).unwrap();
        panic!("{what}")
    };
    if beats.is_err() {
        fails("nothing is written");
    }
    let behind = tokio::spawn(async move { stage.pass().await });
    for _ in 0..100 {
        assert_eq!(other.pass().await.unwrap(), 1, "others are served");
    }
    // Not to wait for anything: it is the time that passes in which the blocked session is not taken for a dead one.
    tokio::time::sleep(PATIENCE * 3 / 2).await;
    if call.is_finished() || behind.is_finished() || served.state() != SessionState::Connected {
        fails("the session is lost, or was not blocked");
    }
    assert_eq!(peer.state(), SessionState::Connected);
    go_on.send(7).unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 7);
    assert_eq!(behind.await.unwrap().unwrap(), 1);
}
