//! Receivers of signals: what tells them apart, how long they are held, and what they may do.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use farref::prelude::*;
use farref::signal::{Event, ReceiverError, ReceiverId, Sender, Signal};
use farref::{FaultKind, Outcome};

use crate::signals::{Alert, Case, Receiver2, Told};
use crate::support::{Pair, assert_fault};

#[test]
fn closures_are_told_apart_by_what_they_capture() {
    let signal = Signal::<u32, u32>::new();
    // One expression each, made three times.
    for n in 0..3 {
        signal.connect(|event| **event);
        signal.connect(move |event| **event + n);
        signal.with_id("named").connect(move |event| **event * n);
    }
    let responses = signal.send_now(10).unwrap();
    let values: Vec<u32> = responses.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [10, 10, 0, 11, 12], "the first of a name stays");
}

#[test]
fn the_same_method_of_another_object_is_another_receiver() {
    let (one, other) = (Arc::new(Receiver2), Arc::new(Receiver2));
    let case = Case::new();
    for object in [&one, &other, &one] {
        case.alert.connect_weak(object, Receiver2::method);
    }
    case.alert
        .connect_weak(&one, |_: &Receiver2, alert| alert.write_down("closure"));
    case.alert.send_now(case.event()).unwrap();
    assert_eq!(case.told.who(), ["receiver2", "receiver2", "closure"]);
    assert!(
        case.alert
            .disconnect(ReceiverId::method(&other, &Receiver2::method))
    );
    assert!(
        !case.alert.disconnect(case.method()),
        "a third object was never connected"
    );
    assert_eq!(case.alert.receivers().len(), 2);
}

#[test]
fn senders_are_told_apart_by_identity() {
    let (one, equal) = (Arc::new(7), Arc::new(7));
    let signal = Signal::<(), ()>::new();
    signal.from_sender(&Sender::shared(&one)).connect(|_| ());
    let heard = |sender: Sender| signal.send_now_from(&sender, ()).unwrap().len();
    assert_eq!(heard(Sender::shared(&Arc::clone(&one))), 1);
    assert_eq!(heard(Sender::shared(&equal)), 0);
    assert_eq!(heard(Sender::unique()), 0);
    assert_eq!(signal.send_now(()).unwrap().len(), 0);
    // Were the place free again, the next object of its kind would be likely to get it.
    drop(one);
    for _ in 0..100 {
        assert_eq!(heard(Sender::shared(&Arc::new(7))), 0);
    }
}

#[tokio::test]
async fn receivers_are_held_until_they_are_disconnected() {
    let held = Arc::new(());
    let signal = Signal::<()>::new();
    let captured = Arc::clone(&held);
    drop(signal.connect(move |_| drop(Arc::clone(&captured))));
    assert_eq!(
        signal.send(()).await.unwrap().len(),
        1,
        "dropping a connection is nothing"
    );
    assert_eq!(Arc::strong_count(&held), 2);

    let captured = Arc::clone(&held);
    let connection = signal.connect(move |_| drop(Arc::clone(&captured)));
    assert!(connection.is_connected());
    assert!(connection.disconnect());
    assert!(!connection.is_connected() && !connection.disconnect());
    assert_eq!(
        Arc::strong_count(&held),
        2,
        "what is disconnected is dropped"
    );

    let captured = Arc::clone(&held);
    let scoped = signal
        .connect(move |_| drop(Arc::clone(&captured)))
        .scoped();
    assert!(scoped.is_connected());
    drop(scoped);
    assert_eq!(signal.receivers().len(), 1);

    let connection = signal.with_id("last").connect(|_| ());
    drop(signal);
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(!connection.is_connected() && !connection.disconnect());
}

#[test]
fn a_connection_is_that_of_the_first_time() {
    let signal = Signal::<()>::new();
    let first = signal.with_id("id").connect(|_| ());
    let again = signal.with_id("id").connect(|_| ());
    assert_eq!((again.receiver(), again.sender()), (&"id".into(), None));
    assert!(again.disconnect() && !first.is_connected());
    let anew = signal.with_id("id").connect(|_| ());
    assert!(!first.disconnect(), "the receiver of today is another one");
    assert!(anew.is_connected());
}

#[tokio::test]
async fn a_weak_receiver_goes_with_its_object() {
    struct View(Told);
    impl View {
        async fn redraw(self: Arc<Self>, alert: Event<Alert>) {
            tokio::task::yield_now().await;
            assert_eq!(alert.told, self.0);
            alert.write_down("view");
        }
    }
    let case = Case::new();
    let view = Arc::new(View(case.told.clone()));
    let connection = case.alert.connect_weak_async(&view, View::redraw);
    case.alert.connect_weak_async(&view, View::redraw);
    case.alert.connect_weak(&case.receiver2, Receiver2::method);
    assert_eq!(case.alert.send(case.event()).await.unwrap().len(), 2);
    assert_eq!(Arc::strong_count(&view), 1);
    let gone = Arc::downgrade(&view);
    drop(view);
    assert!(!connection.is_connected());
    assert!(
        !connection.disconnect(),
        "there is nothing to disconnect any more"
    );
    assert_eq!(case.alert.receivers(), [case.method()]);
    case.alert.send(case.event()).await.unwrap();
    assert_eq!(case.told.who(), ["view", "receiver2", "receiver2"]);
    assert_eq!(Weak::strong_count(&gone), 0);
}

#[tokio::test]
async fn receivers_may_connect_disconnect_and_send_while_it_sends() {
    let signal = Arc::new(Signal::<u32, u32>::new());
    let inner = Arc::clone(&signal);
    signal.with_id("busy").connect_async(move |event| {
        let signal = Arc::clone(&inner);
        async move {
            if *event == 0 {
                return 0;
            }
            assert!(signal.disconnect("later"));
            signal.with_id("new").connect(|event| **event + 100);
            let told = signal.send_robust(0).await;
            u32::try_from(told.len()).unwrap()
        }
    });
    signal.with_id("later").connect(|event| **event);
    let responses = signal.send(5).await.unwrap();
    assert_eq!(
        responses,
        [("busy".into(), 2), ("later".into(), 5)],
        "who was there when it began is told"
    );
    assert_eq!(signal.receivers(), ["busy".into(), "new".into()]);
}

#[test]
fn a_receiver_that_is_dropped_may_use_the_signal() {
    struct Last(Arc<Signal<()>>, Arc<AtomicBool>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.with_id("left behind").connect(|_| ());
            self.1.store(true, Ordering::Relaxed);
        }
    }
    let (signal, dropped) = (
        Arc::new(Signal::<()>::new()),
        Arc::new(AtomicBool::new(false)),
    );
    let connect = || {
        let last = Last(Arc::clone(&signal), Arc::clone(&dropped));
        signal
            .with_id("last")
            .connect(move |_| assert!(!last.1.load(Ordering::Relaxed)))
    };
    connect();
    // A second one of its name is not needed, and dropped at once.
    connect();
    assert!(dropped.swap(false, Ordering::Relaxed));
    assert!(signal.disconnect("last"));
    assert!(dropped.load(Ordering::Relaxed));
    assert_eq!(signal.receivers(), ["left behind".into()]);
    signal.disconnect("left behind");
}

/// Implemented in another process.
#[callback]
trait Listener {
    async fn told(&self, n: u32) -> Result<u32, String>;
}

struct Doubles;

impl Listener for Doubles {
    async fn told(&self, n: u32) -> Result<u32, String> {
        match n {
            0 => Err("as the test wants it".to_owned()),
            _ => Ok(n * 2),
        }
    }
}

#[expose]
trait Teller {
    async fn watch(&self, listener: ListenerProxy);
}

#[derive(Default)]
struct Machine(Signal<u32, u32>);

impl Teller for Machine {
    async fn watch(&self, listener: ListenerProxy) {
        let id = ReceiverId::object(&listener);
        self.0.with_id(id).connect_async(move |n| {
            let listener = listener.clone();
            async move { listener.told(*n).await }
        });
    }
}

#[tokio::test]
async fn a_receiver_in_another_process_is_one_like_another_also_when_it_is_dead() {
    let pair = Pair::tcp().await;
    let machine = Arc::new(Machine::default());
    let teller = pair
        .serve("teller", TellerProxy::shared(Arc::clone(&machine)))
        .await;
    let listener = ListenerProxy::new(Doubles);
    teller.watch(listener.clone()).await.unwrap();
    teller.watch(listener.clone()).await.unwrap();
    teller.watch(ListenerProxy::new(Doubles)).await.unwrap();
    let responses = machine.0.send(4).await.unwrap();
    let values: Vec<u32> = responses.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [8, 8], "the first of them connected twice");

    let error = machine.0.send(0).await.unwrap_err();
    let ReceiverError::Failed(error) = error.error else {
        panic!("{error:?}");
    };
    let error: Box<CallError<String>> = error.downcast().unwrap();
    assert_eq!(error.app().unwrap(), "as the test wants it");

    pair.client.close().await;
    while !pair.daemon.peers().is_empty() {
        tokio::task::yield_now().await;
    }
    let error = machine.0.send(4).await.unwrap_err();
    assert!(error.delivered.is_empty());
    let ReceiverError::Failed(error) = error.error else {
        panic!("{error:?}");
    };
    let error: Box<CallError<String>> = error.downcast().unwrap();
    assert_fault(
        error.fault().unwrap(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
}

#[test]
fn threads_that_connect_and_send_at_once_lose_nothing() {
    const THREADS: u32 = 4;
    const TIMES: u32 = 200;
    let signal = Signal::<u32, u32>::new();
    let heard = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&heard);
    signal.with_id("always").connect(move |n| {
        counted.fetch_add(1, Ordering::Relaxed);
        **n
    });
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let signal = &signal;
            scope.spawn(move || {
                for n in 0..TIMES {
                    let connection = signal.connect(move |n| **n + thread);
                    let responses = signal.send_now(n).unwrap();
                    assert_eq!(responses[0], ("always".into(), n));
                    let own = responses.iter().find(|(id, _)| id == connection.receiver());
                    assert_eq!(own.unwrap().1, n + thread);
                    assert!(connection.disconnect());
                }
            });
        }
    });
    assert_eq!(heard.load(Ordering::Relaxed), THREADS * TIMES);
    assert_eq!(signal.receivers(), ["always".into()]);
}
