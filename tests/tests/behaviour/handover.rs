//! What is handed over and given up leaves nothing behind: places in queues, turns, daemons.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::{FaultKind, Outcome};

use crate::support::assert_fault;

#[expose]
trait Notes {
    #[oneway]
    async fn write(&self, note: u32);
    #[oneway(ordered)]
    async fn write_slowly(&self, note: u32);
    async fn read(&self) -> Vec<u32>;
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u32>>>);

impl Notes for Paper {
    async fn write(&self, note: u32) {
        self.0.lock().unwrap().push(note);
    }
    async fn write_slowly(&self, note: u32) {
        // The smaller the number, the longer it takes.
        for _ in note..100 {
            tokio::task::yield_now().await;
        }
        self.0.lock().unwrap().push(note);
    }
    async fn read(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn near_oneways_start_in_order_and_before_the_calls_that_follow() {
    for notes in [
        NotesProxy::new(Paper::default()),
        NotesProxy::serial(Paper::default()),
    ] {
        for note in 0..200 {
            notes.write(note).await.unwrap();
        }
        assert_eq!(notes.read().await.unwrap(), (0..200).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn near_ordered_oneways_end_in_order() {
    let paper = Paper::default();
    let notes = NotesProxy::new(paper.clone());
    for note in [1, 50, 99] {
        notes.write_slowly(note).await.unwrap();
    }
    while paper.0.lock().unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(notes.read().await.unwrap(), [1, 50, 99]);
}

#[expose]
trait Relay {
    async fn depth(&self) -> u16;
    async fn depth_of(&self, other: RelayProxy) -> u16;
}

struct Level;

impl Relay for Level {
    async fn depth(&self) -> u16 {
        CallContext::current().unwrap().depth()
    }
    async fn depth_of(&self, other: RelayProxy) -> u16 {
        other.depth().await.unwrap()
    }
}

#[tokio::test]
async fn only_calls_across_processes_count_as_depth() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let uri = daemon.register("level", RelayProxy::new(Level)).unwrap();
    let far: RelayProxy = Client::new().connect(&uri).await.unwrap();
    let near = RelayProxy::new(Level);
    assert_eq!(far.depth().await.unwrap(), 0);
    assert_eq!(
        near.depth_of(far.clone()).await.unwrap(),
        0,
        "a near call is not one"
    );
    assert_eq!(far.depth_of(near).await.unwrap(), 1, "a callback is");
}

#[tokio::test]
async fn a_detached_daemon_lives_without_any_handle() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let uri = daemon
        .register("notes", NotesProxy::new(Paper::default()))
        .unwrap();
    drop(daemon.detach());
    for _ in 0..3 {
        let notes: NotesProxy = Client::new().connect(&uri).await.unwrap();
        assert!(notes.read().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn connecting_that_is_given_up_is_in_nobodys_way() {
    // A pipe whose other end stays silent until later: the client waits for the handshake, since it has a token.
    let daemon = Daemon::builder().token("secret").bind().await.unwrap();
    daemon
        .register("notes", NotesProxy::new(Paper::default()))
        .unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let client = Client::builder().token("secret").build();
    let connecting = client.from_io(near, "pipe");
    tokio::pin!(connecting);
    let waited = tokio::time::timeout(Duration::from_millis(1), connecting.as_mut()).await;
    assert!(waited.is_err(), "nobody answers yet");
    let serving = daemon.serve_io(far, "pipe");
    let (peer, _) = tokio::join!(connecting, serving);
    let peer = peer.unwrap();
    // Many who ask and give up at once.
    for _ in 0..100 {
        let asking = peer.object::<NotesProxy>("notes");
        tokio::pin!(asking);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = std::future::Future::poll(asking.as_mut(), &mut cx);
    }
    let notes: NotesProxy = peer.object("notes").await.unwrap();
    assert!(notes.read().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_its_client_closes_does_not_say_that_queued_calls_never_ran() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let paper = Paper::default();
    let uri = daemon
        .register("notes", NotesProxy::new(paper.clone()))
        .unwrap();
    let client = Client::new();
    let notes: NotesProxy = client.connect(&uri).await.unwrap();
    let (read, ()) = tokio::join!(notes.read(), client.close());
    // What was queued was still written, so it may have run.
    assert_fault(&read.unwrap_err(), FaultKind::SessionLost, Outcome::Unknown);
}
