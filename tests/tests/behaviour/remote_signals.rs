//! Signals of an interface: receivers in other processes connect to them, and are told as those of the same process are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farref::prelude::*;
use farref::signal::{Event, ReceiverError, ReceiverId, Sender, Signal, SignalConnection};
use farref::{AnyError, FaultKind, MethodKind, Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};

use crate::processes::Process;
use crate::support::{Pair, assert_fault};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Track {
    pub(crate) title: String,
    pub(crate) seconds: u32,
}

pub(crate) fn track(title: &str) -> Track {
    Track {
        title: title.to_owned(),
        seconds: 180,
    }
}

/// What became of a sending: who answered what, and who failed with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) answers: Vec<u32>,
    pub(crate) failed: Option<String>,
}

#[expose(name = "media.Player")]
pub(crate) trait Player {
    /// Fires after each change of song; receivers answer how often they heard it.
    #[signal]
    fn song_changed(&self) -> &Signal<Track, u32>;

    #[signal]
    #[name = "ended"]
    fn stopped(&self) -> &Signal<()>;

    #[attribute]
    fn volume(&self) -> f32;

    async fn play(&self, title: &str) -> Sent;

    async fn play_as(&self, title: &str, sender: PlayerProxy) -> Sent;

    fn receivers(&self) -> Vec<String>;

    /// Drops what the object has under this name.
    fn disconnect_all(&self) -> u32;
}

#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) song_changed: Signal<Track, u32>,
    pub(crate) stopped: Signal<()>,
}

impl Machine {
    pub(crate) fn disconnect_receivers(&self) {
        for id in self.song_changed.receivers() {
            assert!(self.song_changed.disconnect(id));
        }
    }

    pub(crate) async fn send(&self, title: &str, sender: Option<Sender>) -> Sent {
        let track = track(title);
        let sent = match sender {
            Some(sender) => self.song_changed.send_from(&sender, track).await,
            None => self.song_changed.send(track).await,
        };
        let answers = |answers: Vec<(ReceiverId, u32)>| {
            answers.into_iter().map(|(_, answer)| answer).collect()
        };
        match sent {
            Ok(answered) => Sent {
                answers: answers(answered),
                failed: None,
            },
            Err(error) => Sent {
                failed: Some(format!("{}: {}", error, error.error)),
                answers: answers(error.delivered),
            },
        }
    }
}

impl Player for Machine {
    fn song_changed(&self) -> &Signal<Track, u32> {
        &self.song_changed
    }
    fn stopped(&self) -> &Signal<()> {
        &self.stopped
    }
    fn volume(&self) -> f32 {
        0.5
    }
    async fn play(&self, title: &str) -> Sent {
        self.send(title, None).await
    }
    async fn play_as(&self, title: &str, sender: PlayerProxy) -> Sent {
        self.send(title, Some(Sender::object(&sender))).await
    }
    fn receivers(&self) -> Vec<String> {
        let receivers = self.song_changed.receivers();
        receivers.iter().map(ToString::to_string).collect()
    }
    fn disconnect_all(&self) -> u32 {
        let mut disconnected = 0;
        for id in self.song_changed.receivers() {
            disconnected += u32::from(self.song_changed.disconnect(id));
        }
        disconnected
    }
}

fn player() -> PlayerProxy {
    PlayerProxy::new(Machine::default())
}

fn answers(answers: &[u32]) -> Sent {
    Sent {
        answers: answers.to_vec(),
        failed: None,
    }
}

/// Both of them: a far proxy and a near one must not differ.
async fn near_and_far() -> (Pair, [PlayerProxy; 2]) {
    let pair = Pair::memory().await;
    let far = pair.serve("player", player()).await;
    (pair, [player(), far])
}

#[tokio::test]
async fn receivers_are_told_in_order_and_answer() {
    let (pair, players) = near_and_far().await;
    for player in players {
        let (told, mut heard) = mpsc::unbounded_channel();
        let other = told.clone();
        let song_changed = player.song_changed();
        song_changed
            .connect_async(move |track| {
                let told = told.clone();
                async move {
                    // However long one takes, the next is not called before it has answered.
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    told.send(("slow", Track::clone(&track))).unwrap();
                    1
                }
            })
            .await
            .unwrap();
        song_changed
            .connect(move |track| {
                other.send(("quick", Track::clone(track))).unwrap();
                2
            })
            .await
            .unwrap();
        assert_eq!(player.play("Creep").await.unwrap(), answers(&[1, 2]));
        assert_eq!(heard.recv().await, Some(("slow", track("Creep"))));
        assert_eq!(heard.recv().await, Some(("quick", track("Creep"))));
        assert_eq!(player.disconnect_all().await.unwrap(), 2);
        // The receivers are dropped when nobody can call them any more.
        assert_eq!(heard.recv().await, None);
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn connecting_twice_is_connecting_once() {
    fn ring(track: &Event<Track>) -> u32 {
        track.seconds
    }
    let (pair, players) = near_and_far().await;
    for player in players {
        let song_changed = player.song_changed();
        for n in 0..3 {
            song_changed.connect(ring).await.unwrap();
            let named = song_changed.clone().with_id("named");
            named.connect(move |_| n).await.unwrap();
            song_changed.connect(move |_| 10 + n).await.unwrap();
        }
        let sent = player.play("Creep").await.unwrap();
        assert_eq!(
            sent,
            answers(&[180, 0, 10, 11, 12]),
            "functions and names are connected once, and the first of a name stays"
        );
        assert!(song_changed.disconnect("named").await.unwrap());
        assert!(!song_changed.disconnect("named").await.unwrap());
        let ring = ReceiverId::function(&ring);
        assert!(song_changed.disconnect(ring).await.unwrap());
        assert_eq!(player.play("Creep").await.unwrap(), answers(&[10, 11, 12]));
        // Once it is disconnected, another closure may have the name.
        let named = song_changed.clone().with_id("named");
        named.connect(|_| 7).await.unwrap();
        assert_eq!(
            player.play("Creep").await.unwrap(),
            answers(&[10, 11, 12, 7])
        );
        player.disconnect_all().await.unwrap();
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_connection_tells_whether_it_is_connected_and_ends_once() {
    let (pair, players) = near_and_far().await;
    for player in players {
        let stopped = player.stopped();
        let first = stopped.clone().with_id("id").connect(|_| ()).await.unwrap();
        let again = stopped.clone().with_id("id").connect(|_| ()).await.unwrap();
        assert_eq!(first.receiver(), &"id".into());
        assert!(first.is_connected().await.unwrap() && again.is_connected().await.unwrap());
        assert!(again.disconnect().await.unwrap());
        assert!(!first.is_connected().await.unwrap());
        assert!(!first.disconnect().await.unwrap());
    }
    pair.at_baseline().await;
}

#[derive(Debug, PartialEq)]
struct OutOfPaper(u32);

impl std::fmt::Display for OutOfPaper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "out of paper at page {}", self.0)
    }
}

impl std::error::Error for OutOfPaper {}

#[tokio::test]
async fn an_error_of_a_receiver_ends_the_sending_and_names_it() {
    let (pair, players) = near_and_far().await;
    for player in players {
        let song_changed = player.song_changed();
        song_changed.connect(|_| 1).await.unwrap();
        let failing = song_changed.clone().with_id("printer");
        let failing = failing
            .connect(|_| Err::<u32, _>(OutOfPaper(3)))
            .await
            .unwrap();
        let reached = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reached);
        song_changed
            .connect(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                2
            })
            .await
            .unwrap();
        let sent = player.play("Creep").await.unwrap();
        assert_eq!(sent.answers, [1]);
        let failed = sent.failed.unwrap();
        assert!(
            failed.contains("`printer") && failed.ends_with("out of paper at page 3"),
            "{failed}"
        );
        assert_eq!(
            reached.load(Ordering::Relaxed),
            0,
            "later ones are not called"
        );
        // It stays connected: an error is no end.
        assert!(failing.disconnect().await.unwrap());
        assert_eq!(player.play("Creep").await.unwrap(), answers(&[1, 2]));
        player.disconnect_all().await.unwrap();
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_panic_of_a_receiver_is_an_error_like_another() {
    let (pair, players) = near_and_far().await;
    for player in players {
        let song_changed = player.song_changed().with_id("bomb");
        song_changed
            .connect(|_| -> u32 { panic!("boom") })
            .await
            .unwrap();
        let failed = player.play("Creep").await.unwrap().failed.unwrap();
        assert!(
            failed.contains("`bomb") && failed.contains("it panicked: ") && failed.contains("boom"),
            "{failed}"
        );
        player.disconnect_all().await.unwrap();
    }
    pair.at_baseline().await;
}

/// The sender's own error, which a receiver elsewhere hands on, is itself again in the sender's hands.
#[tokio::test]
async fn an_error_comes_home_through_a_receiver() {
    #[expose]
    trait Printer {
        async fn print(&self) -> Result<(), AnyError>;
    }
    struct Desk;
    impl Printer for Desk {
        async fn print(&self) -> Result<(), AnyError> {
            Err(OutOfPaper(7).into())
        }
    }
    let pair = Pair::memory().await;
    let machine = Arc::new(Machine::default());
    let player = pair
        .serve("player", PlayerProxy::shared(Arc::clone(&machine)))
        .await;
    let printer = pair.serve("printer", PrinterProxy::new(Desk)).await;
    player
        .song_changed()
        .connect_async(move |_| {
            let printer = printer.clone();
            async move {
                printer.print().await?;
                Ok::<_, CallError<AnyError>>(1)
            }
        })
        .await
        .unwrap();
    let error = machine.song_changed.send(track("Creep")).await.unwrap_err();
    let ReceiverError::Failed(failed) = error.error else {
        panic!("{error:?}")
    };
    let failed = failed.downcast_ref::<CallError<AnyError>>().unwrap();
    let own = failed.app().unwrap();
    assert_eq!(own.downcast_ref(), Some(&OutOfPaper(7)));
    player.disconnect_all().await.unwrap();
    drop(player);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_receiver_may_listen_to_one_sender() {
    let pair = Pair::memory().await;
    let far = pair.serve("player", player()).await;
    let (one, other) = (pair.serve("one", player()).await, player());
    for player in [player(), far] {
        let song_changed = player.song_changed();
        let of_one = song_changed.clone().from_sender(&one);
        of_one.clone().with_id("x").connect(|_| 1).await.unwrap();
        of_one.clone().with_id("x").connect(|_| 2).await.unwrap();
        let of_other = song_changed.clone().from_sender(&other).with_id("x");
        let third = of_other.connect(|_| 3).await.unwrap();
        song_changed.connect(|_| 4).await.unwrap();
        let heard = async |sender: &PlayerProxy| {
            let sent = player.play_as("Creep", sender.clone()).await.unwrap();
            sent.answers
        };
        assert_eq!(heard(&one).await, [1, 4]);
        assert_eq!(heard(&other).await, [3, 4]);
        assert_eq!(player.play("Creep").await.unwrap(), answers(&[4]));
        assert!(
            !song_changed.disconnect("x").await.unwrap(),
            "the sender belongs to it"
        );
        assert!(of_one.disconnect("x").await.unwrap());
        assert!(third.disconnect().await.unwrap());
        assert_eq!(heard(&one).await, [4]);
        player.disconnect_all().await.unwrap();
    }
    drop((one, other));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_receiver_calls_back_while_it_is_told() {
    let (pair, players) = near_and_far().await;
    for player in players {
        let asked = player.clone();
        player
            .song_changed()
            .connect_async(move |_| {
                let asked = asked.clone();
                async move { Ok::<_, Fault>(asked.receivers().await?.len() as u32) }
            })
            .await
            .unwrap();
        assert_eq!(player.play("Creep").await.unwrap(), answers(&[1]));
        player.disconnect_all().await.unwrap();
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn connections_end_with_the_session_and_with_the_signal() {
    let pair = Pair::memory().await;
    let machine = Arc::new(Machine::default());
    let uri = pair
        .daemon
        .register("player", PlayerProxy::shared(Arc::clone(&machine)))
        .unwrap();
    let client = Client::new();
    let player: PlayerProxy = client.connect(&uri).await.unwrap();
    let held = Arc::new(());
    let captured = Arc::clone(&held);
    let connection = player
        .stopped()
        .connect(move |_| drop(Arc::clone(&captured)))
        .await
        .unwrap();
    drop(player);
    assert_eq!(
        machine.stopped.send(()).await.unwrap().len(),
        1,
        "a receiver keeps its session"
    );
    client.close().await;
    while machine.stopped.has_receivers() {
        pair.barrier().await;
    }
    assert!(machine.stopped.send(()).await.unwrap().is_empty());
    assert!(!connection.is_connected().await.unwrap());
    assert_eq!(
        Arc::strong_count(&held),
        1,
        "the receiver is dropped as well"
    );

    let player: PlayerProxy = pair.client.connect(&uri).await.unwrap();
    let captured = Arc::clone(&held);
    let connection = player
        .stopped()
        .connect(move |_| drop(Arc::clone(&captured)))
        .await
        .unwrap();
    drop((player, connection));
    assert!(pair.daemon.unregister("player"));
    drop(machine);
    pair.until("the receiver is not dropped", |_| {
        Arc::strong_count(&held) == 1
    })
    .await;
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_receiver_that_dies_while_it_is_told_is_an_error_like_another() {
    let pair = Pair::memory().await;
    let machine = Arc::new(Machine::default());
    let uri = pair
        .daemon
        .register("player", PlayerProxy::shared(Arc::clone(&machine)))
        .unwrap();
    let client = Client::new();
    let player: PlayerProxy = client.connect(&uri).await.unwrap();
    let told = Arc::new(Notify::new());
    let is_told = Arc::clone(&told);
    player
        .song_changed()
        .connect_async(move |_| {
            is_told.notify_one();
            std::future::pending::<u32>()
        })
        .await
        .unwrap();
    machine.song_changed.connect(|_| 1);
    let sending = tokio::spawn({
        let machine = Arc::clone(&machine);
        async move { machine.song_changed.send(track("Creep")).await }
    });
    told.notified().await;
    for peer in client.peers() {
        peer.abort();
    }
    let error = sending.await.unwrap().unwrap_err();
    assert!(error.delivered.is_empty());
    let ReceiverError::Failed(failed) = &error.error else {
        panic!("{error:?}")
    };
    let failed = failed.downcast_ref::<CallError<AnyError>>().unwrap();
    assert_fault(
        failed.fault().unwrap(),
        FaultKind::SessionLost,
        Outcome::Unknown,
    );
    assert_eq!(
        machine
            .song_changed
            .send(track("Creep"))
            .await
            .unwrap()
            .len(),
        1,
        "it is disconnected"
    );
    drop(player);
    pair.at_baseline().await;
}

#[expose(name = "media.Studio")]
trait Studio: Player {
    #[signal]
    fn recorded(&self) -> &Signal<String>;
    async fn record(&self, title: String);
}

#[derive(Default)]
struct Room {
    machine: Machine,
    recorded: Signal<String>,
}

impl Player for Room {
    fn song_changed(&self) -> &Signal<Track, u32> {
        &self.machine.song_changed
    }
    fn stopped(&self) -> &Signal<()> {
        &self.machine.stopped
    }
    fn volume(&self) -> f32 {
        0.0
    }
    async fn play(&self, title: &str) -> Sent {
        self.machine.play(title).await
    }
    async fn play_as(&self, title: &str, sender: PlayerProxy) -> Sent {
        self.machine.play_as(title, sender).await
    }
    fn receivers(&self) -> Vec<String> {
        self.machine.receivers()
    }
    fn disconnect_all(&self) -> u32 {
        self.machine.disconnect_all()
    }
}

impl Studio for Room {
    fn recorded(&self) -> &Signal<String> {
        &self.recorded
    }
    async fn record(&self, title: String) {
        self.recorded.send(title).await.unwrap();
    }
}

#[tokio::test]
async fn signals_of_an_extended_interface_are_those_of_the_object() {
    let pair = Pair::memory().await;
    let far = pair
        .serve("studio", StudioProxy::new(Room::default()))
        .await;
    for studio in [StudioProxy::new(Room::default()), far] {
        studio.song_changed().connect(|_| 5).await.unwrap();
        let player: PlayerProxy = studio.clone().into();
        assert_eq!(player.play("Creep").await.unwrap(), answers(&[5]));
        let (told, mut heard) = mpsc::unbounded_channel();
        let connection = studio
            .recorded()
            .connect(move |title| told.send(title.to_string()).unwrap())
            .await
            .unwrap();
        studio.record("Hyperballad".to_owned()).await.unwrap();
        assert_eq!(heard.recv().await.as_deref(), Some("Hyperballad"));
        assert!(connection.disconnect().await.unwrap());
        assert_eq!(player.disconnect_all().await.unwrap(), 1);
    }
    pair.at_baseline().await;
}

#[expose(local)]
trait Counter {
    #[signal]
    fn counted(&self) -> &Signal<u32, u32>;
    /// Counts, tells, and returns what was answered.
    async fn count(&mut self) -> Result<Vec<u32>, String>;
}

#[derive(Default)]
struct Tally {
    count: u32,
    counted: Signal<u32, u32>,
}

impl Tally {
    async fn tell(&mut self) -> Result<Vec<u32>, String> {
        self.count += 1;
        match self.counted.send(self.count).await {
            Ok(answers) => Ok(answers.into_iter().map(|(_, answer)| answer).collect()),
            Err(error) => Err(error.error.to_string()),
        }
    }
}

impl Counter for Tally {
    fn counted(&self) -> &Signal<u32, u32> {
        &self.counted
    }
    async fn count(&mut self) -> Result<Vec<u32>, String> {
        self.tell().await
    }
}

impl LocalCounter for Tally {
    fn counted(&self) -> &Signal<u32, u32> {
        &self.counted
    }
    async fn count(&mut self) -> Result<Vec<u32>, String> {
        self.tell().await
    }
}

#[tokio::test]
async fn serial_and_pinned_objects_have_signals_too() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let pair = Pair::memory().await;
            let serial = || CounterProxy::serial(Tally::default());
            let pinned = || CounterProxy::pinned(Tally::default());
            let far = [
                pair.serve("serial", serial()).await,
                pair.serve("pinned", pinned()).await,
            ];
            for counter in [serial(), pinned()].into_iter().chain(far) {
                let counted = counter.counted();
                for n in 0..2 {
                    let named = counted.clone().with_id("double");
                    named.connect(move |n| **n * 2).await.unwrap();
                    counted.connect(move |count| **count + n).await.unwrap();
                }
                assert_eq!(counter.count().await.unwrap(), [2, 1, 2]);
                assert!(counted.disconnect("double").await.unwrap());
                assert!(!counted.disconnect("double").await.unwrap());
                assert_eq!(counter.count().await.unwrap(), [2, 3]);
                // The object is held by the call that sends, which would wait for this one.
                let again = counter.clone();
                let waiting = counted.clone().with_id("again");
                let waiting = waiting
                    .connect_async(move |_| {
                        let again = again.clone();
                        async move {
                            again.counted().connect(|_| 0).await?;
                            Ok::<_, Fault>(0)
                        }
                    })
                    .await
                    .unwrap();
                let Err(CallError::App(refused)) = counter.count().await else {
                    panic!("it did not fail")
                };
                assert!(refused.contains("would wait for ever"), "{refused}");
                assert!(waiting.disconnect().await.unwrap());
                assert!(!waiting.is_connected().await.unwrap());
            }
        })
        .await;
}

#[tokio::test]
async fn a_signal_is_connected_to_through_a_middleman_and_comes_home() {
    let pair = Pair::memory().await;
    let middle = Daemon::builder()
        .listen(crate::support::memory_uri())
        .bind()
        .await
        .unwrap();
    let far = pair.serve("player", player()).await;
    let uri = middle.register("forwarded", far.clone()).unwrap();
    let client = Client::new();
    let forwarded: PlayerProxy = client.connect(&uri).await.unwrap();
    let song_changed = forwarded.song_changed().with_id("x");
    for n in 1..=2 {
        song_changed.connect(move |_| n).await.unwrap();
    }
    // The same name in another process is another receiver.
    far.song_changed()
        .with_id("x")
        .connect(|_| 5)
        .await
        .unwrap();
    assert_eq!(far.play("Creep").await.unwrap(), answers(&[1, 5]));
    assert!(song_changed.disconnect("x").await.unwrap());
    assert_eq!(forwarded.play("Creep").await.unwrap(), answers(&[5]));
    far.disconnect_all().await.unwrap();
    drop((forwarded, far));
    client.close().await;
    drop(middle);
    pair.at_baseline().await;
}

/// The same interface as an older or a newer program has it.
mod other_version {
    use farref::prelude::*;
    use farref::signal::Signal;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Track {
        pub(super) title: String,
        /// A number in the other version.
        pub(super) seconds: String,
    }

    #[expose(name = "media.Player")]
    pub(super) trait Player {
        #[signal]
        fn song_changed(&self) -> &Signal<Track, u32>;
        #[signal]
        fn paused(&self) -> &Signal<()>;
    }
}

#[tokio::test]
async fn a_signal_whose_types_differ_is_refused_when_it_is_connected_to() {
    let pair = Pair::memory().await;
    let far = pair.serve("player", player()).await;
    let uri = far.uri().unwrap();
    let other: other_version::PlayerProxy = pair.client.connect(uri).await.unwrap();
    let fault = other.song_changed().connect(|_| 1).await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    assert!(
        fault.message().contains("song_changed") && fault.message().contains("seconds"),
        "{fault}"
    );
    let fault = other.paused().connect(|_| ()).await.unwrap_err();
    assert_fault(&fault, FaultKind::NoSuchMethod, Outcome::NotStarted);
    assert_eq!(far.play("Creep").await.unwrap(), answers(&[]));
    drop((far, other));
    pair.at_baseline().await;
}

/// What a tool sees, and what it hears.
#[tokio::test]
async fn a_tool_connects_without_the_trait() {
    let pair = Pair::memory().await;
    let far = pair.serve("player", player()).await;
    for codecs in [farref::CodecSet::default(), farref::Codec::Postcard.into()] {
        let daemon = Daemon::builder()
            .listen(crate::support::memory_uri())
            .accept_codecs(codecs)
            .bind()
            .await
            .unwrap();
        let uri = daemon.register("player", player()).unwrap();
        let tool = farref::DynProxy::connect(&uri).await.unwrap();
        let typed: PlayerProxy = farref::connect(&uri).await.unwrap();
        let signal = tool.interface().method("song_changed").unwrap();
        assert_eq!(signal.kind, MethodKind::Signal);
        assert_eq!(
            signal.docs,
            "Fires after each change of song; receivers answer how often they heard it."
        );
        assert_eq!(
            (&*signal.returns.type_name, &*signal.arguments[0].type_name),
            ("Track", "u32")
        );
        assert!(
            tool.interface()
                .method("ended")
                .unwrap()
                .arguments
                .is_empty()
        );

        let (told, mut heard) = mpsc::unbounded_channel();
        let connection = tool
            .connect_to("song_changed", move |track| {
                told.send(serde_json::Value::clone(track)).unwrap();
                serde_json::json!(9)
            })
            .await
            .unwrap();
        assert_eq!(typed.play("Creep").await.unwrap(), answers(&[9]));
        assert_eq!(
            heard.recv().await.unwrap(),
            serde_json::json!({"title": "Creep", "seconds": 180})
        );
        assert!(connection.disconnect().await.unwrap());

        // An answer that does not fit is an error at the sender's, like any other.
        let connection = tool
            .connect_to_async("song_changed", async |_| serde_json::json!("many"))
            .await
            .unwrap();
        let failed = typed.play("Creep").await.unwrap().failed.unwrap();
        assert!(failed.contains("response"), "{failed}");
        assert!(connection.disconnect().await.unwrap());

        let null = serde_json::Value::Null;
        for (result, kind) in [
            (
                tool.call("ended", null.clone()).await.map(drop),
                FaultKind::Misuse,
            ),
            (
                tool.connect_to("volume", |_| serde_json::Value::Null)
                    .await
                    .map(drop)
                    .map_err(CallError::from),
                FaultKind::NoSuchMethod,
            ),
        ] {
            let error = result.unwrap_err();
            assert_fault(error.fault().unwrap(), kind, Outcome::NotStarted);
        }
    }
    drop(far);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_session_connects_so_many_receivers_and_no_more() {
    let mut limits = farref::Limits::default();
    limits.exports = 20;
    let pair = Pair::of_memory(Daemon::builder().limits(limits), Client::builder()).await;
    let far = pair.serve("player", player()).await;
    let stopped = far.stopped();
    let mut connections: Vec<SignalConnection> = Vec::new();
    let fault = loop {
        let n = connections.len();
        assert!(n <= 1000);
        match stopped.clone().with_id(n.to_string()).connect(|_| ()).await {
            Ok(connection) => connections.push(connection),
            Err(fault) => break fault,
        }
    };
    assert_fault(&fault, FaultKind::Overloaded, Outcome::NotStarted);
    assert!(connections.len() >= 20, "{}", connections.len());
    // One that goes makes room for another.
    assert!(connections.pop().unwrap().disconnect().await.unwrap());
    stopped
        .clone()
        .with_id("one more")
        .connect(|_| ())
        .await
        .unwrap();
    assert!(stopped.disconnect("one more").await.unwrap());
    for connection in connections {
        assert!(connection.disconnect().await.unwrap());
    }
    drop(far);
    pair.at_baseline().await;
}

/// What a process does that a test of this module started.
pub(crate) async fn listen_in_another_process(uri: &str, say: impl Fn(&str, &str)) {
    let player: PlayerProxy = farref::connect(uri).await.unwrap();
    let again = player.clone();
    player
        .song_changed()
        .connect_async(move |track| {
            let again = again.clone();
            async move {
                match &*track.title {
                    "Hang" => std::future::pending().await,
                    "Fail" => Err(CallError::App(AnyError::from(OutOfPaper(track.seconds)))),
                    _ => Ok(again.receivers().await?.len() as u32 + std::process::id()),
                }
            }
        })
        .await
        .unwrap();
    say("listens", &std::process::id().to_string());
    std::future::pending().await
}

#[tokio::test]
async fn receivers_in_other_processes_answer_in_turn_fail_and_die() {
    // The one that is killed will not come back.
    let daemon = Daemon::builder()
        .linger(std::time::Duration::from_millis(200))
        .listen("far://127.0.0.1:0")
        .bind()
        .await
        .unwrap();
    let machine = Arc::new(Machine::default());
    let uri = daemon
        .register("player", PlayerProxy::shared(Arc::clone(&machine)))
        .unwrap()
        .to_string();
    let mut processes = Vec::new();
    let mut pids: Vec<u32> = Vec::new();
    for _ in 0..2 {
        let uri = uri.clone();
        let (process, pid) = tokio::task::spawn_blocking(move || {
            let mut process = Process::start("listen to a signal", &[("URI", &uri)]);
            let pid = process.line("listens").parse().unwrap();
            (process, pid)
        })
        .await
        .unwrap();
        processes.push(process);
        pids.push(pid);
    }
    let sent = machine.send("Creep", None).await;
    assert_eq!(sent, answers(&[pids[0] + 2, pids[1] + 2]));
    let failed = machine.send("Fail", None).await.failed.unwrap();
    assert!(failed.ends_with("out of paper at page 180"), "{failed}");

    let sending = tokio::spawn({
        let machine = Arc::clone(&machine);
        async move { machine.send("Hang", None).await }
    });
    // The first has been told when it is being waited for.
    while daemon
        .peers()
        .iter()
        .all(|peer| peer.tables().calls_out == 0)
    {
        tokio::task::yield_now().await;
    }
    processes.remove(0).kill();
    let sent = sending.await.unwrap();
    assert!(sent.failed.is_some() && sent.answers.is_empty(), "{sent:?}");
    assert_eq!(
        machine.send("Creep", None).await,
        answers(&[pids[1] + 1]),
        "the one that is dead is not told again, the other as before"
    );
    drop(processes);
    while machine.song_changed.has_receivers() {
        tokio::task::yield_now().await;
    }
}
