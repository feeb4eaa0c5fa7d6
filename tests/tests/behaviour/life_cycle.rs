//! What happens to daemons and sessions is told by signals; attributes tell when they change.

use std::sync::{Arc, Mutex};

use farref::daemon_object::DaemonObjectProxy;
use farref::life::LifeCycle;
use farref::prelude::*;
use farref::{Attribute, FaultKind, Signal};
use tokio::sync::{Notify, mpsc};

use crate::support::memory_uri;

/// The names of what happened, in order, and a signal for each.
fn noted(life: &LifeCycle) -> mpsc::UnboundedReceiver<String> {
    let (noted, told) = mpsc::unbounded_channel();
    let note = |name: &'static str| {
        let noted = noted.clone();
        move |what: String| noted.send(format!("{name} {what}")).unwrap()
    };
    let started = note("started");
    life.started
        .connect(move |daemon| started(daemon.uris().len().to_string()));
    let opened = note("opened");
    life.session_opened.connect(move |peer| opened(peer.name()));
    let ended = note("ended");
    life.session_ended
        .connect(move |session| ended(format!("{:?}", session.reason.kind())));
    let failed = note("failed");
    life.session_failed
        .connect(move |session| failed(format!("{:?}", session.reason.kind())));
    let stopping = note("stopping");
    life.stopping
        .connect(move |daemon| stopping(daemon.peers().len().to_string()));
    let stopped = note("stopped");
    life.stopped
        .connect(move |daemon| stopped(daemon.peers().len().to_string()));
    told
}

#[tokio::test]
async fn a_daemon_tells_of_its_life_and_of_its_sessions() {
    let life = Arc::new(LifeCycle::default());
    let mut told = noted(&life);
    let daemon = Daemon::builder()
        .listen(memory_uri())
        .token("swordfish")
        .life_cycle(&life)
        .bind()
        .await
        .unwrap();
    assert_eq!(
        told.try_recv().unwrap(),
        "started 1",
        "before `bind` returns"
    );
    let uri = &daemon.uris()[0];

    let stranger = Client::new().connect::<DaemonObjectProxy>(uri).await;
    assert_eq!(stranger.unwrap_err().kind(), FaultKind::Refused);
    assert!(told.recv().await.unwrap().starts_with("failed "));

    let mine = Arc::new(LifeCycle::default());
    let mut my_told = noted(&mine);
    let client = Client::builder()
        .token("swordfish")
        .name("somebody")
        .life_cycle(&mine)
        .build();
    let object: DaemonObjectProxy = client.connect(uri).await.unwrap();
    object.ping().await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "opened somebody");
    assert!(my_told.recv().await.unwrap().starts_with("opened "));
    drop(object);
    assert_eq!(told.recv().await.unwrap(), "ended SessionLost");
    assert_eq!(my_told.recv().await.unwrap(), "ended SessionLost");

    let _object: DaemonObjectProxy = client.connect(uri).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "opened somebody");
    daemon.shutdown(Shutdown::default()).await;
    daemon.shutdown(Shutdown::default()).await;
    let mut rest = Vec::new();
    while let Ok(next) = told.try_recv() {
        rest.push(next);
    }
    assert_eq!(rest.first().unwrap(), "stopping 1", "its session is there");
    assert!(rest.contains(&"ended SessionLost".to_owned()));
    assert_eq!(rest.last().unwrap(), "stopped 0");
    assert_eq!(rest.len(), 3, "{rest:?}: once each");
}

#[tokio::test]
async fn whoever_is_told_that_a_daemon_stops_still_has_a_word() {
    let life = Arc::new(LifeCycle::default());
    let (asked, answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (is_asked, answer) = (Arc::clone(&asked), Arc::clone(&answered));
    life.stopping.connect_async(move |_| {
        let (is_asked, answer) = (Arc::clone(&is_asked), Arc::clone(&answer));
        async move {
            is_asked.notify_one();
            answer.notified().await;
        }
    });
    // A receiver that fails stops nobody.
    life.stopping.connect(|_| Err("I will not"));
    let daemon = Daemon::builder()
        .listen(memory_uri())
        .life_cycle(&life)
        .bind()
        .await
        .unwrap();
    let client = Client::new();
    let object: DaemonObjectProxy = client.connect(&daemon.uris()[0]).await.unwrap();
    let mut ending = Box::pin(daemon.shutdown(Shutdown::default()));
    tokio::select! {
        biased;
        () = &mut ending => panic!("it did not wait"),
        () = asked.notified() => {}
    }
    object.ping().await.unwrap();
    answered.notify_one();
    ending.await;
    assert!(object.ping().await.is_err());
}

#[tokio::test]
async fn one_receiver_may_listen_to_one_of_several_daemons() {
    let life = Arc::new(LifeCycle::default());
    let bind = async || {
        let daemon = Daemon::builder().listen(memory_uri()).life_cycle(&life);
        daemon.bind().await.unwrap()
    };
    let (one, other) = (bind().await, bind().await);
    let stopped = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&stopped);
    life.stopped
        .from_sender(one.sender().unwrap())
        .connect(move |daemon| noted.lock().unwrap().push(daemon.uris()[0].clone()));
    other.shutdown(Shutdown::Abort).await;
    one.shutdown(Shutdown::Abort).await;
    assert_eq!(*stopped.lock().unwrap(), [one.uris()[0].clone()]);
    let quiet = Daemon::bind(memory_uri()).await.unwrap();
    assert!(quiet.sender().is_none());
}

/// Dropping a daemon tells of it as well, though nobody is waited for.
#[tokio::test]
async fn a_daemon_that_is_dropped_tells_of_it() {
    let life = Arc::new(LifeCycle::default());
    let mut told = noted(&life);
    let daemon = Daemon::builder().listen(memory_uri()).life_cycle(&life);
    drop(daemon.bind().await.unwrap());
    for expected in ["started 1", "stopping 0", "stopped 0"] {
        assert_eq!(told.recv().await.unwrap(), expected);
    }
}

#[expose]
trait Radio {
    #[attribute]
    fn volume(&self) -> f32;
    #[attribute]
    async fn set_volume(&self, level: f32);
    #[signal]
    fn volume_changed(&self) -> &Signal<f32>;
}

#[derive(Default)]
struct Kitchen(Attribute<f32>);

impl Radio for Kitchen {
    fn volume(&self) -> f32 {
        self.0.get()
    }
    async fn set_volume(&self, level: f32) {
        self.0.set(level.clamp(0.0, 1.0)).await;
    }
    fn volume_changed(&self) -> &Signal<f32> {
        self.0.changed()
    }
}

#[tokio::test]
async fn an_attribute_tells_who_watches_when_it_changes() {
    let pair = crate::support::Pair::memory().await;
    let kitchen = Arc::new(Kitchen::default());
    let far = pair
        .serve("radio", RadioProxy::shared(Arc::clone(&kitchen)))
        .await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let watching = far
        .volume_changed()
        .connect(move |level| told.send(**level).unwrap())
        .await
        .unwrap();
    far.set_volume(0.5).await.unwrap();
    far.set_volume(0.5).await.unwrap();
    far.set_volume(9.0).await.unwrap();
    // The object itself announces a change as well.
    kitchen.0.set(0.25).await;
    for level in [0.5, 1.0, 0.25] {
        assert_eq!(heard.recv().await, Some(level), "equal values tell nothing");
    }
    assert_eq!(far.volume().await.unwrap(), 0.25);
    assert!(watching.disconnect().await.unwrap());
    assert_eq!(heard.recv().await, None);
    drop((watching, far));
    pair.at_baseline().await;
}

/// What is heard last is the value, whoever changed it and when.
#[tokio::test]
async fn changes_while_others_are_told_are_told_in_turn() {
    let level = Arc::new(Attribute::new(0));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (of_receiver, noted) = (Arc::clone(&level), Arc::clone(&heard));
    level.changed().connect_async(move |event| {
        let (level, noted) = (Arc::clone(&of_receiver), Arc::clone(&noted));
        async move {
            noted.lock().unwrap().push(*event);
            if *event < 3 {
                // From within a receiver, one after the other.
                level.set(*event + 1).await;
                level.set(*event + 1).await;
            }
        }
    });
    level.set(1).await;
    assert_eq!(*heard.lock().unwrap(), [1, 2, 3]);

    // One that is given up leaves the next one its turn.
    let stuck = level
        .changed()
        .connect_async(|_| std::future::pending::<()>());
    tokio::select! {
        biased;
        () = level.set(7) => panic!("nobody ended it"),
        () = tokio::task::yield_now() => {}
    }
    stuck.disconnect();
    level.set(8).await;
    assert_eq!(heard.lock().unwrap().last(), Some(&8));
}
