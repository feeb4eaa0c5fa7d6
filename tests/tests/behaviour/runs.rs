//! Calls of a batch to one method of one object, which travel together: whatever becomes of each of them is as if they
//! had been made one after the other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use farref::{Batch, FaultKind, Outcome, Slot};
use serde::{Deserialize, Serialize, Serializer};

use crate::flights::Wire;
use crate::network::{Cut, Network};
use crate::support::{Pair, assert_fault};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Refused(u32);

/// A number that cannot be encoded if it is this one, or panics if it is that one.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Shy(u32);

impl Shy {
    const UNSPEAKABLE: u32 = 13;
    const TERRIBLE: u32 = 1_000_000;
}

impl Serialize for Shy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Shy::UNSPEAKABLE => Err(serde::ser::Error::custom("this is not said")),
            Shy::TERRIBLE => panic!("as the test wants it"),
            number => serializer.serialize_newtype_struct("Shy", &number),
        }
    }
}

#[expose]
trait Tally {
    fn add(&self, n: u32) -> u32;
    fn take(&self, n: u32) -> Result<u32, Refused>;
    async fn later(&self, n: u32) -> u32;
    fn text(&self, n: u32, text: String) -> String;
    fn bytes(&self, bytes: Vec<u8>) -> Vec<u8>;
    fn shy(&self, n: Shy) -> u32;
    fn fragile(&self, n: u32) -> u32;
    fn other(&self, n: u32) -> TallyProxy;
    fn noted(&self, n: u32) -> u32;
    fn counted(&self) -> Vec<u32>;
}

/// What it was called with.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<u32>>>);

impl Book {
    fn note(&self, n: u32) -> u32 {
        let mut seen = self.0.lock().unwrap();
        seen.push(n);
        u32::try_from(seen.len()).unwrap()
    }
}

impl Tally for Book {
    fn add(&self, n: u32) -> u32 {
        self.note(n)
    }
    fn take(&self, n: u32) -> Result<u32, Refused> {
        let count = self.note(n);
        match n % 3 {
            0 => Err(Refused(n)),
            _ => Ok(count),
        }
    }
    async fn later(&self, n: u32) -> u32 {
        tokio::task::yield_now().await;
        self.note(n)
    }
    fn text(&self, n: u32, text: String) -> String {
        self.note(n);
        text.repeat(2)
    }
    fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.note(bytes.len() as u32);
        bytes
    }
    fn shy(&self, n: Shy) -> u32 {
        self.note(n.0)
    }
    fn fragile(&self, n: u32) -> u32 {
        let count = self.note(n);
        assert_ne!(n % 5, 0, "as the test wants it");
        count
    }
    fn other(&self, n: u32) -> TallyProxy {
        self.note(n);
        TallyProxy::new(self.clone())
    }
    fn noted(&self, n: u32) -> u32 {
        let context = CallContext::current().unwrap();
        if n.is_multiple_of(2) {
            context.set_reply_annotation("note", n.to_le_bytes().to_vec());
        }
        self.note(n)
    }
    fn counted(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }
}

/// What is expected of a call.
#[derive(Debug, PartialEq)]
enum Told {
    Number(u32),
    Text(String),
    Bytes(usize),
    Other,
    Refused(u32),
    Fault(FaultKind),
}

/// The result of a call that will be there.
enum Place {
    Number(Slot<u32, Fault>),
    Taken(Slot<u32, CallError<Refused>>),
    Text(Slot<String, Fault>),
    Bytes(Slot<Vec<u8>, Fault>),
    Other(Slot<TallyProxy, Fault>),
}

impl Place {
    fn told(self) -> Told {
        let fault = |fault: Fault| Told::Fault(fault.kind());
        match self {
            Place::Number(slot) => slot.take().map_or_else(fault, Told::Number),
            Place::Text(slot) => slot.take().map_or_else(fault, Told::Text),
            Place::Bytes(slot) => slot.take().map_or_else(fault, |it| Told::Bytes(it.len())),
            Place::Other(slot) => slot.take().map_or_else(fault, |_| Told::Other),
            Place::Taken(slot) => match slot.take() {
                Ok(count) => Told::Number(count),
                Err(CallError::App(Refused(n))) => Told::Refused(n),
                Err(CallError::Fault(fault)) => Told::Fault(fault.kind()),
            },
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Adds a call, and says what it comes to if it runs: it is the one of this number that does.
fn add<'a>(
    batch: &mut Batch<'a>,
    tally: &'a TallyProxy,
    method: usize,
    n: u32,
    runs: &mut Vec<u32>,
) -> (Place, Told) {
    let mut ran = |noted: u32| {
        runs.push(noted);
        u32::try_from(runs.len()).unwrap()
    };
    match method {
        0 => (Place::Number(batch.add(tally.add(n))), Told::Number(ran(n))),
        1 => {
            let count = ran(n);
            let told = match n % 3 {
                0 => Told::Refused(n),
                _ => Told::Number(count),
            };
            (Place::Taken(batch.add(tally.take(n))), told)
        }
        2 => (
            Place::Number(batch.add(tally.later(n))),
            Told::Number(ran(n)),
        ),
        3 => {
            // Some are kept in place, some share memory, and some are too long for a run.
            let text = "x".repeat([1, 30, 5000][n as usize % 3]);
            ran(n);
            let told = Told::Text(text.repeat(2));
            (Place::Text(batch.add(tally.text(n, text))), told)
        }
        4 => {
            ran(n);
            let length = n as usize;
            let slot = batch.add(tally.bytes(vec![7; length]));
            (Place::Bytes(slot), Told::Bytes(length))
        }
        5 => {
            let told = match n {
                Shy::UNSPEAKABLE => Told::Fault(FaultKind::Unencodable),
                n => Told::Number(ran(n)),
            };
            (Place::Number(batch.add(tally.shy(Shy(n)))), told)
        }
        6 => {
            let count = ran(n);
            let told = match n % 5 {
                0 => Told::Fault(FaultKind::Panicked),
                _ => Told::Number(count),
            };
            (Place::Number(batch.add(tally.fragile(n))), told)
        }
        7 => {
            ran(n);
            (Place::Other(batch.add(tally.other(n))), Told::Other)
        }
        _ => (
            Place::Number(batch.add(tally.noted(n))),
            Told::Number(ran(n)),
        ),
    }
}

/// Has the object show that it takes the types of all methods, so that calls behind others like them are encoded when they
/// are added to a batch.
async fn get_to_know(tally: &TallyProxy) {
    let mut batch = Batch::new();
    let calls = (0..18).map(|call| add(&mut batch, tally, call / 2, 1, &mut Vec::new()));
    let calls: Vec<_> = calls.collect();
    batch.send().await.unwrap();
    drop(calls);
}

#[tokio::test]
async fn whatever_is_in_a_batch_comes_to_what_it_would_one_by_one() {
    let pair = Pair::memory().await;
    let mut random = Random(0x1234_5678_9abc_def1);
    for round in 0..150 {
        let book = Book::default();
        let tally = pair
            .serve(&format!("tally {round}"), TallyProxy::new(book.clone()))
            .await;
        if round % 4 < 2 {
            get_to_know(&tally).await;
            book.0.lock().unwrap().clear();
        }
        let goes_on = round % 2 == 0;
        let mut batch = Batch::new();
        if goes_on {
            batch = batch.continue_on_error();
        }
        let mut expected = Vec::new();
        let mut runs = Vec::new();
        let mut has_failed = false;
        for _ in 0..random.below(12) {
            let method = random.below(9);
            let most = 1 << random.below(7);
            for _ in 0..=random.below(most) {
                let n = random.below(if goes_on { 20 } else { 2000 }) as u32 + 1;
                let before = runs.len();
                let (place, told) = add(&mut batch, &tally, method, n, &mut runs);
                let told = match has_failed && !goes_on {
                    true => {
                        runs.truncate(before);
                        Told::Fault(FaultKind::Skipped)
                    }
                    false => told,
                };
                has_failed |= matches!(told, Told::Refused(_) | Told::Fault(_));
                expected.push((place, told));
            }
        }
        let sent = batch.send().await;
        let is_fault = |(_, told): &(_, Told)| matches!(told, Told::Fault(_));
        assert_eq!(
            sent.is_err(),
            expected.iter().any(is_fault),
            "round {round}"
        );
        for (number, (place, told)) in expected.into_iter().enumerate() {
            assert_eq!(place.told(), told, "call {number} of round {round}");
        }
        assert_eq!(*book.0.lock().unwrap(), runs, "round {round}");
        drop(batch);
        drop(tally);
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_batch_that_mixes_runs_with_other_calls_takes_one_round_trip() {
    let wire = Wire::new().await;
    let tally = wire.serve("tally", TallyProxy::new(Book::default())).await;
    let before = wire.flights();
    let mut batch = Batch::new();
    let mut slots = Vec::new();
    for n in 0..700 {
        slots.push(batch.add(tally.add(n)));
    }
    let bytes = batch.add(tally.bytes(vec![1; 5000]));
    for n in 0..20 {
        slots.push(batch.add(tally.noted(2 * n + 1)));
    }
    batch.send().await.unwrap();
    assert_eq!(wire.flights() - before, 1);
    assert_eq!(bytes.take().unwrap().len(), 5000);
    let counts = slots.into_iter().map(|slot| slot.take().unwrap());
    assert!(counts.eq((1..=700).chain(702..=721)));
}

#[tokio::test]
async fn a_batch_made_by_a_handler_and_one_with_a_deadline_are_of_their_chain_and_time() {
    #[expose]
    trait Relay {
        async fn relay(&self, tally: TallyProxy, count: u32) -> u32;
    }
    struct Through;
    impl Relay for Through {
        async fn relay(&self, tally: TallyProxy, count: u32) -> u32 {
            let mut batch = Batch::new().timeout(Duration::from_secs(60));
            let slots: Vec<_> = (0..count).map(|n| batch.add(tally.add(n))).collect();
            batch.send().await.unwrap();
            slots.into_iter().map(|slot| slot.take().unwrap()).sum()
        }
    }
    let pair = Pair::tcp().await;
    let relay = pair.serve("relay", RelayProxy::new(Through)).await;
    let book = Book::default();
    let tally = TallyProxy::new(book.clone());
    // More than there is room for at that depth.
    let sum = relay.relay(tally, 300).await.unwrap();
    assert_eq!(sum, (1..=300).sum::<u32>());
    assert!((0..300).eq(book.0.lock().unwrap().iter().copied()));
    drop(relay);
    pair.at_baseline().await;
}

#[tokio::test]
async fn runs_of_an_object_that_is_gone_fail_one_by_one_and_bring_nothing_down() {
    for is_known in [false, true] {
        let pair = Pair::tcp().await;
        let book = Book::default();
        let near = TallyProxy::new(book.clone());
        let tally = pair.serve("tally", near.clone()).await;
        let other = tally.other(1).await.unwrap();
        if is_known {
            get_to_know(&tally).await;
        }
        book.0.lock().unwrap().clear();
        pair.daemon.revoke(&near);
        for goes_on in [true, false] {
            let mut batch = Batch::new();
            if goes_on {
                batch = batch.continue_on_error();
            }
            let slots: Vec<_> = (0..5).map(|n| batch.add(tally.add(n))).collect();
            batch.send().await.unwrap_err();
            for (number, slot) in slots.into_iter().enumerate() {
                let fault = slot.take().unwrap_err();
                let is_skipped = !goes_on && number > 0;
                assert_eq!(fault.kind() == FaultKind::Skipped, is_skipped, "{fault}");
                assert_eq!(fault.outcome(), Outcome::NotStarted);
            }
        }
        let mut batch = Batch::new();
        let slots = [batch.add(other.add(1)), batch.add(other.add(2))];
        batch.send().await.unwrap();
        assert_eq!(slots.map(|slot| slot.take().unwrap()), [1, 2]);
        drop(batch);
        drop((tally, other, near));
    }
}

#[tokio::test]
async fn what_has_taken_the_name_meanwhile_is_called_instead() {
    let pair = Pair::memory().await;
    let mut object = TallyProxy::new(Book::default());
    let tally = pair.serve("tally", object.clone()).await;
    for is_known in [false, true] {
        if is_known {
            get_to_know(&tally).await;
        }
        let mut batch = Batch::new();
        let slots: Vec<_> = (0..5).map(|n| batch.add(tally.add(n))).collect();
        pair.daemon.revoke(&object);
        let book = Book::default();
        object = TallyProxy::new(book.clone());
        pair.daemon.register("tally", object.clone()).unwrap();
        batch.send().await.unwrap();
        assert!((1..=5).eq(slots.into_iter().map(|slot| slot.take().unwrap())));
        assert!((0..5).eq(book.0.lock().unwrap().iter().copied()));
    }
}

/// Two versions of an interface, of which the later knows more of what it is given.
mod versions {
    use super::*;

    pub(super) mod old {
        use super::*;

        #[derive(Clone, Serialize, Deserialize)]
        pub(crate) struct Parcel {
            pub(crate) grams: u32,
        }

        #[expose(name = "test.Scales")]
        pub(crate) trait Scales {
            fn weigh(&self, parcel: Parcel) -> u32;
        }
    }

    pub(super) mod new {
        use super::*;

        #[derive(Clone, Serialize, Deserialize)]
        pub(crate) struct Parcel {
            pub(crate) grams: u32,
            #[serde(default)]
            pub(crate) stamps: u32,
        }

        #[expose(name = "test.Scales")]
        pub(crate) trait Scales {
            fn weigh(&self, parcel: Parcel) -> u32;
        }
    }

    pub(super) struct Scales;

    impl old::Scales for Scales {
        fn weigh(&self, parcel: old::Parcel) -> u32 {
            parcel.grams
        }
    }

    impl new::Scales for Scales {
        fn weigh(&self, parcel: new::Parcel) -> u32 {
            parcel.grams + parcel.stamps
        }
    }
}

#[tokio::test]
async fn a_new_version_that_comes_while_a_batch_is_put_together_is_called_by_the_next_batch() {
    use versions::{Scales, new, old};
    let pair = Pair::memory().await;
    let before = old::ScalesProxy::new(Scales);
    let scales = pair.serve("scales", before.clone()).await;
    let parcels = || (1..4).map(|grams| old::Parcel { grams });
    let mut batch = Batch::new();
    let slots: Vec<_> = parcels().map(|it| batch.add(scales.weigh(it))).collect();
    batch.send().await.unwrap();
    drop(slots);
    let slots: Vec<_> = parcels().map(|it| batch.add(scales.weigh(it))).collect();
    pair.daemon.revoke(&before);
    let after = new::ScalesProxy::new(Scales);
    pair.daemon.register("scales", after).unwrap();
    let fault = batch.send().await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    let kinds = slots
        .into_iter()
        .map(|slot| slot.take().unwrap_err().kind());
    let skipped = FaultKind::Skipped;
    assert!(kinds.eq([FaultKind::Incompatible, skipped, skipped]));
    for _ in 0..2 {
        let slots: Vec<_> = parcels().map(|it| batch.add(scales.weigh(it))).collect();
        batch.send().await.unwrap();
        assert!((1..4).eq(slots.into_iter().map(|slot| slot.take().unwrap())));
    }
}

#[tokio::test]
async fn batches_like_one_before_are_started_sent_without_answers_and_given_up_as_that() {
    let pair = Pair::memory().await;
    let book = Book::default();
    let tally = pair.serve("tally", TallyProxy::new(book.clone())).await;
    get_to_know(&tally).await;
    book.0.lock().unwrap().clear();
    let mut batch = Batch::new();
    let slots: Vec<_> = (0..3).map(|n| batch.add(tally.add(n))).collect();
    assert_eq!(
        format!("{batch:?}"),
        "[\"Tally.add\", \"Tally.add\", \"Tally.add\"]"
    );
    batch.send_oneway().await.unwrap();
    assert!(slots.iter().all(|slot| !slot.is_ready()));
    let slots: Vec<_> = (3..6).map(|n| batch.add(tally.add(n))).collect();
    batch.start().await.unwrap();
    assert!((4..7).eq(slots.into_iter().map(|slot| slot.take().unwrap())));
    let slot = [batch.add(tally.add(6)), batch.add(tally.add(7))];
    drop(batch);
    for slot in slot {
        let fault = slot.take().unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Misuse);
    }
    assert_eq!(tally.counted().await.unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn arguments_that_panic_as_they_are_added_leave_nothing_in_the_batch() {
    let pair = Pair::memory().await;
    let book = Book::default();
    let tally = pair.serve("tally", TallyProxy::new(book.clone())).await;
    get_to_know(&tally).await;
    book.0.lock().unwrap().clear();
    let mut batch = Batch::new();
    let mut slots: Vec<_> = (1..4).map(|n| batch.add(tally.shy(Shy(n)))).collect();
    let added = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(batch.add(tally.shy(Shy(Shy::TERRIBLE))));
    }));
    assert!(added.is_err());
    slots.extend((4..7).map(|n| batch.add(tally.shy(Shy(n)))));
    batch.send().await.unwrap();
    assert!((1..7).eq(slots.into_iter().map(|slot| slot.take().unwrap())));
    assert!((1..7).eq(book.0.lock().unwrap().iter().copied()));
}

#[tokio::test]
async fn a_result_is_dropped_with_its_slot_and_outlives_its_batch() {
    let pair = Pair::tcp().await;
    let tally = pair.serve("tally", TallyProxy::new(Book::default())).await;
    let mut batch = Batch::new();
    let mut slots: Vec<_> = (0..4).map(|n| batch.add(tally.other(n))).collect();
    drop(slots.remove(0));
    batch.send().await.unwrap();
    drop(batch);
    assert!(slots.iter().all(Slot::is_ready));
    let last = slots.pop().unwrap();
    drop(slots);
    let other = last.take().unwrap();
    assert_eq!(other.add(1).await.unwrap(), 5);
    drop((other, tally));
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_batch_of_runs_that_is_cut_anywhere_runs_once() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let network = Network::before(&daemon).await;
    let book = Book::default();
    daemon
        .register("tally", TallyProxy::new(book.clone()))
        .unwrap();
    let mut random = Random(0x0bad_cafe_1234_5678);
    let mut cut = 0;
    for round in 0..80 {
        // Behind the first flight, at which a session begins that outlives its connection.
        network.cut_at([Cut {
            to_daemon: round % 2 == 0,
            after: random.below(3500) + 500,
        }]);
        let connections = network.connections();
        let client = Client::builder().build();
        let tally: TallyProxy = client.connect(network.uri("tally")).await.unwrap();
        tally.add(0).await.unwrap();
        book.0.lock().unwrap().clear();
        let mut batch = Batch::new();
        let slots: Vec<_> = (0..600).map(|n| batch.add(tally.add(n))).collect();
        batch.send().await.unwrap();
        for (count, slot) in (1..).zip(slots) {
            assert_eq!(slot.take().unwrap(), count, "round {round}");
        }
        assert!(
            (0..600).eq(book.0.lock().unwrap().drain(..)),
            "round {round}"
        );
        cut += usize::from(network.connections() > connections + 1);
        network.mend();
    }
    assert!(cut > 40, "{cut} of 80");
}

#[tokio::test]
async fn arguments_that_cannot_be_encoded_fail_when_it_is_their_turn() {
    let pair = Pair::memory().await;
    let book = Book::default();
    let tally = pair.serve("tally", TallyProxy::new(book.clone())).await;
    let mut batch = Batch::new();
    let slots: Vec<_> = (10..16).map(|n| batch.add(tally.shy(Shy(n)))).collect();
    let fault = batch.send().await.unwrap_err();
    assert_fault(&fault, FaultKind::Unencodable, Outcome::NotStarted);
    let kinds = slots.into_iter().map(|slot| match slot.take() {
        Ok(_) => None,
        Err(fault) => Some(fault.kind()),
    });
    let skipped = Some(FaultKind::Skipped);
    let unencodable = Some(FaultKind::Unencodable);
    assert!(kinds.eq([None, None, None, unencodable, skipped, skipped]));
    assert_eq!(*book.0.lock().unwrap(), [10, 11, 12]);
}
