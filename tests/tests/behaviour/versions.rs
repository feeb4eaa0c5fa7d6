//! Peers built from different versions of one interface: what differs concerns its own method, at the call.

use farref::prelude::*;
use farref::{Codec, FaultKind, Outcome};
use serde::{Deserialize, Serialize};

use crate::support::{Pair, assert_fault};

/// The older version.
mod old {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Track {
        pub(crate) title: String,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Report {
        pub(crate) count: u32,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Kind {
        Song,
    }

    #[expose(name = "test.Store")]
    pub(crate) trait Store {
        async fn unchanged(&self, n: u32) -> u32;
        async fn put(&self, track: Track) -> String;
        async fn report(&self) -> Report;
        async fn narrow(&self, n: u32) -> u32;
        async fn nested(&self, tracks: Vec<Option<Price>>) -> u32;
        async fn renamed(&self, name: String) -> String;
        async fn fewer(&self, a: u32) -> u32;
        async fn removed(&self) -> u32;
        async fn variant(&self, kind: Kind) -> Kind;
        async fn fails(&self) -> Result<u32, String>;
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Price {
        pub(crate) cents: u32,
    }
}

/// The newer version.
mod new {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Track {
        pub(crate) title: String,
        #[serde(default)]
        pub(crate) seconds: u32,
        pub(crate) artist: Option<String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Report {
        pub(crate) count: u32,
        pub(crate) failed: u32,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Kind {
        Song,
        Podcast,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Price {
        pub(crate) cents: String,
    }

    #[expose(name = "test.Store")]
    pub(crate) trait Store {
        // Methods may come in another order, and there may be more.
        async fn added(&self) -> u32;
        async fn variant(&self, kind: Kind) -> Kind;
        async fn unchanged(&self, n: u32) -> u32;
        async fn put(&self, track: Track) -> String;
        async fn report(&self) -> Report;
        async fn narrow(&self, n: String) -> u32;
        async fn nested(&self, tracks: Vec<Option<Price>>) -> u32;
        async fn renamed(&self, label: String) -> String;
        async fn fewer(&self, a: u32, b: u32) -> u32;
        async fn fails(&self) -> u32;
    }
}

struct Old;

impl old::Store for Old {
    async fn unchanged(&self, n: u32) -> u32 {
        n
    }
    async fn put(&self, track: old::Track) -> String {
        track.title
    }
    async fn report(&self) -> old::Report {
        old::Report { count: 1 }
    }
    async fn narrow(&self, n: u32) -> u32 {
        n
    }
    async fn nested(&self, _: Vec<Option<old::Price>>) -> u32 {
        1
    }
    async fn renamed(&self, name: String) -> String {
        name
    }
    async fn fewer(&self, a: u32) -> u32 {
        a
    }
    async fn removed(&self) -> u32 {
        1
    }
    async fn variant(&self, kind: old::Kind) -> old::Kind {
        kind
    }
    async fn fails(&self) -> Result<u32, String> {
        Ok(1)
    }
}

struct New;

impl new::Store for New {
    async fn added(&self) -> u32 {
        1
    }
    async fn variant(&self, kind: new::Kind) -> new::Kind {
        kind
    }
    async fn unchanged(&self, n: u32) -> u32 {
        n
    }
    async fn put(&self, track: new::Track) -> String {
        format!("{} {} {:?}", track.title, track.seconds, track.artist)
    }
    async fn report(&self) -> new::Report {
        new::Report {
            count: 1,
            failed: 2,
        }
    }
    async fn narrow(&self, n: String) -> u32 {
        n.len().try_into().unwrap()
    }
    async fn nested(&self, _: Vec<Option<new::Price>>) -> u32 {
        1
    }
    async fn renamed(&self, label: String) -> String {
        label
    }
    async fn fewer(&self, a: u32, b: u32) -> u32 {
        a + b
    }
    async fn fails(&self) -> u32 {
        1
    }
}

/// A daemon with the newer version, called through the older.
async fn old_calls_new(pair: &Pair) -> old::StoreProxy {
    let uri = pair
        .daemon
        .register("store", new::StoreProxy::new(New))
        .unwrap();
    pair.client.connect(&uri).await.unwrap()
}

/// A daemon with the older version, called through the newer.
async fn new_calls_old(pair: &Pair) -> new::StoreProxy {
    let uri = pair
        .daemon
        .register("store", old::StoreProxy::new(Old))
        .unwrap();
    pair.client.connect(&uri).await.unwrap()
}

#[tokio::test]
async fn methods_that_are_equal_work_wherever_they_stand() {
    let pair = Pair::tcp().await;
    let old = old_calls_new(&pair).await;
    assert_eq!(old.unchanged(7).await.unwrap(), 7);
    drop(old);
    assert!(pair.daemon.unregister("store"));
    let new = new_calls_old(&pair).await;
    assert_eq!(new.unchanged(7).await.unwrap(), 7);
    drop(new);
    pair.at_baseline().await;
}

#[tokio::test]
async fn fields_with_a_default_and_optional_ones_break_nobody() {
    let pair = Pair::tcp().await;
    let old = old_calls_new(&pair).await;
    let track = old::Track { title: "a".into() };
    assert_eq!(
        old.put(track).await.unwrap(),
        "a 0 None",
        "what is new is filled in"
    );
    assert_eq!(
        old.report().await.unwrap(),
        old::Report { count: 1 },
        "what is new is passed over"
    );
    drop(old);
    assert!(pair.daemon.unregister("store"));
    let new = new_calls_old(&pair).await;
    let track = new::Track {
        title: "a".into(),
        seconds: 3,
        artist: Some("b".into()),
    };
    assert_eq!(new.put(track).await.unwrap(), "a");
    drop(new);
    pair.at_baseline().await;
}

#[tokio::test]
async fn types_that_differ_incompatibly_are_named_down_to_the_field() {
    let pair = Pair::tcp().await;
    let old = old_calls_new(&pair).await;
    let fault = old.narrow(1).await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    assert!(
        fault.message().contains("`n`") && fault.message().contains("test.Store.narrow"),
        "{fault}"
    );
    let fault = old
        .nested(vec![Some(old::Price { cents: 1 })])
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    for part in ["`tracks`", "test.Store.nested", "cents"] {
        assert!(fault.message().contains(part), "{fault}");
    }
    assert_eq!(old.unchanged(7).await.unwrap(), 7, "that method only");
    drop(old);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_result_that_lacks_a_field_without_default_is_an_error_before_anything_runs() {
    let pair = Pair::tcp().await;
    let new = new_calls_old(&pair).await;
    let fault = new.report().await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    assert!(
        fault.message().contains("the result of") && fault.message().contains("failed"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_method_that_one_side_lacks_is_an_error_of_that_method() {
    let pair = Pair::tcp().await;
    let old = old_calls_new(&pair).await;
    assert_fault(
        &old.removed().await.unwrap_err(),
        FaultKind::NoSuchMethod,
        Outcome::NotStarted,
    );
    assert_eq!(old.unchanged(7).await.unwrap(), 7);
    drop(old);
    assert!(pair.daemon.unregister("store"));
    let new = new_calls_old(&pair).await;
    let fault = new.added().await.unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchMethod, Outcome::NotStarted);
    assert!(fault.message().contains("test.Store"), "{fault}");
    assert_eq!(new.unchanged(7).await.unwrap(), 7);
}

#[tokio::test]
async fn arguments_that_were_renamed_or_added_are_named() {
    let pair = Pair::tcp().await;
    let old = old_calls_new(&pair).await;
    let fault = old.renamed("x".into()).await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    assert!(
        fault.message().contains("`name`") && fault.message().contains("`label`"),
        "{fault}"
    );
    let fault = old.fewer(1).await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    assert!(fault.message().contains("`b`"), "{fault}");
    let error = old.fails().await.unwrap_err();
    assert_fault(
        error.fault().unwrap(),
        FaultKind::Incompatible,
        Outcome::NotStarted,
    );
}

#[tokio::test]
async fn a_variant_that_was_added_is_understood_by_who_knows_it() {
    let pair = Pair::tcp().await;
    // A newer reader takes all that an older writer writes; its results may say more than the older one knows.
    let old = old_calls_new(&pair).await;
    assert_eq!(old.variant(old::Kind::Song).await.unwrap(), old::Kind::Song);
    drop(old);
    assert!(pair.daemon.unregister("store"));
    let new = new_calls_old(&pair).await;
    assert_eq!(new.variant(new::Kind::Song).await.unwrap(), new::Kind::Song);
    let fault = new.variant(new::Kind::Podcast).await.unwrap_err();
    assert_fault(&fault, FaultKind::BadArguments, Outcome::NotStarted);
    assert!(fault.message().contains("`kind`"), "{fault}");
}

#[tokio::test]
async fn compatible_types_need_a_codec_with_names_on_both_sides() {
    let pair = Pair::of(
        Daemon::builder().accept_codecs(Codec::Postcard.into()),
        Client::builder(),
    )
    .await;
    let old = old_calls_new(&pair).await;
    let fault = old.put(old::Track { title: "a".into() }).await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    assert!(fault.message().contains("msgpack"), "{fault}");
}
