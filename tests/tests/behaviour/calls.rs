//! Methods of every form, called near and far.

#![expect(
    clippy::too_many_arguments,
    reason = "twelve arguments are what an interface allows"
)]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use farref::prelude::*;
use farref::{MethodKind, Outcome};
use serde::{Deserialize, Serialize};

use crate::support::Pair;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Form {
    Nothing,
    One(u8),
    Two(String, i64),
    Named { at: (f64, f64), tags: Vec<String> },
}

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Everything {
    small: u8,
    wide: i128,
    sign: char,
    float: f32,
    text: String,
    maybe: Option<Box<Everything>>,
    pairs: BTreeMap<String, Vec<u16>>,
    unit: (),
    array: [u8; 4],
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Missing(String);

/// Methods of every form.
#[expose(name = "test.Forms")]
trait Forms {
    async fn none(&self) -> u32;
    async fn one(&self, a: u8) -> u8;
    async fn twelve(
        &self,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: i8,
        f: i16,
        g: i32,
        h: i64,
        i: bool,
        j: char,
        k: f64,
        l: String,
    ) -> String;
    async fn text(&self, text: &str) -> usize;
    async fn slice(&self, bytes: &[u8]) -> Vec<u8>;
    async fn shared_bytes(&self, bytes: Bytes) -> Bytes;
    async fn borrowed(&self, everything: &Everything) -> Everything;
    async fn form(&self, form: Form) -> Form;
    async fn map(&self, map: HashMap<u32, Form>) -> HashMap<u32, Form>;
    async fn unit(&self);
    async fn find(&self, key: &str) -> Result<String, Missing>;
    async fn find_bytes(&self, key: &str) -> Result<Vec<u8>, Missing>;
    fn plain(&self, n: u32) -> u32;
    #[name = "renamed-on-the-wire"]
    fn rust_name(&self) -> u32;
    #[expose(name = "new")]
    fn make(&self) -> u32 {
        7
    }
    async fn defaulted(&self, n: u32) -> u32 {
        self.plain(n) + self.secret()
    }
    #[local]
    fn secret(&self) -> u32 {
        1000
    }
    #[attribute]
    fn level(&self) -> u32;
    #[attribute]
    fn set_level(&self, level: u32);
    #[blocking]
    fn heavy(&self, text: &str) -> (String, bool);
    #[expose(spawn)]
    async fn spawned(&self) -> u32;
}

#[derive(Default)]
struct Object {
    level: AtomicU32,
}

impl Forms for Object {
    async fn none(&self) -> u32 {
        42
    }
    async fn one(&self, a: u8) -> u8 {
        a + 1
    }
    async fn twelve(
        &self,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: i8,
        f: i16,
        g: i32,
        h: i64,
        i: bool,
        j: char,
        k: f64,
        l: String,
    ) -> String {
        format!("{a} {b} {c} {d} {e} {f} {g} {h} {i} {j} {k} {l}")
    }
    async fn text(&self, text: &str) -> usize {
        tokio::task::yield_now().await;
        text.len()
    }
    async fn slice(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().rev().copied().collect()
    }
    async fn shared_bytes(&self, bytes: Bytes) -> Bytes {
        bytes
    }
    async fn borrowed(&self, everything: &Everything) -> Everything {
        everything.clone()
    }
    async fn form(&self, form: Form) -> Form {
        form
    }
    async fn map(&self, map: HashMap<u32, Form>) -> HashMap<u32, Form> {
        map
    }
    async fn unit(&self) {}
    async fn find(&self, key: &str) -> Result<String, Missing> {
        if key.is_empty() {
            Err(Missing("empty".into()))
        } else {
            Ok(key.to_uppercase())
        }
    }
    async fn find_bytes(&self, key: &str) -> Result<Vec<u8>, Missing> {
        if key.is_empty() {
            Err(Missing("empty".into()))
        } else {
            Ok(key.into())
        }
    }
    fn plain(&self, n: u32) -> u32 {
        n * 2
    }
    fn rust_name(&self) -> u32 {
        3
    }
    fn level(&self) -> u32 {
        self.level.load(Ordering::Relaxed)
    }
    fn set_level(&self, level: u32) {
        self.level.store(level, Ordering::Relaxed);
    }
    fn heavy(&self, text: &str) -> (String, bool) {
        // Blocking here would panic on a thread that drives a runtime.
        let allowed =
            std::panic::catch_unwind(|| tokio::runtime::Handle::current().block_on(async {}))
                .is_ok();
        (text.to_owned(), allowed)
    }
    async fn spawned(&self) -> u32 {
        5
    }
}

fn everything() -> Everything {
    Everything {
        small: 1,
        wide: i128::MIN,
        sign: 'ß',
        float: 0.5,
        text: "Grüße, 世界 🎵".into(),
        maybe: Some(Box::default()),
        pairs: [("a".to_owned(), vec![1, 2])].into(),
        unit: (),
        array: [1, 2, 3, 4],
    }
}

/// Calls each method and looks at what it returns.
async fn call_all(forms: &FormsProxy) {
    assert_eq!(forms.none().await.unwrap(), 42);
    assert_eq!(forms.one(1).await.unwrap(), 2);
    let twelve = forms
        .twelve(1, 2, 3, 4, -5, -6, -7, -8, true, 'j', 0.5, "l".into())
        .await
        .unwrap();
    assert_eq!(twelve, "1 2 3 4 -5 -6 -7 -8 true j 0.5 l");
    let text = String::from("Grüße, 世界");
    assert_eq!(forms.text(&text).await.unwrap(), text.len());
    assert_eq!(forms.slice(&[1, 2, 3]).await.unwrap(), [3, 2, 1]);
    assert!(forms.slice(&[]).await.unwrap().is_empty());
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    assert_eq!(
        forms
            .shared_bytes(Bytes::from(large.clone()))
            .await
            .unwrap(),
        large
    );
    assert_eq!(forms.borrowed(&everything()).await.unwrap(), everything());
    let named = Form::Named {
        at: (1.0, -2.5),
        tags: vec!["x".into()],
    };
    for form in [
        Form::Nothing,
        Form::One(1),
        Form::Two("two".into(), -2),
        named.clone(),
    ] {
        assert_eq!(forms.form(form.clone()).await.unwrap(), form);
    }
    let map = HashMap::from([(1, Form::One(1)), (2, named)]);
    assert_eq!(forms.map(map.clone()).await.unwrap(), map);
    forms.unit().await.unwrap();
    assert_eq!(forms.find("a").await.unwrap(), "A");
    assert!(matches!(forms.find("").await, Err(CallError::App(Missing(why))) if why == "empty"));
    assert_eq!(forms.find_bytes("a").await.unwrap(), b"a");
    assert!(matches!(
        forms.find_bytes("").await,
        Err(CallError::App(Missing(_)))
    ));
    assert_eq!(forms.plain(4).await.unwrap(), 8);
    assert_eq!(forms.rust_name().await.unwrap(), 3);
    assert_eq!(forms.make().await.unwrap(), 7);
    assert_eq!(forms.defaulted(4).await.unwrap(), 1008);
    forms.set_level(3).await.unwrap();
    assert_eq!(forms.level().await.unwrap(), 3);
    assert_eq!(forms.heavy("x").await.unwrap().0, "x");
    assert_eq!(forms.spawned().await.unwrap(), 5);
}

#[tokio::test]
async fn every_form_of_method_works_far() {
    let pair = Pair::tcp().await;
    let forms = pair
        .serve("forms", FormsProxy::new(Object::default()))
        .await;
    call_all(&forms).await;
    drop(forms);
    pair.at_baseline().await;
}

#[tokio::test]
async fn every_form_of_method_works_near() {
    call_all(&FormsProxy::new(Object::default())).await;
}

#[tokio::test]
async fn every_form_of_method_works_in_every_codec() {
    let pair = Pair::memory().await;
    let forms = pair
        .serve("forms", FormsProxy::new(Object::default()))
        .await;
    for codec in farref::Codec::ALL {
        assert!(codec.is_available());
        call_all(&forms.clone().with_codec(codec)).await;
    }
}

#[tokio::test]
async fn a_shared_object_stays_in_the_hands_of_the_application() {
    let object = Arc::new(Object::default());
    let pair = Pair::tcp().await;
    let forms = pair
        .serve("forms", FormsProxy::shared(Arc::clone(&object)))
        .await;
    forms.set_level(9).await.unwrap();
    assert_eq!(
        object.level(),
        9,
        "the trait is still the application's own"
    );
}

#[tokio::test]
async fn a_blocking_method_runs_where_blocking_is_allowed() {
    let pair = Pair::tcp().await;
    let forms = pair
        .serve("forms", FormsProxy::new(Object::default()))
        .await;
    assert_eq!(forms.heavy("x").await.unwrap(), ("x".to_owned(), true));
}

#[expose]
trait Gate {
    #[blocking]
    fn block(&self) -> u32;
    #[expose(spawn)]
    async fn spawn(&self) -> bool;
    fn open(&self);
    fn thread(&self) -> String;
}

struct Door {
    opened: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
    opener: std::sync::mpsc::Sender<()>,
}

impl Door {
    fn new() -> Self {
        let (opener, opened) = std::sync::mpsc::channel();
        Door {
            opened: opened.into(),
            opener,
        }
    }
}

impl Gate for Door {
    fn block(&self) -> u32 {
        self.opened.lock().unwrap().recv().unwrap();
        1
    }
    async fn spawn(&self) -> bool {
        self.opened.lock().unwrap().recv().unwrap();
        true
    }
    fn open(&self) {
        self.opener.send(()).unwrap();
    }
    fn thread(&self) -> String {
        format!("{:?}", std::thread::current().id())
    }
}

#[tokio::test]
async fn a_blocking_method_does_not_hold_the_calls_behind_it() {
    let pair = Pair::tcp().await;
    let gate = pair.serve("gate", GateProxy::new(Door::new())).await;
    // On one thread: if the first call held it, the second would never run.
    let (blocked, ()) = tokio::try_join!(gate.block(), gate.open()).unwrap();
    assert_eq!(blocked, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_spawned_method_does_not_hold_the_calls_behind_it() {
    let pair = Pair::tcp().await;
    let gate = pair.serve("gate", GateProxy::new(Door::new())).await;
    let (spawned, ()) = tokio::try_join!(gate.spawn(), gate.open()).unwrap();
    assert!(spawned);
}

/// One call at a time, so it may change itself.
#[expose]
trait Counter {
    async fn add(&mut self, n: u64) -> u64;
    fn total(&self) -> u64;
}

struct Count(u64);

impl Counter for Count {
    async fn add(&mut self, n: u64) -> u64 {
        let before = self.0;
        tokio::task::yield_now().await;
        self.0 = before + n;
        self.0
    }
    fn total(&self) -> u64 {
        self.0
    }
}

#[tokio::test]
async fn an_object_with_mut_self_is_served_one_call_at_a_time() {
    let pair = Pair::tcp().await;
    let counter = pair.serve("counter", CounterProxy::serial(Count(0))).await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let counter = counter.clone();
            tokio::spawn(async move { counter.add(2).await.unwrap() })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(counter.total().await.unwrap(), 100, "no addition was lost");
}

#[test]
fn the_descriptor_says_what_the_trait_says() {
    let descriptor = FormsProxy::DESCRIPTOR;
    assert_eq!(descriptor.name, "test.Forms");
    assert_eq!(descriptor.docs.trim(), "Methods of every form.");
    assert!(
        descriptor.method("secret").is_none(),
        "a local method stays off the wire"
    );
    let renamed = descriptor.method("renamed-on-the-wire").unwrap();
    assert_eq!(renamed.rust_name, "rust_name");
    assert!(descriptor.method("new").is_some());
    assert_eq!(
        descriptor.method("level").unwrap().kind,
        MethodKind::AttributeRead
    );
    assert_eq!(
        descriptor.method("set_level").unwrap().kind,
        MethodKind::AttributeWrite
    );
    assert!(descriptor.method("heavy").unwrap().flags.blocking);
    assert!(descriptor.method("spawned").unwrap().flags.spawn);
    let twelve = descriptor.method("twelve").unwrap();
    let names: String = twelve
        .arguments
        .iter()
        .map(|argument| argument.name)
        .collect();
    assert_eq!(names, "abcdefghijkl");
    assert_eq!(
        descriptor
            .method("find")
            .unwrap()
            .error
            .as_ref()
            .unwrap()
            .type_name,
        "Missing"
    );
}

#[tokio::test]
async fn many_callers_share_a_proxy_and_get_their_own_answers() {
    let pair = Pair::tcp().await;
    let forms = pair
        .serve("forms", FormsProxy::new(Object::default()))
        .await;
    let calls: Vec<_> = (0..500_u32)
        .map(|n| {
            let forms = forms.clone();
            tokio::spawn(async move { (n, forms.plain(n).await.unwrap()) })
        })
        .collect();
    for call in calls {
        let (n, doubled) = call.await.unwrap();
        assert_eq!(doubled, n * 2);
    }
    drop(forms);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_call_is_a_value_that_does_nothing_until_it_is_polled() {
    let pair = Pair::tcp().await;
    let forms = pair
        .serve("forms", FormsProxy::new(Object::default()))
        .await;
    drop(forms.set_level(1));
    let later = forms.set_level(2);
    assert_eq!(forms.level().await.unwrap(), 0);
    later.await.unwrap();
    assert_eq!(forms.level().await.unwrap(), 2);
}

#[tokio::test]
async fn a_call_that_is_polled_after_its_end_says_so() {
    let forms = FormsProxy::new(Object::default());
    let mut call = forms.none();
    assert_eq!((&mut call).await.unwrap(), 42);
    let fault = call.await.unwrap_err();
    assert_eq!(
        (fault.kind(), fault.outcome()),
        (farref::FaultKind::Misuse, Outcome::NotStarted)
    );
}

#[tokio::test]
async fn the_trait_is_still_a_bound() {
    async fn generic(forms: &impl Forms) -> u32 {
        forms.none().await + forms.plain(1)
    }
    assert_eq!(generic(&Object::default()).await, 44);
}
