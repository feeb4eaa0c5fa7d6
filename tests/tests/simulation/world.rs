//! Three processes, what connects them, and how one of them ends and begins anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::testing::{Host, Link, Network};
use farref::{Limits, Peer, TableSizes};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::faults;
use crate::model::{Model, Report};
use crate::operations::Worker;
use crate::random::Random;
use crate::shop::{Counter, ShopProxy};

/// How many tasks of a process call at once.
const WORKERS: usize = 4;
/// How many operations each of them begins at least.
const QUOTA: usize = 18;
/// How long it takes at most until nothing is left of what has ended.
const SETTLES: Duration = Duration::from_secs(60);

/// Times shorter than the defaults, so that a program takes little time, also where only clocks tick. The faults know
/// them.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.beat_interval = Duration::from_secs(2);
    limits.peer_timeout = Duration::from_secs(4);
    limits.linger = Duration::from_secs(15);
    limits
}

pub(crate) struct World {
    model: Arc<Model>,
    seed: u64,
    network: Network,
    hosts: [Host; 3],
    processes: [Mutex<Option<Process>>; 3],
    /// Whether nothing goes wrong any more.
    is_calm: Arc<AtomicBool>,
    lives: [std::sync::atomic::AtomicU64; 3],
}

struct Process {
    daemon: Daemon,
    client: Client,
    /// To the others; they keep the sessions.
    shops: [ShopProxy; 2],
    workers: Vec<JoinHandle<()>>,
}

/// Runs the program of this seed.
pub(crate) fn run(seed: u64, is_logged: bool) -> Report {
    // A thread of its own, so that nothing is left of another run.
    std::thread::Builder::new()
        .name(format!("seed {seed}"))
        .spawn(move || {
            farref::testing::seed(seed);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(live(seed, is_logged))
        })
        .unwrap()
        .join()
        .unwrap()
}

async fn live(seed: u64, is_logged: bool) -> Report {
    let network = Network::new();
    let model = Arc::new(Model::new(is_logged));
    let world = World {
        model: Arc::clone(&model),
        seed,
        hosts: ["a", "b", "c"].map(|name| network.host(name)),
        network,
        processes: Default::default(),
        is_calm: Arc::default(),
        lives: Default::default(),
    };
    for process in 0..3 {
        world.bind(process).await;
    }
    for process in 0..3 {
        world.connect(process).await;
    }
    for process in 0..3 {
        world.employ(process);
    }
    faults::strike(&world, seed).await;
    world.is_calm.store(true, Ordering::SeqCst);
    world.finish().await;
    drop(world);
    let Ok(model) = Arc::try_unwrap(model) else {
        panic!("seed {seed}: something of a process is still held");
    };
    model.conclude("note")
}

impl World {
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn host(&self, process: usize) -> &Host {
        &self.hosts[process]
    }

    pub(crate) fn link(&self, one: usize, other: usize) -> Link {
        self.network.link(&self.hosts[one], &self.hosts[other])
    }

    fn others(process: usize) -> [usize; 2] {
        [(process + 1) % 3, (process + 2) % 3]
    }

    async fn bind(&self, process: usize) {
        let daemon = self.hosts[process]
            .daemon()
            .limits(limits())
            .bind()
            .await
            .unwrap();
        let shop = Counter::new(&self.model, format!("shop {process}"));
        daemon.register("shop", ShopProxy::new(shop)).unwrap();
        let client = self.hosts[process].client();
        let client = client.limits(limits()).max_retries(2).build();
        let shops = Self::others(process).map(|other| {
            let uri = self.hosts[other].uri("shop");
            client.lazy(uri).unwrap()
        });
        *self.processes[process].lock().unwrap() = Some(Process {
            daemon,
            client,
            shops,
            workers: Vec::new(),
        });
    }

    fn shops(&self, process: usize) -> [ShopProxy; 2] {
        let place = self.processes[process].lock().unwrap();
        place.as_ref().unwrap().shops.clone()
    }

    /// Has the sessions of a process with the others begin.
    async fn connect(&self, process: usize) {
        for shop in self.shops(process) {
            shop.put(0, 1).await.unwrap();
        }
    }

    /// Has a process do something.
    fn employ(&self, process: usize) {
        let life = self.lives[process].fetch_add(1, Ordering::SeqCst);
        let shops = self.shops(process);
        let workers = (0..WORKERS).map(|number| {
            let stream = 100 + life * 100 + u64::try_from(process * 10 + number).unwrap();
            let mut worker = Worker {
                model: Arc::clone(&self.model),
                shops: shops.clone(),
                random: Random::new(self.seed, stream),
            };
            let is_calm = Arc::clone(&self.is_calm);
            tokio::spawn(async move {
                let mut done = 0;
                while done < QUOTA || !is_calm.load(Ordering::SeqCst) {
                    worker.work().await;
                    let (least, most) = if done < QUOTA {
                        (0, 2000)
                    } else {
                        (4000, 20_000)
                    };
                    tokio::time::sleep(worker.random.millis(least, most)).await;
                    done += 1;
                }
            })
        });
        let workers = workers.collect();
        let mut place = self.processes[process].lock().unwrap();
        place.as_mut().unwrap().workers = workers;
    }

    /// Kills a process.
    pub(crate) async fn crash(&self, process: usize) {
        self.hosts[process].crash();
        let dead = self.processes[process].lock().unwrap().take().unwrap();
        for worker in &dead.workers {
            worker.abort();
        }
        for worker in dead.workers {
            let ended = worker.await;
            if let Err(error) = ended {
                assert!(error.is_cancelled(), "{error}");
            }
        }
        for peer in dead.client.peers() {
            peer.abort();
        }
        dead.daemon.shutdown(Shutdown::Abort).await;
    }

    /// Starts a process anew.
    pub(crate) async fn start(&self, process: usize) {
        self.bind(process).await;
        self.employ(process);
    }

    /// Has everybody come to an end, and looks at what is left.
    async fn finish(&self) {
        for process in 0..3 {
            let workers = {
                let mut place = self.processes[process].lock().unwrap();
                std::mem::take(&mut place.as_mut().unwrap().workers)
            };
            for worker in workers {
                if tokio::time::timeout(Duration::from_secs(300), worker)
                    .await
                    .is_err()
                {
                    self.model
                        .violated(format!("process {process} does not come to an end"));
                    return;
                }
            }
        }
        // Oneways arrive, and what was given back has been dropped.
        for process in 0..3 {
            for shop in self.shops(process) {
                if let Err(fault) = shop.put(0, 1).await {
                    self.model
                        .violated(format!("after all, a call fails: {fault:?}"));
                }
            }
        }
        self.settle(|| self.leftovers()).await;
        for process in 0..3 {
            let ended = self.processes[process].lock().unwrap().take().unwrap();
            drop(ended.shops);
            ended.client.close().await;
            ended.daemon.shutdown(Shutdown::Abort).await;
        }
        let runtime = tokio::runtime::Handle::current();
        self.settle(|| match runtime.metrics().num_alive_tasks() {
            0 => Vec::new(),
            left => vec![format!("{left} tasks are left")],
        })
        .await;
        self.model.note(|| "done".to_owned());
    }

    /// Waits until nothing is left, but no longer than what may linger does.
    async fn settle(&self, left: impl Fn() -> Vec<String>) {
        let until = Instant::now() + SETTLES;
        while !left().is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        for violation in left() {
            self.model.violated(violation);
        }
    }

    /// What is there that is not at its baseline: two sessions at each end, with one object bound.
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (number, place) in self.processes.iter().enumerate() {
            let place = place.lock().unwrap();
            let process = place.as_ref().unwrap();
            let sides = [
                ("client", process.client.peers(), (1, 0)),
                ("daemon", process.daemon.peers(), (0, 1)),
            ];
            for (side, peers, bound) in sides {
                let tables: Vec<_> = peers.iter().map(Peer::tables).collect();
                if tables.len() != 2 || !tables.iter().all(|tables| is_idle(tables, bound)) {
                    left.push(format!("process {number} as {side} has {tables:?}"));
                }
            }
        }
        let (objects, running) = self.model.held();
        if (objects, running) != (0, 0) {
            left.push(format!("{objects} objects and {running} handlers are left"));
        }
        left
    }
}

fn is_idle(tables: &TableSizes, bound: (usize, usize)) -> bool {
    tables.calls_out + tables.calls_in + tables.exports + tables.events == 0
        && tables.streams_in + tables.streams_out + tables.unsent == 0
        && (tables.imports, tables.aliases) == bound
}
