//! What is there after a restart, and what happens when a store fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use farref::names::{IfTaken, Names, NamesError, Query, Registration, Renewal, Renewed};
use farref::prelude::*;
use farref_names::{Change, Limits, Loaded, NameServer, Persistent, Registry, Store, StoreError};

use crate::support::{client_of, memory_uri, registration, tags, there};

#[tokio::test]
async fn names_tags_and_epochs_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("names.redb");
    let address = memory_uri();
    let start = || NameServer::builder().listen(&address).file(&file).bind();

    let server = start().await.unwrap();
    let names = client_of(&address).names().await.unwrap();
    names.register(registration("gone", "a")).await.unwrap();
    let kept = names.register(registration("kept", "a b")).await.unwrap();
    let leased = Registration {
        lease: Some(60),
        ..registration("leased", "")
    };
    let leased = names.register(leased).await.unwrap();
    names.tag("kept", tags("c"), tags("a")).await.unwrap();
    names.remove("gone", None).await.unwrap();
    let last = names.register(registration("last", "")).await.unwrap();
    names.remove("last", None).await.unwrap();
    let info = names.info().await.unwrap();
    assert!(info.persistent);
    assert_eq!(info.store, file.display().to_string());
    server.shutdown(Shutdown::default()).await;
    drop(names);

    let _server = reopened(start).await;
    let names = client_of(&address).names().await.unwrap();
    let found = names.list(Query::default(), None, 10).await.unwrap();
    let found: Vec<_> = found
        .entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.epoch, entry.tags.clone()))
        .collect();
    assert_eq!(
        found,
        [
            ("kept", kept.epoch, tags("b c")),
            ("leased", leased.epoch, tags("")),
        ]
    );
    assert_eq!(names.sample(tags("c"), 9).await.unwrap().len(), 1);
    let renewal = Renewal {
        name: "leased".to_owned(),
        epoch: leased.epoch,
        load: 0,
    };
    assert_eq!(names.renew(vec![renewal]).await.unwrap(), [Renewed::Kept]);
    let next = names.register(registration("next", "")).await.unwrap();
    assert!(next.epoch > last.epoch, "no epoch is granted twice");
}

/// Starts a server again whose store another thread of this process may still be closing.
async fn reopened<F: Future<Output = farref::Result<NameServer>>>(
    start: impl Fn() -> F,
) -> NameServer {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match start().await {
            Ok(server) => return server,
            Err(fault) => assert!(std::time::Instant::now() < limit, "{fault}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_that_is_something_else_or_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("names.redb");
    std::fs::write(&file, "something else").unwrap();
    let start = || {
        NameServer::builder()
            .listen(memory_uri())
            .file(&file)
            .bind()
    };
    let error = start().await.unwrap_err();
    assert!(error.message().contains("names.redb"), "{error}");
    std::fs::remove_file(&file).unwrap();
    let _server = start().await.unwrap();
    let error = start().await.unwrap_err();
    assert!(error.message().contains("names.redb"), "{error}");
}

/// A store that fails when it is told to, and remembers what it was given.
#[derive(Clone, Default)]
struct Failing {
    fails: Arc<AtomicBool>,
    commits: Arc<Mutex<Vec<usize>>>,
}

impl Store for Failing {
    fn describe(&self) -> String {
        "a store that fails".to_owned()
    }
    fn is_persistent(&self) -> bool {
        true
    }
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }
    fn commit(&mut self, changes: &[Change], _: u64) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::new("no space left"));
        }
        self.commits.lock().unwrap().push(changes.len());
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_taken_back() {
    let store = Failing::default();
    let registry = Registry::open(store.clone(), Limits::default()).unwrap();
    let join = |port| Registration {
        if_taken: IfTaken::Join,
        ..Registration::new("x", there(port))
    };
    let first = registry.register(join(1)).await.unwrap();
    let second = registry.register(join(2)).await.unwrap();
    registry.tag("x", tags("t"), tags("")).await.unwrap();
    let before = registry.lookup("x").await.unwrap();

    store.fails.store(true, Ordering::SeqCst);
    let expected = NamesError::Store("no space left".to_owned());
    let replace = Registration {
        if_taken: IfTaken::Replace,
        ..join(3)
    };
    assert_eq!(registry.register(replace).await, Err(expected.clone()));
    assert_eq!(registry.remove("x", None).await, Err(expected.clone()));
    assert_eq!(
        registry.remove("x", Some(first.epoch)).await,
        Err(expected.clone())
    );
    assert_eq!(registry.tag("x", tags("u"), tags("t")).await, Err(expected));
    assert_eq!(registry.lookup("x").await.unwrap(), before);
    assert_eq!(registry.sample(tags("t"), 9).await.unwrap().len(), 2);
    assert_eq!(registry.sample(tags("u"), 9).await.unwrap().len(), 0);

    store.fails.store(false, Ordering::SeqCst);
    let third = registry.register(join(3)).await.unwrap();
    assert!(third.epoch > second.epoch);
    assert_eq!(registry.lookup("x").await.unwrap().len(), 3);
}

#[tokio::test]
async fn changes_that_come_at_once_share_a_commit() {
    /// Waits in its first commit until all others have come.
    struct Slow(Failing, Option<std::sync::mpsc::Receiver<()>>);
    impl Store for Slow {
        fn describe(&self) -> String {
            self.0.describe()
        }
        fn is_persistent(&self) -> bool {
            true
        }
        fn load(&mut self) -> Result<Loaded, StoreError> {
            self.0.load()
        }
        fn commit(&mut self, changes: &[Change], epoch: u64) -> Result<(), StoreError> {
            if let Some(gate) = self.1.take() {
                gate.recv().map_err(StoreError::new)?;
            }
            self.0.commit(changes, epoch)
        }
    }
    let store = Failing::default();
    let (open, gate) = std::sync::mpsc::channel();
    let registry = Registry::open(Slow(store.clone(), Some(gate)), Limits::default()).unwrap();
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..100 {
        let registry = registry.clone();
        let name = format!("{number}");
        asked.spawn(async move { registry.register(registration(&name, "")).await.unwrap() });
    }
    // Each asks at its first poll, and nobody is answered before the gate is open.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    open.send(()).unwrap();
    asked.join_all().await;
    let commits = store.commits.lock().unwrap().clone();
    assert_eq!(commits.iter().sum::<usize>(), 100);
    assert!(commits.len() < 10, "{commits:?}");
}

#[test]
fn a_store_keeps_what_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("names.redb");
    let record = |epoch: u64| {
        Arc::new(farref_names::Record {
            epoch,
            name: "x".into(),
            uri: there(1),
            tags: ["a".into()].into(),
            lease: Some(5),
            owner: 9,
        })
    };
    {
        let mut store = Persistent::open(&file).unwrap();
        let change = |before: Option<u64>, after: Option<u64>| Change {
            before: before.map(record),
            after: after.map(record),
        };
        let first = [change(None, Some(1)), change(None, Some(2))];
        store.commit(&first, 2).unwrap();
        let second = [change(Some(1), None), change(None, Some(3))];
        store.commit(&second, 7).unwrap();
    }
    let loaded = Persistent::open(&file).unwrap().load().unwrap();
    assert_eq!(loaded.epoch, 7);
    assert_eq!(loaded.records, [(*record(2)).clone(), (*record(3)).clone()]);
}
