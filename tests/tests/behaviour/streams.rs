//! Streams: out, in and both ways, in order and once, never further ahead than their window, and ended for one reason.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use farref::prelude::*;
use farref::{Codec, FaultKind, StreamSender, StreamWindow};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::support::{Pair, assert_fault};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Track {
    title: String,
    seconds: u32,
}

fn track(number: u32) -> Track {
    Track {
        title: format!("track {number}"),
        seconds: number,
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    label: String,
    parts: RemoteStream<u32>,
    more: Vec<RemoteStream<String>>,
}

#[expose]
trait Library {
    /// The first so many tracks, produced lazily.
    fn tracks(&self, count: u32) -> impl Stream<Item = Track>;
    /// The tracks with these titles, which are borrowed.
    fn titled(&self, prefix: &str) -> impl Stream<Item = String>;
    /// Without end.
    fn naturals(&self) -> impl Stream<Item = u64>;
    fn pictures(&self, count: u32) -> impl Stream<Item = Bytes>;
    fn panicking(&self, after: u32) -> impl Stream<Item = u32>;
    fn listings(&self) -> impl Stream<Item = LibraryProxy>;
    fn who(&self) -> impl Stream<Item = String>;
    async fn search(&self, text: String) -> Result<RemoteStream<Track>, String>;
    async fn plain_list(&self) -> RemoteStream<u32>;
    async fn upload(&self, parts: RemoteStream<Bytes>) -> Result<u64, String>;
    async fn sum(&self, numbers: RemoteStream<u32>) -> u64;
    async fn doubled(&self, numbers: RemoteStream<u32>) -> RemoteStream<u32>;
    async fn echo(&self, parcel: Parcel) -> Parcel;
    async fn ignore(&self, numbers: RemoteStream<u32>);
    async fn refuse(&self, numbers: RemoteStream<u32>) -> Result<(), String>;
    async fn fed(&self) -> RemoteStream<u32>;
}

/// Counts what it produces, and what of it is alive.
#[derive(Clone, Default)]
struct Shelf {
    produced: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
    fed: Arc<Mutex<Option<StreamSender<u32>>>>,
    uploaded: Arc<AtomicUsize>,
}

struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The items of an iterator as a stream of this process.
pub(crate) fn items<T>(items: impl Iterator<Item = T> + Send) -> impl Stream<Item = T> + Send {
    struct Items<I>(I);
    impl<I> Unpin for Items<I> {}
    impl<I: Iterator> Stream for Items<I> {
        type Item = I::Item;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<I::Item>> {
            std::task::Poll::Ready(self.0.next())
        }
    }
    Items(items)
}

impl Shelf {
    fn counted<'a, T: 'a>(
        &'a self,
        made: impl Iterator<Item = T> + Send + 'a,
    ) -> impl Stream<Item = T> + Send + 'a {
        let alive = Alive::new(&self.alive);
        items(made.inspect(move |_| {
            let _alive = &alive;
            self.produced.fetch_add(1, Ordering::SeqCst);
        }))
    }
}

impl Library for Shelf {
    fn tracks(&self, count: u32) -> impl Stream<Item = Track> {
        self.counted((0..count).map(track))
    }
    fn titled(&self, prefix: &str) -> impl Stream<Item = String> {
        let titles: Vec<_> = (0..3).map(|n| format!("{prefix} {n}")).collect();
        self.counted(titles.into_iter())
    }
    fn naturals(&self) -> impl Stream<Item = u64> {
        self.counted(0..)
    }
    fn pictures(&self, count: u32) -> impl Stream<Item = Bytes> {
        self.counted((0..count).map(|n| Bytes::from(vec![n as u8; 1 << 20])))
    }
    fn panicking(&self, after: u32) -> impl Stream<Item = u32> {
        items((0..).inspect(move |n| assert!(*n < after, "no more of these")))
    }
    fn listings(&self) -> impl Stream<Item = LibraryProxy> {
        self.counted((0..3).map(|_| LibraryProxy::new(self.clone())))
    }
    fn who(&self) -> impl Stream<Item = String> {
        items(std::iter::once_with(|| {
            let context = CallContext::current().expect("a call");
            let deadline = context.deadline().is_some();
            format!("{} {deadline}", context.method())
        }))
    }
    async fn search(&self, text: String) -> Result<RemoteStream<Track>, String> {
        match text.as_str() {
            "" => Err("say what".to_owned()),
            _ => Ok(RemoteStream::from_iter((0..3).map(track))),
        }
    }
    async fn plain_list(&self) -> RemoteStream<u32> {
        vec![7, 8, 9].into()
    }
    async fn upload(&self, mut parts: RemoteStream<Bytes>) -> Result<u64, String> {
        let mut total = 0;
        while let Some(part) = parts.next().await {
            total += part.map_err(|fault| fault.to_string())?.len() as u64;
            self.uploaded.fetch_add(1, Ordering::SeqCst);
        }
        Ok(total)
    }
    async fn sum(&self, mut numbers: RemoteStream<u32>) -> u64 {
        let mut sum = 0;
        while let Some(Ok(number)) = numbers.next().await {
            sum += u64::from(number);
        }
        sum
    }
    async fn doubled(&self, numbers: RemoteStream<u32>) -> RemoteStream<u32> {
        struct Doubled(RemoteStream<u32>);
        impl Stream for Doubled {
            type Item = farref::Result<u32>;
            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                let next = std::pin::Pin::new(&mut self.0).poll_next(cx);
                next.map(|item| item.map(|number| number.map(|number| number * 2)))
            }
        }
        RemoteStream::fallible(Doubled(numbers))
    }
    async fn echo(&self, parcel: Parcel) -> Parcel {
        parcel
    }
    async fn ignore(&self, numbers: RemoteStream<u32>) {
        drop(numbers);
    }
    async fn refuse(&self, _numbers: RemoteStream<u32>) -> Result<(), String> {
        Err("not today".to_owned())
    }
    async fn fed(&self) -> RemoteStream<u32> {
        let (sender, stream) = RemoteStream::channel(4);
        *self.fed.lock().unwrap() = Some(sender);
        stream
    }
}

async fn served() -> (Pair, LibraryProxy, Shelf) {
    let pair = Pair::memory().await;
    let shelf = Shelf::default();
    let library = pair
        .serve("library", LibraryProxy::new(shelf.clone()))
        .await;
    (pair, library, shelf)
}

#[tokio::test]
async fn items_arrive_in_order_and_once_near_and_far() {
    let (pair, far, shelf) = served().await;
    let near = LibraryProxy::new(shelf.clone());
    let expected: Vec<_> = (0..1000).map(track).collect();
    for library in [&far, &near] {
        let mut tracks = library.tracks(1000);
        let mut got = Vec::new();
        while let Some(next) = tracks.next().await {
            got.push(next.unwrap());
        }
        assert_eq!(got, expected);
        assert!(tracks.next().await.is_none(), "an end is an end");
        let titles = library.titled("no").collect_all().await.unwrap();
        assert_eq!(titles, ["no 0", "no 1", "no 2"]);
        assert_eq!(library.tracks(0).collect_all().await.unwrap(), []);
    }
    assert_eq!(shelf.alive.load(Ordering::SeqCst), 0);
    drop(far);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_call_that_is_awaited_is_a_stream_that_borrows_nothing() {
    let (pair, far, shelf) = served().await;
    let near = LibraryProxy::new(shelf.clone());
    for library in [far, near] {
        let tracks: RemoteStream<Track> = library.tracks(5).await.unwrap();
        drop(library);
        let elsewhere = tokio::spawn(tracks.collect_all());
        assert_eq!(elsewhere.await.unwrap().unwrap().len(), 5);
    }
    pair.at_baseline().await;
    assert_eq!(shelf.alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_is_produced_before_it_is_asked_for_nor_further_ahead_than_the_window() {
    let (pair, library, shelf) = served().await;
    let ahead = |taken: usize| shelf.produced.load(Ordering::SeqCst) - taken;
    for window in [1, 2, 7, 100, StreamWindow::ITEMS] {
        shelf.produced.store(0, Ordering::SeqCst);
        let mut naturals = library.naturals().window(StreamWindow::items(window));
        pair.barrier().await;
        assert_eq!(ahead(0), 0, "a call that is not polled does nothing");
        for taken in 0..150 {
            assert_eq!(naturals.next().await.unwrap().unwrap(), taken as u64);
            pair.barrier().await;
            pair.barrier().await;
            let ahead = ahead(taken + 1);
            assert!(ahead <= window as usize, "{ahead} ahead of {window}");
        }
        drop(naturals);
        pair.until("the producer lives", |_| {
            shelf.alive.load(Ordering::SeqCst) == 0
        })
        .await;
    }
    let naturals = library.naturals().await.unwrap();
    pair.barrier().await;
    shelf.produced.store(0, Ordering::SeqCst);
    pair.barrier().await;
    assert_eq!(ahead(0), 0, "a stream whose items nobody asks for");
    drop((naturals, library));
    pair.at_baseline().await;
}

#[tokio::test]
async fn bytes_bound_a_window_too_and_items_of_a_megabyte_pass() {
    let (pair, library, shelf) = served().await;
    let window = StreamWindow::items(1000).bytes(64 << 10);
    let mut pictures = library.pictures(20).window(window);
    for n in 0..20 {
        let picture = pictures.next().await.unwrap().unwrap();
        assert_eq!((picture.len(), picture[0]), (1 << 20, n as u8));
        pair.barrier().await;
        let produced = shelf.produced.load(Ordering::SeqCst);
        assert!(produced <= n + 2, "{produced} of {n} taken");
    }
    assert!(pictures.next().await.is_none());
    drop(pictures);
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test]
async fn streams_go_in_and_both_ways() {
    let (pair, library, shelf) = served().await;
    let parts = (0..50_u32).map(|n| Bytes::from(vec![0; n as usize * 100]));
    let uploaded = library.upload(RemoteStream::from_iter(parts)).await;
    assert_eq!(uploaded.unwrap(), (0..50).sum::<u64>() * 100);
    let sum = library.sum(RemoteStream::from_iter(0..1000)).await;
    assert_eq!(sum.unwrap(), 499_500);
    let (sender, numbers) = RemoteStream::channel(1);
    let mut doubled = library.doubled(numbers).await.unwrap();
    for n in 0..100 {
        sender.send(n).await.unwrap();
        assert_eq!(
            doubled.next().await.unwrap().unwrap(),
            n * 2,
            "while it runs"
        );
    }
    drop(sender);
    assert!(doubled.next().await.is_none());
    assert_eq!(shelf.uploaded.load(Ordering::SeqCst), 50);
    drop((doubled, library));
    pair.at_baseline().await;
}

#[tokio::test]
async fn streams_stand_inside_values_in_every_codec() {
    for codec in [Codec::Postcard, Codec::MessagePack, Codec::Json] {
        let (pair, library, _) = served().await;
        let library = library.with_codec(codec);
        let parcel = Parcel {
            label: "three".to_owned(),
            parts: RemoteStream::from_iter(0..3),
            more: ["a", "b"]
                .map(|text| RemoteStream::from_iter([text.to_owned()]))
                .into(),
        };
        let Parcel { label, parts, more } = library.echo(parcel).await.unwrap();
        assert_eq!(label, "three");
        assert_eq!(parts.collect_all().await.unwrap(), [0, 1, 2]);
        let mut texts = Vec::new();
        for stream in more {
            texts.extend(stream.collect_all().await.unwrap());
        }
        assert_eq!(texts, ["a", "b"]);
        assert_eq!(library.tracks(3).collect_all().await.unwrap().len(), 3);
        let uploaded = library
            .upload(RemoteStream::from_iter([Bytes::from_static(b"abc")]))
            .await;
        assert_eq!(uploaded.unwrap(), 3);
        drop(library);
        pair.at_baseline().await;
    }
}

#[tokio::test]
async fn a_result_may_be_a_stream_and_a_list_may_be_one() {
    let (pair, library, _) = served().await;
    let found = library.search("x".to_owned()).await.unwrap();
    assert_eq!(found.collect_all().await.unwrap().len(), 3);
    match library.search(String::new()).await {
        Err(CallError::App(message)) => assert_eq!(message, "say what"),
        other => panic!("{other:?}"),
    }
    let list = library.plain_list().await.unwrap();
    assert_eq!(list.collect_all().await.unwrap(), [7, 8, 9]);
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test]
async fn references_travel_in_items() {
    let (pair, library, shelf) = served().await;
    let libraries = library.listings().collect_all().await.unwrap();
    assert_eq!(libraries.len(), 3);
    for item in &libraries {
        assert_eq!(item.tracks(2).collect_all().await.unwrap().len(), 2);
    }
    drop((libraries, library));
    pair.at_baseline().await;
    assert_eq!(shelf.alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_producer_that_panics_ends_its_stream_with_that() {
    let (pair, library, shelf) = served().await;
    let near = LibraryProxy::new(shelf);
    for library in [&library, &near] {
        let mut numbers = library.panicking(3);
        for n in 0..3 {
            assert_eq!(numbers.next().await.unwrap().unwrap(), n);
        }
        let fault = numbers.next().await.unwrap().unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Panicked, "{fault:?}");
        assert!(numbers.next().await.is_none());
        assert_eq!(library.tracks(1).collect_all().await.unwrap().len(), 1);
    }
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test]
async fn who_drops_a_stream_ends_it_and_its_producer() {
    let (pair, library, shelf) = served().await;
    let mut naturals = library.naturals();
    naturals.next().await.unwrap().unwrap();
    assert_eq!(shelf.alive.load(Ordering::SeqCst), 1);
    drop(naturals);
    pair.until("the producer lives", |_| {
        shelf.alive.load(Ordering::SeqCst) == 0
    })
    .await;
    // And a stream into the other side, consumed in part, not at all, or by a call that fails.
    let alive = Arc::new(AtomicUsize::new(0));
    let counted = || {
        let one = Alive::new(&alive);
        RemoteStream::from_iter((0..).inspect(move |_| {
            let _one = &one;
        }))
    };
    library.ignore(counted()).await.unwrap();
    library.refuse(counted()).await.unwrap_err();
    let sum = library.sum(counted());
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(20), sum)
            .await
            .is_err()
    );
    pair.until("the streams live", |_| alive.load(Ordering::SeqCst) == 0)
        .await;
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_streams_with_that() {
    let (pair, library, shelf) = served().await;
    let mut fed = library.fed().await.unwrap();
    let sender = shelf.fed.lock().unwrap().take().unwrap();
    sender.send(1).await.unwrap();
    assert_eq!(fed.next().await.unwrap().unwrap(), 1);
    let waiting = tokio::spawn(async move { fed.next().await });
    for peer in pair.daemon.peers() {
        peer.close();
    }
    let fault = waiting.await.unwrap().unwrap().unwrap_err();
    assert_eq!(fault.kind(), FaultKind::SessionLost, "{fault:?}");
    sender.closed().await;
    assert!(sender.send(2).await.is_err());
}

#[tokio::test]
async fn a_fault_that_the_producer_says_arrives_behind_the_items() {
    let (pair, library, shelf) = served().await;
    let fed = library.fed().await.unwrap();
    let sender = shelf.fed.lock().unwrap().take().unwrap();
    let reading = tokio::spawn(async move {
        let mut fed = fed;
        let mut got = Vec::new();
        while let Some(item) = fed.next().await {
            got.push(item);
        }
        got
    });
    sender.send(1).await.unwrap();
    sender
        .fail(Fault::new(
            FaultKind::Overloaded,
            farref::Outcome::Ran,
            "the disk is full",
        ))
        .await;
    let got = reading.await.unwrap();
    assert_eq!(got.len(), 2);
    assert_eq!(*got[0].as_ref().unwrap(), 1);
    let fault = got[1].as_ref().unwrap_err();
    assert_fault(fault, FaultKind::Overloaded, farref::Outcome::Ran);
    assert!(fault.to_string().contains("the disk is full"), "{fault}");
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test]
async fn many_streams_share_a_session_and_a_slow_one_delays_none() {
    let (pair, library, _) = served().await;
    let mut slow = library.naturals();
    slow.next().await.unwrap().unwrap();
    let readers: Vec<_> = (0..20)
        .map(|n| {
            let library = library.clone();
            tokio::spawn(async move { library.tracks(500 + n).collect_all().await })
        })
        .collect();
    for (n, reader) in readers.into_iter().enumerate() {
        assert_eq!(reader.await.unwrap().unwrap().len(), 500 + n);
    }
    assert_eq!(slow.next().await.unwrap().unwrap(), 1);
    drop(slow);
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sides_that_flood_each_other_do_not_wait_for_each_other() {
    let pair = Pair::tcp().await;
    let shelf = Shelf::default();
    let library = pair.serve("library", LibraryProxy::new(shelf)).await;
    let both: Vec<_> = (0..4)
        .map(|_| {
            let library = library.clone();
            tokio::spawn(async move {
                let up = RemoteStream::from_iter((0..24).map(|_| Bytes::from(vec![1; 1 << 20])));
                let up = library.upload(up);
                let down = library.pictures(24).collect_all();
                let (up, down) = tokio::join!(up, down);
                (up.unwrap(), down.unwrap().len())
            })
        })
        .collect();
    for task in both {
        assert_eq!(task.await.unwrap(), (24 << 20, 24));
    }
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_stream_that_is_passed_on_flows_through() {
    let (pair, library, shelf) = served().await;
    let middle = Pair::memory().await;
    // Through a forwarding process, whose daemon serves the far proxy.
    let through = middle.serve("library", library.clone()).await;
    assert_eq!(through.tracks(300).collect_all().await.unwrap().len(), 300);
    let sum = through.sum(RemoteStream::from_iter(0..1000)).await;
    assert_eq!(sum.unwrap(), 499_500);
    let window = StreamWindow::items(3);
    let mut naturals = through.naturals().window(window);
    shelf.produced.store(0, Ordering::SeqCst);
    for n in 0..20 {
        assert_eq!(naturals.next().await.unwrap().unwrap(), n);
        middle.barrier().await;
        pair.barrier().await;
        let produced = shelf.produced.load(Ordering::SeqCst) as u64;
        assert!(
            produced <= n + 1 + 3,
            "the window of the last consumer holds"
        );
    }
    drop(naturals);
    // Read in part here, and then given away.
    let mut tracks = library.tracks(10).await.unwrap();
    tracks.next().await.unwrap().unwrap();
    let parts = library.plain_list().await.unwrap();
    let echoed = library
        .echo(Parcel {
            label: String::new(),
            parts,
            more: Vec::new(),
        })
        .await
        .unwrap();
    assert_eq!(echoed.parts.collect_all().await.unwrap(), [7, 8, 9]);
    drop(tracks);
    drop((through, library));
    middle.at_baseline().await;
    drop(middle);
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_code_of_a_stream_knows_its_call_but_has_not_its_deadline() {
    let (pair, library, shelf) = served().await;
    let minute = std::time::Duration::from_secs(60);
    let near = LibraryProxy::new(shelf);
    for library in [&library, &near] {
        let who = library.who().timeout(minute).collect_all().await.unwrap();
        assert_eq!(who, ["who false"]);
    }
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test]
async fn streams_can_be_switched_off() {
    let mut limits = farref::Limits::default();
    limits.streams = 0;
    let daemon = Daemon::builder().limits(limits);
    let pair = Pair::of_memory(daemon, Client::builder()).await;
    let library = pair
        .serve("library", LibraryProxy::new(Shelf::default()))
        .await;
    let fault = library.tracks(1).collect_all().await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Overloaded, "{fault:?}");
    assert!(fault.to_string().contains("switched off"), "{fault}");
    assert_eq!(
        library.sum(vec![1, 2].into()).await.unwrap(),
        3,
        "its own are"
    );
    drop(library);
    pair.at_baseline().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_lasts_as_long_as_its_producer_lets_it() {
    let minute = std::time::Duration::from_secs(60);
    let daemon = Daemon::builder().stream_lifetime(minute);
    let pair = Pair::of_memory(daemon, Client::builder()).await;
    let shelf = Shelf::default();
    let library = pair
        .serve("library", LibraryProxy::new(shelf.clone()))
        .await;
    let began = tokio::time::Instant::now();
    let mut fed = library.fed().await.unwrap();
    let sender = shelf.fed.lock().unwrap().take().unwrap();
    sender.send(1).await.unwrap();
    assert_eq!(fed.next().await.unwrap().unwrap(), 1);
    let fault = fed.next().await.unwrap().unwrap_err();
    assert_fault(&fault, FaultKind::DeadlineExceeded, farref::Outcome::Ran);
    assert_eq!(began.elapsed().as_secs(), 60);
    sender.closed().await;
    drop((fed, library));
    pair.at_baseline().await;
}

#[expose]
trait Journal {
    /// Holds the journal until it ends.
    fn entries(&self) -> impl Stream<Item = u32>;
    /// Holds nothing.
    fn copies(&self) -> impl Stream<Item = u32> + use<Self>;
    async fn write(&mut self, entry: u32) -> u32;
}

struct Notebook(Vec<u32>);

impl Journal for Notebook {
    fn entries(&self) -> impl Stream<Item = u32> {
        items(self.0.iter().copied())
    }
    fn copies(&self) -> impl Stream<Item = u32> + use<> {
        items(self.0.clone().into_iter())
    }
    async fn write(&mut self, entry: u32) -> u32 {
        self.0.push(entry);
        self.0.len() as u32
    }
}

#[tokio::test]
async fn a_stream_that_borrows_a_serial_object_holds_it_and_one_that_does_not_does_not() {
    let pair = Pair::memory().await;
    let near = JournalProxy::serial(Notebook(vec![1, 2, 3]));
    let far = pair.serve("journal", near.clone()).await;
    for (journal, len) in [(&near, 4), (&far, 5)] {
        let mut copies = journal.copies().window(StreamWindow::items(1));
        assert_eq!(copies.next().await.unwrap().unwrap(), 1);
        assert_eq!(journal.write(4).await.unwrap(), len);
        drop(copies);
        let mut entries = journal.entries().window(StreamWindow::items(1));
        assert_eq!(entries.next().await.unwrap().unwrap(), 1);
        let writing = journal
            .write(4)
            .timeout(std::time::Duration::from_millis(20));
        let fault = writing.await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::DeadlineExceeded);
        drop(entries);
    }
    assert!(far.write(5).await.unwrap() >= 6);
    drop(far);
    pair.at_baseline().await;
}

#[expose(local)]
trait Sensor {
    fn readings(&self) -> impl Stream<Item = u32>;
}

/// Not `Send`.
struct Thermometer {
    reading: std::rc::Rc<std::cell::Cell<u32>>,
    dropped: Option<oneshot::Sender<()>>,
}

impl LocalSensor for Thermometer {
    fn readings(&self) -> impl Stream<Item = u32> {
        struct Readings(std::rc::Rc<std::cell::Cell<u32>>);
        impl Stream for Readings {
            type Item = u32;
            fn poll_next(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<u32>> {
                let reading = self.0.get();
                self.0.set(reading + 1);
                std::task::Poll::Ready((reading < 10).then_some(reading))
            }
        }
        Readings(std::rc::Rc::clone(&self.reading))
    }
}

impl Drop for Thermometer {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            let _ = dropped.send(());
        }
    }
}

#[tokio::test]
async fn a_pinned_object_streams_from_its_thread() {
    let pair = Pair::memory().await;
    let local = tokio::task::LocalSet::new();
    let (dropped, gone) = oneshot::channel();
    let (finish, mut finished) = mpsc::channel::<()>(1);
    let (proxy, made) = oneshot::channel();
    let thermometer = async move {
        let near = SensorProxy::pinned(Thermometer {
            reading: std::rc::Rc::default(),
            dropped: Some(dropped),
        });
        let _ = proxy.send(near);
        finished.recv().await;
    };
    let test = async {
        let near = made.await.unwrap();
        let far = pair.serve("sensor", near.clone()).await;
        let mut readings = far.readings().window(StreamWindow::items(1));
        assert_eq!(readings.next().await.unwrap().unwrap(), 0);
        assert_eq!(readings.next().await.unwrap().unwrap(), 1);
        drop(readings);
        let rest = near.readings().collect_all().await.unwrap();
        assert_eq!(rest.last(), Some(&9));
        assert!(pair.daemon.unregister("sensor"));
        drop((near, far));
        gone.await.unwrap();
        pair.at_baseline().await;
        drop(finish);
    };
    local
        .run_until(async { tokio::join!(thermometer, test) })
        .await;
}

#[tokio::test]
async fn streams_need_no_trait() {
    for codecs in ["postcard,json", "postcard"] {
        let daemon = Daemon::builder().accept_codecs(codecs.parse().unwrap());
        let pair = Pair::of_memory(daemon, Client::builder()).await;
        let uri = pair
            .daemon
            .register("library", LibraryProxy::new(Shelf::default()))
            .unwrap();
        let library = pair.client.dynamic(&uri).await.unwrap();
        let returns = &library.interface().method("tracks").unwrap().returns;
        assert_eq!(returns.type_name, "impl Stream<Item = Track>");
        assert_eq!(returns.shape.to_string(), "a stream of struct Track");
        let mut tracks = library.stream("tracks", json!({"count": 2})).await.unwrap();
        let expected = json!({"title": "track 0", "seconds": 0});
        assert_eq!(tracks.next().await.unwrap().unwrap(), expected);
        assert_eq!(tracks.next().await.unwrap().unwrap()["seconds"], 1);
        assert!(tracks.next().await.is_none());
        let found = library.stream("search", json!(["x"])).await.unwrap();
        drop(found);
        let error = library.stream("search", json!([""])).await.unwrap_err();
        assert!(matches!(error, CallError::App(text) if text == "say what"));
        let sum = library.call("sum", json!([[1, 2, 3]])).await.unwrap();
        assert_eq!(sum, json!(6));
        let uploaded = library.call("upload", json!([["abc", [1, 2]]])).await;
        assert_eq!(uploaded.unwrap(), json!(5));
        let mut pictures = library.stream("pictures", json!([1])).await.unwrap();
        let picture = pictures.next().await.unwrap().unwrap();
        assert_eq!(picture.as_array().unwrap().len(), 1 << 20);
        drop(pictures);
        let error = library.call("sum", json!([[1, "two"]])).await.unwrap_err();
        assert!(error.to_string().contains("argument `numbers`"), "{error}");
        let error = library.stream("upload", json!([[]])).await.unwrap_err();
        assert!(error.to_string().contains("no stream"), "{error}");
        drop((library, tracks));
        pair.at_baseline().await;
    }
}
