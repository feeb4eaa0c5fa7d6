//! Senders, a subscriber and the end of what is sent, under many schedules.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use shuttle::future;

use super::event::Event;
use super::subscribers::{Reason, Subscriber, Taking, Told, WhenSlow, subscribe};
use crate::roster::Roster;
use crate::sync::under_many_schedules;

type List = Arc<Roster<Subscriber<u32>>>;

async fn next(taking: &mut Taking<u32>) -> Option<Told<u32>> {
    poll_fn(|cx| Pin::new(&mut *taking).poll_next(cx)).await
}

/// Sends numbers to all who are there, as a signal does.
async fn send(roster: List, numbers: std::ops::Range<u32>) {
    for number in numbers {
        for subscriber in roster.snapshot().iter() {
            subscriber.tell(&Event::new(number, None)).await;
        }
    }
}

/// Takes everything until the end.
async fn take_all(mut taking: Taking<u32>) -> (Vec<u32>, Reason) {
    let mut events = Vec::new();
    loop {
        match next(&mut taking).await {
            Some(Told::Event { value, .. }) => events.push(*value),
            Some(Told::Ended(reason)) => {
                assert!(next(&mut taking).await.is_none(), "it ends once");
                return (events, reason);
            }
            None => panic!("the end was not told"),
        }
    }
}

#[test]
fn whoever_waits_for_room_or_for_an_event_is_woken() {
    under_many_schedules(|| {
        let roster = List::default();
        let taking = subscribe(&roster, None, WhenSlow::Wait, 1);
        let subscriber = Arc::clone(&roster.snapshot()[0]);
        let senders = [0..3, 10..13].map(|numbers| future::spawn(send(roster.clone(), numbers)));
        future::spawn(async move {
            for sender in senders {
                sender.await.expect("it ends");
            }
            subscriber.complete();
        });
        let (events, reason) = future::block_on(take_all(taking));
        assert!(matches!(reason, Reason::Complete));
        for numbers in [0..3, 10..13] {
            let of_one = events.iter().copied().filter(|n| numbers.contains(n));
            assert!(of_one.eq(numbers.clone()), "{events:?}");
        }
        assert_eq!(roster.len(), 0, "who has gone is on no list");
    });
}

#[test]
fn a_subscriber_that_goes_keeps_nobody_waiting() {
    under_many_schedules(|| {
        let roster = List::default();
        let mut leaving = subscribe(&roster, None, WhenSlow::Wait, 1);
        let staying = subscribe(&roster, None, WhenSlow::DropOldest, 2);
        let sender = future::spawn(send(roster.clone(), 0..4));
        let leaver = future::spawn(async move {
            next(&mut leaving).await;
            drop(leaving);
        });
        future::block_on(async {
            leaver.await.expect("it ends");
            sender.await.expect("it ends");
        });
        let [last] = &roster.snapshot()[..] else {
            panic!("one is left");
        };
        last.complete();
        let (events, _) = future::block_on(take_all(staying));
        assert_eq!(events, [2, 3]);
    });
}

#[test]
fn who_is_parted_with_keeps_nobody_waiting_and_is_told() {
    under_many_schedules(|| {
        let roster = List::default();
        let taking = subscribe(&roster, None, WhenSlow::Wait, 1);
        let subscriber = Arc::clone(&roster.snapshot()[0]);
        let sender = future::spawn(send(roster.clone(), 0..3));
        let parting = future::spawn(async move { subscriber.part_with() });
        let (events, reason) = future::block_on(async {
            let taken = take_all(taking).await;
            sender.await.expect("it ends");
            parting.await.expect("it ends");
            taken
        });
        assert!(matches!(reason, Reason::TooSlow));
        assert!(
            events.iter().copied().eq(0..events.len() as u32),
            "{events:?}"
        );
    });
}
