//! Subscribing to a signal: what it tells comes as a stream, under a declared policy for the slow.

use std::sync::{Arc, Mutex};

use farref::prelude::*;
use farref::signal::{Ended, ReceiverError, Sender, Signal, Subscription, WhenSlow};
use farref::{Codec, CodecSet, DynProxy, FaultKind, Stream, StreamItem};

use crate::remote_signals::{Machine, PlayerProxy, Track, track};
use crate::support::Pair;

/// The same object near and far, and its signals.
async fn near_and_far(pair: &Pair) -> [(PlayerProxy, Arc<Machine>); 2] {
    let (near, far) = (Arc::new(Machine::default()), Arc::new(Machine::default()));
    let proxy = PlayerProxy::shared(Arc::clone(&near));
    let served = pair
        .serve("player", PlayerProxy::shared(Arc::clone(&far)))
        .await;
    [(proxy, near), (served, far)]
}

async fn titles(subscription: &mut Subscription<Track>, count: usize) -> Vec<String> {
    let mut titles = Vec::new();
    for _ in 0..count {
        titles.push(subscription.next().await.unwrap().title.clone());
    }
    titles
}

#[tokio::test]
async fn subscribers_get_what_is_told_in_order_until_they_go() {
    let pair = Pair::memory().await;
    for (player, machine) in near_and_far(&pair).await {
        let mut one = player.song_changed().subscribe().await.unwrap();
        let mut other = player.song_changed().subscribe().await.unwrap();
        // A receiver that fails is none of their business.
        machine.song_changed.connect(|_| Err::<u32, _>("no"));
        for title in ["Black", "Creep", "Come as You Are"] {
            machine.song_changed.send(track(title)).await.unwrap_err();
        }
        let expected = ["Black", "Creep", "Come as You Are"];
        assert_eq!(titles(&mut one, 3).await, expected);
        assert_eq!(titles(&mut other, 3).await, expected);
        assert_eq!((one.missed(), other.missed()), (0, 0));
        drop(one);
        machine
            .song_changed
            .send(track("Jeremy"))
            .await
            .unwrap_err();
        assert_eq!(titles(&mut other, 1).await, ["Jeremy"]);
        drop(other);
        machine.disconnect_receivers();
        drop(player);
        while machine.song_changed.has_receivers() {
            pair.barrier().await;
        }
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_subscription_says_why_it_ended() {
    let pair = Pair::memory().await;
    for (player, machine) in near_and_far(&pair).await {
        let mut closing = player
            .song_changed()
            .subscribe_with(WhenSlow::Close, 2)
            .await
            .unwrap();
        // Far ones have not asked for anything yet, so that all waits at the signal.
        for title in ["Black", "Creep", "Jeremy", "Alive"] {
            machine.song_changed.send(track(title)).await.unwrap();
        }
        assert_eq!(titles(&mut closing, 2).await, ["Black", "Creep"]);
        for _ in 0..2 {
            assert!(matches!(closing.next().await, Err(Ended::TooSlow)));
        }

        let mut last = player.song_changed().subscribe().await.unwrap();
        machine.song_changed.send(track("Even Flow")).await.unwrap();
        let uri = player.uri().cloned();
        drop((player, closing));
        if uri.is_some() {
            pair.daemon.unregister("player");
        }
        drop(machine);
        assert_eq!(titles(&mut last, 1).await, ["Even Flow"]);
        assert!(matches!(last.next().await, Err(Ended::Complete)));
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_lost_session_is_a_reason_of_its_own() {
    let pair = Pair::memory().await;
    let machine = Arc::new(Machine::default());
    let uri = pair
        .daemon
        .register("player", PlayerProxy::shared(Arc::clone(&machine)))
        .unwrap();
    let client = Client::new();
    let player: PlayerProxy = client.connect(&uri).await.unwrap();
    let mut changes = player.song_changed().subscribe().await.unwrap();
    machine.song_changed.send(track("Black")).await.unwrap();
    assert_eq!(titles(&mut changes, 1).await, ["Black"]);
    for peer in client.peers() {
        peer.abort();
    }
    let Err(Ended::Lost(fault)) = changes.next().await else {
        panic!("it did not end")
    };
    assert_eq!(fault.kind(), FaultKind::SessionLost);
    while machine.song_changed.has_receivers() {
        pair.barrier().await;
    }
    drop(player);
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_slow_miss_the_oldest_or_the_newest_or_are_waited_for() {
    let signal = Signal::<u32>::new();
    let mut oldest = signal.subscribe_with(WhenSlow::DropOldest, 2);
    let mut newest = signal.subscribe_with(WhenSlow::DropNewest, 2);
    for n in 1..=5 {
        signal.send(n).await.unwrap();
    }
    assert_eq!((*oldest.next().await.unwrap(), oldest.missed()), (4, 3));
    assert_eq!(*oldest.next().await.unwrap(), 5);
    assert_eq!((*newest.next().await.unwrap(), newest.missed()), (1, 3));
    assert_eq!(*newest.next().await.unwrap(), 2);
    drop((oldest, newest));

    let mut waited = signal.subscribe_with(WhenSlow::Wait, 1);
    signal.send(1).await.unwrap();
    let error = signal.send_now(2).unwrap_err();
    assert!(matches!(error.error, ReceiverError::Asynchronous));
    let mut sending = Box::pin(signal.send(2));
    tokio::select! {
        biased;
        _ = &mut sending => panic!("it did not wait"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(*waited.next().await.unwrap(), 1);
    sending.await.unwrap();
    // One that goes is waited for no more.
    let mut sending = Box::pin(signal.send(3));
    tokio::select! {
        biased;
        _ = &mut sending => panic!("it did not wait"),
        () = tokio::task::yield_now() => {}
    }
    drop(waited);
    sending.await.unwrap();
    assert!(!signal.has_receivers());
}

#[tokio::test]
async fn a_far_subscriber_is_waited_for_if_it_asks_to() {
    let pair = Pair::memory().await;
    let machine = Arc::new(Machine::default());
    let player = pair
        .serve("player", PlayerProxy::shared(Arc::clone(&machine)))
        .await;
    let song_changed = player.song_changed();
    let mut all = song_changed
        .subscribe_with(WhenSlow::Wait, 1)
        .await
        .unwrap();
    const COUNT: u32 = 2000;
    let sending = tokio::spawn({
        let machine = Arc::clone(&machine);
        async move {
            for n in 0..COUNT {
                machine
                    .song_changed
                    .send(track(&n.to_string()))
                    .await
                    .unwrap();
            }
        }
    });
    for n in 0..COUNT {
        assert_eq!(all.next().await.unwrap().title, n.to_string());
    }
    sending.await.unwrap();
    assert_eq!(all.missed(), 0);
    drop((all, machine, player));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_subscriber_may_listen_to_one_sender() {
    let pair = Pair::memory().await;
    let one = pair
        .serve("one", PlayerProxy::new(Machine::default()))
        .await;
    for (player, machine) in near_and_far(&pair).await {
        let mut of_one = player
            .song_changed()
            .from_sender(&one)
            .subscribe()
            .await
            .unwrap();
        player.play("Black").await.unwrap();
        player.play_as("Creep", player.clone()).await.unwrap();
        player.play_as("Jeremy", one.clone()).await.unwrap();
        assert_eq!(titles(&mut of_one, 1).await, ["Jeremy"]);
        let somebody = Sender::unique();
        machine
            .song_changed
            .send_from(&somebody, track("Alive"))
            .await
            .unwrap();
        player.play_as("Even Flow", one.clone()).await.unwrap();
        assert_eq!(titles(&mut of_one, 1).await, ["Even Flow"]);
    }
    drop(one);
    pair.at_baseline().await;
}

/// It is a stream like others, and its items are items.
#[tokio::test]
async fn a_subscription_is_a_stream() {
    fn is_stream<S: Stream<Item = Result<farref::signal::Event<u32>, Ended>> + Send + Unpin>(
        _: &S,
    ) {
    }
    fn is_item<T: StreamItem>(_: &T) {}
    let signal = Signal::<u32>::new();
    let mut all = signal.subscribe();
    is_stream(&all);
    signal.send_now(1).unwrap();
    drop(signal);
    let mut next =
        async || std::future::poll_fn(|cx| std::pin::Pin::new(&mut all).poll_next(cx)).await;
    let event = next().await.unwrap().unwrap();
    is_item(&event);
    assert_eq!(*event, 1);
    assert!(next().await.is_none() && next().await.is_none());
}

#[tokio::test]
async fn a_tool_subscribes_without_the_trait() {
    for codecs in [CodecSet::default(), CodecSet::from(Codec::Postcard)] {
        let daemon = Daemon::builder().accept_codecs(codecs);
        let client = Client::builder().accept_codecs(codecs);
        let pair = Pair::of_memory(daemon, client).await;
        for (player, machine) in near_and_far(&pair).await {
            let tool = DynProxy::of(&player).await.unwrap();
            let fault = tool.subscribe("play").await.unwrap_err();
            assert_eq!(fault.kind(), FaultKind::NoSuchMethod);
            let mut told = tool.subscribe("song_changed").await.unwrap();
            let mut few = tool
                .subscribe_with("song_changed", WhenSlow::DropOldest, 1)
                .await
                .unwrap();
            for title in ["Black", "Creep"] {
                machine.song_changed.send(track(title)).await.unwrap();
            }
            for title in ["Black", "Creep"] {
                let event = told.next().await.unwrap();
                assert_eq!(event["title"], title, "{event:?}");
            }
            assert_eq!(told.missed(), 0);
            // What is on its way is not dropped; what waits at the signal is.
            let mut last = few.next().await.unwrap();
            while last["title"] != "Creep" {
                last = few.next().await.unwrap();
            }
            let one = PlayerProxy::new(Machine::default());
            let sender = Sender::object(&one);
            let song = track("Alive");
            machine.song_changed.send_from(&sender, song).await.unwrap();
            assert!(told.next().await.unwrap().sender().unwrap().is(&one));
            drop((tool, told, few, last, player));
        }
        pair.at_baseline().await;
    }
}

#[tokio::test]
async fn receivers_and_subscribers_learn_who_sent() {
    let pair = Pair::memory().await;
    let one = pair
        .serve("one", PlayerProxy::new(Machine::default()))
        .await;
    for (player, machine) in near_and_far(&pair).await {
        let mut told = player.song_changed().subscribe().await.unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        player
            .song_changed()
            .connect({
                let heard = Arc::clone(&heard);
                move |event| {
                    heard.lock().unwrap().push(event.sender().cloned());
                    Ok::<_, std::convert::Infallible>(1)
                }
            })
            .await
            .unwrap();
        player.play_as("Jeremy", one.clone()).await.unwrap();
        player.play_as("Creep", player.clone()).await.unwrap();
        player.play("Black").await.unwrap();
        let mut senders = Vec::new();
        for _ in 0..3 {
            senders.push(told.next().await.unwrap().sender().cloned());
        }
        let heard = std::mem::take(&mut *heard.lock().unwrap());
        assert_eq!(heard, senders);
        let [Some(first), Some(second), None] = &senders[..] else {
            panic!("{senders:?}")
        };
        assert!(first.is(&one) && !first.is(&player), "{first:?}");
        assert!(second.is(&player) && !second.is(&one), "{second:?}");
        // One that means nothing elsewhere is not told of there.
        let somebody = Sender::unique();
        machine
            .song_changed
            .send_from(&somebody, track("Alive"))
            .await
            .unwrap();
        let sender = told.next().await.unwrap().sender().cloned();
        assert_eq!(sender, player.is_near().then_some(somebody));
        machine.disconnect_receivers();
    }
    drop(one);
    pair.at_baseline().await;
}
