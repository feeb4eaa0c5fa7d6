//! The spans of calls: `cargo test -p farref --features tracing,testing --test trace`.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod processes;
mod recorder;

use std::cell::Cell;
use std::time::Duration;

use farref::prelude::*;
use farref::testing::Pair;
use farref::trace::{self, Propagator, TraceContext};
use farref::{Batch, chain, same_object};
use tracing::subscriber::{self, NoSubscriber};
use tracing_subscriber::layer::SubscriberExt;

use crate::recorder::{Recorder, assert_is_child};

#[expose]
trait Kitchen {
    fn cook(&self) -> u32;
    fn burn(&self) -> Result<(), String>;
    fn explode(&self);
    async fn wait(&self);
    #[oneway]
    fn ring(&self);
    /// What the object knows of its place in the trace.
    fn place(&self) -> (String, String);
    /// Calls the guest back.
    async fn ask(&self, guest: GuestProxy) -> u32;
    /// The same, by a task that the handler spawns.
    async fn ask_by_a_task(&self, guest: GuestProxy, along: bool);
    /// Calls the guest by way of an object of the same process.
    async fn ask_by_another(&self, guest: GuestProxy);
    fn another(&self) -> KitchenProxy;
    fn courses(&self) -> impl Stream<Item = u32>;
}

#[callback]
trait Guest {
    fn taste(&self) -> u32;
}

struct Cook;

impl Kitchen for Cook {
    fn cook(&self) -> u32 {
        tracing::info!("cooking");
        7
    }
    fn burn(&self) -> Result<(), String> {
        Err("as it was asked to".to_owned())
    }
    fn explode(&self) {
        panic!("as it was asked to");
    }
    async fn wait(&self) {
        std::future::pending().await
    }
    fn ring(&self) {
        tracing::info!("ringing");
    }
    fn place(&self) -> (String, String) {
        let context = CallContext::current().unwrap().trace();
        assert_eq!(context, TraceContext::current());
        let state = context.as_ref().map(|it| it.state().to_owned());
        let header = context.map(|it| it.traceparent());
        (header.unwrap_or_default(), state.unwrap_or_default())
    }
    async fn ask(&self, guest: GuestProxy) -> u32 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        tracing::info!("asking");
        guest.taste().await.unwrap()
    }
    async fn ask_by_a_task(&self, guest: GuestProxy, along: bool) {
        let asking = async move { assert_eq!(guest.taste().await.unwrap(), 9) };
        let task = match along {
            true => tokio::spawn(chain::scope(asking)),
            false => tokio::spawn(asking),
        };
        task.await.unwrap();
    }
    async fn ask_by_another(&self, guest: GuestProxy) {
        let near = KitchenProxy::new(Cook);
        near.ask(guest).await.unwrap();
    }
    fn another(&self) -> KitchenProxy {
        KitchenProxy::new(Cook)
    }
    fn courses(&self) -> impl Stream<Item = u32> {
        futures_util::stream::unfold(0, async |course| {
            tracing::info!("serving");
            Some((course, course + 1))
        })
    }
}

struct Taster;

impl Guest for Taster {
    fn taste(&self) -> u32 {
        tracing::info!("tasting");
        9
    }
}

async fn kitchen() -> (Pair, KitchenProxy) {
    let pair = Pair::new().await.unwrap();
    let kitchen = pair
        .serve("kitchen", KitchenProxy::new(Cook))
        .await
        .unwrap();
    (pair, kitchen)
}

/// Lets both sides do what they have to.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_is_two_spans_of_one_trace() {
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let (_pair, kitchen) = kitchen().await;
    let work = tracing::info_span!("work");
    tracing::Instrument::instrument(async { kitchen.cook().await }, work)
        .await
        .unwrap();
    let (made, served) = recorder.call("Kitchen.cook");
    let spans = recorder.spans();
    assert_eq!(spans[made.parent.unwrap()].name, "work");
    assert_eq!(made.get("parent_id"), "", "it begins the trace");
    for span in [&made, &served] {
        assert_eq!(span.get("interface"), "Kitchen");
        assert_eq!(span.get("method"), "cook");
        assert_eq!(span.get("outcome"), "ok");
        assert_eq!(span.get("otel.status_code"), "");
        assert!(span.get("peer").starts_with("memory:"), "{span:#?}");
        assert!(span.is_closed);
    }
    assert_eq!(served.events, ["cooking"]);
    assert!(made.events.is_empty());
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_handler_are_children_of_its_span() {
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let (_pair, kitchen) = kitchen().await;
    assert_eq!(kitchen.ask(GuestProxy::new(Taster)).await.unwrap(), 9);
    let (_, asked) = recorder.call("Kitchen.ask");
    let (tasting, tasted) = recorder.call("Guest.taste");
    assert_is_child(&tasting, &asked);
    let spans = recorder.spans();
    assert_eq!(spans[tasting.parent.unwrap()].what(), asked.what());
    assert_eq!(asked.events, ["asking"], "also after an await");
    assert_eq!(tasted.events, ["tasting"]);
}

#[tokio::test(start_paused = true)]
async fn a_spawned_task_is_in_the_trace_if_it_takes_the_chain_along() {
    for along in [true, false] {
        let recorder = Recorder::default();
        let _recording = subscriber::set_default(recorder.subscriber());
        let (_pair, kitchen) = kitchen().await;
        let guest = GuestProxy::new(Taster);
        kitchen.ask_by_a_task(guest, along).await.unwrap();
        let (_, asked) = recorder.call("Kitchen.ask_by_a_task");
        let (tasting, _) = recorder.call("Guest.taste");
        let same = tasting.get("trace_id") == asked.get("trace_id");
        assert_eq!(same, along);
        assert_eq!(tasting.parent.is_some(), along);
    }
}

#[tokio::test(start_paused = true)]
async fn near_calls_have_no_span_and_lose_no_trace() {
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let (_pair, kitchen) = kitchen().await;
    let guest = GuestProxy::new(Taster);
    kitchen.ask_by_another(guest).await.unwrap();
    let (_, asked) = recorder.call("Kitchen.ask_by_another");
    let (tasting, _) = recorder.call("Guest.taste");
    assert_is_child(&tasting, &asked);
    assert_eq!(asked.events, ["asking"], "the near call belongs to it");
    assert_eq!(recorder.spans().len(), 4);

    // Those that are encoded are run by others, and belong there all the same.
    let near = KitchenProxy::new(Cook);
    let work = tracing::info_span!("work");
    let calls = async {
        near.ring().await.unwrap();
        let cooking = near.cook().start();
        cooking.await.unwrap();
    };
    tracing::Instrument::instrument(calls, work).await;
    settle().await;
    let work = recorder.the("work");
    let mut events = work.events.clone();
    events.sort();
    assert_eq!(events, ["cooking", "ringing"]);
    assert_eq!(recorder.spans().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_call_has_its_spans() {
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let (_pair, kitchen) = kitchen().await;
    kitchen.ring().await.unwrap();
    settle().await;
    let (made, served) = recorder.call("Kitchen.ring");
    assert!(made.is_closed && served.is_closed);
    assert_eq!((made.get("outcome"), served.get("outcome")), ("ok", "ok"));
    assert_eq!(served.events, ["ringing"]);

    // Started where its span belongs, and driven by a task of its own.
    let work = tracing::info_span!("work");
    let started = work.in_scope(|| kitchen.place().start());
    let (place, _) = started.await.unwrap();
    let (made, served) = recorder.call("Kitchen.place");
    assert_eq!(recorder.spans()[made.parent.unwrap()].name, "work");
    let (trace, span) = (served.get("trace_id"), served.get("span_id"));
    assert_eq!(place, format!("00-{trace}-{span}-03"));

    let mut batch = Batch::new();
    let cooked = batch.add(kitchen.cook());
    let burnt = batch.add(kitchen.burn());
    let skipped = batch.add(kitchen.wait());
    batch.send().await.unwrap_err();
    assert_eq!(cooked.take().unwrap(), 7);
    assert!(burnt.take().is_err() && skipped.take().is_err());
    let (made, served) = recorder.call("Kitchen.cook");
    assert_eq!((made.get("outcome"), served.get("outcome")), ("ok", "ok"));
    let (made, served) = recorder.call("Kitchen.burn");
    let outcomes = (made.get("outcome"), served.get("outcome"));
    assert_eq!(outcomes, ("error", "error"));
    let (made, served) = recorder.call("Kitchen.wait");
    let outcomes = (made.get("outcome"), served.get("outcome"));
    assert_eq!(outcomes, ("skipped", "skipped"));
    assert!(made.get("peer").starts_with("memory:"));
    assert!(made.is_closed && served.is_closed);
}

#[tokio::test(start_paused = true)]
async fn calls_on_promises_and_streams_have_spans_of_their_own() {
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let (_pair, kitchen) = kitchen().await;
    let another = kitchen.another().pipeline();
    assert_eq!(another.cook().await.unwrap(), 7);
    let (made, served) = recorder.call("Kitchen.another");
    assert_eq!((made.get("outcome"), served.get("outcome")), ("ok", "ok"));
    assert!(made.is_closed && served.is_closed);
    let (made, served) = recorder.call("Kitchen.cook");
    assert_eq!((made.get("outcome"), served.get("outcome")), ("ok", "ok"));

    let mut courses = kitchen.courses();
    assert_eq!(courses.next().await.unwrap().unwrap(), 0);
    let (made, served) = recorder.call("Kitchen.courses");
    assert!(made.is_closed, "it is answered");
    assert!(!served.is_closed, "there is more to come");
    assert_eq!(served.events.first().unwrap(), "serving");
    drop(courses);
    settle().await;
    let (_, served) = recorder.call("Kitchen.courses");
    assert!(served.is_closed);
}

#[tokio::test(start_paused = true)]
async fn spans_say_how_their_calls_ended() {
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let (_pair, kitchen) = kitchen().await;
    kitchen.burn().await.unwrap_err();
    kitchen.explode().await.unwrap_err();
    let second = Duration::from_secs(1);
    kitchen.wait().timeout(second).await.unwrap_err();
    settle().await;
    for (method, expected) in [
        ("Kitchen.burn", "error"),
        ("Kitchen.explode", "panicked"),
        ("Kitchen.wait", "deadline_exceeded"),
    ] {
        let (made, served) = recorder.call(method);
        for span in [made, served] {
            assert_eq!(span.get("outcome"), expected, "{span:#?}");
            assert_eq!(span.get("otel.status_code"), "ERROR");
            assert!(span.is_closed);
        }
    }
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let given_up = tokio::time::timeout(second, kitchen.wait()).await;
    assert!(given_up.is_err());
    settle().await;
    let (made, served) = recorder.call("Kitchen.wait");
    assert_eq!(made.get("outcome"), "dropped");
    assert_eq!(served.get("outcome"), "cancelled");
    assert!(made.is_closed && served.is_closed);
}

const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(start_paused = true)]
async fn a_place_that_came_by_another_way_goes_on_with_what_vendors_added() {
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let (_pair, kitchen) = kitchen().await;
    let context = TraceContext::parse(HEADER, Some("rojo=1,congo=2")).unwrap();
    let (place, state) = trace::scope(context, async { kitchen.place().await.unwrap() }).await;
    let (made, served) = recorder.call("Kitchen.place");
    assert_eq!(made.get("trace_id"), &HEADER[3..35]);
    assert_eq!(made.get("parent_id"), &HEADER[36..52]);
    let span = served.get("span_id");
    assert_eq!(place, format!("{}-{span}-01", &HEADER[..35]));
    assert_eq!(state, "rojo=1,congo=2");
    assert_eq!(TraceContext::current(), None, "it is over");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_records_spans_a_place_is_passed_on_as_it_came() {
    let _not_recording = subscriber::set_default(NoSubscriber::default());
    let (pair, kitchen) = kitchen().await;
    let nowhere = (String::new(), String::new());
    assert_eq!(kitchen.place().await.unwrap(), nowhere);
    let context = TraceContext::parse(HEADER, Some("rojo=1")).unwrap();
    let passed = (HEADER.to_owned(), "rojo=1".to_owned());
    let place = trace::scope(context.clone(), async { kitchen.place().await }).await;
    assert_eq!(place.unwrap(), passed);
    // Through a third process, which only passes calls on.
    let uri = pair.daemon.register("passed on", kitchen.clone()).unwrap();
    let by_a_third: KitchenProxy = pair.client.connect(uri).await.unwrap();
    let place = trace::scope(context, async { by_a_third.place().await }).await;
    assert_eq!(place.unwrap(), passed);
}

#[tokio::test(start_paused = true)]
async fn who_passes_calls_on_is_in_the_trace() {
    let network = farref::testing::Network::new();
    let [owner, middle, caller] = ["owner", "middle", "caller"].map(|name| network.host(name));
    let owning = owner.daemon().bind().await.unwrap();
    let uri = owning.register("kitchen", KitchenProxy::new(Cook)).unwrap();
    let passing = middle.daemon().bind().await.unwrap();
    let far: KitchenProxy = middle.client().build().connect(uri).await.unwrap();
    let uri = passing.register("kitchen", far).unwrap();
    let client = caller.client().build();
    let kitchen: KitchenProxy = client.connect(uri).await.unwrap();
    assert!(!same_object(&kitchen, &KitchenProxy::new(Cook)));

    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    kitchen.cook().await.unwrap();
    let made = recorder.the("call Kitchen.cook");
    let passed_in = recorder.the("serve passed on");
    let passed_out = recorder.the("call passed on");
    let served = recorder.the("serve Kitchen.cook");
    assert_is_child(&passed_in, &made);
    assert_is_child(&passed_out, &passed_in);
    assert_is_child(&served, &passed_out);
    assert!(recorder.spans().iter().all(|span| span.is_closed));
}

thread_local! {
    static NUMBERED: Cell<Option<u8>> = const { Cell::new(None) };
}

/// Numbers spans as a subscriber of its own would, on threads that ask for it.
struct Numbering;

impl Propagator for Numbering {
    fn inject(&self, _: &tracing::Span) -> Option<TraceContext> {
        let number = NUMBERED.get()?;
        NUMBERED.set(Some(number + 1));
        TraceContext::new([0xaa; 16], [number; 8], 1, "")
    }

    fn extract(&self, span: &tracing::Span, parent: &TraceContext) {
        if NUMBERED.get().is_some() {
            let _entered = span.enter();
            tracing::info!("below {parent}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_may_number_the_spans() {
    trace::set_propagator(Numbering).unwrap();
    let again = trace::set_propagator(Numbering).unwrap_err();
    assert!(again.to_string().contains("set already"));
    let recorder = Recorder::default();
    let _recording = subscriber::set_default(recorder.subscriber());
    let (_pair, kitchen) = kitchen().await;
    NUMBERED.set(Some(1));
    let (place, _) = kitchen.place().await.unwrap();
    NUMBERED.set(None);
    let (made, served) = recorder.call("Kitchen.place");
    assert_eq!(made.get("span_id"), "01".repeat(8));
    assert_eq!(served.get("span_id"), "02".repeat(8));
    let trace = "aa".repeat(16);
    assert_eq!(place, format!("00-{trace}-{}-01", "02".repeat(8)));
    assert_eq!(
        served.events,
        [format!("below 00-{trace}-{}-01", "01".repeat(8))]
    );
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_wants_no_spans_gets_none() {
    let recorder = Recorder::default();
    let quiet =
        tracing_subscriber::filter::filter_fn(|metadata| metadata.target() != "farref::trace");
    let subscriber = recorder.subscriber().with(quiet);
    let _recording = subscriber::set_default(subscriber);
    let (_pair, kitchen) = kitchen().await;
    kitchen.cook().await.unwrap();
    assert!(recorder.spans().is_empty());
}
