//! Programs without async: threads that wait, and serve what is pinned to them while they do.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

use farref::prelude::*;
use farref::{FaultKind, Outcome, blocking};
use tokio::sync::{Notify, oneshot};

use crate::support::{assert_fault, memory_uri};

#[expose]
trait Clerk {
    fn add(&self, a: u32, b: u32) -> u32;
    async fn divide(&self, a: u32, b: u32) -> Result<u32, String>;
    async fn for_ever(&self);
    #[oneway]
    fn note(&self, text: String);
    async fn report_to(&self, inspector: InspectorProxy) -> Result<u32, Refused>;
    /// Waits where it must not.
    async fn wait_for(&self, other: ClerkProxy) -> Result<u32, Refused>;
    /// Waits where it may.
    #[blocking]
    fn wait_apart(&self, other: ClerkProxy) -> Result<u32, Refused>;
}

#[expose(local)]
trait Inspector {
    fn thread(&self) -> String;
    fn panic(&self);
    async fn wait(&self);
}

/// A fault, as it travels inside a method's own error.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Refused(String, String);

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let kind = format!("{:?} {:?}", fault.kind(), fault.outcome());
        Refused(kind, fault.to_string())
    }
}

struct Desk(mpsc::Sender<String>);

impl Desk {
    fn proxy() -> (ClerkProxy, mpsc::Receiver<String>) {
        let (notes, received) = mpsc::channel();
        (ClerkProxy::new(Desk(notes)), received)
    }
}

impl Clerk for Desk {
    fn add(&self, a: u32, b: u32) -> u32 {
        if let Some(context) = CallContext::current() {
            context.set_reply_annotation("carried", "nothing");
        }
        a + b
    }
    async fn divide(&self, a: u32, b: u32) -> Result<u32, String> {
        a.checked_div(b).ok_or_else(|| "by nothing".to_owned())
    }
    async fn for_ever(&self) {
        std::future::pending().await
    }
    fn note(&self, text: String) {
        self.0.send(text).unwrap();
    }
    async fn report_to(&self, inspector: InspectorProxy) -> Result<u32, Refused> {
        for n in 0..3 {
            self.0.send(inspector.thread().await?).unwrap();
            if n == 1 {
                tokio::task::yield_now().await;
            }
        }
        Ok(3)
    }
    async fn wait_for(&self, other: ClerkProxy) -> Result<u32, Refused> {
        Ok(other.add(1, 2).wait()?)
    }
    fn wait_apart(&self, other: ClerkProxy) -> Result<u32, Refused> {
        Ok(other.add(1, 2).wait()?)
    }
}

/// Not `Send`.
struct Badge(Rc<Cell<u32>>);

impl LocalInspector for Badge {
    fn thread(&self) -> String {
        self.0.set(self.0.get() + 1);
        this_thread()
    }
    fn panic(&self) {
        panic!("as the test wants it");
    }
    async fn wait(&self) {
        std::future::pending().await
    }
}

fn this_thread() -> String {
    format!("{:?}", std::thread::current().id())
}

/// A daemon with a clerk, and a far proxy to it.
fn far_clerk() -> (Daemon, ClerkProxy, mpsc::Receiver<String>) {
    let daemon = blocking::bind("far://127.0.0.1:0").unwrap();
    let (clerk, notes) = Desk::proxy();
    let uri = daemon.register("clerk", clerk).unwrap();
    (daemon, blocking::connect(&uri).unwrap(), notes)
}

#[test]
fn a_program_without_async_serves_and_calls() {
    let (daemon, clerk, notes) = far_clerk();
    assert!(!clerk.is_near());
    assert_eq!(clerk.add(1, 2).wait().unwrap(), 3);
    assert_eq!(clerk.divide(7, 2).wait().unwrap(), 3);
    assert_eq!(
        clerk.divide(7, 0).wait().unwrap_err().app().unwrap(),
        "by nothing"
    );
    clerk.note("hello".to_owned()).wait().unwrap();
    assert_eq!(notes.recv().unwrap(), "hello");
    clerk.add(0, 0).oneway().wait().unwrap();
    let (sum, annotations) = clerk.add(2, 2).with_annotations().wait();
    assert_eq!(sum.unwrap(), 4);
    assert_eq!(annotations.len(), 1);

    let fault = clerk.for_ever().timeout(Duration::from_millis(5)).wait();
    assert_fault(
        &fault.unwrap_err(),
        FaultKind::DeadlineExceeded,
        Outcome::Unknown,
    );
    blocking::wait(daemon.shutdown(Shutdown::default())).unwrap();
    assert!(clerk.add(1, 2).wait().is_err());
    // Whoever comes new knows nothing of the old session.
    let fresh: ClerkProxy = Client::new().lazy(clerk.uri().unwrap().clone()).unwrap();
    let fault = fresh.add(1, 2).wait().unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
}

#[test]
fn near_calls_are_waited_for_too() {
    let (clerk, notes) = Desk::proxy();
    assert_eq!(clerk.add(1, 2).wait().unwrap(), 3);
    // This one goes through a queue and a task.
    clerk.note("near".to_owned()).wait().unwrap();
    assert_eq!(notes.recv().unwrap(), "near");
}

#[test]
fn connecting_to_nobody_is_an_error() {
    let fault = blocking::connect::<ClerkProxy>(memory_uri()).unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
}

/// Whatever waits is refused here, and polls nothing.
fn assert_misuse(clerk: &ClerkProxy) {
    let polled = Rc::new(Cell::new(false));
    let faults = [
        clerk.add(1, 2).wait().unwrap_err(),
        clerk.note("never".to_owned()).wait().unwrap_err(),
        clerk.add(1, 2).with_annotations().wait().0.unwrap_err(),
        blocking::wait(async { polled.set(true) }).unwrap_err(),
        blocking::connect::<ClerkProxy>(memory_uri()).unwrap_err(),
        blocking::bind(memory_uri()).unwrap_err(),
        blocking::poll_once().unwrap_err(),
    ];
    for fault in faults {
        assert_fault(&fault, FaultKind::Misuse, Outcome::NotStarted);
        assert!(fault.to_string().contains(".await"), "{fault}");
    }
    assert!(!polled.get());
}

#[tokio::test]
async fn waiting_on_a_thread_that_drives_a_runtime_is_an_error_at_once() {
    let (clerk, notes) = Desk::proxy();
    assert_misuse(&clerk);
    let local = tokio::task::LocalSet::new();
    local.run_until(async { assert_misuse(&clerk) }).await;
    let spawned = clerk.clone();
    tokio::spawn(async move { assert_misuse(&spawned) })
        .await
        .unwrap();
    assert!(notes.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn waiting_on_a_worker_is_an_error_too() {
    let (clerk, _notes) = Desk::proxy();
    tokio::spawn(async move { assert_misuse(&clerk) })
        .await
        .unwrap();
}

#[test]
fn a_handler_may_wait_only_where_it_may_block() {
    let (_daemon, clerk, _notes) = far_clerk();
    let (mine, _notes) = Desk::proxy();
    for clerk in [&clerk, &mine] {
        assert_eq!(clerk.wait_apart(mine.clone()).wait().unwrap(), 3);
    }
    let Err(CallError::App(refused)) = clerk.wait_for(mine.clone()).wait() else {
        panic!("it waits on the thread in the background");
    };
    assert_eq!(refused.0, "Misuse NotStarted");
    // This handler is polled by the thread that waits, which may wait again.
    assert_eq!(mine.wait_for(clerk.clone()).wait().unwrap(), 3);
}

#[tokio::test]
async fn threads_of_an_async_program_may_wait() {
    let daemon = Daemon::bind("far://127.0.0.1:0").await.unwrap();
    let (clerk, _notes) = Desk::proxy();
    let uri = daemon.register("clerk", clerk).unwrap();
    let clerk: ClerkProxy = farref::connect(&uri).await.unwrap();
    let waits = {
        let clerk = clerk.clone();
        move || clerk.add(1, 2).wait().unwrap()
    };
    assert_eq!(tokio::task::spawn_blocking(waits).await.unwrap(), 3);
    let (done, is_done) = oneshot::channel();
    std::thread::spawn(move || done.send(clerk.add(2, 2).wait().unwrap()));
    assert_eq!(is_done.await.unwrap(), 4);
}

#[test]
fn a_callback_runs_on_the_thread_that_waits_for_the_call() {
    let (_daemon, clerk, notes) = far_clerk();
    let count = Rc::new(Cell::new(0));
    let inspector = InspectorProxy::pinned(Badge(Rc::clone(&count)));
    assert_eq!(clerk.report_to(inspector.clone()).wait().unwrap(), 3);
    assert_eq!(count.get(), 3);
    let threads: HashSet<_> = notes.try_iter().collect();
    assert_eq!(threads, HashSet::from([this_thread()]));

    // Its own thread calls it, too; and its panic is its caller's.
    assert_eq!(inspector.thread().wait().unwrap(), this_thread());
    let fault = inspector.panic().wait().unwrap_err();
    assert_fault(&fault, FaultKind::Panicked, Outcome::Ran);
    assert_eq!(inspector.thread().wait().unwrap(), this_thread());
}

#[test]
fn an_object_is_dropped_by_its_own_thread_when_that_thread_looks() {
    let count = Rc::new(Cell::new(0));
    let inspector = InspectorProxy::pinned(Badge(Rc::clone(&count)));
    std::thread::spawn(move || drop(inspector)).join().unwrap();
    assert_eq!(Rc::strong_count(&count), 2);
    while blocking::poll_once().unwrap() {}
    assert_eq!(Rc::strong_count(&count), 1);
}

#[test]
fn a_thread_that_ended_is_a_stale_reference_and_its_session_ends() {
    thread_local! {
        static CLERK: RefCell<Option<ClerkProxy>> = const { RefCell::new(None) };
    }
    let (daemon, clerk, _notes) = far_clerk();
    let sessions = || daemon.peers().len();
    assert_eq!(sessions(), 1);
    let uri = clerk.uri().unwrap().clone();
    let thread = std::thread::spawn(move || {
        let shared: ClerkProxy = blocking::connect(&uri).unwrap();
        let own = shared.dedicated().unwrap();
        assert_eq!(own.add(1, 2).wait().unwrap(), 3);
        CLERK.set(Some(own));
        InspectorProxy::pinned(Badge(Rc::default()))
    });
    let inspector = thread.join().unwrap();
    let fault = inspector.thread().wait().unwrap_err();
    assert_fault(&fault, FaultKind::StaleReference, Outcome::NotStarted);
    // The other end reads of the goodbye after its own round trips.
    while sessions() > 1 {
        std::thread::yield_now();
    }
}

#[expose(local)]
trait Player {
    /// Returns the threads that were called, this one last.
    fn play(&self, other: PlayerProxy, me: PlayerProxy, more: u32) -> Result<Vec<String>, Refused>;
}

struct Table;

impl LocalPlayer for Table {
    fn play(&self, other: PlayerProxy, me: PlayerProxy, more: u32) -> Result<Vec<String>, Refused> {
        let mut threads = match more {
            0 => Vec::new(),
            // A handler that waits in the middle of serving, again and again on two stacks.
            _ => match other.play(me, other.clone(), more - 1).wait() {
                Ok(threads) => threads,
                Err(CallError::App(refused)) => return Err(refused),
                Err(CallError::Fault(fault)) => return Err(fault.into()),
            },
        };
        threads.push(this_thread());
        Ok(threads)
    }
}

/// Has another thread pin a player and serve it for as long as the sender lives.
fn player() -> (PlayerProxy, ThreadId, oneshot::Sender<()>) {
    let (made, receive) = mpsc::channel();
    let (stop, is_stopped) = oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        made.send(PlayerProxy::pinned(Table)).unwrap();
        let _ = blocking::wait(is_stopped).unwrap();
    });
    (receive.recv().unwrap(), thread.thread().id(), stop)
}

#[test]
fn two_threads_that_wait_call_each_other_to_any_depth() {
    let daemon = blocking::bind("far://127.0.0.1:0").unwrap();
    let (player, thread, _stop) = player();
    let uri = daemon.register("player", player).unwrap();
    let far: PlayerProxy = blocking::connect(&uri).unwrap();
    let mine = PlayerProxy::pinned(Table);

    let depth = farref::Limits::default().max_depth;
    let threads = far
        .play(mine.clone(), far.clone(), u32::from(depth) - 2)
        .wait()
        .unwrap();
    assert_eq!(threads.len(), usize::from(depth) - 1);
    let expected = [format!("{thread:?}"), this_thread()];
    for (called, expected) in threads.iter().rev().zip(expected.iter().cycle()) {
        assert_eq!(called, expected);
    }

    // Beyond the limit it is an error, which travels home through all of them.
    let Err(CallError::App(refused)) = far.play(mine, far.clone(), 1000).wait() else {
        panic!("there is a limit");
    };
    assert!(refused.0.ends_with("NotStarted"), "{refused:?}");
    assert!(refused.1.contains("deep"), "{refused:?}");
}

#[test]
fn a_thread_serves_only_while_it_waits_or_is_told_to() {
    let (wake, woken) = mpsc::channel();
    blocking::notify(move || wake.send(()).unwrap());
    let count = Rc::new(Cell::new(0));
    let inspector = InspectorProxy::pinned(Badge(Rc::clone(&count)));
    while blocking::poll_once().unwrap() {}
    while woken.try_recv().is_ok() {}
    let asked = std::thread::spawn(move || inspector.thread().wait());
    // It is told that there is something to do, and does nothing by itself.
    woken.recv().unwrap();
    assert!(!asked.is_finished());
    assert_eq!(count.get(), 0);
    while count.get() == 0 {
        assert!(blocking::poll_once().unwrap());
    }
    assert_eq!(asked.join().unwrap().unwrap(), this_thread());
}

#[test]
fn a_wait_has_an_end_and_drops_what_it_waited_for() {
    let kept = Rc::new(());
    let held = Rc::clone(&kept);
    let waited = blocking::wait_timeout(
        async move {
            std::future::pending::<()>().await;
            drop(held);
        },
        Duration::from_millis(5),
    );
    assert_fault(
        &waited.unwrap_err(),
        FaultKind::DeadlineExceeded,
        Outcome::Unknown,
    );
    assert_eq!(Rc::strong_count(&kept), 1);
    assert_eq!(
        blocking::wait_timeout(async { 7 }, Duration::MAX).unwrap(),
        7
    );
}

#[test]
fn giving_up_drops_the_handler_on_its_own_thread() {
    let inspector = InspectorProxy::pinned(Badge(Rc::default()));
    let fault = inspector
        .wait()
        .timeout(Duration::from_millis(5))
        .wait()
        .unwrap_err();
    assert_eq!(fault.kind(), FaultKind::DeadlineExceeded);
    assert_eq!(inspector.thread().wait().unwrap(), this_thread());
}

#[test]
fn tasks_of_a_thread_go_on_within_any_of_its_waits() {
    let steps = Rc::new(RefCell::new(Vec::new()));
    let go_on = Arc::new(Notify::new());
    blocking::spawn_local({
        let (steps, go_on) = (Rc::clone(&steps), Arc::clone(&go_on));
        async move {
            steps.borrow_mut().push("waits");
            // A wait within a task: the other one ends it.
            blocking::wait(go_on.notified()).unwrap();
            steps.borrow_mut().push("went on");
        }
    });
    blocking::spawn_local({
        let (steps, go_on) = (Rc::clone(&steps), Arc::clone(&go_on));
        async move {
            tokio::task::yield_now().await;
            steps.borrow_mut().push("tells");
            go_on.notify_one();
        }
    });
    blocking::spawn_local(async { panic!("as the test wants it") });
    while blocking::poll_once().unwrap() {}
    assert_eq!(*steps.borrow(), ["waits", "tells", "went on"]);
}

#[test]
fn a_task_that_is_woken_while_it_waits_is_polled_again() {
    let ended = Rc::new(Cell::new(false));
    let woken = Arc::new(AtomicBool::new(false));
    blocking::spawn_local({
        let (ended, woken) = (Rc::clone(&ended), Arc::clone(&woken));
        async move {
            std::future::poll_fn(|cx| {
                if woken.swap(true, Ordering::AcqRel) {
                    return std::task::Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                // The wait finds this task awake, and must not forget it.
                blocking::wait(tokio::task::yield_now()).unwrap();
                std::task::Poll::Pending
            })
            .await;
            ended.set(true);
        }
    });
    while blocking::poll_once().unwrap() {}
    assert!(ended.get());
}

#[test]
fn a_thread_that_serves_nobody_while_it_waits_refuses_what_would_wait_for_ever() {
    let (_daemon, clerk, _notes) = far_clerk();
    let inspector = InspectorProxy::pinned(Badge(Rc::default()));
    // The clerk asks this thread's inspector, which cannot look.
    let Err(CallError::App(refused)) = clerk.report_to(inspector.clone()).reentrant(false).wait()
    else {
        panic!("this thread serves nobody");
    };
    assert_eq!(refused.0, "WouldDeadlock NotStarted");
    assert!(
        refused.1.contains("`Inspector.thread`") && refused.1.contains("`Clerk.report_to`"),
        "{}",
        refused.1
    );
    // So does the thread itself.
    let fault = inspector.thread().reentrant(false).wait().unwrap_err();
    assert_fault(&fault, FaultKind::WouldDeadlock, Outcome::NotStarted);

    assert_eq!(clerk.add(1, 2).reentrant(false).wait().unwrap(), 3);
    assert_eq!(clerk.report_to(inspector.clone()).wait().unwrap(), 3);
    let again = clerk.report_to(inspector).reentrant(false).reentrant(true);
    assert_eq!(again.wait().unwrap(), 3);
}

#[test]
fn calls_of_others_come_in_when_the_thread_serves_again() {
    #[expose]
    trait Gate {
        async fn pass(&self);
    }
    struct Closed(Arc<Notify>, mpsc::Sender<()>);
    impl Gate for Closed {
        async fn pass(&self) {
            self.1.send(()).unwrap();
            self.0.notified().await;
        }
    }
    let daemon = blocking::bind("far://127.0.0.1:0").unwrap();
    let (opened, (entered, is_entered)) = (Arc::new(Notify::new()), mpsc::channel());
    let gate = GateProxy::new(Closed(Arc::clone(&opened), entered));
    let gate: GateProxy = blocking::connect(daemon.register("gate", gate).unwrap()).unwrap();

    let (wake, woken) = mpsc::channel();
    // Nobody listens any more once the thread is let go.
    blocking::notify(move || {
        let _ = wake.send(());
    });
    let count = Rc::new(Cell::new(0));
    let inspector = InspectorProxy::pinned(Badge(Rc::clone(&count)));
    while blocking::poll_once().unwrap() {}
    while woken.try_recv().is_ok() {}
    let other = std::thread::spawn(move || {
        is_entered.recv().unwrap();
        let asked = std::thread::spawn(move || inspector.thread().wait());
        // The call is at the door of the thread that waits; only now is the thread let go.
        woken.recv().unwrap();
        opened.notify_one();
        asked
    });
    gate.pass().reentrant(false).wait().unwrap();
    assert_eq!(count.get(), 0);
    while count.get() == 0 {
        assert!(blocking::poll_once().unwrap());
    }
    let asked = other.join().unwrap();
    assert_eq!(asked.join().unwrap().unwrap(), this_thread());
}

#[test]
fn two_threads_that_serve_nobody_and_call_each_other_find_out() {
    #[expose(local)]
    trait Stubborn {
        /// Calls the other, once both are here.
        fn meet(&self, other: StubbornProxy) -> Result<u32, Refused>;
        fn greet(&self) -> u32;
    }
    struct Party(Arc<std::sync::Barrier>);
    impl LocalStubborn for Party {
        fn meet(&self, other: StubbornProxy) -> Result<u32, Refused> {
            self.0.wait();
            Ok(other.greet().reentrant(false).wait()?)
        }
        fn greet(&self) -> u32 {
            1
        }
    }
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let parties = [(); 2].map(|()| {
        let (made, receive) = mpsc::channel();
        let (stop, is_stopped) = oneshot::channel::<()>();
        let barrier = Arc::clone(&barrier);
        std::thread::spawn(move || {
            made.send(StubbornProxy::pinned(Party(barrier))).unwrap();
            let _ = blocking::wait(is_stopped).unwrap();
        });
        (receive.recv().unwrap(), stop)
    });
    let [(one, _), (two, _)] = &parties;
    let first = {
        let (one, two) = (one.clone(), two.clone());
        std::thread::spawn(move || one.meet(two).wait())
    };
    let second = two.meet(one.clone()).wait();
    let results = [first.join().unwrap(), second];
    let refused = results
        .iter()
        .filter_map(|result| result.as_ref().err()?.app())
        .collect::<Vec<_>>();
    // One closes the circle and is refused; the other's way is free then, unless it came to the same end.
    assert!(!refused.is_empty(), "{results:?}");
    for refused in refused {
        assert_eq!(refused.0, "WouldDeadlock NotStarted");
    }
}
