//! Two processes that talk to each other, under many schedules: the tasks that read and write on both sides, and those of
//! the application.
//!
//! No time passes. So whoever is not woken waits for ever, which shuttle notices.

use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use farref_proto::{Limits, TableSizes};
use futures_core::Stream;
use shuttle::future::{self, JoinHandle};
use shuttle::rand::{Rng, thread_rng};
use tokio::runtime::Builder;

use crate::daemon_object::DaemonObjectProxy;
use crate::prelude::*;
use crate::sync::{Mutex, under_schedules};
use crate::{Batch, FaultKind, Shutdown, testing};

/// How many of each kind a test runs under; there are two.
const SCHEDULES: usize = 200;
/// How many round trips the books get to empty themselves.
const ROUND_TRIPS: usize = 50;
/// How many turns the tasks of a schedule get at its end.
const TURNS: usize = 500;

#[expose(crate = crate)]
trait Counter {
    fn double(&self, number: u32) -> u32;
    /// Waits for ever.
    async fn wait(&self);
    #[oneway]
    fn note(&self, number: u32);
    fn noted(&self) -> Vec<u32>;
    /// One of many.
    fn another(&self) -> CounterProxy;
    /// The same one, each time.
    fn same(&self) -> CounterProxy;
    /// What that one says.
    async fn ask(&self, other: CounterProxy, number: u32) -> u32;
    /// The numbers below this one.
    fn below(&self, end: u32) -> impl Stream<Item = u32>;
    #[signal]
    fn ticked(&self) -> &Signal<u32>;
    /// Tells this to who listens.
    async fn tick(&self, number: u32);
}

#[derive(Default)]
struct Abacus {
    noted: Mutex<Vec<u32>>,
    shared: Option<Arc<Abacus>>,
    ticked: Signal<u32>,
}

impl Abacus {
    fn new() -> Self {
        Abacus {
            noted: Mutex::default(),
            shared: Some(Arc::default()),
            ticked: Signal::new(),
        }
    }
}

impl Counter for Abacus {
    fn double(&self, number: u32) -> u32 {
        2 * number
    }

    async fn wait(&self) {
        std::future::pending().await
    }

    fn note(&self, number: u32) {
        self.noted.lock().expect("nobody panics").push(number);
    }

    fn noted(&self) -> Vec<u32> {
        self.noted.lock().expect("nobody panics").clone()
    }

    fn another(&self) -> CounterProxy {
        CounterProxy::new(Abacus::default())
    }

    fn same(&self) -> CounterProxy {
        CounterProxy::shared(Arc::clone(self.shared.as_ref().expect("it has one")))
    }

    async fn ask(&self, other: CounterProxy, number: u32) -> u32 {
        other.double(number).await.expect("it is there")
    }

    fn below(&self, end: u32) -> impl Stream<Item = u32> {
        futures_util::stream::iter(0..end)
    }

    fn ticked(&self) -> &Signal<u32> {
        &self.ticked
    }

    async fn tick(&self, number: u32) {
        self.ticked.send(number).await.expect("nobody objects");
    }
}

/// A daemon with a counter, and a client of it.
struct Pair {
    network: testing::Pair,
    counter: CounterProxy,
    /// Keeps the session open.
    keeper: DaemonObjectProxy,
}

impl Pair {
    async fn new(limits: Limits) -> Self {
        let of_daemon = limits.clone();
        let pair = testing::Pair::with(
            move |daemon| daemon.limits(of_daemon.clone()),
            |client| client.limits(limits),
        );
        let network = pair.await.expect("nothing is wrong with it");
        let counter = CounterProxy::new(Abacus::new());
        Pair {
            counter: network.serve("counter", counter).await.expect("it is free"),
            keeper: network
                .client
                .connect(&network.daemon.uris()[0])
                .await
                .expect("it is there"),
            network,
        }
    }

    /// Has the connection break when so many more bytes have been sent one way or the other, as the schedule chooses.
    fn cut_somewhere(&self) {
        let mut random = thread_rng();
        let from = match random.gen_bool(0.5) {
            true => self.network.client_host(),
            false => self.network.daemon_host(),
        };
        let bytes = random.gen_range(0..200);
        self.network.link().cut_after(from, bytes);
    }

    /// A round trip, before which each task has a turn: also one that comes last in a schedule, such as a handler that is
    /// cancelled.
    async fn barrier(&self) {
        future::yield_now().await;
        self.keeper.ping().await.expect("it is there");
    }

    /// Waits until nothing is left on either side but the two proxies of this.
    async fn at_baseline(&self) {
        for _ in 0..ROUND_TRIPS {
            self.barrier().await;
            let books = [self.network.client.peers(), self.network.daemon.peers()]
                .map(|peers| peers[0].tables());
            if books.iter().all(is_empty) && books[0].imports == 2 && books[1].aliases == 2 {
                return;
            }
        }
        panic!(
            "{:?}, {:?}",
            self.network.client.peers()[0].tables(),
            self.network.daemon.peers()[0].tables()
        );
    }
}

fn is_empty(books: &TableSizes) -> bool {
    let calls = books.calls_out + books.calls_in;
    let streams = books.streams_out + books.streams_in;
    let promises = books.promises_out + books.promises_in;
    calls + streams + promises + books.exports == 0
}

/// Has the two do this, under so many schedules of each kind.
fn with_session(
    schedules: usize,
    limits: fn() -> Limits,
    run: impl AsyncFn(&Pair) + Send + Sync + Copy + 'static,
) {
    // Its time stands still, and it runs no task.
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    // Not dropped, since it would wake those whom a schedule that failed has left.
    let runtime = ManuallyDrop::new(runtime.expect("there is memory"));
    let _entered = runtime.enter();
    under_schedules(schedules, move || {
        future::block_on(async {
            let pair = Pair::new(limits()).await;
            run(&pair).await;
            // A schedule must not end while a task holds a lock that the end of another needs.
            for _ in 0..TURNS {
                future::yield_now().await;
            }
        });
    });
}

/// The same, for as many as each test has time for, and looks whether anything is left.
fn with_pair(limits: fn() -> Limits, run: impl AsyncFn(&Pair) + Send + Sync + Copy + 'static) {
    with_session(SCHEDULES, limits, async move |pair| {
        run(pair).await;
        pair.at_baseline().await;
    });
}

/// Room for so many calls.
fn calls<const COUNT: u32>() -> Limits {
    let mut limits = Limits::default();
    limits.calls = COUNT;
    limits
}

/// A session ends with its connection. It would last until time has passed.
fn no_linger() -> Limits {
    let mut limits = Limits::default();
    limits.linger = std::time::Duration::ZERO;
    limits
}

async fn all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) {
    for task in tasks {
        task.await.expect("nobody ends it");
    }
}

/// Doubles these numbers.
fn doubling(counter: &CounterProxy, numbers: [u32; 2]) -> JoinHandle<()> {
    let counter = counter.clone();
    future::spawn(async move {
        for number in numbers {
            let doubled = counter.double(number).await;
            assert_eq!(doubled.expect("it is there"), 2 * number);
        }
    })
}

/// Takes a stream to its end.
fn counting(counter: &CounterProxy) -> JoinHandle<()> {
    const END: u32 = 40;
    let counter = counter.clone();
    future::spawn(async move {
        let mut numbers = counter.below(END);
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number.expect("it is there");
        }
        assert_eq!(sum, END * (END - 1) / 2);
    })
}

/// Takes the first few items of a long stream.
fn leaving(counter: &CounterProxy) -> JoinHandle<()> {
    let counter = counter.clone();
    future::spawn(async move {
        let mut numbers = counter.below(1_000_000);
        for number in 0..3 {
            let next = numbers.next().await.expect("it goes on");
            assert_eq!(next.expect("it is there"), number);
        }
    })
}

#[test]
fn each_caller_gets_its_own_answer() {
    with_pair(Limits::default, async |pair| {
        all([[1, 2], [3, 4], [5, 6]].map(|numbers| doubling(&pair.counter, numbers))).await;
    });
}

#[test]
fn callers_wait_for_room_in_turn() {
    with_pair(calls::<1>, async |pair| {
        let leaving = pair.counter.clone();
        let leaving = future::spawn(async move { leaving.double(7).await });
        let callers = [[1, 2], [3, 4]].map(|numbers| doubling(&pair.counter, numbers));
        leaving.abort();
        all(callers).await;
    });
}

#[test]
fn a_call_that_is_given_up_leaves_nothing() {
    with_pair(Limits::default, async |pair| {
        let waiting = pair.counter.clone();
        let waiting = future::spawn(async move { waiting.wait().await });
        let answered = pair.counter.clone();
        let answered = future::spawn(async move { answered.double(1).await });
        let staying = doubling(&pair.counter, [2, 3]);
        waiting.abort();
        answered.abort();
        all([staying]).await;
    });
}

#[test]
fn oneways_come_in_their_order_and_give_their_room_back() {
    with_pair(calls::<2>, async |pair| {
        let staying = doubling(&pair.counter, [2, 3]);
        for number in 1..5 {
            pair.counter.note(number).await.expect("it is there");
        }
        let noted = pair.counter.noted().await.expect("it is there");
        assert_eq!(noted, [1, 2, 3, 4]);
        all([staying]).await;
    });
}

#[test]
fn what_is_dropped_while_it_is_sent_again_stays_alive() {
    with_pair(Limits::default, async |pair| {
        let tasks = [1, 2].map(|number| {
            let counter = pair.counter.clone();
            future::spawn(async move {
                for _ in 0..2 {
                    let shared = counter.same().await.expect("it is there");
                    let doubled = shared.double(number).await;
                    assert_eq!(doubled.expect("it is there"), 2 * number);
                }
            })
        });
        all(tasks).await;
    });
}

#[test]
fn callbacks_are_answered_while_their_callers_wait() {
    with_pair(Limits::default, async |pair| {
        let tasks = [1, 2].map(|number| {
            let counter = pair.counter.clone();
            let own = CounterProxy::new(Abacus::default());
            future::spawn(async move {
                let asked = counter.ask(own, number).await;
                assert_eq!(asked.expect("it is there"), 2 * number);
            })
        });
        all(tasks).await;
    });
}

#[test]
fn calls_on_what_was_promised_are_answered() {
    with_pair(Limits::default, async |pair| {
        let tasks = [1, 2].map(|number| {
            let counter = pair.counter.clone();
            future::spawn(async move {
                let promised = counter.another().pipeline();
                let (first, second) = (promised.double(number), promised.double(number + 1));
                assert_eq!(first.await.expect("it is there"), 2 * number);
                assert_eq!(second.await.expect("it is there"), 2 * number + 2);
            })
        });
        let dropped = pair.counter.another().pipeline();
        let polled = std::future::poll_fn(|cx| Poll::Ready(pin!(dropped.double(1)).poll(cx)));
        drop(polled.await);
        drop(dropped);
        all(tasks).await;
    });
}

#[test]
fn a_connection_that_is_cut_is_replaced_at_once() {
    // What goes wrong here does so in one of some thousands.
    with_session(5 * SCHEDULES, Limits::default, async |pair| {
        pair.network.link().cut();
        pair.keeper.ping().await.expect("it is there");
    });
}

#[test]
fn calls_are_answered_although_their_connection_is_cut() {
    with_pair(Limits::default, async |pair| {
        pair.cut_somewhere();
        let callers = [[1, 2], [3, 4]].map(|numbers| doubling(&pair.counter, numbers));
        let shared = pair.counter.same().await.expect("it is there");
        all([doubling(&shared, [5, 6])]).await;
        drop(shared);
        all(callers).await;
    });
}

#[test]
fn batches_are_answered_whole() {
    with_pair(calls::<3>, async |pair| {
        let tasks = [1, 2].map(|number| {
            let counter = pair.counter.clone();
            future::spawn(async move {
                let mut batch = Batch::new();
                let doubled = [number, number + 10].map(|number| batch.add(counter.double(number)));
                batch.send().await.expect("it is there");
                for (doubled, number) in doubled.into_iter().zip([number, number + 10]) {
                    assert_eq!(doubled.take().expect("it was answered"), 2 * number);
                }
            })
        });
        all(tasks).await;
    });
}

#[test]
fn streams_end_or_are_left() {
    with_pair(Limits::default, async |pair| {
        all([counting(&pair.counter), leaving(&pair.counter)]).await;
    });
}

#[test]
fn streams_go_on_although_their_connection_is_cut() {
    with_pair(Limits::default, async |pair| {
        pair.cut_somewhere();
        let consumers = [counting(&pair.counter), leaving(&pair.counter)];
        all(consumers).await;
    });
}

#[test]
fn who_subscribes_hears_what_follows_until_it_leaves() {
    with_pair(Limits::default, async |pair| {
        let ticks = pair.counter.ticked().subscribe().await;
        let mut ticks = ticks.expect("it is there");
        let counter = pair.counter.clone();
        let ticking = future::spawn(async move {
            for number in 1..4 {
                counter.tick(number).await.expect("it is there");
            }
        });
        for number in 1..3 {
            assert_eq!(*ticks.next().await.expect("it goes on"), number);
        }
        drop(ticks);
        all([ticking]).await;
    });
}

/// Has callers call while a daemon ends.
fn call_while_it_ends(how: Shutdown) {
    const ENDED: [FaultKind; 3] = [
        FaultKind::SessionLost,
        FaultKind::ConnectFailed,
        FaultKind::ShuttingDown,
    ];
    with_session(SCHEDULES, no_linger, async move |pair| {
        let callers = [1, 2].map(|number| {
            let counter = pair.counter.clone();
            future::spawn(async move {
                for _ in 0..2 {
                    match counter.double(number).await {
                        Ok(doubled) => assert_eq!(doubled, 2 * number),
                        Err(fault) => assert!(ENDED.contains(&fault.kind()), "{fault:?}"),
                    }
                }
            })
        });
        pair.network.daemon.shutdown(how).await;
        all(callers).await;
    });
}

#[test]
fn nobody_waits_for_a_session_that_has_ended() {
    call_while_it_ends(Shutdown::Abort);
}

#[test]
fn a_daemon_drains_while_it_is_called() {
    call_while_it_ends(Shutdown::default());
}

#[test]
fn a_session_that_one_stops_using_serves_the_next() {
    with_pair(Limits::default, async |pair| {
        let uri = &pair.network.daemon.uris()[0];
        let client = Client::builder().build();
        let tasks = [(), ()].map(|()| {
            let (client, uri) = (client.clone(), uri.clone());
            future::spawn(async move {
                for _ in 0..2 {
                    let keeper: DaemonObjectProxy =
                        client.connect(&uri).await.expect("it is there");
                    keeper.ping().await.expect("it is there");
                }
            })
        });
        all(tasks).await;
        for _ in 0..ROUND_TRIPS {
            pair.barrier().await;
            if pair.network.daemon.peers().len() == 1 && client.peers().is_empty() {
                return;
            }
        }
        panic!("{:?}, {:?}", client.peers(), pair.network.daemon.peers());
    });
}
