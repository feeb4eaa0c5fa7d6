//! The serving side: where it listens, whom it lets in, how it ends.

use std::sync::Arc;
use std::time::Duration;

use farref::prelude::*;
use farref::{DaemonHandle, FaultKind, Limits, Outcome};
use tokio::sync::{Notify, mpsc};

use crate::support::{Directory, Pair, assert_fault, memory_uri};

#[expose]
trait Desk {
    async fn answer(&self) -> u32;
    async fn wait(&self) -> u32;
    #[oneway]
    async fn tell(&self);
}

struct Clerk {
    entered: mpsc::UnboundedSender<()>,
    release: Arc<Notify>,
    done: mpsc::UnboundedSender<()>,
}

struct Office {
    entered: mpsc::UnboundedReceiver<()>,
    release: Arc<Notify>,
    done: mpsc::UnboundedReceiver<()>,
}

impl Clerk {
    fn new() -> (Self, Office) {
        let (entered, entered_receiver) = mpsc::unbounded_channel();
        let (done, done_receiver) = mpsc::unbounded_channel();
        let release = Arc::<Notify>::default();
        let clerk = Clerk {
            entered,
            release: Arc::clone(&release),
            done,
        };
        (
            clerk,
            Office {
                entered: entered_receiver,
                release,
                done: done_receiver,
            },
        )
    }

    fn proxy() -> DeskProxy {
        DeskProxy::new(Clerk::new().0)
    }
}

impl Desk for Clerk {
    async fn answer(&self) -> u32 {
        42
    }
    async fn wait(&self) -> u32 {
        self.entered.send(()).unwrap();
        self.release.notified().await;
        let _ = self.done.send(());
        42
    }
    async fn tell(&self) {
        self.wait().await;
    }
}

#[tokio::test]
async fn one_daemon_listens_at_several_places() {
    let directory = Directory::new();
    let unix: Uri = format!("far+unix:{}", directory.path("socket").display())
        .parse()
        .unwrap();
    let daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .listen("far://[::1]:0")
        .listen(unix.clone())
        .listen(memory_uri())
        .bind()
        .await
        .unwrap();
    daemon.register("desk", Clerk::proxy()).unwrap();
    assert_eq!(daemon.uris().len(), 4);
    let client = Client::new();
    for uri in daemon.uris() {
        let desk: DeskProxy = client.connect(&uri.with_object("desk")).await.unwrap();
        assert_eq!(desk.answer().await.unwrap(), 42);
        assert!(
            !uri.to_string().contains(":0/") && !uri.to_string().ends_with(":0"),
            "{uri} has a real port"
        );
    }
    daemon.shutdown(Shutdown::default()).await;
    drop(daemon);
    assert!(
        !directory.path("socket").exists(),
        "the socket's file is gone"
    );
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_and_leaves_nothing_behind() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let memory = memory_uri();
    let builder = Daemon::builder()
        .listen(memory.clone())
        .listen(&daemon.uris()[0]);
    assert_fault(
        &builder.bind().await.unwrap_err(),
        FaultKind::ConnectFailed,
        Outcome::NotStarted,
    );
    drop(Daemon::bind(memory).await.unwrap());
    assert_fault(
        &Daemon::bind("tcp://x").await.unwrap_err(),
        FaultKind::InvalidUri,
        Outcome::NotStarted,
    );
}

#[tokio::test]
async fn a_name_belongs_to_one_object() {
    let daemon = Daemon::bind(memory_uri()).await.unwrap();
    let uri = daemon.register("desk", Clerk::proxy()).unwrap();
    assert_eq!(uri, daemon.uris()[0].with_object("desk"));
    for name in ["desk", "", &"x".repeat(1025)] {
        let fault = daemon.register(name, Clerk::proxy()).unwrap_err();
        assert_fault(&fault, FaultKind::Misuse, Outcome::NotStarted);
    }
    daemon
        .register("Schreibtisch 2/links ß", Clerk::proxy())
        .unwrap();
    let registered = daemon.registered();
    assert_eq!(
        registered.keys().collect::<Vec<_>>(),
        ["Schreibtisch 2/links ß", "desk"]
    );
    assert_eq!(registered["desk"], "Desk");
    let uri: Uri = daemon.uris()[0]
        .with_object("Schreibtisch 2/links ß")
        .to_string()
        .parse()
        .unwrap();
    let desk: DeskProxy = Client::new().connect(uri).await.unwrap();
    assert_eq!(desk.answer().await.unwrap(), 42);
    assert!(daemon.unregister("desk"));
    daemon.register("desk", Clerk::proxy()).unwrap();
}

#[tokio::test]
async fn a_daemon_behind_address_translation_says_where_it_is_reached() {
    let listen = || Daemon::builder().listen("far://127.0.0.1:0");
    let daemon = listen()
        .advertise("outside.example", None)
        .bind()
        .await
        .unwrap();
    let uri = daemon.register("desk", Clerk::proxy()).unwrap();
    assert!(
        uri.to_string().starts_with("far://outside.example:") && uri.to_string().ends_with("/desk"),
        "{uri}"
    );
    let daemon = listen()
        .advertise("outside.example", Some(4000))
        .bind()
        .await
        .unwrap();
    let uri = daemon.register("desk", Clerk::proxy()).unwrap();
    assert_eq!(uri.to_string(), "far://outside.example:4000/desk");
}

#[tokio::test]
async fn a_public_address_needs_a_token_or_an_explicit_word() {
    let public = "far://0.0.0.0:0";
    let fault = Daemon::bind(public).await.unwrap_err();
    assert_fault(&fault, FaultKind::Misuse, Outcome::NotStarted);
    assert!(
        fault.message().contains("token") && fault.message().contains("insecure_public"),
        "{fault}"
    );
    let known = Daemon::builder().listen(public).token("swordfish");
    drop(known.bind().await.unwrap());
    let open = Daemon::builder().listen(public).insecure_public(true);
    drop(open.bind().await.unwrap());
}

#[tokio::test]
async fn only_those_who_know_the_token_come_in() {
    let daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .token("swordfish")
        .bind()
        .await
        .unwrap();
    let uri = daemon.register("desk", Clerk::proxy()).unwrap();
    let knows = Client::builder().token("swordfish").build();
    let desk: DeskProxy = knows.connect(&uri).await.unwrap();
    assert_eq!(desk.answer().await.unwrap(), 42);
    for client in [Client::builder().token("tuna").build(), Client::new()] {
        let fault = client.connect::<DeskProxy>(&uri).await.unwrap_err();
        assert_fault(&fault, FaultKind::Refused, Outcome::NotStarted);
        let lazy: DeskProxy = client.lazy(&uri).unwrap();
        assert_fault(
            &lazy.answer().await.unwrap_err(),
            FaultKind::Refused,
            Outcome::NotStarted,
        );
        assert!(client.peers().is_empty());
    }
    // Someone who expects a token is not content with a daemon that has none.
    let open = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let uri = open.register("desk", Clerk::proxy()).unwrap();
    let fault = knows.connect::<DeskProxy>(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::Refused, Outcome::NotStarted);
}

#[tokio::test]
async fn shutting_down_lets_accepted_calls_end_and_refuses_new_ones() {
    let pair = Pair::tcp().await;
    let (clerk, mut office) = Clerk::new();
    let desk = pair.serve("desk", DeskProxy::new(clerk)).await;
    let uri = desk.uri().unwrap().clone();
    let accepted = tokio::spawn({
        let desk = desk.clone();
        async move { desk.wait().await }
    });
    desk.tell().await.unwrap();
    for _ in 0..2 {
        office.entered.recv().await.unwrap();
    }
    let handle = (*pair.daemon).clone();
    let shutdown = tokio::spawn(async move {
        handle
            .shutdown(Shutdown::Drain(Duration::from_secs(60)))
            .await
    });
    let fault = loop {
        if let Err(fault) = desk.answer().await {
            break fault;
        }
    };
    assert_fault(&fault, FaultKind::ShuttingDown, Outcome::NotStarted);
    assert!(!fault.may_have_run());
    let fault = Client::new().connect::<DeskProxy>(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
    assert!(!shutdown.is_finished() && !accepted.is_finished());
    office.release.notify_one();
    office.release.notify_waiters();
    office.done.recv().await.unwrap();
    office.release.notify_one();
    assert_eq!(accepted.await.unwrap().unwrap(), 42);
    shutdown.await.unwrap();
    office.done.recv().await.unwrap();
    pair.daemon.stopped().await;
    pair.daemon.shutdown(Shutdown::Abort).await;
}

#[tokio::test(start_paused = true)]
async fn draining_has_an_end() {
    let pair = Pair::memory().await;
    let (clerk, mut office) = Clerk::new();
    let desk = pair.serve("desk", DeskProxy::new(clerk)).await;
    let call = tokio::spawn(async move { desk.wait().await });
    office.entered.recv().await.unwrap();
    let begun = tokio::time::Instant::now();
    pair.daemon
        .shutdown(Shutdown::Drain(Duration::from_secs(5)))
        .await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let fault = call.await.unwrap().unwrap_err();
    assert!(fault.may_have_run(), "{fault:?}");
}

#[tokio::test]
async fn aborting_ends_all_sessions_at_once() {
    let pair = Pair::tcp().await;
    let (clerk, mut office) = Clerk::new();
    let desk = pair.serve("desk", DeskProxy::new(clerk)).await;
    let call = tokio::spawn(async move { desk.wait().await });
    office.entered.recv().await.unwrap();
    pair.daemon.shutdown(Shutdown::Abort).await;
    assert_fault(
        &call.await.unwrap().unwrap_err(),
        FaultKind::SessionLost,
        Outcome::Unknown,
    );
    assert!(pair.daemon.peers().is_empty());
}

#[tokio::test]
async fn dropping_a_daemon_shuts_it_down_unless_it_is_detached() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let uri = daemon.register("desk", Clerk::proxy()).unwrap();
    drop(daemon);
    let fault = Client::new().connect::<DeskProxy>(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);

    // The port is free again.
    let daemon = Daemon::bind(&uri.without_object()).await.unwrap();
    let uri = daemon.register("desk", Clerk::proxy()).unwrap();
    let handle = daemon.detach();
    let desk: DeskProxy = Client::new().connect(&uri).await.unwrap();
    assert_eq!(desk.answer().await.unwrap(), 42);
    handle.shutdown(Shutdown::default()).await;
    handle.stopped().await;
}

#[tokio::test]
async fn run_until_drains_and_serve_ends_with_the_daemon() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let (clerk, mut office) = Clerk::new();
    let uri = daemon.register("desk", DeskProxy::new(clerk)).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(daemon.run_until(stopped));
    let desk: DeskProxy = Client::new().connect(&uri).await.unwrap();
    let call = tokio::spawn(async move { desk.wait().await });
    office.entered.recv().await.unwrap();
    stop.send(()).unwrap();
    tokio::task::yield_now().await;
    office.release.notify_one();
    assert_eq!(call.await.unwrap().unwrap(), 42);
    running.await.unwrap().unwrap();

    let daemon = Daemon::bind(memory_uri()).await.unwrap();
    let handle = (*daemon).clone();
    let serving = tokio::spawn(daemon.serve());
    handle.shutdown(Shutdown::Abort).await;
    serving.await.unwrap();
}

#[tokio::test]
async fn a_pipe_that_the_application_opened_is_a_connection_like_another() {
    let daemon = Daemon::builder().bind().await.unwrap();
    daemon.register("desk", Clerk::proxy()).unwrap();
    let client = Client::new();
    client.publish("mine", &Clerk::proxy()).unwrap();
    let (here, there) = tokio::io::duplex(100);
    let (at_client, at_daemon) = tokio::join!(
        client.from_io(here, "to the daemon"),
        daemon.serve_io(there, "to the client")
    );
    let (at_client, at_daemon) = (at_client.unwrap(), at_daemon.unwrap());
    assert_eq!(at_client.address().to_string(), "stream:to the daemon");
    assert!(
        !at_client.address().is_local(),
        "nobody knows where it leads"
    );
    let desk: DeskProxy = at_client.object("desk").await.unwrap();
    let mine: DeskProxy = at_daemon.object("mine").await.unwrap();
    assert_eq!(
        (desk.answer().await.unwrap(), mine.answer().await.unwrap()),
        (42, 42)
    );
    at_client.close();
    drop((desk, mine));
    while !at_daemon.is_closed() {
        tokio::task::yield_now().await;
    }
    assert!(at_client.is_closed() && daemon.peers().is_empty());
}

#[tokio::test]
async fn one_connection_too_many_is_refused_and_there_is_room_again() {
    let daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .max_connections(2)
        .bind()
        .await
        .unwrap();
    let uri = daemon.register("desk", Clerk::proxy()).unwrap();
    let clients = [Client::new(), Client::new()];
    let mut desks = Vec::new();
    for client in &clients {
        desks.push(client.connect::<DeskProxy>(&uri).await.unwrap());
    }
    let third = Client::new();
    let fault = third.connect::<DeskProxy>(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::Refused, Outcome::NotStarted);
    assert_eq!(
        desks[0].answer().await.unwrap(),
        42,
        "the others do not notice"
    );
    desks.clear();
    loop {
        if third.connect::<DeskProxy>(&uri).await.is_ok() {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_connects_and_stays_silent_is_dropped() {
    let daemon = Daemon::builder().bind().await.unwrap();
    let (silent, there) = tokio::io::duplex(100);
    let begun = tokio::time::Instant::now();
    daemon.serve_io(there, "silent").await.unwrap_err();
    assert!(
        begun.elapsed() >= Limits::HANDSHAKE_TIMEOUT
            && begun.elapsed() < 2 * Limits::HANDSHAKE_TIMEOUT
    );
    assert!(daemon.peers().is_empty());
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_found() {
    // A cable between two pipes, which stops carrying bytes without closing either.
    let daemon = Daemon::builder().bind().await.unwrap();
    let (clerk, mut office) = Clerk::new();
    daemon.register("desk", DeskProxy::new(clerk)).unwrap();
    let (here, mut plug_here) = tokio::io::duplex(64 << 10);
    let (there, mut plug_there) = tokio::io::duplex(64 << 10);
    let (cut, is_cut) = tokio::sync::oneshot::channel::<()>();
    let cable = tokio::spawn(async move {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut plug_here, &mut plug_there) => {}
            _ = is_cut => {}
        }
        (plug_here, plug_there)
    });
    let client = Client::new();
    let (peer, served) = tokio::join!(
        client.from_io(here, "daemon"),
        daemon.serve_io(there, "client")
    );
    let (peer, served) = (peer.unwrap(), served.unwrap());
    let desk: DeskProxy = peer.object("desk").await.unwrap();
    // An idle session lives: beats cross it.
    tokio::time::sleep(5 * Limits::PEER_TIMEOUT).await;
    assert!(!peer.is_closed() && !served.is_closed());
    let call = tokio::spawn(async move { desk.wait().await });
    office.entered.recv().await.unwrap();
    let begun = tokio::time::Instant::now();
    cut.send(()).unwrap();
    let plugs = cable.await.unwrap();
    let fault = call.await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert!(
        begun.elapsed() <= 2 * Limits::PEER_TIMEOUT,
        "{:?}",
        begun.elapsed()
    );
    while !served.is_closed() {
        tokio::time::sleep(Limits::BEAT_INTERVAL).await;
        assert!(begun.elapsed() <= 3 * Limits::PEER_TIMEOUT);
    }
    drop(plugs);
}

#[tokio::test]
async fn a_daemon_that_is_gone_holds_no_object() {
    /// Knows the daemon that serves it, as objects may that register others.
    struct Registrar(DaemonHandle, mpsc::UnboundedSender<()>);
    impl Desk for Registrar {
        async fn answer(&self) -> u32 {
            self.0.register("another", Clerk::proxy()).unwrap();
            42
        }
        async fn wait(&self) -> u32 {
            0
        }
        async fn tell(&self) {}
    }
    impl Drop for Registrar {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }
    for drop_it in [true, false] {
        let (sender, mut dropped) = mpsc::unbounded_channel();
        let daemon = Daemon::bind(memory_uri()).await.unwrap();
        let registrar = Registrar((*daemon).clone(), sender);
        let uri = daemon
            .register("registrar", DeskProxy::new(registrar))
            .unwrap();
        let client = Client::new();
        let desk: DeskProxy = client.connect(&uri).await.unwrap();
        assert_eq!(desk.answer().await.unwrap(), 42);
        assert!(daemon.registered().contains_key("another"));
        match drop_it {
            true => drop(daemon),
            false => daemon.detach().shutdown(Shutdown::default()).await,
        }
        dropped.recv().await.unwrap();
    }
}
