//! Lists of callbacks: all are told at once, and whatever one of them does concerns no other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use farref::listeners::{NotTold, Told};
use farref::prelude::*;
use farref::{FaultKind, Listeners};
use tokio::sync::{Barrier, mpsc};

use crate::support::{Pair, memory_uri};

#[callback]
trait Listener {
    async fn told(&self, n: u32) -> Result<u32, String>;
}

/// Answers with what it is told and its own number.
struct Ear(u32);

impl Listener for Ear {
    async fn told(&self, n: u32) -> Result<u32, String> {
        Ok(n + self.0)
    }
}

/// Does what it is told.
struct Obedient(mpsc::UnboundedSender<&'static str>);

const FAIL: u32 = 1;
const PANIC: u32 = 2;
const HANG: u32 = 3;

impl Listener for Obedient {
    async fn told(&self, n: u32) -> Result<u32, String> {
        struct Dropped<'a>(&'a Obedient);
        impl Drop for Dropped<'_> {
            fn drop(&mut self) {
                let _ = self.0.0.send("dropped");
            }
        }
        match n {
            FAIL => Err("as the test wants it".to_owned()),
            PANIC => panic!("as the test wants it"),
            HANG => {
                let _dropped = Dropped(self);
                let _ = self.0.send("entered");
                std::future::pending().await
            }
            _ => Ok(n),
        }
    }
}

#[expose]
trait Host {
    async fn watch(&self, listener: ListenerProxy) -> bool;
    async fn leave(&self, listener: ListenerProxy) -> bool;
    /// Tells everybody, and returns the sum of what they answer.
    async fn tell(&self, n: u32) -> u32;
}

#[derive(Default)]
struct Machine(Listeners<ListenerProxy>);

type Answer = Told<ListenerProxy, u32, CallError<String>>;

impl Machine {
    async fn notify(&self, n: u32) -> Vec<Answer> {
        self.0.all().notify(|listener| listener.told(n)).await
    }

    async fn answers(&self, n: u32) -> Vec<u32> {
        let told = self.notify(n).await;
        told.into_iter().map(|told| told.result.unwrap()).collect()
    }
}

impl Host for Machine {
    async fn watch(&self, listener: ListenerProxy) -> bool {
        self.0.add(listener)
    }
    async fn leave(&self, listener: ListenerProxy) -> bool {
        self.0.remove(&listener)
    }
    async fn tell(&self, n: u32) -> u32 {
        self.answers(n).await.into_iter().sum()
    }
}

/// A host, and a proxy to it from afar.
async fn hosted(pair: &Pair, machine: Machine) -> (Arc<Machine>, HostProxy) {
    let machine = Arc::new(machine);
    let host = pair.serve("host", HostProxy::shared(Arc::clone(&machine)));
    (Arc::clone(&machine), host.await)
}

#[tokio::test]
async fn a_listener_is_in_the_list_once_and_told_in_the_order_of_adding() {
    let pair = Pair::tcp().await;
    let (machine, host) = hosted(&pair, Machine::default()).await;
    let (one, two) = (ListenerProxy::new(Ear(100)), ListenerProxy::new(Ear(200)));
    let near = ListenerProxy::new(Ear(300));
    assert!(host.watch(one.clone()).await.unwrap());
    assert!(host.watch(two.clone()).await.unwrap());
    assert!(machine.0.add(near.clone()) && !machine.0.add(near.clone()));
    assert!(!host.watch(one.clone()).await.unwrap(), "it is there");
    assert_eq!(machine.answers(5).await, [105, 205, 305]);
    assert_eq!(
        host.tell(0).await.unwrap(),
        600,
        "also while a call is served"
    );

    assert!(host.leave(one.clone()).await.unwrap());
    assert!(
        !host.leave(one.clone()).await.unwrap(),
        "it is not there any more"
    );
    assert_eq!(machine.answers(5).await, [205, 305]);
    assert!(host.watch(one).await.unwrap());
    assert_eq!(machine.answers(5).await, [205, 305, 105]);
    assert!(machine.0.contains(&near) && machine.0.len() == 3);
    machine.0.clear();
    assert!(machine.0.is_empty() && !machine.0.contains(&near));
    assert!(machine.notify(5).await.is_empty());
    drop(host);
    pair.at_baseline().await;
}

/// Answers when all of them are asked.
struct Together(Arc<Barrier>);

impl Listener for Together {
    async fn told(&self, n: u32) -> Result<u32, String> {
        self.0.wait().await;
        Ok(n)
    }
}

#[tokio::test]
async fn all_listeners_are_called_at_once() {
    const MANY: usize = 50;
    let pair = Pair::tcp().await;
    let (machine, host) = hosted(&pair, Machine::default()).await;
    let barrier = Arc::new(Barrier::new(MANY));
    for _ in 0..MANY {
        let listener = ListenerProxy::new(Together(Arc::clone(&barrier)));
        assert!(host.watch(listener).await.unwrap());
    }
    assert_eq!(machine.answers(1).await, [1; MANY]);
    machine.0.clear();
    drop(host);
    pair.at_baseline().await;
}

#[tokio::test]
async fn those_that_are_gone_are_evicted_and_the_others_told() {
    let pair = Pair::tcp().await;
    let (machine, host) = hosted(&pair, Machine::default()).await;
    let other = Client::new();
    let elsewhere: HostProxy = other.connect(host.uri().unwrap()).await.unwrap();
    elsewhere.watch(ListenerProxy::new(Ear(1))).await.unwrap();
    host.watch(ListenerProxy::new(Ear(2))).await.unwrap();
    assert_eq!(machine.answers(10).await, [11, 12]);
    other.close().await;
    while pair.daemon.peers().len() > 1 {
        pair.barrier().await;
    }
    let told = machine.notify(10).await;
    let [gone, there] = &told[..] else {
        panic!("{told:?}");
    };
    let Err(NotTold::Gone(CallError::Fault(fault))) = &gone.result else {
        panic!("{gone:?}");
    };
    assert_eq!(fault.kind(), FaultKind::StaleReference);
    assert!(gone.is_evicted && !machine.0.contains(&gone.listener));
    assert!(matches!(there.result, Ok(12)) && !there.is_evicted);
    assert_eq!(machine.answers(20).await, [22]);
}

#[tokio::test]
async fn one_who_is_known_by_a_uri_may_come_back() {
    let listening = Daemon::bind(memory_uri()).await.unwrap();
    let uri = listening
        .register("listener", ListenerProxy::new(Ear(1)))
        .unwrap();
    let machine = Machine::default();
    machine.0.add(farref::connect(&uri).await.unwrap());
    assert_eq!(machine.answers(1).await, [2]);
    listening.shutdown(Shutdown::default()).await;
    let told = machine.notify(1).await;
    assert!(
        matches!(&told[..], [told] if told.result.is_err() && !told.is_evicted),
        "{told:?}"
    );
    assert_eq!(machine.0.len(), 1);
    let listening = Daemon::bind(uri.without_object()).await.unwrap();
    listening
        .register("listener", ListenerProxy::new(Ear(2)))
        .unwrap();
    assert_eq!(machine.answers(1).await, [3]);
}

#[tokio::test]
async fn one_that_fails_or_panics_concerns_no_other() {
    let pair = Pair::tcp().await;
    let (machine, host) = hosted(&pair, Machine::default()).await;
    let (sender, _log) = mpsc::unbounded_channel();
    let obedient = ListenerProxy::new(Obedient(sender));
    host.watch(obedient).await.unwrap();
    machine.0.add(ListenerProxy::new(Ear(5)));
    for (n, expected) in [(FAIL, "as the test wants it"), (PANIC, "panicked")] {
        let told = machine.notify(n).await;
        let Err(NotTold::Failed(error)) = &told[0].result else {
            panic!("{told:?}");
        };
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!told[0].is_evicted);
        assert!(matches!(told[1].result, Ok(answer) if answer == n + 5));
    }

    let all = machine.0.all();
    let first = all.iter().next().unwrap();
    let told = all
        .notify(async |listener| {
            assert!(listener != first, "as the test wants it");
            listener.told(1).await
        })
        .await;
    assert!(
        matches!(&told[0].result, Err(NotTold::Panicked(said)) if said.contains("as the test wants it"))
    );
    assert!(
        matches!(told[1].result, Ok(6)),
        "what the notifier itself does is contained, too"
    );
    assert_eq!(machine.0.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_delays_nobody_for_longer_than_the_timeout_and_is_evicted_in_the_end() {
    let pair = Pair::memory().await;
    let listeners = Listeners::new()
        .with_timeout(Duration::from_secs(2))
        .with_patience(2);
    let (machine, host) = hosted(&pair, Machine(listeners)).await;
    let (sender, mut log) = mpsc::unbounded_channel();
    host.watch(ListenerProxy::new(Obedient(sender)))
        .await
        .unwrap();
    host.watch(ListenerProxy::new(Ear(5))).await.unwrap();
    // It answers between its timeouts, so that the first one is forgotten.
    for (n, timed_out, evicted) in [
        (HANG, true, false),
        (4, false, false),
        (HANG, true, false),
        (HANG, true, true),
    ] {
        let begun = tokio::time::Instant::now();
        let told = machine.notify(n).await;
        let took = begun.elapsed();
        assert_eq!(matches!(told[0].result, Err(NotTold::TimedOut)), timed_out);
        assert_eq!(told[0].is_evicted, evicted);
        assert!(matches!(told[1].result, Ok(answer) if answer == n + 5));
        if timed_out {
            assert!(
                Duration::from_secs(2) <= took && took < Duration::from_secs(3),
                "{took:?}"
            );
            assert_eq!(log.recv().await, Some("entered"));
            assert_eq!(log.recv().await, Some("dropped"), "the call was cancelled");
        }
    }
    assert_eq!(machine.0.len(), 1);
    machine.0.clear();
    drop(host);
    pair.at_baseline().await;
}

#[tokio::test]
async fn dropping_a_notification_cancels_its_calls() {
    let pair = Pair::tcp().await;
    let (machine, host) = hosted(&pair, Machine::default()).await;
    let (sender, mut log) = mpsc::unbounded_channel();
    host.watch(ListenerProxy::new(Obedient(sender)))
        .await
        .unwrap();
    tokio::select! {
        told = machine.notify(HANG) => panic!("{told:?}"),
        entered = log.recv() => assert_eq!(entered, Some("entered")),
    }
    assert_eq!(log.recv().await, Some("dropped"));
    assert_eq!(machine.answers(4).await, [4], "it is still there");
    machine.0.clear();
    drop(host);
    pair.at_baseline().await;
}

#[tokio::test]
async fn only_those_are_polled_that_were_woken() {
    const MANY: usize = 100;
    let machine = Machine::default();
    for n in 0..MANY {
        machine
            .0
            .add(ListenerProxy::new(Ear(u32::try_from(n).unwrap())));
    }
    let polls = AtomicU32::new(0);
    // Each wakes the one before it: it takes as many wakes as there are listeners until the first one ends.
    let wakers: Vec<_> = (0..MANY).map(|_| Mutex::new(None)).collect();
    let mut next = 0;
    let all = machine.0.all();
    let notified = all.notify(|_| {
        let index = next;
        next += 1;
        let (wakers, polls) = (&wakers, &polls);
        let mut was_polled = false;
        std::future::poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            if !was_polled && index + 1 < MANY {
                was_polled = true;
                *wakers[index].lock().unwrap() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let woken = index.checked_sub(1).map(|before| wakers[before].lock());
            if let Some(waker) = woken.and_then(|mut waker| waker.as_mut().unwrap().take()) {
                waker.wake();
            }
            Poll::Ready(Ok::<usize, Fault>(index))
        })
    });
    let told = notified.await;
    let answers: Vec<usize> = told.into_iter().map(|told| told.result.unwrap()).collect();
    assert!(answers.into_iter().eq(0..MANY));
    assert_eq!(polls.load(Ordering::Relaxed) as usize, 2 * MANY - 1);
}

#[tokio::test]
async fn a_list_that_is_never_told_anything_does_not_keep_the_dead_for_ever() {
    let pair = Pair::tcp().await;
    let (machine, host) = hosted(&pair, Machine::default()).await;
    for n in 0..100 {
        let visitor = Client::new();
        let elsewhere: HostProxy = visitor.connect(host.uri().unwrap()).await.unwrap();
        assert!(elsewhere.watch(ListenerProxy::new(Ear(n))).await.unwrap());
        visitor.close().await;
        while pair.daemon.peers().len() > 1 {
            pair.barrier().await;
        }
        assert!(machine.0.len() <= 16, "{}", machine.0.len());
    }
}
