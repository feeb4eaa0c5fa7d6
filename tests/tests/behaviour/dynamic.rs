//! Calling without the trait: checked by the object's description before anything is sent.

use std::collections::BTreeMap;
use std::sync::Mutex;

use farref::prelude::*;
use farref::{CodecSet, DynProxy, FaultKind, MethodKind, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Pair, assert_fault};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Track {
    title: String,
    #[serde(default)]
    seconds: Option<u32>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Song,
    Podcast(u32),
    Book { author: String },
}

#[derive(Debug, Serialize, Deserialize)]
enum Trouble {
    NotFound { name: String },
}

/// Plays things.
#[expose(name = "test.Player")]
trait Player {
    /// Adds two numbers.
    async fn add(&self, a: u32, b: u32) -> u32;
    async fn echo(&self, track: Track) -> Track;
    async fn find(&self, name: &str) -> Result<Track, Trouble>;
    async fn bytes(&self, bytes: &[u8]) -> Vec<u8>;
    async fn map(&self, map: BTreeMap<String, Vec<i64>>) -> BTreeMap<String, Vec<i64>>;
    async fn maybe(&self, text: Option<String>) -> Option<String>;
    #[oneway]
    async fn tell(&self, text: String);
    async fn told(&self) -> Vec<String>;
    #[attribute]
    fn volume(&self) -> f32;
    #[attribute]
    fn set_volume(&self, level: f32);
    async fn open(&self) -> PlayerProxy;
    async fn none(&self);
}

#[derive(Default)]
struct Machine {
    told: Mutex<Vec<String>>,
    volume: Mutex<f32>,
}

impl Player for Machine {
    async fn add(&self, a: u32, b: u32) -> u32 {
        a + b
    }
    async fn echo(&self, track: Track) -> Track {
        track
    }
    async fn find(&self, name: &str) -> Result<Track, Trouble> {
        Err(Trouble::NotFound {
            name: name.to_owned(),
        })
    }
    async fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().rev().copied().collect()
    }
    async fn map(&self, map: BTreeMap<String, Vec<i64>>) -> BTreeMap<String, Vec<i64>> {
        map
    }
    async fn maybe(&self, text: Option<String>) -> Option<String> {
        text
    }
    async fn tell(&self, text: String) {
        self.told.lock().unwrap().push(text);
    }
    async fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
    fn volume(&self) -> f32 {
        *self.volume.lock().unwrap()
    }
    fn set_volume(&self, level: f32) {
        *self.volume.lock().unwrap() = level;
    }
    async fn open(&self) -> PlayerProxy {
        PlayerProxy::new(Machine::default())
    }
    async fn none(&self) {}
}

async fn player(pair: &Pair) -> DynProxy {
    let uri = pair
        .daemon
        .register("player", PlayerProxy::new(Machine::default()))
        .unwrap();
    pair.client.dynamic(&uri).await.unwrap()
}

/// Calls methods of every kind with JSON values.
async fn call_all(player: &DynProxy) {
    assert_eq!(
        player.call("add", json!({"a": 2, "b": 3})).await.unwrap(),
        json!(5)
    );
    assert_eq!(
        player.call("add", json!({"b": 3, "a": 2})).await.unwrap(),
        json!(5),
        "by name"
    );
    assert_eq!(
        player.call("add", json!([2, 3])).await.unwrap(),
        json!(5),
        "by position"
    );
    for track in [
        json!({"title": "a", "seconds": 3, "kind": "Song"}),
        json!({"title": "b", "seconds": null, "kind": {"Podcast": 7}}),
        json!({"title": "c", "seconds": null, "kind": {"Book": {"author": "d"}}}),
    ] {
        assert_eq!(player.call("echo", json!([track])).await.unwrap(), track);
    }
    let map = json!({"x": [1, -2], "y": []});
    assert_eq!(player.call("map", json!({"map": map})).await.unwrap(), map);
    assert_eq!(
        player.call("bytes", json!([[1, 2, 255]])).await.unwrap(),
        json!([255, 2, 1])
    );
    assert_eq!(
        player.call("bytes", json!(["ab"])).await.unwrap(),
        json!([98, 97])
    );
    assert_eq!(
        player.call("maybe", json!({"text": "x"})).await.unwrap(),
        json!("x")
    );
    assert_eq!(
        player.call("maybe", json!({})).await.unwrap(),
        Value::Null,
        "optional, so it may be missing"
    );
    assert_eq!(player.call("none", Value::Null).await.unwrap(), Value::Null);
    assert_eq!(
        player.call("tell", json!(["news"])).await.unwrap(),
        Value::Null
    );
    assert_eq!(
        player.call("told", json!({})).await.unwrap(),
        json!(["news"])
    );
    let error = player.call("find", json!(["x"])).await.unwrap_err();
    assert_eq!(error.app(), Some(&json!({"NotFound": {"name": "x"}})));
    player.write("volume", json!(0.5)).await.unwrap();
    assert_eq!(player.read("volume").await.unwrap(), json!(0.5));
}

#[tokio::test]
async fn methods_of_every_kind_are_called_without_the_trait() {
    let pair = Pair::tcp().await;
    let player = player(&pair).await;
    call_all(&player).await;
    drop(player);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_daemon_that_accepts_no_json_is_talked_to_in_postcard() {
    let accepted: CodecSet = "postcard".parse().unwrap();
    let pair = Pair::of(Daemon::builder().accept_codecs(accepted), Client::builder()).await;
    call_all(&player(&pair).await).await;
}

#[tokio::test]
async fn near_objects_are_called_without_the_trait_too() {
    let near = PlayerProxy::new(Machine::default());
    call_all(&DynProxy::of(&near).await.unwrap()).await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_sent() {
    let pair = Pair::tcp().await;
    let player = player(&pair).await;
    pair.barrier().await;
    let tables = || {
        let tables = pair.client_tables();
        (tables.calls_out, tables.unsent, tables.unacknowledged)
    };
    let before = tables();
    let cases = [
        (
            "ad",
            json!([1, 2]),
            FaultKind::NoSuchMethod,
            "no method `ad`",
        ),
        ("add", json!([1]), FaultKind::BadArguments, "takes a, b"),
        (
            "add",
            json!([1, 2, 3]),
            FaultKind::BadArguments,
            "takes a, b",
        ),
        (
            "add",
            json!({"a": 1}),
            FaultKind::BadArguments,
            "`b` is missing",
        ),
        (
            "add",
            json!({"a": 1, "b": 2, "c": 3}),
            FaultKind::BadArguments,
            "no argument `c`",
        ),
        (
            "add",
            json!({"a": 1, "b": "two"}),
            FaultKind::BadArguments,
            "argument `b`",
        ),
        (
            "add",
            json!([1, -1]),
            FaultKind::BadArguments,
            "argument `b`",
        ),
        (
            "add",
            json!([1, 4_294_967_296_u64]),
            FaultKind::BadArguments,
            "argument `b`",
        ),
        (
            "add",
            json!(1),
            FaultKind::BadArguments,
            "as an object or as an array",
        ),
        (
            "echo",
            json!([{"seconds": 1, "kind": "Song"}]),
            FaultKind::BadArguments,
            "title",
        ),
        (
            "echo",
            json!([{"title": "a", "kind": "Opera"}]),
            FaultKind::BadArguments,
            "Opera",
        ),
        (
            "bytes",
            json!([[256]]),
            FaultKind::BadArguments,
            "argument `bytes`",
        ),
        (
            "none",
            json!([1]),
            FaultKind::BadArguments,
            "takes no arguments",
        ),
    ];
    for (method, arguments, kind, text) in cases {
        let error = player.call(method, arguments.clone()).await.unwrap_err();
        let fault = error.fault().unwrap();
        assert_fault(fault, kind, Outcome::NotStarted);
        assert!(
            fault.message().contains(text),
            "{method} {arguments}: {fault}"
        );
    }
    let fault = player.read("add").await.unwrap_err();
    assert_fault(
        fault.fault().unwrap(),
        FaultKind::NoSuchMethod,
        Outcome::NotStarted,
    );
    let fault = player.write("told", json!([])).await.unwrap_err();
    assert_fault(
        fault.fault().unwrap(),
        FaultKind::NoSuchMethod,
        Outcome::NotStarted,
    );
    assert_eq!(tables(), before, "not a byte left this process");
}

#[tokio::test]
async fn the_description_says_what_the_trait_says() {
    let pair = Pair::tcp().await;
    let player = player(&pair).await;
    let interface = player.interface();
    assert_eq!(
        (interface.name.as_str(), interface.docs.trim()),
        ("test.Player", "Plays things.")
    );
    let add = interface.method("add").unwrap();
    assert_eq!(add.docs.trim(), "Adds two numbers.");
    assert_eq!(
        add.arguments
            .iter()
            .map(|argument| argument.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(
        (
            add.arguments[0].type_name.as_str(),
            add.returns.type_name.as_str()
        ),
        ("u32", "u32")
    );
    assert_eq!(interface.method("tell").unwrap().kind, MethodKind::Oneway);
    assert_eq!(
        interface.method("volume").unwrap().kind,
        MethodKind::AttributeRead
    );
    assert_eq!(
        interface
            .method("find")
            .unwrap()
            .error
            .as_ref()
            .unwrap()
            .type_name,
        "Trouble"
    );
    assert_eq!(
        interface.method("test.Player.add").unwrap().index,
        add.index
    );
    let near = DynProxy::of(&PlayerProxy::new(Machine::default()))
        .await
        .unwrap();
    assert_eq!(near.interface(), interface);
}

#[tokio::test]
async fn references_in_results_are_proxies_again() {
    let pair = Pair::tcp().await;
    let player = player(&pair).await;
    let reply = player.call_full("open", Value::Null).await.unwrap();
    assert_eq!(reply.references(), 1);
    let typed: PlayerProxy = reply.proxy(0).unwrap();
    assert_eq!(typed.add(1, 2).await.unwrap(), 3);
    let dynamic = reply.dynamic(0).await.unwrap();
    assert_eq!(dynamic.call("add", json!([1, 2])).await.unwrap(), json!(3));
    let fault = reply.dynamic(1).await.unwrap_err();
    assert_fault(&fault, FaultKind::Misuse, Outcome::NotStarted);
    drop((player, reply, typed, dynamic));
    pair.at_baseline().await;
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_call_has_a_timeout() {
    #[expose]
    trait Sleeper {
        async fn sleep(&self);
    }
    struct Object;
    impl Sleeper for Object {
        async fn sleep(&self) {
            std::future::pending().await
        }
    }
    let pair = Pair::memory().await;
    let sleeper = pair.serve("sleeper", SleeperProxy::new(Object)).await;
    let dynamic = DynProxy::of(&sleeper)
        .await
        .unwrap()
        .with_timeout(std::time::Duration::from_secs(1));
    let error = dynamic.call("sleep", Value::Null).await.unwrap_err();
    assert_fault(
        error.fault().unwrap(),
        FaultKind::DeadlineExceeded,
        Outcome::Unknown,
    );
    drop((sleeper, dynamic));
    pair.at_baseline().await;
}

#[tokio::test]
async fn an_object_that_is_not_there_has_no_description() {
    let pair = Pair::tcp().await;
    let uri = pair.daemon.uris()[0].with_object("nobody");
    let fault = pair.client.dynamic(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchObject, Outcome::NotStarted);
    // The daemon itself is an object, too.
    let daemon = pair.client.dynamic(&pair.daemon.uris()[0]).await.unwrap();
    assert_eq!(
        daemon.call("registered", Value::Null).await.unwrap(),
        json!({})
    );
}
