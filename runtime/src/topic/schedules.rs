//! What is published, delivered and ended at once, under many schedules.

use std::sync::Arc;

use shuttle::{future, thread};

use super::WhenFull;
use super::queue::Queue;
use super::subscription::Ended;
use crate::signal::Event;
use crate::sync::under_many_schedules;

#[test]
fn what_is_published_before_the_end_is_delivered_before_it() {
    under_many_schedules(|| {
        let queue = Arc::new(Queue::new());
        let publishers = [0..3, 10..13].map(|numbers| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for number in numbers {
                    assert!(queue.push(&Event::new(number, None), 8, WhenFull::Disconnect));
                }
            })
        });
        let ending = Arc::clone(&queue);
        thread::spawn(move || {
            for publisher in publishers {
                publisher.join().expect("it ends");
            }
            ending.complete();
        });
        let delivered: Vec<u32> = future::block_on(async {
            let mut delivered = Vec::new();
            while let Some(event) = queue.next().await {
                delivered.push(*event);
            }
            delivered
        });
        for numbers in [0..3, 10..13] {
            let of_one = delivered.iter().copied().filter(|n| numbers.contains(n));
            assert!(of_one.eq(numbers.clone()), "{delivered:?}");
        }
        assert_eq!(queue.line.ended(), Some(Ended::Complete));
    });
}

#[test]
fn an_end_that_crosses_what_is_published_ends_once_and_leaves_nothing() {
    under_many_schedules(|| {
        let queue = Arc::new(Queue::new());
        let number = Arc::new(());
        let publisher = {
            let (queue, number) = (Arc::clone(&queue), Arc::clone(&number));
            thread::spawn(move || {
                for _ in 0..3 {
                    queue.push(
                        &Event::new(Arc::clone(&number), None),
                        2,
                        WhenFull::Disconnect,
                    );
                }
            })
        };
        let leaving = Arc::clone(&queue);
        let leaver = thread::spawn(move || leaving.line.end(Ended::Unsubscribed));
        future::block_on(async { while queue.next().await.is_some() {} });
        queue.discard();
        let left = leaver.join().expect("it ends");
        publisher.join().expect("it ends");
        let ended = queue.line.ended();
        assert_eq!(left, ended == Some(Ended::Unsubscribed), "{ended:?}");
        assert_eq!(Arc::strong_count(&number), 1, "something is left");
    });
}
