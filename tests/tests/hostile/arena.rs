//! Where attacks happen: a daemon and its victim on one thread, whose memory is counted, and attackers on others.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use farref::DaemonBuilder;
use farref::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::attacker::NAME;
use crate::target::{Bastion, SECRET, TargetProxy};

/// Tests share the process, and so its file descriptors: one attack at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Waits until no other test holds descriptors.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long what is left of an attack may take to be cleared away. The daemon waits 2 s for a peer that does not close.
const CLEARANCE: Duration = Duration::from_secs(10);

/// A victim that waits longer for an answer while an attack goes on is not served. On a machine that does much else at once
/// the answer alone may take some seconds.
const HANG: Duration = Duration::from_secs(30);

/// A daemon under attack, and a victim that works on it meanwhile.
pub(crate) struct Arena {
    pub(crate) bastion: Bastion,
    pub(crate) address: SocketAddr,
    victim: TargetProxy,
    client: Client,
    daemon: Daemon,
    runtime: Runtime,
    _turn: MutexGuard<'static, ()>,
}

/// What an attack came to.
#[derive(Debug)]
pub(crate) struct Endured<R> {
    /// What the attackers saw.
    pub(crate) saw: R,
    /// The most memory that daemon and victim held at once, in bytes, above what they held before the attack.
    pub(crate) peak: u64,
}

/// All that an attack may not leave behind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Census {
    sessions: usize,
    calls: usize,
    exports: usize,
    imports: usize,
    aliases: usize,
    /// Handlers of the attacked object that wait.
    waiting: usize,
    tasks: usize,
    descriptors: usize,
}

impl Arena {
    /// A daemon with the usual limits.
    pub(crate) fn new() -> Self {
        Self::with(|daemon| daemon)
    }

    /// A daemon with limits of the test's choice.
    pub(crate) fn with(configure: impl FnOnce(DaemonBuilder) -> DaemonBuilder) -> Self {
        let turn = turn();
        keep_secrets();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let bastion = Bastion::default();
        let (daemon, client, victim, address) = runtime.block_on(async {
            let daemon = configure(Daemon::builder().listen("far://127.0.0.1:0"));
            let daemon = daemon.bind().await.expect("loopback can be bound");
            let uri = daemon
                .register(NAME, TargetProxy::new(bastion.clone()))
                .expect("the name is free");
            let client = Client::new();
            let victim: TargetProxy = client.connect(&uri).await.expect("the daemon listens");
            assert_eq!(victim.add(2, 3).await.expect("a call"), 5);
            let address = socket_address(&daemon);
            (daemon, client, victim, address)
        });
        Arena {
            bastion,
            address,
            victim,
            client,
            daemon,
            runtime,
            _turn: turn,
        }
    }

    /// Lets `attack` go on in a thread of its own while the victim works, and checks that nothing is left of it.
    ///
    /// The victim's every result must be right and come in time. Afterwards sessions, calls, references, handlers, tasks
    /// and file descriptors must be as before, and a new connection must work.
    pub(crate) fn endure<R: Send>(
        &mut self,
        attack: impl FnOnce(SocketAddr) -> R + Send,
    ) -> Endured<R> {
        let baseline = self.runtime.block_on(self.steady_census());
        let mut saw = None;
        let address = self.address;
        let memory = allocation_counter::measure(|| {
            saw = Some(std::thread::scope(|scope| {
                let (ended, end) = oneshot::channel();
                let attacker = scope.spawn(move || {
                    let saw = attack(address);
                    let _ = ended.send(());
                    saw
                });
                self.runtime.block_on(self.victim_works_until(end));
                attacker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }));
        });
        self.runtime.block_on(self.recovers(&baseline));
        println!("peak: {} bytes", memory.bytes_max);
        Endured {
            saw: saw.expect("the attack has ended"),
            peak: memory.bytes_max,
        }
    }

    /// The proxy of the victim.
    pub(crate) fn victim(&self) -> &TargetProxy {
        &self.victim
    }

    /// Runs something on the daemon's thread.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    async fn victim_works_until(&self, mut end: oneshot::Receiver<()>) {
        let mut calls = 0;
        while matches!(end.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            let began = Instant::now();
            let sum = self.victim.add(calls, 1).await;
            assert_eq!(sum.expect("the victim is served"), calls + 1);
            let took = began.elapsed();
            assert!(took < HANG, "the victim waited {took:?}");
            calls += 1;
        }
    }

    async fn recovers(&self, baseline: &Census) {
        self.assert_back_at(baseline, "after the attack").await;
        self.new_connection_works().await;
        self.assert_back_at(baseline, "after a new connection")
            .await;
    }

    async fn assert_back_at(&self, baseline: &Census, when: &str) {
        settled(|| self.census() == *baseline).await;
        assert_eq!(self.census(), *baseline, "{when}");
    }

    async fn new_connection_works(&self) {
        let client = Client::new();
        let uri = self.daemon.uris()[0].with_object(NAME);
        let proxy: TargetProxy = client.connect(&uri).await.expect("the daemon listens");
        assert_eq!(proxy.add(20, 22).await.expect("a call"), 42);
    }

    /// The census once it stops changing.
    async fn steady_census(&self) -> Census {
        let mut last = self.census();
        let mut same = 0;
        while same < 1000 {
            tokio::task::yield_now().await;
            let now = self.census();
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        last
    }

    fn census(&self) -> Census {
        let peers = self.daemon.peers();
        let tables = || peers.iter().map(|peer| peer.tables());
        Census {
            sessions: peers.len() + self.client.peers().len(),
            calls: tables()
                .map(|tables| tables.calls_in + tables.calls_out)
                .sum(),
            exports: tables().map(|tables| tables.exports).sum(),
            imports: tables().map(|tables| tables.imports).sum(),
            aliases: tables().map(|tables| tables.aliases).sum(),
            waiting: self
                .bastion
                .waiting
                .load(std::sync::atomic::Ordering::SeqCst),
            tasks: self.runtime.metrics().num_alive_tasks(),
            descriptors: open_descriptors(),
        }
    }
}

/// Keeps panics that attacks provoke out of the output, and what printing them costs out of the count of memory.
fn keep_secrets() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<String>();
            if !text.is_some_and(|text| text.contains(SECRET)) {
                print(panic);
            }
        }));
    });
}

/// Lets the daemon work until `condition` holds, or for [`CLEARANCE`].
pub(crate) async fn settled(mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() && began.elapsed() < CLEARANCE {
        tokio::task::yield_now().await;
    }
}

/// Where a daemon listens.
pub(crate) fn socket_address(daemon: &Daemon) -> SocketAddr {
    let uri = daemon.uris()[0].to_string();
    let address = uri.trim_start_matches("far://").trim_end_matches('/');
    address
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .unwrap_or_else(|| panic!("`{uri}` is no address"))
}

/// How many file descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("a proc file system")
        .count()
}
