//! Hand-off between real processes: a reference that is passed on leads to its owner directly, where that is allowed.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use farref::HandOff;
use farref::prelude::*;

use crate::processes::{Process, say};

#[expose]
pub(crate) trait Parcel {
    async fn pid(&self) -> u32;
    #[oneway]
    async fn note(&self, number: u32);
    async fn notes(&self) -> Vec<u32>;
}

/// What each process does.
#[expose]
pub(crate) trait Post {
    async fn pid(&self) -> u32;
    /// A new object of this process.
    async fn parcel(&self) -> ParcelProxy;
    /// An object of this process, always the same.
    async fn registered(&self) -> ParcelProxy;
    /// How many new objects are alive.
    async fn alive(&self) -> usize;
    async fn keep(&self, parcels: Vec<ParcelProxy>);
    async fn forget(&self);
    /// Calls what is kept; returns whose objects they are, or why that is not known.
    async fn ask(&self) -> Vec<Result<u32, String>>;
    /// Calls the first that is kept many times at once.
    async fn flood(&self, calls: u32) -> Result<Vec<u32>, String>;
    /// Fetches so many objects from one process and gives them to another, and keeps nothing.
    async fn carry(&self, from: String, to: String, count: u32) -> Result<(), String>;
    /// The same, one by one in a stream.
    async fn deliver(&self, from: String, to: String, count: u32) -> Result<(), String>;
    /// Keeps what comes.
    async fn collect(&self, parcels: RemoteStream<ParcelProxy>) -> Result<(), String>;
    /// Gives what is kept to another process.
    async fn pass_on(&self, to: String) -> Result<(), String>;
    /// Whether the first that is kept is the one that this process always gives.
    async fn is_registered(&self, at: String) -> Result<bool, String>;
    /// What the peers of this process hold and are held: objects, names, imports of each session.
    async fn books(&self) -> Vec<(u32, u32, u32)>;
}

#[derive(Clone)]
struct Office(Arc<Inner>);

struct Inner {
    client: Client,
    daemon: Mutex<Option<farref::DaemonHandle>>,
    alive: Arc<AtomicUsize>,
    kept: Mutex<Vec<ParcelProxy>>,
    registered: ParcelProxy,
}

#[derive(Default)]
struct Thing(Arc<AtomicUsize>, Mutex<Vec<u32>>);

impl Thing {
    fn proxy(alive: &Arc<AtomicUsize>) -> ParcelProxy {
        alive.fetch_add(1, Ordering::SeqCst);
        ParcelProxy::new(Thing(Arc::clone(alive), Mutex::default()))
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Parcel for Thing {
    async fn pid(&self) -> u32 {
        std::process::id()
    }
    async fn note(&self, number: u32) {
        self.1.lock().unwrap().push(number);
    }
    async fn notes(&self) -> Vec<u32> {
        self.1.lock().unwrap().clone()
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Office {
    fn kept(&self) -> Vec<ParcelProxy> {
        self.0.kept.lock().unwrap().clone()
    }
    async fn connect(&self, uri: String) -> Result<PostProxy, String> {
        self.0.client.connect(uri).await.map_err(text)
    }
}

impl Post for Office {
    async fn pid(&self) -> u32 {
        std::process::id()
    }
    async fn parcel(&self) -> ParcelProxy {
        Thing::proxy(&self.0.alive)
    }
    async fn registered(&self) -> ParcelProxy {
        self.0.registered.clone()
    }
    async fn alive(&self) -> usize {
        self.0.alive.load(Ordering::SeqCst)
    }
    async fn keep(&self, parcels: Vec<ParcelProxy>) {
        let old = std::mem::replace(&mut *self.0.kept.lock().unwrap(), parcels);
        drop(old);
    }
    async fn forget(&self) {
        self.keep(Vec::new()).await;
    }
    async fn ask(&self) -> Vec<Result<u32, String>> {
        let mut answers = Vec::new();
        for parcel in self.kept() {
            answers.push(parcel.pid().await.map_err(text));
        }
        answers
    }
    async fn flood(&self, calls: u32) -> Result<Vec<u32>, String> {
        let parcel = self.kept()[0].clone();
        let mut calls: Vec<_> = (0..calls).map(|n| Some(Box::pin(parcel.note(n)))).collect();
        // All are polled in their order, and none is waited for before the next is made.
        poll_fn(|cx| {
            for call in &mut calls {
                if let Some(under_way) = call
                    && under_way.as_mut().poll(cx).is_ready()
                {
                    *call = None;
                }
            }
            match calls.iter().all(Option::is_none) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        parcel.notes().await.map_err(text)
    }
    async fn carry(&self, from: String, to: String, count: u32) -> Result<(), String> {
        let (from, to) = (self.connect(from).await?, self.connect(to).await?);
        let mut parcels = Vec::new();
        for _ in 0..count {
            parcels.push(from.parcel().await.map_err(text)?);
        }
        to.keep(parcels).await.map_err(text)
    }
    async fn deliver(&self, from: String, to: String, count: u32) -> Result<(), String> {
        let (from, to) = (self.connect(from).await?, self.connect(to).await?);
        let mut parcels = Vec::new();
        for _ in 0..count {
            parcels.push(from.parcel().await.map_err(text)?);
        }
        let delivered = to.collect(RemoteStream::from_iter(parcels)).await;
        delivered.map_err(|error| error.to_string())
    }
    async fn collect(&self, mut parcels: RemoteStream<ParcelProxy>) -> Result<(), String> {
        let mut collected = Vec::new();
        while let Some(parcel) = parcels.next().await {
            collected.push(parcel.map_err(text)?);
        }
        self.keep(collected).await;
        Ok(())
    }
    async fn pass_on(&self, to: String) -> Result<(), String> {
        let to = self.connect(to).await?;
        to.keep(self.kept()).await.map_err(text)
    }
    async fn is_registered(&self, at: String) -> Result<bool, String> {
        let theirs = self.connect(at).await?.registered().await.map_err(text)?;
        Ok(self.kept()[0] == theirs)
    }
    async fn books(&self) -> Vec<(u32, u32, u32)> {
        let daemon = self.0.daemon.lock().unwrap().clone().unwrap();
        let sessions = daemon.stat().sessions;
        let books = sessions
            .iter()
            .map(|stat| (stat.exports, stat.names, stat.imports));
        books.collect()
    }
}

/// What a process of these tests does.
pub(crate) async fn post() {
    let hand_off = match std::env::var("HAND_OFF").as_deref() {
        Ok("never") => HandOff::never(),
        Ok("nobody") => HandOff::if_allowed(|_, _| false),
        _ => HandOff::default(),
    };
    // A process that is killed does not come back.
    let mut client = Client::builder()
        .hand_off(hand_off.clone())
        .linger(Duration::ZERO);
    if let Ok(token) = std::env::var("CLIENT_TOKEN") {
        client = client.token(token);
    }
    let mut daemon = Daemon::builder()
        .listen("far://127.0.0.1:0")
        .hand_off(hand_off)
        .linger(Duration::ZERO);
    if let Ok(token) = std::env::var("TOKEN") {
        daemon = daemon.token(token);
    }
    let daemon = daemon.bind().await.unwrap();
    let office = Office(Arc::new(Inner {
        client: client.build(),
        daemon: Mutex::new(None),
        alive: Arc::default(),
        kept: Mutex::default(),
        registered: ParcelProxy::new(Thing::default()),
    }));
    let uri = daemon
        .register("post", PostProxy::new(office.clone()))
        .unwrap();
    let daemon = daemon.detach();
    *office.0.daemon.lock().unwrap() = Some(daemon.clone());
    say("uri", &uri.to_string());
    daemon.stopped().await;
}

/// A process, and a way to it.
struct Station {
    process: Process,
    uri: String,
    post: PostProxy,
    pid: u32,
}

impl Station {
    async fn start(environment: &[(&str, &str)]) -> Self {
        let mut process = Process::start("post", environment);
        let uri = process.line("uri");
        let mut client = Client::builder();
        if let Some((_, token)) = environment.iter().find(|(name, _)| *name == "TOKEN") {
            client = client.token(token);
        }
        let post: PostProxy = client.build().connect(uri.as_str()).await.unwrap();
        let pid = post.pid().await.unwrap();
        Station {
            process,
            uri,
            post,
            pid,
        }
    }

    /// Waits until the books of this process are as if nobody but this test had ever been there.
    async fn at_baseline(&self) {
        for _ in 0..500 {
            let (books, alive) = (
                self.post.books().await.unwrap(),
                self.post.alive().await.unwrap(),
            );
            // The test's own session holds the post by its name.
            if books == [(0, 1, 0)] && alive == 0 {
                return;
            }
        }
        panic!(
            "{:?}, {} alive",
            self.post.books().await.unwrap(),
            self.post.alive().await.unwrap()
        );
    }
}

/// An owner, a middleman and a receiver.
async fn three(receiver: &[(&str, &str)]) -> (Station, Station, Station) {
    (
        Station::start(&[]).await,
        Station::start(&[]).await,
        Station::start(receiver).await,
    )
}

#[tokio::test]
async fn a_reference_that_was_passed_on_needs_no_middleman() {
    let (owner, mut middle, receiver) = three(&[]).await;
    let carried = middle
        .post
        .carry(owner.uri.clone(), receiver.uri.clone(), 1)
        .await;
    carried.unwrap();
    assert_eq!(receiver.post.ask().await.unwrap(), [Ok(owner.pid)]);
    assert_eq!(owner.post.alive().await.unwrap(), 1);
    middle.process.kill();
    assert_eq!(
        receiver.post.ask().await.unwrap(),
        [Ok(owner.pid)],
        "it is a grant of its own, and leads there directly"
    );
    receiver.post.forget().await.unwrap();
    owner.at_baseline().await;
    receiver.at_baseline().await;
}

#[tokio::test]
async fn references_in_a_stream_need_no_middleman_either() {
    let (owner, mut middle, receiver) = three(&[]).await;
    let delivered = middle
        .post
        .deliver(owner.uri.clone(), receiver.uri.clone(), 3)
        .await;
    delivered.unwrap();
    let direct = vec![Ok(owner.pid); 3];
    assert_eq!(receiver.post.ask().await.unwrap(), direct);
    middle.process.kill();
    assert_eq!(receiver.post.ask().await.unwrap(), direct);
    receiver.post.forget().await.unwrap();
    owner.at_baseline().await;
    receiver.at_baseline().await;
}

#[tokio::test]
async fn a_middleman_who_has_nothing_more_to_do_with_it_holds_nothing() {
    let (owner, middle, receiver) = three(&[]).await;
    let carried = middle
        .post
        .carry(owner.uri.clone(), receiver.uri.clone(), 3)
        .await;
    carried.unwrap();
    let answers = receiver.post.ask().await.unwrap();
    assert_eq!(
        answers,
        [const { Ok::<u32, String>(0) }; 3].map(|_| Ok(owner.pid))
    );
    // The middleman dialled both, and its sessions end as it holds nothing any more. What is left is the test's, and that
    // between owner and receiver.
    let only = async |station: &Station, sessions: usize| {
        for _ in 0..500 {
            if station.post.books().await.unwrap().len() == sessions {
                return;
            }
        }
        panic!("{:?}", station.post.books().await.unwrap());
    };
    only(&receiver, 2).await;
    only(&owner, 2).await;
    assert_eq!(owner.post.alive().await.unwrap(), 3);
    receiver.post.forget().await.unwrap();
    for station in [owner, middle, receiver] {
        station.at_baseline().await;
    }
}

#[tokio::test]
async fn who_may_not_dial_calls_through_the_middleman() {
    for rule in ["never", "nobody"] {
        let (owner, mut middle, receiver) = three(&[("HAND_OFF", rule)]).await;
        let carried = middle
            .post
            .carry(owner.uri.clone(), receiver.uri.clone(), 1)
            .await;
        carried.unwrap();
        assert_eq!(receiver.post.ask().await.unwrap(), [Ok(owner.pid)]);
        assert_eq!(owner.post.books().await.unwrap().len(), 2, "{rule}");
        middle.process.kill();
        let answers = receiver.post.ask().await.unwrap();
        assert!(answers[0].is_err(), "{rule}: {answers:?}");
        receiver.post.forget().await.unwrap();
        // What was promised and never claimed does not outlive the middleman for long; see the hostile tests.
        receiver.at_baseline().await;
    }
}

#[tokio::test]
async fn a_daemon_that_dials_for_a_reference_proves_its_own_token() {
    let token = [("TOKEN", "swordfish"), ("CLIENT_TOKEN", "swordfish")];
    let (owner, mut middle, receiver) = (
        Station::start(&token).await,
        Station::start(&token).await,
        Station::start(&token).await,
    );
    let carried = middle
        .post
        .carry(owner.uri.clone(), receiver.uri.clone(), 1)
        .await;
    carried.unwrap();
    assert_eq!(receiver.post.ask().await.unwrap(), [Ok(owner.pid)]);
    middle.process.kill();
    assert_eq!(receiver.post.ask().await.unwrap(), [Ok(owner.pid)]);
    receiver.post.forget().await.unwrap();
    owner.at_baseline().await;
    receiver.at_baseline().await;
}

#[tokio::test]
async fn many_references_are_claimed_over_one_connection_and_the_rest_lead_through_the_middleman() {
    const COUNT: usize = 100;
    let (owner, mut middle, receiver) = three(&[]).await;
    let count = u32::try_from(COUNT).unwrap();
    let carried = middle
        .post
        .carry(owner.uri.clone(), receiver.uri.clone(), count)
        .await;
    carried.unwrap();
    let answers = receiver.post.ask().await.unwrap();
    assert_eq!(answers.len(), COUNT);
    assert!(answers.iter().all(|answer| *answer == Ok(owner.pid)));
    assert_eq!(
        owner.post.books().await.unwrap().len(),
        3,
        "the test, the middleman, and the receiver once"
    );
    middle.process.kill();
    let answers = receiver.post.ask().await.unwrap();
    let direct = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(direct, farref_proto::MAX_INTRODUCTIONS);
    assert!(answers[..direct].iter().all(Result::is_ok));
    receiver.post.forget().await.unwrap();
    owner.at_baseline().await;
}

#[tokio::test]
async fn calls_to_what_is_being_claimed_start_in_their_order() {
    let (owner, middle, receiver) = three(&[]).await;
    for _ in 0..5 {
        let carried = middle
            .post
            .carry(owner.uri.clone(), receiver.uri.clone(), 1)
            .await;
        carried.unwrap();
        let notes = receiver.post.flood(50).await.unwrap();
        assert_eq!(notes, (0..50).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_was_handed_off_is_known_again_and_passed_on_in_turn() {
    let (owner, middle, receiver) = three(&[]).await;
    middle
        .post
        .keep(vec![owner.post.registered().await.unwrap()])
        .await
        .unwrap();
    middle.post.pass_on(receiver.uri.clone()).await.unwrap();
    assert!(
        receiver
            .post
            .is_registered(owner.uri.clone())
            .await
            .unwrap()
    );
    // From the receiver to the middleman, who has it already.
    receiver.post.pass_on(middle.uri.clone()).await.unwrap();
    assert_eq!(middle.post.ask().await.unwrap(), [Ok(owner.pid)]);
    assert!(middle.post.is_registered(owner.uri.clone()).await.unwrap());
    for station in [&owner, &middle, &receiver] {
        station.post.forget().await.unwrap();
    }
    for station in [owner, middle, receiver] {
        station.at_baseline().await;
    }
}
