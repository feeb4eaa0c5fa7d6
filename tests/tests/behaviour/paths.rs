//! Paths from one object to the next, followed where the objects are, in one trip.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::{
    CallInfo, Codec, CodecSet, DynPath, DynProxy, FaultKind, Intercepted, Interceptor, Outcome,
    Signal,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::flights::Wire;
use crate::support::{Pair, assert_fault};

#[expose]
trait Leaf {
    #[attribute]
    fn name(&self) -> String;
}

#[expose]
trait Tree: Leaf {
    fn child(&self, name: String, number: u32) -> Option<TreeProxy>;
    async fn first(&self) -> TreeProxy;
    fn lost(&self, why: String) -> Result<TreeProxy, String>;
    /// Whether another process is calling.
    fn is_called_from_afar(&self) -> bool;
    async fn wait(&self);
    #[no_cancel]
    async fn grow(&self) -> TreeProxy;
    #[blocking]
    fn measure(&self) -> u32;
    #[oneway]
    async fn water(&self);
    fn rings(&self) -> RemoteStream<u32>;
    fn bytes(&self) -> Vec<u8>;
    #[signal]
    fn felled(&self) -> &Signal<u32>;
    /// What it was told of, which may live elsewhere.
    fn neighbour(&self) -> Option<TreeProxy>;
    async fn meet(&self, other: TreeProxy);
}

#[derive(Default)]
struct Forest {
    waits: Notify,
    dropped: Notify,
    watered: Notify,
    grown: Notify,
}

#[derive(Clone, Default)]
struct Plant {
    name: String,
    forest: Arc<Forest>,
    neighbour: Arc<Mutex<Option<TreeProxy>>>,
    felled: Arc<Signal<u32>>,
}

impl Plant {
    fn named(&self, name: String) -> TreeProxy {
        TreeProxy::new(Plant {
            name,
            ..self.clone()
        })
    }
}

impl Leaf for Plant {
    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Tree for Plant {
    fn child(&self, name: String, number: u32) -> Option<TreeProxy> {
        (number < 3).then(|| self.named(format!("{}/{name}{number}", self.name)))
    }
    async fn first(&self) -> TreeProxy {
        tokio::task::yield_now().await;
        self.named(format!("{}/first", self.name))
    }
    fn lost(&self, why: String) -> Result<TreeProxy, String> {
        Err(why)
    }
    fn is_called_from_afar(&self) -> bool {
        CallContext::current().unwrap().peer().is_some()
    }
    async fn wait(&self) {
        struct Told(Arc<Forest>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.dropped.notify_one();
            }
        }
        let _told = Told(Arc::clone(&self.forest));
        self.forest.waits.notify_one();
        std::future::pending().await
    }
    async fn grow(&self) -> TreeProxy {
        self.forest.waits.notify_one();
        self.forest.watered.notified().await;
        self.forest.grown.notify_one();
        self.named("grown".to_owned())
    }
    fn measure(&self) -> u32 {
        7
    }
    async fn water(&self) {
        self.forest.watered.notify_one();
    }
    fn rings(&self) -> RemoteStream<u32> {
        RemoteStream::from_iter(0..3)
    }
    fn bytes(&self) -> Vec<u8> {
        vec![1, 2, 3]
    }
    fn felled(&self) -> &Signal<u32> {
        &self.felled
    }
    fn neighbour(&self) -> Option<TreeProxy> {
        self.neighbour.lock().unwrap().clone()
    }
    async fn meet(&self, other: TreeProxy) {
        *self.neighbour.lock().unwrap() = Some(other);
    }
}

fn oak() -> Plant {
    Plant {
        name: "oak".to_owned(),
        ..Plant::default()
    }
}

fn fault(error: CallError<Value>) -> Fault {
    match error {
        CallError::Fault(fault) => fault,
        CallError::App(error) => panic!("{error}"),
    }
}

async fn fails(path: DynPath) -> Fault {
    fault(path.call().await.unwrap_err())
}

#[tokio::test]
async fn a_path_of_many_steps_is_one_round_trip() {
    let wire = Wire::new().await;
    let tree = wire.serve("oak", TreeProxy::new(oak())).await;
    let tree = DynProxy::of(&tree).await.unwrap();
    let before = wire.flights();
    let path = tree
        .path("child")
        .with(json!(["left", 1]))
        .then("first.first.child")
        .with(json!(["right", 2]))
        .then("name");
    assert_eq!(
        path.call().await.unwrap(),
        json!("oak/left1/first/first/right2")
    );
    assert_eq!(wire.flights() - before, 1);
}

#[tokio::test]
async fn near_and_far_paths_lead_to_the_same() {
    let pair = Pair::memory().await;
    let near = TreeProxy::new(oak());
    let far = pair.serve("oak", TreeProxy::new(oak())).await;
    for tree in [&near, &far] {
        let from_afar = json!(!tree.is_near());
        let tree = DynProxy::of(tree).await.unwrap();
        let called = |steps| tree.path(steps).call();
        assert_eq!(called("first.name").await.unwrap(), json!("oak/first"));
        let afar = called("first.is_called_from_afar").await.unwrap();
        assert_eq!(afar, from_afar);
        assert_eq!(called("first.measure").await.unwrap(), json!(7));
        assert_eq!(called("first.bytes").await.unwrap(), json!([1, 2, 3]));
        assert_eq!(called("first.water").await.unwrap(), json!(null));
        let mut rings = tree.path("first.rings").stream().await.unwrap();
        let mut sum = Vec::new();
        while let Some(ring) = rings.next().await {
            sum.push(ring.unwrap());
        }
        assert_eq!(sum, [0, 1, 2]);
        let object = tree.path("first.first").object().await.unwrap();
        let name = object.call("name", json!([])).await.unwrap();
        assert_eq!(name, json!("oak/first/first"));
    }
    drop((near, far));
    pair.at_baseline().await;
}

#[tokio::test]
async fn what_is_wrong_is_found_on_the_way() {
    use FaultKind::{BadArguments, Misuse, NoSuchMethod, NoSuchObject};
    use Outcome::{NotStarted, Ran};
    let pair = Pair::memory().await;
    let far = pair.serve("oak", TreeProxy::new(oak())).await;
    let near = TreeProxy::new(oak());
    for tree in [near, far] {
        let tree = DynProxy::of(&tree).await.unwrap();
        let many = vec!["first"; 33].join(".");
        let odd = [
            (tree.path("frist.name"), NoSuchMethod, NotStarted),
            // What ran before a mistake has run.
            (tree.path("first.nmae"), NoSuchMethod, Ran),
            (tree.path("name.first"), NoSuchObject, Ran),
            (
                tree.path("child").with(json!(["x", 9])).then("name"),
                NoSuchObject,
                Ran,
            ),
            (
                tree.path("child").with(json!(["x"])),
                BadArguments,
                NotStarted,
            ),
            (
                tree.path("child").with(json!({"name": "x", "number": 1})),
                BadArguments,
                NotStarted,
            ),
            (tree.path(&many), BadArguments, NotStarted),
            (tree.path(""), NoSuchMethod, NotStarted),
            (tree.path("felled"), Misuse, NotStarted),
            (tree.path("first.felled"), Misuse, Ran),
        ];
        for (path, kind, outcome) in odd {
            assert_fault(&fails(path).await, kind, outcome);
        }
        // The own error of a method ends the way, wherever it is.
        for last in ["", ".name"] {
            let path = tree.path("first.lost").with(json!(["eaten"]));
            let path = match last {
                "" => path,
                steps => path.then(&steps[1..]),
            };
            match path.call().await.unwrap_err() {
                CallError::App(error) => assert_eq!(error, json!("eaten")),
                CallError::Fault(fault) => panic!("{fault:?}"),
            }
        }
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_process_where_the_object_is_follows_the_rest() {
    let (here, there) = (Pair::memory().await, Pair::memory().await);
    let near_by = here.serve("oak", TreeProxy::new(oak())).await;
    let beyond = TreeProxy::new(Plant {
        name: "elm".to_owned(),
        ..Plant::default()
    });
    // The oak's process knows the elm as an object of another.
    let elm = there.serve("elm", beyond).await;
    near_by.meet(elm).await.unwrap();
    let tree = DynProxy::of(&near_by).await.unwrap();
    let name = tree.path("neighbour.first.name").call().await.unwrap();
    assert_eq!(name, json!("elm/first"));
    let path = tree.path("neighbour.frist");
    assert_fault(&fails(path).await, FaultKind::NoSuchMethod, Outcome::Ran);
    let path = tree.path("neighbour.first.first");
    let object = path.object().await.unwrap();
    assert_eq!(
        object.call("name", json!([])).await.unwrap(),
        json!("elm/first/first")
    );
}

#[tokio::test(start_paused = true)]
async fn giving_a_path_up_cancels_the_step_that_is_taken() {
    let pair = Pair::memory().await;
    let plant = oak();
    let forest = Arc::clone(&plant.forest);
    let oak = pair.serve("oak", TreeProxy::new(plant)).await;
    let tree = DynProxy::of(&oak).await.unwrap();
    let waiting = tokio::spawn(tree.path("first.wait").call());
    forest.waits.notified().await;
    waiting.abort();
    forest.dropped.notified().await;

    let path = tree.path("first.wait").timeout(Duration::from_secs(5));
    let fault = fails(path).await;
    assert_fault(&fault, FaultKind::DeadlineExceeded, Outcome::Unknown);
    forest.waits.notified().await;
    forest.dropped.notified().await;

    // One that runs to its end does so, and the rest of the way is not gone.
    let growing = tokio::spawn(tree.path("grow.water").call());
    forest.waits.notified().await;
    growing.abort();
    pair.barrier().await;
    forest.watered.notify_one();
    forest.grown.notified().await;
    drop((oak, tree));
    pair.at_baseline().await;
}

/// Lets nobody read names.
struct Discreet(Arc<Mutex<Vec<String>>>);

impl Interceptor for Discreet {
    fn before<'a>(&'a self, call: &'a mut CallInfo) -> Intercepted<'a> {
        Box::pin(async move {
            let name = format!("{}.{}", call.interface(), call.method());
            let refused = name == "Leaf.name";
            self.0.lock().unwrap().push(name);
            match refused {
                true => Err(Fault::new(
                    FaultKind::Denied,
                    Outcome::NotStarted,
                    "names are not told",
                )),
                false => Ok(()),
            }
        })
    }
}

#[tokio::test]
async fn every_step_is_seen_and_refused_as_a_call_is() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let daemon = Daemon::builder().interceptor(Discreet(Arc::clone(&seen)));
    let pair = Pair::of_memory(daemon, Client::builder()).await;
    let tree = pair.serve("oak", TreeProxy::new(oak())).await;
    let tree = DynProxy::of(&tree).await.unwrap();
    seen.lock().unwrap().clear();
    let refused = fails(tree.path("first.first.name")).await;
    assert_fault(&refused, FaultKind::Denied, Outcome::Ran);
    assert_eq!(
        *seen.lock().unwrap(),
        ["Tree.first", "Tree.first", "Leaf.name"]
    );
    // What needs a permission needs it on a path.
    let pair = Pair::of_memory(Daemon::builder().grant(|_, _| false), Client::builder()).await;
    let root = pair.client.path(&pair.daemon.uris()[0]).unwrap();
    for method in ["stat", "shut_down"] {
        let error = root.clone().then(method).call().await.unwrap_err();
        assert!(error.app().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn a_path_begins_at_a_daemon_without_knowing_anything() {
    let pair = Pair::memory().await;
    let uri = pair.daemon.uris()[0].clone();
    pair.daemon.register("oak", TreeProxy::new(oak())).unwrap();
    let made = Arc::new(Mutex::new(0));
    let count = Arc::clone(&made);
    pair.daemon
        .register_factory("elm", move |_| {
            *count.lock().unwrap() += 1;
            Ok(TreeProxy::new(oak()))
        })
        .unwrap();
    let root = pair.client.path(&uri).unwrap();
    let name = root.clone().then("oak.first.name").call().await.unwrap();
    assert_eq!(name, json!("oak/first"));
    for _ in 0..2 {
        let name = root.clone().then("elm.name").call().await.unwrap();
        assert_eq!(name, json!("oak"));
    }
    assert_eq!(*made.lock().unwrap(), 1, "the session has one of its own");
    let fault = fails(root.then("ash.name")).await;
    assert_fault(&fault, FaultKind::NoSuchObject, Outcome::Ran);
    let oak = pair.client.path(uri.with_object("oak")).unwrap();
    let name = oak.then("first.name").call().await.unwrap();
    assert_eq!(name, json!("oak/first"));
}

#[tokio::test]
async fn who_takes_no_json_follows_no_paths() {
    let daemon = Daemon::builder().accept_codecs(CodecSet::from(Codec::Postcard));
    let pair = Pair::of_memory(daemon, Client::builder()).await;
    let tree = pair.serve("oak", TreeProxy::new(oak())).await;
    let tree = DynProxy::of(&tree).await.unwrap();
    let fault = fails(tree.path("first.name")).await;
    assert_fault(&fault, FaultKind::UnsupportedCodec, Outcome::NotStarted);
}
