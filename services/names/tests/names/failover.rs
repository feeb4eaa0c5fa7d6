//! How long it takes until another object of the same name is called, when one dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use farref::names::{IfTaken, Registration};
use farref::prelude::*;
use farref::testing::{Host, Network};
use farref::{Choice, FaultKind, Outcome};
use farref_names::NameServer;
use tokio::time::Instant;

use crate::support::memory_uri;

#[expose]
trait Counter {
    #[idempotent]
    async fn read(&self) -> u32;
    async fn charge(&self) -> u32;
}

/// Dies in its first call, if it is to.
struct Object {
    number: u32,
    dies: Option<Host>,
    runs: Arc<AtomicU32>,
}

impl Object {
    async fn run(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if let Some(host) = &self.dies {
            host.crash();
            std::future::pending::<()>().await;
        }
        self.number
    }
}

impl Counter for Object {
    async fn read(&self) -> u32 {
        self.run().await
    }
    async fn charge(&self) -> u32 {
        self.run().await
    }
}

/// Two objects of one name, the first of which is taken while it lives, and dies when it is called.
struct Case {
    _server: NameServer,
    daemons: [Daemon; 2],
    hosts: [Host; 2],
    client: Client,
    runs: Arc<AtomicU32>,
}

const LINGER: Duration = Duration::from_secs(7);

impl Case {
    async fn start() -> Self {
        let network = Network::new();
        let server = NameServer::builder().listen(memory_uri());
        let server = server.bind().await.unwrap();
        let hosts = [network.host("one"), network.host("two")];
        let runs = Arc::<AtomicU32>::default();
        let client = network.host("client").client().linger(LINGER);
        let client = client.choice(Choice::LeastLoaded).max_retries(1);
        let client = client.name_server(server.uri()).unwrap().build();
        let names = client.names().await.unwrap();
        let mut daemons = Vec::new();
        for (host, number) in hosts.iter().zip(1..) {
            let daemon = host.daemon().bind().await.unwrap();
            let object = Object {
                number,
                dies: (number == 1).then(|| host.clone()),
                runs: Arc::clone(&runs),
            };
            let uri = daemon
                .register("counter", CounterProxy::new(object))
                .unwrap();
            let registration = Registration {
                if_taken: IfTaken::Join,
                load: number,
                ..Registration::new("counter", &uri)
            };
            names.register(registration).await.unwrap();
            daemons.push(daemon);
        }
        Case {
            _server: server,
            daemons: daemons.try_into().unwrap(),
            hosts,
            client,
            runs,
        }
    }

    async fn connect(&self) -> CounterProxy {
        self.client.connect("farname:counter").await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_runs_elsewhere_when_the_linger_time_is_over() {
    let case = Case::start().await;
    let counter = case.connect().await;
    let begun = Instant::now();
    assert_eq!(counter.read().await.unwrap(), 2);
    let took = begun.elapsed();
    assert!(
        LINGER <= took && took < LINGER + Duration::from_secs(3),
        "{took:?}"
    );
    assert_eq!(case.runs.load(Ordering::SeqCst), 2);
    // From then on it is found there, and nobody waits.
    let begun = Instant::now();
    assert_eq!(counter.charge().await.unwrap(), 2);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_connects_anew_is_not_kept_waiting_by_the_dead() {
    let case = Case::start().await;
    case.hosts[0].crash();
    let begun = Instant::now();
    let counter = case.connect().await;
    assert_eq!(counter.charge().await.unwrap(), 2);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_goodbye_is_left_at_once() {
    let case = Case::start().await;
    let counter = case.connect().await;
    let begun = Instant::now();
    case.daemons[0].clone().shutdown(Shutdown::default()).await;
    assert_eq!(counter.read().await.unwrap(), 2);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_not_run_twice_fails_with_its_server_and_the_next_one_runs_elsewhere() {
    let case = Case::start().await;
    let counter = case.connect().await;
    let fault = counter.charge().await.unwrap_err();
    assert_eq!(
        (fault.kind(), fault.outcome()),
        (FaultKind::SessionLost, Outcome::Unknown)
    );
    assert_eq!(case.runs.load(Ordering::SeqCst), 1);
    assert_eq!(counter.charge().await.unwrap(), 2);
}
