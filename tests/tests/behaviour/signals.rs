//! Signals within a process: who is told, in which order, and what becomes of a receiver that fails.
//!
//! The first five tests are the cases of Py4J's own tests of its signals.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::signal::{
    Ended, Event, ReceiverError, ReceiverId, Sender, Signal, SignalError, WhenSlow,
};
use tokio::sync::oneshot;

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alert {
    text: &'static str,
    level: u32,
    /// Where receivers write down that they were told.
    pub(crate) told: Told,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Note>>>);

/// Who was told, and what.
type Note = (&'static str, &'static str, u32);

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Alert {
    fn new(told: &Told) -> Self {
        Alert {
            text: "foo",
            level: 3,
            told: told.clone(),
        }
    }

    pub(crate) fn write_down(&self, who: &'static str) {
        self.told
            .0
            .lock()
            .unwrap()
            .push((who, self.text, self.level));
    }
}

impl Told {
    /// Who was told, in this order; asserts that each of them got all of it.
    pub(crate) fn who(&self) -> Vec<&'static str> {
        let told = self.0.lock().unwrap();
        assert!(
            told.iter()
                .all(|(_, text, level)| (*text, *level) == ("foo", 3))
        );
        told.iter().map(|(who, ..)| *who).collect()
    }
}

fn receiver1(alert: &Event<Alert>) {
    alert.write_down("receiver1");
}

pub(crate) struct Receiver2;

impl Receiver2 {
    pub(crate) fn method(&self, alert: &Event<Alert>) {
        alert.write_down("receiver2");
    }
}

fn error_receiver3(_: &Event<Alert>) -> Result<(), &'static str> {
    Err("bad receiver")
}

/// A signal, what its tests connect to it, and a sender that one of the receivers listens to alone.
pub(crate) struct Case {
    pub(crate) alert: Signal<Alert>,
    pub(crate) receiver2: Arc<Receiver2>,
    instance2: Sender,
    pub(crate) told: Told,
}

impl Case {
    pub(crate) fn new() -> Self {
        Case {
            alert: Signal::new(),
            receiver2: Arc::new(Receiver2),
            instance2: Sender::unique(),
            told: Told::default(),
        }
    }

    fn connected() -> Self {
        let case = Case::new();
        let alert = &case.alert;
        alert.connect(receiver1);
        alert.connect(receiver1);
        alert.connect_weak(&case.receiver2, Receiver2::method);
        alert.connect_weak(&case.receiver2, Receiver2::method);
        alert.with_id("foo").connect(receiver1);
        alert
            .with_id("bar")
            .from_sender(&case.instance2)
            .connect(receiver1);
        case
    }

    pub(crate) fn event(&self) -> Alert {
        Alert::new(&self.told)
    }

    pub(crate) fn method(&self) -> ReceiverId {
        ReceiverId::method(&self.receiver2, &Receiver2::method)
    }
}

#[test]
fn connecting_twice_is_connecting_once() {
    let case = Case::connected();
    assert_eq!(
        case.alert.receivers(),
        [
            ReceiverId::function(&receiver1),
            case.method(),
            "foo".into(),
            "bar".into()
        ]
    );
}

#[test]
fn a_receiver_is_disconnected_by_its_identity_and_its_sender() {
    let case = Case::connected();
    let alert = &case.alert;
    assert!(alert.disconnect(ReceiverId::function(&receiver1)));
    assert!(
        !alert.disconnect(ReceiverId::function(&receiver1)),
        "it is not there any more"
    );
    assert!(alert.disconnect("foo"));
    assert!(!alert.disconnect("bar"), "the sender belongs to it");
    assert!(alert.from_sender(&case.instance2).disconnect("bar"));
    assert!(alert.disconnect(case.method()));
    assert_eq!(alert.receivers(), []);
    assert!(!alert.has_receivers());
}

#[tokio::test]
async fn what_anybody_sends_is_not_heard_by_receivers_of_one_sender() {
    let case = Case::connected();
    let responses = case
        .alert
        .send_from(&Sender::unique(), case.event())
        .await
        .unwrap();
    assert_eq!(case.told.who(), ["receiver1", "receiver2", "receiver1"]);
    assert_eq!(
        responses,
        [
            (ReceiverId::function(&receiver1), ()),
            (case.method(), ()),
            ("foo".into(), ())
        ]
    );
    case.alert.send(case.event()).await.unwrap();
    assert_eq!(
        case.told.who().len(),
        6,
        "nobody in particular is not that sender"
    );
}

#[tokio::test]
async fn what_a_sender_sends_is_heard_by_its_receivers_too() {
    let case = Case::connected();
    let responses = case.alert.send_from(&case.instance2, case.event()).await;
    assert_eq!(
        case.told.who(),
        ["receiver1", "receiver2", "receiver1", "receiver1"]
    );
    assert_eq!(responses.unwrap()[3], ("bar".into(), ()));
}

#[tokio::test]
async fn the_first_error_ends_the_sending_and_names_its_receiver() {
    let case = Case::new();
    case.alert.connect(receiver1);
    case.alert.connect(error_receiver3);
    // Py4J's test passes "foo" as the sender that this one listens to; the second one hears everybody.
    case.alert.from_sender(&case.instance2).connect(receiver1);
    case.alert.with_id("after").connect(receiver1);
    for sender in [Sender::unique(), case.instance2.clone()] {
        let error = case
            .alert
            .send_from(&sender, case.event())
            .await
            .unwrap_err();
        assert_eq!(error.receiver, ReceiverId::function(&error_receiver3));
        assert_eq!(error.delivered, [(ReceiverId::function(&receiver1), ())]);
        assert!(error.to_string().contains("error_receiver3"), "{error}");
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "bad receiver"
        );
    }
    assert_eq!(case.told.who(), ["receiver1", "receiver1"]);
}

#[tokio::test]
async fn responses_come_in_the_order_of_connection_whoever_waits() {
    let signal = Signal::<u32, String>::new();
    let (release, released) = oneshot::channel::<()>();
    let released = Mutex::new(Some(released));
    let order = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    signal.with_id("slow").connect_async(move |event| {
        let released = released.lock().unwrap().take().unwrap();
        let noted = Arc::clone(&noted);
        async move {
            released.await.unwrap();
            noted.lock().unwrap().push("slow");
            format!("slow {}", *event)
        }
    });
    let noted = Arc::clone(&order);
    signal.with_id("quick").connect(move |event| {
        noted.lock().unwrap().push("quick");
        Ok::<_, Fault>(format!("quick {}", **event))
    });
    let (responses, ()) = tokio::join!(signal.send(7), async {
        assert!(
            order.lock().unwrap().is_empty(),
            "the second waits for the first"
        );
        release.send(()).unwrap();
    });
    assert_eq!(
        responses.unwrap(),
        [
            ("slow".into(), "slow 7".to_owned()),
            ("quick".into(), "quick 7".to_owned())
        ]
    );
    assert_eq!(*order.lock().unwrap(), ["slow", "quick"]);
}

#[tokio::test]
async fn a_robust_sending_tells_everybody() {
    let case = Case::new();
    case.alert.connect(error_receiver3);
    case.alert
        .with_id("panics")
        .connect(|alert: &Event<Alert>| {
            assert_eq!(alert.level, 0, "as the test wants it");
        });
    case.alert
        .with_id("panics later")
        .connect_async(async |alert: Event<Alert>| {
            tokio::task::yield_now().await;
            assert_eq!(alert.level, 0, "as the test wants it");
        });
    case.alert.connect(receiver1);
    let responses = case
        .alert
        .send_robust_from(&case.instance2, case.event())
        .await;
    let [failed, panicked, panicked_later, (last, Ok(()))] = &responses[..] else {
        panic!("{responses:?}");
    };
    assert!(
        matches!(&failed.1, Err(ReceiverError::Failed(error)) if error.to_string() == "bad receiver")
    );
    for panicked in [panicked, panicked_later] {
        assert!(
            matches!(&panicked.1, Err(ReceiverError::Panicked(said)) if said.contains("as the test wants it"))
        );
    }
    assert_eq!(*last, ReceiverId::function(&receiver1));
    assert_eq!(case.told.who(), ["receiver1"]);

    let error = case.alert.send(case.event()).await.unwrap_err();
    assert_eq!(error.receiver, ReceiverId::function(&error_receiver3));
    case.alert.disconnect(error.receiver);
    let error = case.alert.send(case.event()).await.unwrap_err();
    assert!(
        matches!(error.error, ReceiverError::Panicked(_)),
        "{error:?}"
    );
    assert_eq!(
        case.told.who(),
        ["receiver1"],
        "a panic ends a sending, too"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sending_with_patience_parts_with_those_that_take_too_long() {
    let case = Case::new();
    case.alert
        .with_id("stuck")
        .connect_async(async |_: Event<Alert>| std::future::pending::<()>().await);
    case.alert.connect(receiver1);
    let mut waited_for = case.alert.subscribe_with(WhenSlow::Wait, 1);
    let mut quick = case.alert.subscribe();
    let patience = Duration::from_secs(3);
    let begun = tokio::time::Instant::now();
    let responses = case.alert.send_within(patience, case.event()).await;
    let [(stuck, Err(ReceiverError::TooSlow)), (last, Ok(()))] = &responses[..] else {
        panic!("{responses:?}");
    };
    assert_eq!(*stuck, ReceiverId::from("stuck"));
    assert_eq!(*last, ReceiverId::function(&receiver1));
    assert_eq!(begun.elapsed(), patience);
    assert_eq!(case.alert.receivers(), [ReceiverId::function(&receiver1)]);

    // The subscriber that wants to be waited for has one event, and no room for another.
    case.alert.send_within(patience, case.event()).await;
    assert_eq!(begun.elapsed(), patience * 2);
    case.alert.send_within(patience, case.event()).await;
    assert_eq!(begun.elapsed(), patience * 2, "nobody is left to wait for");
    waited_for.next().await.unwrap();
    assert!(matches!(waited_for.next().await, Err(Ended::TooSlow)));
    for _ in 0..3 {
        quick.next().await.unwrap();
    }
    assert_eq!(case.told.who(), ["receiver1"; 3]);
}

#[test]
fn a_sending_on_the_spot_needs_no_runtime_and_waits_for_nobody() {
    let case = Case::connected();
    assert_eq!(
        case.alert
            .send_now_from(&case.instance2, case.event())
            .unwrap()
            .len(),
        4
    );
    let asynchronous = case
        .alert
        .with_id("asynchronous")
        .connect_async(async |_| ());
    let error: SignalError = case.alert.send_now(case.event()).unwrap_err();
    assert!(matches!(error.error, ReceiverError::Asynchronous));
    assert_eq!(
        (error.receiver, error.delivered),
        ("asynchronous".into(), Vec::new())
    );
    assert_eq!(case.told.who().len(), 4, "nobody was told");
    asynchronous.disconnect();
    case.alert.connect(error_receiver3);
    let error = case.alert.send_now(case.event()).unwrap_err();
    assert_eq!(error.delivered.len(), 3);
    assert!(matches!(error.error, ReceiverError::Failed(_)));
}

#[tokio::test]
async fn a_sending_that_is_dropped_stops_where_it_is() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (signal, dropped) = (Signal::<()>::new(), Arc::new(AtomicBool::new(false)));
    let (entered, inside) = oneshot::channel();
    let (entered, flag) = (Mutex::new(Some(entered)), Arc::clone(&dropped));
    signal.connect_async(move |_| {
        let guard = Dropped(Arc::clone(&flag));
        entered.lock().unwrap().take().unwrap().send(()).unwrap();
        async move {
            std::future::pending::<()>().await;
            drop(guard);
        }
    });
    let after = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&after);
    signal.connect(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    tokio::select! {
        biased;
        sent = signal.send(()) => panic!("{sent:?}"),
        entered = inside => entered.unwrap(),
    }
    assert!(dropped.load(Ordering::Relaxed));
    assert_eq!(after.load(Ordering::Relaxed), 0);
    assert_eq!(signal.receivers().len(), 2, "both are still connected");
}

#[test]
fn a_signal_may_be_static_and_costs_nothing_while_nobody_listens() {
    static CLOSED: Signal<Box<u32>, ()> = Signal::new();
    assert!(!CLOSED.has_receivers());
    let value = Box::new(7);
    let allocations = allocation_counter::measure(|| {
        CLOSED.send_now(value).unwrap();
    });
    assert_eq!(allocations.count_total, 0);
    CLOSED.connect(|value| assert_eq!(***value, 7));
    let value = Box::new(7);
    let allocations = allocation_counter::measure(|| {
        assert_eq!(CLOSED.send_now(value).unwrap().len(), 1);
    });
    assert_eq!(allocations.count_total, 2, "the event and the responses");
}
