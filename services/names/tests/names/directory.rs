//! Registering, looking up, listing, tags, leases, epochs, limits.

use std::collections::BTreeSet;
use std::time::Duration;

use farref::CallError;
use farref::names::{
    Entry, Grant, Happened, IfTaken, Names, NamesError, NamesProxy, Position, Query, Registration,
    Renewal, Renewed,
};
use farref_names::{Limits, NameServer, Registry, Volatile};
use tokio::time::{advance, timeout};

use crate::support::{names, names_of, registration, tags, there};

fn app<T: std::fmt::Debug>(result: Result<T, CallError<NamesError>>) -> NamesError {
    match result {
        Err(CallError::App(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn renewal(name: &str, grant: Grant, load: u32) -> Renewal {
    Renewal {
        name: name.to_owned(),
        epoch: grant.epoch,
        load,
    }
}

async fn all(names: &NamesProxy, query: Query, limit: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut after: Option<Position> = None;
    loop {
        let page = names.list(query.clone(), after, limit).await.unwrap();
        assert!(page.entries.len() <= limit as usize);
        found.extend(page.entries.into_iter().map(|entry| entry.name));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn what_is_registered_is_found_until_it_is_removed() {
    let (_server, _, names) = names().await;
    let mut sent = registration("jukebox", "audio live");
    sent.load = 7;
    let grant = names.register(sent).await.unwrap();
    let expected = Entry {
        name: "jukebox".to_owned(),
        uri: there(1),
        tags: tags("audio live"),
        epoch: grant.epoch,
        lease: None,
        load: 7,
    };
    assert_eq!(names.lookup("jukebox").await.unwrap(), [expected]);
    assert_eq!(names.lookup("jukebo").await.unwrap(), []);

    assert_eq!(names.remove("jukebox", None).await.unwrap(), 1);
    assert_eq!(names.lookup("jukebox").await.unwrap(), []);
    assert_eq!(names.remove("jukebox", None).await.unwrap(), 0);
    let info = names.info().await.unwrap();
    assert_eq!((info.entries, info.tags), (0, 0), "nothing is left behind");
    assert_eq!((info.store.as_str(), info.persistent), ("in memory", false));
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_replaced_or_shared_as_the_caller_says() {
    let (_server, _, names) = names().await;
    let with = |if_taken, port| Registration {
        if_taken,
        ..Registration::new("x", there(port))
    };
    let first = names.register(with(IfTaken::Refuse, 1)).await.unwrap();
    let error = app(names.register(with(IfTaken::Refuse, 2)).await);
    let expected = NamesError::Taken {
        name: "x".to_owned(),
        uri: there(1),
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("replace it"), "{error}");

    let second = names.register(with(IfTaken::Join, 2)).await.unwrap();
    assert!(second.epoch > first.epoch);
    let found = names.lookup("x").await.unwrap();
    let uris: Vec<_> = found.iter().map(|entry| entry.uri.clone()).collect();
    assert_eq!(uris, [there(2), there(1)], "the newest first");

    let third = names.register(with(IfTaken::Replace, 3)).await.unwrap();
    let found = names.lookup("x").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].uri, found[0].epoch), (&there(3), third.epoch));
}

#[tokio::test]
async fn an_owner_may_register_again_and_one_who_was_replaced_is_fenced() {
    let (_server, _, names) = names().await;
    let owned = |owner, if_taken| Registration {
        owner,
        if_taken,
        lease: Some(10),
        ..Registration::new("x", there(1))
    };
    let first = names.register(owned(1, IfTaken::Refuse)).await.unwrap();
    let again = names.register(owned(1, IfTaken::Refuse)).await.unwrap();
    assert!(again.epoch > first.epoch);
    assert_eq!(names.lookup("x").await.unwrap().len(), 1);
    app(names.register(owned(2, IfTaken::Refuse)).await);

    let newer = names.register(owned(2, IfTaken::Replace)).await.unwrap();
    let renewed = names
        .renew(vec![
            renewal("x", first, 0),
            renewal("x", again, 0),
            renewal("x", newer, 0),
            renewal("y", newer, 0),
        ])
        .await
        .unwrap();
    let fenced = Renewed::Fenced(newer.epoch);
    assert_eq!(renewed, [fenced, fenced, Renewed::Kept, Renewed::Gone]);
    let expected = NamesError::Fenced {
        name: "x".to_owned(),
        epoch: newer.epoch,
    };
    assert_eq!(app(names.remove("x", Some(again.epoch)).await), expected);
    assert_eq!(names.remove("x", Some(newer.epoch)).await.unwrap(), 1);
    assert_eq!(names.remove("x", Some(newer.epoch)).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_unless_it_is_renewed_and_its_end_leaves_nothing() {
    let (_server, _, names) = names().await;
    let leased = |name: &str, lease| Registration {
        lease: Some(lease),
        ..registration(name, "t")
    };
    let renewed = names.register(leased("renewed", 10)).await.unwrap();
    names.register(leased("long", 100)).await.unwrap();
    names.register(leased("short", 10)).await.unwrap();
    names.register(registration("ever", "t")).await.unwrap();

    advance(Duration::from_secs(9)).await;
    let answer = names.renew(vec![renewal("renewed", renewed, 5)]).await;
    assert_eq!(answer.unwrap(), [Renewed::Kept]);
    assert_eq!(all(&names, Query::default(), 10).await.len(), 4);

    tokio::time::sleep(Duration::from_secs(2)).await;
    let left = all(&names, Query::default(), 10).await;
    assert_eq!(left, ["ever", "long", "renewed"]);
    assert_eq!(names.lookup("renewed").await.unwrap()[0].load, 5);

    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(all(&names, Query::default(), 10).await, ["ever"]);
    let answer = names.renew(vec![renewal("renewed", renewed, 5)]).await;
    assert_eq!(answer.unwrap(), [Renewed::Gone]);
    let tagged = names.sample(tags("t"), 10).await.unwrap();
    assert_eq!(tagged.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leases_end_whichever_thread_is_quicker() {
    let begin = async || {
        let registry = Registry::open(Volatile, Limits::default()).unwrap();
        let mut changes = registry.changed().subscribe();
        let leased = Registration {
            lease: Some(1),
            ..registration("x", "")
        };
        registry.register(leased).await.unwrap();
        assert_eq!(changes.next().await.unwrap().what, Happened::Registered);
        (registry, changes)
    };
    let mut begun = Vec::new();
    for _ in 0..500 {
        begun.push(begin().await);
    }
    for (_registry, mut changes) in begun {
        let ended = timeout(Duration::from_secs(60), changes.next()).await;
        assert_eq!(ended.unwrap().unwrap().what, Happened::Expired);
    }
}

#[tokio::test]
async fn lists_are_by_prefix_pattern_and_tags_and_come_in_pages() {
    let (_server, _, names) = names().await;
    for side in ["left", "right"] {
        for number in 0..20 {
            let labels = match number % 4 {
                0 => "even fourth",
                2 => "even",
                _ => "odd",
            };
            let name = format!("media.{number:02}.{side}");
            names.register(registration(&name, labels)).await.unwrap();
        }
    }
    names.register(registration("other", "")).await.unwrap();
    let query = |prefix: &str, pattern: &str, with: &str, any: &str| Query {
        prefix: prefix.to_owned(),
        pattern: pattern.to_owned(),
        all: tags(with),
        any: tags(any),
    };
    for (asked, expected) in [
        (query("", "", "", ""), 41),
        (query("media.", "", "", ""), 40),
        (query("media.0", "", "", ""), 20),
        (query("", "*.left", "", ""), 20),
        (query("", "media.?5.*", "", ""), 4),
        (query("media.1", "*.left", "", ""), 10),
        (query("media.1", "media.0*", "", ""), 0),
        (query("", "", "even", ""), 20),
        (query("", "", "even fourth", ""), 10),
        (query("", "", "even odd", ""), 0),
        (query("", "", "even nobody", ""), 0),
        (query("", "", "", "fourth odd nobody"), 30),
        (query("", "*.right", "even", "fourth odd"), 5),
        (query("zzz", "", "", ""), 0),
    ] {
        let found = all(&names, asked.clone(), 1000).await;
        assert_eq!(found.len(), expected, "{asked:?}");
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(found, sorted, "{asked:?}");
        for limit in [1, 3, 7] {
            assert_eq!(all(&names, asked.clone(), limit).await, found, "{asked:?}");
        }
    }
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended_whatever_happens_meanwhile() {
    let (_server, _, names) = names().await;
    for name in ["a", "b", "c", "d"] {
        names.register(registration(name, "")).await.unwrap();
    }
    let first = names.list(Query::default(), None, 2).await.unwrap();
    names.remove("b", None).await.unwrap();
    names.remove("c", None).await.unwrap();
    names.register(registration("bb", "")).await.unwrap();
    let second = names.list(Query::default(), first.next, 2).await.unwrap();
    let rest: Vec<_> = second.entries.into_iter().map(|entry| entry.name).collect();
    assert_eq!(rest, ["bb", "d"]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn tags_are_added_and_taken_away() {
    let (_server, _, names) = names().await;
    let shared = Registration {
        if_taken: IfTaken::Join,
        ..registration("x", "a b")
    };
    names.register(shared.clone()).await.unwrap();
    names.register(shared).await.unwrap();
    assert_eq!(names.tag("x", tags("c"), tags("a")).await.unwrap(), 2);
    for entry in names.lookup("x").await.unwrap() {
        assert_eq!(entry.tags, tags("b c"));
    }
    assert_eq!(names.sample(tags("c"), 10).await.unwrap().len(), 2);
    assert_eq!(names.sample(tags("a"), 10).await.unwrap().len(), 0);
    let error = app(names.tag("y", tags("c"), BTreeSet::new()).await);
    assert_eq!(error, NamesError::Unknown("y".to_owned()));
}

#[tokio::test]
async fn samples_are_drawn_evenly_and_hold_nobody_twice() {
    let (_server, _, names) = names().await;
    for number in 0..600 {
        let labels = match number % 3 {
            0 => "all third",
            _ => "all",
        };
        let name = format!("{number}");
        names.register(registration(&name, labels)).await.unwrap();
    }
    for (asked, fitting) in [("all", 600), ("third", 200), ("all third", 200)] {
        let mut met = BTreeSet::new();
        for _ in 0..1000 {
            let drawn = names.sample(tags(asked), 8).await.unwrap();
            let different: BTreeSet<_> = drawn.iter().map(|entry| entry.name.clone()).collect();
            assert_eq!((drawn.len(), different.len()), (8, 8));
            for entry in &drawn {
                assert!(tags(asked).is_subset(&entry.tags), "{entry:?}");
            }
            met.extend(different);
        }
        // The odds that one of 600 is never among 8000 drawn are below one in a thousand.
        assert!(met.len() + 2 > fitting, "{asked}: {}", met.len());
    }
    assert_eq!(names.sample(tags("third"), 1000).await.unwrap().len(), 200);
}

#[tokio::test]
async fn what_is_beyond_the_limits_is_refused() {
    let limits = Limits {
        entries: 3,
        per_name: 2,
        tags: 2,
        renewals: 1,
    };
    let (_server, _, names) = names_of(NameServer::builder().limits(limits)).await;
    let join = Registration {
        if_taken: IfTaken::Join,
        ..registration("x", "")
    };
    for _ in 0..2 {
        names.register(join.clone()).await.unwrap();
    }
    let error = app(names.register(join.clone()).await);
    assert!(matches!(error, NamesError::Full(_)), "{error}");
    names.register(registration("y", "a b")).await.unwrap();
    let error = app(names.register(registration("z", "")).await);
    assert!(error.to_string().contains("is full"), "{error}");
    let replaced = Registration {
        if_taken: IfTaken::Replace,
        ..registration("y", "a b")
    };
    let grant = names.register(replaced).await.unwrap();

    for unfit in [
        registration("", ""),
        registration(&"n".repeat(257), ""),
        registration("a\nb", ""),
        registration("y", "a b c"),
        registration("y", &"t".repeat(129)),
        Registration {
            lease: Some(0),
            ..registration("y", "")
        },
        Registration {
            lease: Some(86_401),
            ..registration("y", "")
        },
        Registration::new("y", farref::Uri::named("z").unwrap()),
        Registration::new("y", there(1).with_object("o".repeat(2100))),
    ] {
        let error = app(names.register(unfit.clone()).await);
        assert!(
            matches!(error, NamesError::Invalid(_)),
            "{unfit:?}: {error}"
        );
    }
    let error = app(names.tag("y", tags("c"), BTreeSet::new()).await);
    assert!(matches!(error, NamesError::Invalid(_)), "{error}");
    let error = app(names.renew(vec![renewal("y", grant, 0); 2]).await);
    assert!(matches!(error, NamesError::Invalid(_)), "{error}");
    let long = Query {
        pattern: "*".repeat(257),
        ..Query::default()
    };
    let error = app(names.list(long, None, 1).await);
    assert!(matches!(error, NamesError::Invalid(_)), "{error}");
}
