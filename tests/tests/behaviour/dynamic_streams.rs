//! Streams without the trait: items as JSON, whatever they are made of.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use farref::prelude::*;
use farref::{CallError, Codec, DynProxy, FaultKind, Outcome, StreamWindow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Pair, assert_fault};

#[derive(Serialize, Deserialize)]
struct Track {
    title: String,
    seconds: Option<u32>,
}

#[expose]
trait Library {
    fn tracks(&self, count: u32) -> impl Stream<Item = Track> + Send;
    fn pieces(&self) -> impl Stream<Item = Bytes> + Send;
    fn endless(&self) -> impl Stream<Item = u64> + Send;
    fn failing(&self) -> impl Stream<Item = u64> + Send;
    fn plain(&self) -> u32;
}

#[derive(Clone, Default)]
struct Shelf {
    made: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
}

/// An iterator as a stream, counted while it lives.
struct Items<I>(I, Arc<AtomicUsize>);

impl<I> Unpin for Items<I> {}

impl<I> Drop for Items<I> {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<I: Iterator> Stream for Items<I> {
    type Item = I::Item;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

impl Shelf {
    fn items<I: Iterator>(&self, items: I) -> Items<I> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Items(items, Arc::clone(&self.alive))
    }
}

impl Library for Shelf {
    fn tracks(&self, count: u32) -> impl Stream<Item = Track> + Send {
        self.items((0..count).map(|number| Track {
            title: format!("track {number}"),
            seconds: Some(number).filter(|number| number % 2 == 0),
        }))
    }
    fn pieces(&self) -> impl Stream<Item = Bytes> + Send {
        self.items(
            [
                Bytes::from_static(b"ab"),
                Bytes::new(),
                Bytes::from_static(b"c"),
            ]
            .into_iter(),
        )
    }
    fn endless(&self) -> impl Stream<Item = u64> + Send {
        let made = Arc::clone(&self.made);
        self.items((0..).inspect(move |_| {
            made.fetch_add(1, Ordering::SeqCst);
        }))
    }
    fn failing(&self) -> impl Stream<Item = u64> + Send {
        self.items((0..3).inspect(|number| assert!(*number < 2, "no more than two")))
    }
    fn plain(&self) -> u32 {
        1
    }
}

async fn library(pair: &Pair, shelf: &Shelf) -> DynProxy {
    let proxy = pair
        .serve("library", LibraryProxy::new(shelf.clone()))
        .await;
    DynProxy::of(&proxy).await.unwrap()
}

#[tokio::test]
async fn items_of_every_shape_come_as_json() {
    for codec in [Codec::Postcard, Codec::Json, Codec::MessagePack] {
        let pair = Pair::of(
            Daemon::builder().codec(codec),
            Client::builder().codec(codec),
        )
        .await;
        let library = library(&pair, &Shelf::default()).await;
        let mut tracks = library
            .stream("tracks", json!({ "count": 700 }))
            .await
            .unwrap();
        for number in 0..700 {
            let seconds = Some(number).filter(|number| number % 2 == 0);
            let expected = json!({ "title": format!("track {number}"), "seconds": seconds });
            assert_eq!(tracks.next().await.unwrap().unwrap(), expected, "{codec}");
        }
        assert!(tracks.next().await.is_none());
        assert!(tracks.next().await.is_none());

        let mut pieces = library.stream("pieces", Value::Null).await.unwrap();
        let mut seen = Vec::new();
        while let Some(piece) = pieces.next().await {
            seen.push(piece.unwrap());
        }
        assert_eq!(seen, [json!([97, 98]), json!([]), json!([99])], "{codec}");
    }
}

#[tokio::test]
async fn nothing_is_made_ahead_without_bound_and_dropping_it_ends_the_stream() {
    let pair = Pair::tcp().await;
    let shelf = Shelf::default();
    let library = library(&pair, &shelf).await;
    let mut numbers = library.stream("endless", Value::Null).await.unwrap();
    for number in 0..10 {
        assert_eq!(numbers.next().await.unwrap().unwrap(), json!(number));
    }
    pair.barrier().await;
    assert!(shelf.made.load(Ordering::SeqCst) <= 3 * StreamWindow::ITEMS as usize);
    assert_eq!(shelf.alive.load(Ordering::SeqCst), 1);
    drop(numbers);
    pair.until("the stream is over", |_| {
        shelf.alive.load(Ordering::SeqCst) == 0
    })
    .await;
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_stream_that_fails_says_why_and_what_is_no_stream_is_refused() {
    let pair = Pair::tcp().await;
    let library = library(&pair, &Shelf::default()).await;
    let mut failing = library.stream("failing", Value::Null).await.unwrap();
    assert_eq!(failing.next().await.unwrap().unwrap(), json!(0));
    assert_eq!(failing.next().await.unwrap().unwrap(), json!(1));
    let fault = failing.next().await.unwrap().unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Panicked, "{fault}");
    assert!(failing.next().await.is_none());

    for (method, kind) in [
        ("plain", FaultKind::Misuse),
        ("nonsense", FaultKind::NoSuchMethod),
    ] {
        let Err(CallError::Fault(fault)) = library.stream(method, Value::Null).await else {
            panic!("{method} is no stream");
        };
        assert_fault(&fault, kind, Outcome::NotStarted);
    }
    let Err(CallError::Fault(fault)) = library.stream("tracks", json!(["x"])).await else {
        panic!("an argument is wrong");
    };
    assert_fault(&fault, FaultKind::BadArguments, Outcome::NotStarted);
}
