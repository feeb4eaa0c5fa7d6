//! Topics: each subscriber gets what is published at its own pace, and the slow are dealt with as was declared.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::Topic;
use farref::prelude::*;
use farref::topic::{Ended, Subscription, WhenFull};
use tokio::sync::mpsc;

use crate::support::Pair;

#[callback]
trait Ticker {
    async fn price(&self, cents: u32) -> Result<(), String>;
}

/// Says what it is told, and takes the next thing when it may.
struct Gated {
    entered: mpsc::UnboundedSender<u32>,
    may_go_on: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
}

impl Ticker for Gated {
    async fn price(&self, cents: u32) -> Result<(), String> {
        let _ = self.entered.send(cents);
        match self.may_go_on.lock().await.recv().await {
            Some(()) => Ok(()),
            None => std::future::pending().await,
        }
    }
}

/// Tells a [`Gated`] one what to do.
struct Gate {
    entered: mpsc::UnboundedReceiver<u32>,
    go_on: mpsc::UnboundedSender<()>,
}

fn gated() -> (TickerProxy, Gate) {
    let (entered, sees_entered) = mpsc::unbounded_channel();
    let (go_on, may_go_on) = mpsc::unbounded_channel();
    let gated = Gated {
        entered,
        may_go_on: tokio::sync::Mutex::new(may_go_on),
    };
    let gate = Gate {
        entered: sees_entered,
        go_on,
    };
    (TickerProxy::new(gated), gate)
}

impl Gate {
    /// The next thing that it is told, which it is done with then.
    async fn next(&mut self) -> u32 {
        let entered = self.entered.recv().await.unwrap();
        self.go_on.send(()).unwrap();
        entered
    }
}

/// Takes everything at once.
struct Ear(mpsc::UnboundedSender<u32>);

impl Ticker for Ear {
    async fn price(&self, cents: u32) -> Result<(), String> {
        self.0.send(cents).unwrap();
        match cents {
            13 => Err("as the test wants it".to_owned()),
            14 => panic!("as the test wants it"),
            _ => Ok(()),
        }
    }
}

fn ear() -> (TickerProxy, mpsc::UnboundedReceiver<u32>) {
    let (sender, heard) = mpsc::unbounded_channel();
    (TickerProxy::new(Ear(sender)), heard)
}

#[expose]
trait Exchange {
    async fn subscribe(&self, ticker: TickerProxy);
}

struct Floor {
    prices: Topic<u32>,
    subscriptions: Mutex<Vec<Subscription>>,
}

impl Floor {
    /// An exchange, and a proxy to it from afar.
    async fn open(pair: &Pair, prices: Topic<u32>) -> (Arc<Self>, ExchangeProxy) {
        let floor = Arc::new(Floor {
            prices,
            subscriptions: Mutex::default(),
        });
        let exchange = pair.serve("exchange", ExchangeProxy::shared(Arc::clone(&floor)));
        (Arc::clone(&floor), exchange.await)
    }

    fn subscription(&self, index: usize) -> Subscription {
        self.subscriptions.lock().unwrap()[index].clone()
    }
}

impl Exchange for Floor {
    async fn subscribe(&self, ticker: TickerProxy) {
        let subscription = self
            .prices
            .subscribe(ticker, async |ticker, cents| ticker.price(*cents).await);
        self.subscriptions.lock().unwrap().push(subscription);
    }
}

#[tokio::test]
async fn each_subscriber_gets_all_in_order_and_each_only_once() {
    let pair = Pair::tcp().await;
    let (floor, exchange) = Floor::open(&pair, Topic::new(WhenFull::DropNewest)).await;
    let (one, mut one_heard) = ear();
    let (two, mut two_heard) = ear();
    assert_eq!(floor.prices.publish(0), 0, "nobody has subscribed");
    exchange.subscribe(one.clone()).await.unwrap();
    exchange.subscribe(one).await.unwrap();
    exchange.subscribe(two).await.unwrap();
    assert_eq!(floor.prices.subscribers(), 2);
    for cents in 100..200 {
        assert_eq!(floor.prices.publish(cents), 2);
    }
    for cents in 100..200 {
        assert_eq!(one_heard.recv().await, Some(cents));
        assert_eq!(two_heard.recv().await, Some(cents));
    }
    assert!(
        floor.subscription(1).unsubscribe(),
        "the second is the first"
    );
    assert!(!floor.subscription(0).unsubscribe());
    assert_eq!(floor.subscription(0).ended().await, Ended::Unsubscribed);
    assert_eq!(floor.prices.publish(200), 1);
    assert_eq!(two_heard.recv().await, Some(200));
    floor.subscription(2).unsubscribe();
    drop(exchange);
    pair.at_baseline().await;
    assert!(one_heard.try_recv().is_err());
}

#[tokio::test]
async fn one_who_subscribes_again_begins_anew() {
    let topic = Topic::new(WhenFull::DropNewest);
    let (ticker, mut heard) = ear();
    let subscribe = || {
        topic.subscribe(ticker.clone(), async |ticker, cents| {
            ticker.price(*cents).await
        })
    };
    let first = subscribe();
    assert!(topic.unsubscribe(&ticker) && !topic.unsubscribe(&ticker));
    let second = subscribe();
    assert!(!first.is_active() && second.is_active());
    assert_eq!(first.subscriber(), second.subscriber());
    assert_eq!((topic.publish(1), heard.recv().await), (1, Some(1)));
    assert_eq!(
        (first.ended().await, topic.subscribers()),
        (Ended::Unsubscribed, 1)
    );
}

/// Publishes six prices, of which the slow subscriber is still at the first, and returns what a quick one hears.
async fn publish_to_a_slow_one(pair: &Pair, when_full: WhenFull) -> (Arc<Floor>, Gate, Vec<u32>) {
    let topic = Topic::new(when_full).with_capacity(2);
    let (floor, exchange) = Floor::open(pair, topic).await;
    let (slow, mut gate) = gated();
    let (quick, mut heard) = ear();
    exchange.subscribe(slow).await.unwrap();
    exchange.subscribe(quick).await.unwrap();
    floor.prices.publish(0);
    assert_eq!(gate.entered.recv().await, Some(0));
    let mut quick_heard = vec![heard.recv().await.unwrap()];
    for cents in 1..6 {
        floor.prices.publish(cents);
        // The slow one delays nobody.
        quick_heard.push(heard.recv().await.unwrap());
    }
    (floor, gate, quick_heard)
}

#[tokio::test]
async fn a_slow_subscriber_may_miss_the_oldest() {
    let pair = Pair::tcp().await;
    let (floor, mut gate, quick_heard) = publish_to_a_slow_one(&pair, WhenFull::DropOldest).await;
    assert_eq!(quick_heard, [0, 1, 2, 3, 4, 5]);
    assert_eq!(floor.subscription(0).lost(), 3);
    gate.go_on.send(()).unwrap();
    assert_eq!((gate.next().await, gate.next().await), (4, 5));
    floor.prices.publish(6);
    assert_eq!(gate.next().await, 6, "it is on the list still");
    assert_eq!(floor.subscription(1).lost(), 0);
}

#[tokio::test]
async fn a_slow_subscriber_may_miss_the_newest() {
    let pair = Pair::tcp().await;
    let (floor, mut gate, quick_heard) = publish_to_a_slow_one(&pair, WhenFull::DropNewest).await;
    assert_eq!(quick_heard, [0, 1, 2, 3, 4, 5]);
    assert_eq!(floor.subscription(0).lost(), 3);
    gate.go_on.send(()).unwrap();
    assert_eq!((gate.next().await, gate.next().await), (1, 2));
    floor.prices.publish(6);
    assert_eq!(gate.next().await, 6);
}

#[tokio::test]
async fn a_slow_subscriber_may_be_disconnected() {
    let pair = Pair::tcp().await;
    let (floor, mut gate, quick_heard) = publish_to_a_slow_one(&pair, WhenFull::Disconnect).await;
    assert_eq!(quick_heard, [0, 1, 2, 3, 4, 5]);
    let slow = floor.subscription(0);
    assert_eq!((slow.ended().await, slow.lost()), (Ended::TooSlow, 1));
    assert!(!slow.is_active() && !slow.unsubscribe());
    assert_eq!(
        (floor.prices.subscribers(), floor.prices.publish(6)),
        (1, 1)
    );
    // Its callback is dropped, cancelled, and with it what told of it.
    drop(slow);
    assert_eq!(gate.entered.recv().await, None);
}

#[tokio::test]
async fn a_subscriber_that_is_gone_is_found_out() {
    let pair = Pair::tcp().await;
    let (floor, exchange) = Floor::open(&pair, Topic::new(WhenFull::DropOldest)).await;
    let other = Client::new();
    let elsewhere: ExchangeProxy = other.connect(exchange.uri().unwrap()).await.unwrap();
    let (one, _) = ear();
    let (two, mut heard) = ear();
    elsewhere.subscribe(one).await.unwrap();
    exchange.subscribe(two).await.unwrap();
    other.close().await;
    while pair.daemon.peers().len() > 1 {
        pair.barrier().await;
    }
    floor.prices.publish(1);
    assert_eq!(floor.subscription(0).ended().await, Ended::Gone);
    assert_eq!(floor.prices.publish(2), 1);
    assert_eq!((heard.recv().await, heard.recv().await), (Some(1), Some(2)));
}

#[tokio::test]
async fn a_topic_on_which_nothing_is_published_does_not_keep_the_dead_for_ever() {
    let pair = Pair::tcp().await;
    let (floor, exchange) = Floor::open(&pair, Topic::new(WhenFull::DropOldest)).await;
    for _ in 0..100 {
        let visitor = Client::new();
        let elsewhere: ExchangeProxy = visitor.connect(exchange.uri().unwrap()).await.unwrap();
        elsewhere.subscribe(ear().0).await.unwrap();
        visitor.close().await;
        while pair.daemon.peers().len() > 1 {
            pair.barrier().await;
        }
        assert!(
            floor.prices.subscribers() <= 16,
            "{}",
            floor.prices.subscribers()
        );
    }
    assert_eq!(floor.subscription(0).ended().await, Ended::Gone);
}

#[tokio::test]
async fn a_delivery_that_fails_is_counted_and_the_next_one_made() {
    let pair = Pair::tcp().await;
    let (floor, exchange) = Floor::open(&pair, Topic::new(WhenFull::DropOldest)).await;
    let (ticker, mut heard) = ear();
    exchange.subscribe(ticker).await.unwrap();
    let (near, mut near_heard) = ear();
    let panics = floor.prices.subscribe(near, |ticker, cents| {
        assert_ne!(*cents, 12, "as the test wants it");
        async move { ticker.price(*cents).await }
    });
    for cents in 12..16 {
        floor.prices.publish(cents);
    }
    for cents in 12..16 {
        assert_eq!(heard.recv().await, Some(cents));
    }
    for cents in 13..16 {
        assert_eq!(near_heard.recv().await, Some(cents));
    }
    assert_eq!((floor.subscription(0).failed(), panics.failed()), (2, 3));
    assert!(floor.subscription(0).is_active() && panics.is_active());
}

#[tokio::test(start_paused = true)]
async fn a_delivery_may_be_given_a_time() {
    let topic = Topic::new(WhenFull::DropOldest).with_timeout(Duration::from_secs(2));
    let (ticker, mut gate) = gated();
    let subscription = topic.subscribe(ticker, async |ticker, cents| ticker.price(*cents).await);
    topic.publish(1);
    assert_eq!(gate.next().await, 1);
    let begun = tokio::time::Instant::now();
    topic.publish(2);
    assert_eq!(subscription.ended().await, Ended::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert_eq!(topic.publish(3), 0);
}

#[tokio::test]
async fn a_topic_that_is_dropped_delivers_what_was_published() {
    let topic = Topic::new(WhenFull::DropOldest);
    let (ticker, mut gate) = gated();
    let subscription = topic.subscribe(ticker, async |ticker, cents| ticker.price(*cents).await);
    for cents in 1..4 {
        topic.publish(cents);
    }
    drop(topic);
    assert!(subscription.is_active());
    for cents in 1..4 {
        assert_eq!(gate.next().await, cents);
    }
    assert_eq!(subscription.ended().await, Ended::Complete);
    assert_eq!(gate.entered.recv().await, None, "its proxy is dropped");
}

#[test]
fn publishing_needs_no_runtime_and_costs_nothing_while_nobody_subscribes() {
    let topic = Arc::new(Topic::new(WhenFull::DropOldest));
    let allocations = allocation_counter::measure(|| {
        topic.publish(1);
    });
    assert_eq!(allocations.count_total, 0);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (ticker, mut heard) = ear();
    let subscription = runtime.block_on(async {
        let subscription =
            topic.subscribe(ticker, async |ticker, cents| ticker.price(*cents).await);
        let publisher = Arc::clone(&topic);
        std::thread::spawn(move || assert_eq!(publisher.publish(2), 1))
            .join()
            .unwrap();
        assert_eq!(heard.recv().await, Some(2));
        // The queue has grown, and nothing is delivered before the next await.
        let allocations = allocation_counter::measure(|| {
            topic.publish(3);
        });
        assert_eq!(allocations.count_total, 1, "the event");
        subscription
    });
    drop(runtime);
    assert!(!subscription.is_active());
    assert_eq!((topic.publish(4), topic.subscribers()), (0, 0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(subscription.ended()), Ended::Stopped);
}
