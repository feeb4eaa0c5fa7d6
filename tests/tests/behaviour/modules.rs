//! Modules: objects that belong together, registered under one name, found and called by those who know nothing of them.

use std::collections::BTreeMap;

use farref::prelude::*;
use farref::{DynProxy, FaultKind, MemberInfo, Module, ModuleObjectProxy, Outcome};
use serde_json::json;

use crate::support::{Pair, assert_fault};

/// Sums and their kin.
#[expose]
trait Sums {
    /// The sum of both.
    fn add(&self, a: i64, b: i64) -> i64;
}

struct Sum;
impl Sums for Sum {
    fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
}

/// Counts.
#[expose]
trait Counter {
    #[attribute]
    fn count(&self) -> u32;
}

struct Fixed(u32);
impl Counter for Fixed {
    fn count(&self) -> u32 {
        self.0
    }
}

fn math() -> Module {
    let tools = Module::new("Tools.").object("counter", &CounterProxy::new(Fixed(3)));
    Module::new("Numbers.")
        .object("sums", &SumsProxy::new(Sum))
        .object("counter", &CounterProxy::new(Fixed(7)))
        .module("tools", tools)
}

fn names(daemon: &Daemon) -> Vec<String> {
    daemon.registered().into_keys().collect()
}

#[tokio::test]
async fn a_module_says_what_it_has_and_gives_it() {
    let pair = Pair::memory().await;
    let uri = pair.daemon.register_module("math", math()).unwrap();
    let module: ModuleObjectProxy = pair.client.connect(&uri).await.unwrap();
    assert_eq!(module.docs().await.unwrap(), "Numbers.");
    let info = |interface: &str, docs: &str| MemberInfo {
        interface: interface.to_owned(),
        docs: docs.to_owned(),
    };
    let members = [
        ("counter", info("Counter", "Counts.")),
        ("sums", info("Sums", "Sums and their kin.")),
        ("tools", info("farref.Module", "Tools.")),
    ];
    let members = members.map(|(name, info)| (name.to_owned(), info));
    assert_eq!(module.members().await.unwrap(), BTreeMap::from(members));

    let member = module.member("sums").await.unwrap().unwrap();
    let sums: SumsProxy = member.downcast().unwrap();
    assert_eq!(sums.add(2, 3).await.unwrap(), 5);
    assert!(module.member("products").await.unwrap().is_none());
    drop((module, member, sums));
    pair.at_baseline().await;
}

#[tokio::test]
async fn tools_call_what_a_module_has_by_paths() {
    let pair = Pair::memory().await;
    let _ = pair.daemon.register_module("math", math()).unwrap();
    let root = pair.client.path(&pair.daemon.uris()[0]).unwrap();
    let sum = root.clone().then("math.sums.add").with(json!([2, 3]));
    assert_eq!(sum.call().await.unwrap(), json!(5));
    let count = root.clone().then("math.tools.counter.count");
    assert_eq!(count.call().await.unwrap(), json!(3));
    // And what they find describes itself.
    let sums = root.then("math.sums").object().await.unwrap();
    assert_eq!(sums.interface().methods[0].docs, "The sum of both.");
    let uri = pair.daemon.uris()[0].with_object("math.tools.counter");
    let counter = pair.client.dynamic(uri).await.unwrap();
    assert_eq!(counter.read("count").await.unwrap(), json!(3));
}

#[tokio::test]
async fn all_that_a_module_has_is_found_by_its_path_until_it_is_unregistered() {
    let pair = Pair::memory().await;
    let uri = pair.daemon.register_module("math", math()).unwrap();
    assert_eq!(
        names(&pair.daemon),
        [
            "math",
            "math.counter",
            "math.sums",
            "math.tools",
            "math.tools.counter"
        ]
    );
    let path = |name| pair.daemon.uris()[0].with_object(name);
    let counter: CounterProxy = pair.client.connect(path("math.counter")).await.unwrap();
    assert_eq!(counter.count().await.unwrap(), 7);
    pair.daemon
        .register("mathematics", SumsProxy::new(Sum))
        .unwrap();
    assert!(pair.daemon.unregister_module("math"));
    assert!(!pair.daemon.unregister_module("math"));
    assert_eq!(names(&pair.daemon), ["mathematics"]);
    assert_eq!(counter.count().await.unwrap(), 7, "references live on");
    let fault = pair.client.connect::<ModuleObjectProxy>(&uri).await;
    assert_fault(
        &fault.unwrap_err(),
        FaultKind::NoSuchObject,
        Outcome::NotStarted,
    );
}

#[tokio::test]
async fn a_module_is_registered_as_a_whole_or_not_at_all() {
    let pair = Pair::memory().await;
    pair.daemon
        .register("math.tools", SumsProxy::new(Sum))
        .unwrap();
    let fault = pair.daemon.register_module("math", math()).unwrap_err();
    assert_fault(&fault, FaultKind::Misuse, Outcome::NotStarted);
    assert!(fault.message().contains("`math.tools`"), "{fault}");
    assert_eq!(names(&pair.daemon), ["math.tools"]);
    let sums = SumsProxy::new(Sum);
    let unfit = [
        Module::new("").object("", &sums),
        Module::new("").object("a.b", &sums),
        Module::new("").object("a", &sums).object("a", &sums),
        Module::new("").module("a", Module::new("").object("", &sums)),
    ];
    for module in unfit {
        let fault = pair.daemon.register_module("other", module).unwrap_err();
        assert_fault(&fault, FaultKind::Misuse, Outcome::NotStarted);
    }
    assert_eq!(names(&pair.daemon), ["math.tools"]);
}

#[tokio::test]
async fn a_client_has_modules_too() {
    let pair = Pair::memory().await;
    pair.client.publish("math", &math().serve()).unwrap();
    let [peer] = &pair.daemon.peers()[..] else {
        panic!("there is one client")
    };
    let module: ModuleObjectProxy = peer.object("math").await.unwrap();
    let module = DynProxy::of(&module).await.unwrap();
    let sum = module.path("sums.add").with(json!([2, 3]));
    assert_eq!(sum.call().await.unwrap(), json!(5));
}
