//! Watching the directory: what is told of changes, when, and what a slow listener can do.

use std::time::Duration;

use farref::CallError;
use farref::names::{
    Changed, Happened, IfTaken, Names, NamesError, NamesProxy, Query, Registration,
};
use farref::signal::{Event, Subscription, WhenSlow};
use farref_names::{Change, Limits, Loaded, NameServer, Registry, Store, StoreError};

use crate::support::{client_of, names, names_of, registration, tags, there};

/// The next change: what, of which name and epoch, and who owns it then.
async fn next(changes: &mut Subscription<Changed>) -> (Happened, String, u64, Option<u64>) {
    let change = changes.next().await.unwrap();
    let Changed {
        what, entry, owner, ..
    } = &*change;
    (*what, entry.name.clone(), entry.epoch, *owner)
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_in_order_with_who_owns_the_name_then() {
    let (_server, _, names) = names().await;
    let mut changes = names.changed().subscribe().await.unwrap();
    let joined = |port| Registration {
        if_taken: IfTaken::Join,
        ..Registration::new("x", there(port))
    };
    let first = names.register(registration("x", "a")).await.unwrap().epoch;
    let change = changes.next().await.unwrap();
    assert_eq!((change.number, change.what), (1, Happened::Registered));
    assert_eq!(change.entry, names.lookup("x").await.unwrap()[0]);
    assert_eq!(change.owner, Some(first));

    names.tag("x", tags("b"), tags("a")).await.unwrap();
    let change = changes.next().await.unwrap();
    assert_eq!((change.number, change.what), (2, Happened::Tagged));
    assert_eq!(change.entry.tags, tags("b"));
    names.tag("x", tags("b"), tags("")).await.unwrap();

    let second = names.register(joined(2)).await.unwrap().epoch;
    let told = next(&mut changes).await;
    let expected = (Happened::Registered, "x".to_owned(), second, Some(second));
    assert_eq!(told, expected, "a tag that was there changes nothing");

    names.remove("x", Some(second)).await.unwrap();
    let told = next(&mut changes).await;
    let expected = (Happened::Removed, "x".to_owned(), second, Some(first));
    assert_eq!(told, expected, "the name goes back to who had it before");

    let leased = Registration {
        lease: Some(10),
        if_taken: IfTaken::Replace,
        ..Registration::new("x", there(3))
    };
    let third = names.register(leased).await.unwrap().epoch;
    for (what, epoch) in [(Happened::Replaced, first), (Happened::Registered, third)] {
        let told = next(&mut changes).await;
        assert_eq!(told, (what, "x".to_owned(), epoch, Some(third)));
    }
    // Time passes by itself until the lease has ended.
    let change = changes.next().await.unwrap();
    assert_eq!((change.number, change.what), (7, Happened::Expired));
    assert_eq!((change.entry.epoch, change.owner), (third, None));
}

#[tokio::test]
async fn who_subscribes_and_then_lists_misses_nothing() {
    let (_server, client, names) = names().await;
    let writer = tokio::spawn({
        let names = client.names().await.unwrap();
        async move {
            for number in 0..500 {
                names
                    .register(registration(&format!("n{number}"), ""))
                    .await
                    .unwrap();
                if number % 3 == 0 {
                    names.remove(&format!("n{number}"), None).await.unwrap();
                }
            }
        }
    });
    // Somewhere in between.
    while names.info().await.unwrap().entries < 20 {
        tokio::task::yield_now().await;
    }
    let wide = names.changed();
    let mut changes = wide
        .subscribe_with(WhenSlow::DropNewest, 4096)
        .await
        .unwrap();
    let listed = names.list(Query::default(), None, 1000).await.unwrap();
    let mut known: std::collections::BTreeSet<u64> =
        listed.entries.iter().map(|entry| entry.epoch).collect();
    writer.await.unwrap();
    let mut last: Option<u64> = None;
    loop {
        let change = changes.next().await.unwrap();
        if let Some(last) = last {
            assert_eq!(change.number, last + 1);
        }
        last = Some(change.number);
        match change.what {
            Happened::Registered => known.insert(change.entry.epoch),
            _ => known.remove(&change.entry.epoch),
        };
        if change.entry.name == "n499" {
            break;
        }
    }
    let now = names.list(Query::default(), None, 1000).await.unwrap();
    let now: std::collections::BTreeSet<u64> =
        now.entries.iter().map(|entry| entry.epoch).collect();
    assert_eq!(known, now);
}

/// Fails when it is told to keep a name that begins with `fail`.
struct Choosy;

impl Store for Choosy {
    fn describe(&self) -> String {
        "nowhere".to_owned()
    }

    fn is_persistent(&self) -> bool {
        true
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, changes: &[Change], _: u64) -> Result<(), StoreError> {
        let mut kept = changes.iter().filter_map(|change| change.after.as_ref());
        match kept.any(|record| record.name.starts_with("fail")) {
            true => Err(StoreError::new("as it was asked to")),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn nothing_is_told_that_was_not_kept() {
    let registry = Registry::open(Choosy, Limits::default()).unwrap();
    let names = NamesProxy::new(registry);
    let mut changes = names.changed().subscribe().await.unwrap();
    let failed = names.register(registration("fails", "")).await;
    assert!(matches!(failed, Err(CallError::App(NamesError::Store(_)))));
    let kept = names.register(registration("kept", "")).await.unwrap();
    let change = changes.next().await.unwrap();
    assert_eq!(
        (change.number, change.entry.name.as_str(), change.owner),
        (1, "kept", Some(kept.epoch))
    );
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_hangs_is_parted_with_and_holds_nobody_up() {
    let (server, _, names) = names().await;
    let other = client_of(server.uri()).names().await.unwrap();
    let _stuck = other
        .changed()
        .connect_async(async |_: Event<Changed>| std::future::pending::<()>().await)
        .await
        .unwrap();
    let mut changes = names.changed().subscribe().await.unwrap();
    let begun = tokio::time::Instant::now();
    for number in 0..200 {
        names
            .register(registration(&format!("n{number}"), ""))
            .await
            .unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "changing waits for nobody");
    for number in 1..=200 {
        assert_eq!(changes.next().await.unwrap().number, number);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "it kept the others waiting once: {:?}",
        begun.elapsed()
    );
    assert_eq!(server.registry().changed().receivers(), []);
}

#[tokio::test]
async fn a_watcher_learns_by_the_numbers_that_it_missed_something() {
    let (server, _, names) = names_of(NameServer::builder()).await;
    let mut changes = names
        .changed()
        .subscribe_with(WhenSlow::DropOldest, 1)
        .await
        .unwrap();
    // In one go, so that nothing is taken out in between.
    for number in 0..50 {
        server
            .registry()
            .register(registration(&format!("n{number}"), ""))
            .await
            .unwrap();
    }
    let mut last = 0;
    while last < 50 {
        let change = changes.next().await.unwrap();
        assert!(change.number > last);
        last = change.number;
        assert!(changes.missed() >= last - 50);
    }
    assert!(changes.missed() > 0);
}
