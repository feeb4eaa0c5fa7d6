//! The name server is killed under load and started again: nothing acknowledged is missing, those who hold proxies do
//! nothing about it, and owners who were replaced stay so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use farref::names::{IfTaken, NamesError, NamesProxy, Query, Registration, Renewal, Renewed};
use farref::prelude::*;
use tokio::task::JoinSet;

use crate::support::{PATIENCE, Place};

/// How many write at once.
const WRITERS: usize = 8;

#[expose]
trait Server {
    fn who(&self) -> u32;
}

struct Object(u32);

impl Server for Object {
    fn who(&self) -> u32 {
        self.0
    }
}

/// Writers of names, and what they were told.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    writers: JoinSet<BTreeMap<String, u64>>,
}

impl Load {
    fn start(names: &NamesProxy, round: &str, uri: &Uri) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let (names, uri) = (names.clone(), uri.clone());
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            let prefix = format!("{round}/{writer}");
            writers.spawn(async move {
                let mut told = BTreeMap::new();
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let registration = Registration {
                        tags: [prefix.clone(), "load".to_owned()].into(),
                        ..Registration::new(format!("{prefix}/{number}"), &uri)
                    };
                    let name = registration.name.clone();
                    match names.register(registration).await {
                        Ok(grant) => {
                            told.insert(name, grant.epoch);
                            acknowledged.fetch_add(1, Ordering::SeqCst);
                        }
                        // Not acknowledged: it may be there or not. Whoever is away is not asked without end.
                        Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                }
                told
            });
        }
        Load {
            stop,
            acknowledged,
            writers,
        }
    }

    /// Waits until so many more were acknowledged.
    async fn more(&self, count: usize) {
        let enough = self.acknowledged.load(Ordering::SeqCst) + count;
        let reached = async {
            while self.acknowledged.load(Ordering::SeqCst) < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
    }

    async fn stop(self) -> BTreeMap<String, u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.writers
            .join_all()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

/// All names with their epochs, in pages.
async fn everything(names: &NamesProxy) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = names.list(Query::default(), after, 500).await.unwrap();
        for entry in page.entries {
            let tags = entry.name.split_once('/').map_or(0, |_| 2);
            assert_eq!(entry.tags.len(), tags, "{entry:?}");
            all.insert(entry.name, entry.epoch);
        }
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nobody_has_to_do_anything() {
    let place = Place::new();
    let file = place.folder.path().join("names.redb");
    let arguments = ["--file", file.to_str().unwrap()];
    let mut server = place.ns(&arguments);

    let client = Client::builder()
        .name_server(place.name_server.as_str())
        .unwrap()
        .build();
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let uri = daemon
        .register("server", ServerProxy::new(Object(7)))
        .unwrap();
    let names = client.names().await.unwrap();
    let _announced = farref::names::announce("announced", &uri)
        .client(&client)
        .start()
        .await
        .unwrap();
    let proxy: ServerProxy = client.connect("farname:announced").await.unwrap();

    let owned = |owner, if_taken| Registration {
        owner,
        if_taken,
        lease: Some(3600),
        ..Registration::new("owned", &uri)
    };
    let old = names.register(owned(1, IfTaken::Refuse)).await.unwrap();
    let new = names.register(owned(2, IfTaken::Replace)).await.unwrap();

    let mut acknowledged = BTreeMap::new();
    for round in ["first", "second"] {
        let load = Load::start(&names, round, &uri);
        load.more(200).await;
        server.kill();
        assert_eq!(proxy.who().await.unwrap(), 7, "proxies do not need it");
        server = place.ns(&arguments);
        // The writers go on with the proxies that they have.
        load.more(200).await;
        server.kill();
        server = place.ns(&arguments);
        acknowledged.extend(load.stop().await);
    }

    let found = everything(&names).await;
    let missing: Vec<_> = acknowledged
        .iter()
        .filter(|(name, epoch)| found.get(*name) != Some(epoch))
        .collect();
    assert!(missing.is_empty(), "of {}: {missing:?}", acknowledged.len());
    assert!(acknowledged.len() >= 800, "{}", acknowledged.len());
    let tagged = names.sample(["load".to_owned()].into(), 1).await.unwrap();
    assert_eq!(tagged.len(), 1);

    let stranger: ServerProxy = client.connect("farname:announced").await.unwrap();
    assert_eq!(stranger.who().await.unwrap(), 7);

    let renewal = |epoch| Renewal {
        name: "owned".to_owned(),
        epoch,
        load: 0,
    };
    let renewed = names
        .renew(vec![renewal(old.epoch), renewal(new.epoch)])
        .await;
    assert_eq!(
        renewed.unwrap(),
        [Renewed::Fenced(new.epoch), Renewed::Kept]
    );
    let refused = names.remove("owned", Some(old.epoch)).await.unwrap_err();
    assert!(
        matches!(refused.app(), Some(NamesError::Fenced { .. })),
        "{refused}"
    );
    let newest = names
        .register(Registration::new("newest", &uri))
        .await
        .unwrap();
    assert!(found.values().all(|epoch| *epoch < newest.epoch));
    drop(server);
}
