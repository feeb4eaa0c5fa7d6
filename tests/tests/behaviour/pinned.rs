//! Objects that stay on one thread: they need not be `Send`, and calls come to them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread::ThreadId;

use farref::prelude::*;
use farref::{FaultKind, Outcome};
use tokio::sync::{mpsc, oneshot};

use crate::support::{Pair, assert_fault};

#[expose(local)]
trait Widget {
    async fn draw(&self, text: &str) -> u32;
    async fn drawn(&self) -> Vec<String>;
    async fn thread(&self) -> String;
    async fn fail(&self) -> Result<(), String>;
    async fn panic(&self);
    async fn wait(&self);
    #[oneway]
    async fn tell(&self, text: String);
    async fn call_back(&self, other: WidgetProxy) -> u32;
}

/// Not `Send`, as a GUI's objects are not.
struct Label {
    drawn: Rc<RefCell<Vec<String>>>,
    count: Cell<u32>,
    dropped: mpsc::UnboundedSender<&'static str>,
}

impl Label {
    fn new() -> (Self, mpsc::UnboundedReceiver<&'static str>) {
        let (dropped, receiver) = mpsc::unbounded_channel();
        (
            Label {
                drawn: Rc::default(),
                count: Cell::new(0),
                dropped,
            },
            receiver,
        )
    }
}

struct OnDrop(mpsc::UnboundedSender<&'static str>, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        let _ = self.dropped.send("object");
    }
}

impl LocalWidget for Label {
    async fn draw(&self, text: &str) -> u32 {
        // An `Rc` is held over an await: the future is not `Send` either.
        let drawn = Rc::clone(&self.drawn);
        tokio::task::yield_now().await;
        drawn.borrow_mut().push(text.to_owned());
        self.count.set(self.count.get() + 1);
        self.count.get()
    }
    async fn drawn(&self) -> Vec<String> {
        self.drawn.borrow().clone()
    }
    async fn thread(&self) -> String {
        format!("{:?}", std::thread::current().id())
    }
    async fn fail(&self) -> Result<(), String> {
        Err("as the test wants it".into())
    }
    async fn panic(&self) {
        panic!("the password is swordfish");
    }
    async fn wait(&self) {
        let _dropped = OnDrop(self.dropped.clone(), "handler");
        self.dropped.send("waiting").unwrap();
        std::future::pending().await
    }
    async fn tell(&self, text: String) {
        self.drawn.borrow_mut().push(text);
    }
    async fn call_back(&self, other: WidgetProxy) -> u32 {
        other.draw("called back").await.unwrap()
    }
}

/// A thread with a widget, as a GUI has one.
struct Gui {
    widget: WidgetProxy,
    thread: ThreadId,
    events: mpsc::UnboundedReceiver<&'static str>,
    quit: Option<oneshot::Sender<()>>,
    handle: Option<std::thread::JoinHandle<()>>,
}

impl Gui {
    async fn start() -> Self {
        let (made, receive) = oneshot::channel();
        let (quit, is_quit) = oneshot::channel::<()>();
        let handle = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                let (label, events) = Label::new();
                let widget = WidgetProxy::pinned(label);
                made.send((widget, std::thread::current().id(), events))
                    .ok()
                    .unwrap();
                let _ = is_quit.await;
            });
        });
        let (widget, thread, events) = receive.await.unwrap();
        Gui {
            widget,
            thread,
            events,
            quit: Some(quit),
            handle: Some(handle),
        }
    }

    fn quit(&mut self) {
        drop(self.quit.take());
        if let Some(handle) = self.handle.take() {
            handle.join().unwrap();
        }
    }
}

impl Drop for Gui {
    fn drop(&mut self) {
        self.quit();
    }
}

#[tokio::test]
async fn calls_from_another_thread_and_from_far_run_on_the_objects_thread() {
    let gui = Gui::start().await;
    let pair = Pair::tcp().await;
    let far = pair.serve("widget", gui.widget.clone()).await;
    assert_ne!(gui.thread, std::thread::current().id());
    for (n, widget) in (1..).zip([&gui.widget, &far]) {
        assert_eq!(widget.draw("x").await.unwrap(), n);
        assert_eq!(widget.thread().await.unwrap(), format!("{:?}", gui.thread));
        assert!(
            matches!(widget.fail().await, Err(CallError::App(error)) if error == "as the test wants it")
        );
    }
    drop(far);
    pair.at_baseline().await;
}

#[tokio::test]
async fn calls_of_a_pinned_object_start_in_order_and_may_interleave() {
    let gui = Gui::start().await;
    let pair = Pair::tcp().await;
    let far = pair.serve("widget", gui.widget.clone()).await;
    for n in 0..50 {
        far.tell(n.to_string()).await.unwrap();
    }
    let expected: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(far.drawn().await.unwrap(), expected);
}

#[tokio::test]
async fn a_panic_of_a_pinned_object_is_contained() {
    let gui = Gui::start().await;
    let pair = Pair::tcp().await;
    let far = pair.serve("widget", gui.widget.clone()).await;
    for widget in [&gui.widget, &far] {
        let fault = widget.panic().await.unwrap_err();
        assert_fault(&fault, FaultKind::Panicked, Outcome::Ran);
        assert!(!format!("{fault:?}").contains("swordfish"));
        widget.draw("x").await.unwrap();
    }
}

#[tokio::test]
async fn giving_up_drops_the_handler_on_its_own_thread() {
    let mut gui = Gui::start().await;
    let pair = Pair::tcp().await;
    let far = pair.serve("widget", gui.widget.clone()).await;
    for widget in [gui.widget.clone(), far] {
        let call = tokio::spawn(async move { widget.wait().await });
        assert_eq!(gui.events.recv().await, Some("waiting"));
        call.abort();
        assert_eq!(gui.events.recv().await, Some("handler"));
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_pinned_object_calls_back_and_is_passed_on() {
    let gui = Gui::start().await;
    let pair = Pair::tcp().await;
    let far = pair.serve("widget", gui.widget.clone()).await;
    let mine = Gui::start().await;
    assert_eq!(far.call_back(mine.widget.clone()).await.unwrap(), 1);
    assert_eq!(mine.widget.drawn().await.unwrap(), ["called back"]);
    drop(far);
    pair.at_baseline().await;
}

#[tokio::test]
async fn an_object_is_dropped_with_its_last_proxy() {
    let mut gui = Gui::start().await;
    let pair = Pair::tcp().await;
    let far = pair.serve("widget", gui.widget.clone()).await;
    // The far proxy is all that is left.
    gui.widget = far;
    assert!(pair.daemon.unregister("widget"));
    assert_eq!(gui.widget.draw("x").await.unwrap(), 1);
    gui.widget.disconnect();
    pair.at_baseline().await;
    assert_eq!(gui.events.recv().await, Some("object"));
}

#[tokio::test]
async fn a_thread_that_ended_is_a_stale_reference() {
    let mut gui = Gui::start().await;
    gui.quit();
    let fault = gui.widget.draw("x").await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::StaleReference);
}

#[expose(local)]
trait Exclusive {
    async fn add(&mut self, n: u32) -> u32;
}

impl LocalExclusive for Rc<Cell<u32>> {
    async fn add(&mut self, n: u32) -> u32 {
        let before = self.get();
        tokio::task::yield_now().await;
        self.set(before + n);
        self.get()
    }
}

#[tokio::test]
async fn a_pinned_object_with_mut_self_is_served_one_call_at_a_time() {
    tokio::task::LocalSet::new().run_until(add_at_once()).await;
}

async fn add_at_once() {
    let total = Rc::new(Cell::new(0));
    let exclusive = ExclusiveProxy::pinned(Rc::clone(&total));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let exclusive = exclusive.clone();
            tokio::spawn(async move { exclusive.add(2).await.unwrap() })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(total.get(), 40);
}
