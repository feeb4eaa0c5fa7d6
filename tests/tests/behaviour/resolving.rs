//! Objects that are known by name or by tags: when they are looked up, which one is taken, what happens when it is lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use farref::prelude::*;
use farref::{Candidate, Choice, FaultKind, Outcome, Resolver, Resolving};

use crate::support::{assert_fault, memory_uri};

#[expose]
trait Server {
    #[idempotent]
    fn who(&self) -> u32;
    /// Not safe to repeat.
    fn charge(&self) -> u32;
    async fn partner(&self, uri: Uri) -> u32;
}

struct Numbered(u32);

impl Server for Numbered {
    fn who(&self) -> u32 {
        self.0
    }
    fn charge(&self) -> u32 {
        self.0
    }
    async fn partner(&self, uri: Uri) -> u32 {
        let partner: ServerProxy = directory_client().lazy(uri).unwrap();
        partner.who().await.unwrap()
    }
}

async fn server(number: u32) -> (Daemon, Uri) {
    let daemon = Daemon::bind(memory_uri()).await.unwrap();
    let uri = daemon
        .register("server", ServerProxy::new(Numbered(number)))
        .unwrap();
    (daemon, uri)
}

/// A directory in this process, which counts its questions and may be away.
#[derive(Clone, Default)]
struct Directory(Arc<Inner>);

#[derive(Default)]
struct Inner {
    known: Mutex<BTreeMap<String, Vec<(Uri, u32)>>>,
    asked: AtomicU32,
    is_away: AtomicU32,
}

impl Directory {
    fn set(&self, uri: &str, objects: &[(&Uri, u32)]) {
        let objects = objects.iter().map(|(uri, load)| ((*uri).clone(), *load));
        self.0
            .known
            .lock()
            .unwrap()
            .insert(uri.to_owned(), objects.collect());
    }

    fn asked(&self) -> u32 {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn is_away(&self, away: bool) {
        self.0.is_away.store(away.into(), Ordering::SeqCst);
    }

    fn client(&self, choice: Choice) -> Client {
        Client::builder()
            .resolver(self.clone())
            .choice(choice)
            .build()
    }
}

impl Resolver for Directory {
    fn resolve<'a>(&'a self, _: &'a Client, uri: &'a Uri) -> Resolving<'a> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let found = match self.0.is_away.load(Ordering::SeqCst) {
            0 => Ok(self.0.known.lock().unwrap().get(&uri.to_string()).cloned()),
            _ => Err(Fault::new(
                FaultKind::ConnectFailed,
                Outcome::NotStarted,
                "the directory is away",
            )),
        };
        Box::pin(async move {
            let found = found?.unwrap_or_default().into_iter();
            Ok(found.map(|(uri, load)| Candidate { uri, load }).collect())
        })
    }
}

/// Ends a daemon, and waits until the client has noticed.
async fn kill(daemon: Daemon, client: &Client) {
    let peers = client.peers();
    daemon.shutdown(Shutdown::Abort).await;
    let ended = async {
        while !peers.iter().any(farref::Peer::is_closed) {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, ended).await.unwrap();
}

/// The client that objects of this module use when they are asked to call another.
fn directory_client() -> &'static Client {
    static CLIENT: std::sync::OnceLock<Client> = std::sync::OnceLock::new();
    CLIENT.get_or_init(|| {
        let directory = Directory::default();
        let uri: Uri = "far+mem:resolving-partner#server".parse().unwrap();
        directory.set("farname:partner", &[(&uri, 0)]);
        directory.client(Choice::Random)
    })
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_bind_and_again_after_a_loss() {
    let directory = Directory::default();
    let client = directory.client(Choice::Random);
    let (first, uri) = server(1).await;
    directory.set("farname:s", &[(&uri, 0)]);

    let proxy: ServerProxy = client.lazy("farname:s").unwrap();
    assert_eq!(directory.asked(), 0);
    for _ in 0..3 {
        assert_eq!(proxy.who().await.unwrap(), 1);
        assert_eq!(proxy.clone().charge().await.unwrap(), 1);
    }
    assert_eq!(directory.asked(), 1);
    assert_eq!(proxy.uri().unwrap().to_string(), "farname:s");

    // The object comes to life elsewhere.
    kill(first, &client).await;
    let (_second, uri) = server(2).await;
    directory.set("farname:s", &[(&uri, 0)]);
    assert_eq!(proxy.charge().await.unwrap(), 2);
    assert_eq!(directory.asked(), 2);
}

#[tokio::test]
async fn while_nobody_can_be_asked_proxies_live_and_find_their_object_where_it_was() {
    let directory = Directory::default();
    let client = directory.client(Choice::Random);
    let (daemon, uri) = server(1).await;
    directory.set("farname:s", &[(&uri, 0)]);
    let proxy: ServerProxy = client.connect("farname:s").await.unwrap();

    directory.is_away(true);
    assert_eq!(proxy.who().await.unwrap(), 1);
    kill(daemon, &client).await;
    let error = proxy.charge().await.unwrap_err();
    assert_fault(&error, FaultKind::ConnectFailed, Outcome::NotStarted);

    let daemon = Daemon::bind(uri.without_object()).await.unwrap();
    daemon
        .register("server", ServerProxy::new(Numbered(3)))
        .unwrap();
    assert_eq!(proxy.charge().await.unwrap(), 3);

    let stranger: ServerProxy = client.lazy("farname:s").unwrap();
    let error = stranger.who().await.unwrap_err();
    assert_eq!(error.message(), "the directory is away");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_no_such_object_until_somebody_has_it() {
    let directory = Directory::default();
    let client = directory.client(Choice::Random);
    let proxy: ServerProxy = client.lazy("farmeta:b,a").unwrap();
    let error = proxy.who().await.unwrap_err();
    assert_fault(&error, FaultKind::NoSuchObject, Outcome::NotStarted);
    assert!(error.message().contains("the tags `a`, `b`"), "{error}");
    assert!(error.message().contains("farref list"), "{error}");

    let (_daemon, uri) = server(4).await;
    directory.set("farmeta:a,b", &[(&uri, 0)]);
    assert_eq!(proxy.who().await.unwrap(), 4);
}

#[tokio::test]
async fn of_several_objects_the_clients_choice_is_taken() {
    let directory = Directory::default();
    let servers = [server(0).await, server(1).await, server(2).await];
    let uris = servers.each_ref().map(|(_, uri)| uri);
    directory.set("farmeta:s", &[(uris[0], 5), (uris[1], 9), (uris[2], 2)]);

    let round_robin = directory.client(Choice::RoundRobin);
    let mut counts = [0; 3];
    for _ in 0..30 {
        let proxy: ServerProxy = round_robin.connect("farmeta:s").await.unwrap();
        counts[proxy.who().await.unwrap() as usize] += 1;
    }
    assert_eq!(counts, [10, 10, 10]);

    let least_loaded = directory.client(Choice::LeastLoaded);
    let proxy: ServerProxy = least_loaded.connect("farmeta:s").await.unwrap();
    assert_eq!(proxy.who().await.unwrap(), 2);
    directory.set("farmeta:s", &[(uris[0], 5), (uris[1], 0), (uris[2], 2)]);
    assert_eq!(proxy.who().await.unwrap(), 2, "chosen at each bind");
    proxy.disconnect();
    assert_eq!(proxy.who().await.unwrap(), 1);

    let random = directory.client(Choice::Random);
    let mut met = std::collections::BTreeSet::new();
    // The odds that one of three is missed are below one in 10¹⁷.
    for _ in 0..100 {
        let proxy: ServerProxy = random.connect("farmeta:s").await.unwrap();
        met.insert(proxy.who().await.unwrap());
    }
    assert_eq!(met.len(), 3);
}

#[tokio::test]
async fn one_that_does_not_answer_gives_way_to_another() {
    let directory = Directory::default();
    let client = directory.client(Choice::LeastLoaded);
    let (first, first_uri) = server(1).await;
    let (_second, second_uri) = server(2).await;
    let nobody = memory_uri();
    let elsewhere = second_uri.with_object("nobody");
    let endless = Uri::named("endless").unwrap();
    directory.set(
        "farname:s",
        &[
            (&endless, 0),
            (&nobody, 0),
            (&elsewhere, 1),
            (&first_uri, 2),
            (&second_uri, 3),
        ],
    );
    let proxy: ServerProxy = client.connect("farname:s").await.unwrap();
    assert_eq!(proxy.who().await.unwrap(), 1);
    kill(first, &client).await;
    assert_eq!(proxy.charge().await.unwrap(), 2);
}

#[tokio::test]
async fn an_idempotent_call_whose_server_is_lost_runs_at_another() {
    /// Ends its own session during the first call.
    struct Dying(Arc<AtomicU32>);
    impl Server for Dying {
        fn who(&self) -> u32 {
            self.0.fetch_add(1, Ordering::SeqCst);
            CallContext::current().unwrap().peer().unwrap().abort();
            1
        }
        fn charge(&self) -> u32 {
            self.who()
        }
        async fn partner(&self, _: Uri) -> u32 {
            self.who()
        }
    }
    let directory = Directory::default();
    let client = directory.client(Choice::LeastLoaded);
    let runs = Arc::new(AtomicU32::new(0));
    let dying = Daemon::bind(memory_uri()).await.unwrap();
    let dying_uri = dying
        .register("server", ServerProxy::new(Dying(Arc::clone(&runs))))
        .unwrap();
    let (_second, second_uri) = server(2).await;
    directory.set("farname:s", &[(&dying_uri, 0), (&second_uri, 1)]);

    let proxy: ServerProxy = client.connect("farname:s").await.unwrap();
    let error = proxy.charge().await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    let proxy: ServerProxy = client.connect("farname:s").await.unwrap();
    let proxy = proxy.with_max_retries(1);
    assert_eq!(proxy.who().await.unwrap(), 2);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn proxies_to_one_name_compare_by_it_and_a_session_of_ones_own_is_looked_up_too() {
    let directory = Directory::default();
    let client = directory.client(Choice::Random);
    let (daemon, uri) = server(1).await;
    directory.set("farname:s", &[(&uri, 0)]);
    let one: ServerProxy = client.connect("farname:s").await.unwrap();
    let same: ServerProxy = client.connect("farname:s").await.unwrap();
    let direct: ServerProxy = client.connect(&uri).await.unwrap();
    assert_eq!(one, same);
    assert_ne!(one, direct);
    assert!(farref::same_object(&one, &direct));
    assert_eq!(daemon.peers().len(), 1, "they share a session");

    let own = one.dedicated().unwrap();
    assert_eq!(own.who().await.unwrap(), 1);
    assert_eq!(daemon.peers().len(), 2);
}

#[tokio::test]
async fn a_uri_travels_in_a_call_and_is_looked_up_there() {
    let (daemon, uri) = server(1).await;
    let partner = Daemon::bind("far+mem:resolving-partner").await.unwrap();
    partner
        .register("server", ServerProxy::new(Numbered(7)))
        .unwrap();
    let proxy: ServerProxy = Client::new().connect(&uri).await.unwrap();
    let name = Uri::named("partner").unwrap();
    assert_eq!(proxy.partner(name).await.unwrap(), 7);
    drop(daemon);
}

#[tokio::test]
async fn a_daemon_does_not_listen_at_a_name() {
    let error = Daemon::bind("farname:s").await.unwrap_err();
    assert_fault(&error, FaultKind::Misuse, Outcome::NotStarted);
    assert!(error.message().contains("farname:s"), "{error}");
}
