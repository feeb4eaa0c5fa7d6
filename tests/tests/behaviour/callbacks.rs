//! Calls back on the same connection, to any depth up to the limit, in both directions.

use std::sync::Mutex;

use farref::prelude::*;
use farref::{FaultKind, Outcome};
use tokio::sync::mpsc;

use crate::support::{Pair, assert_fault};

#[expose]
trait Player {
    /// Plays on with the other until the depth is used up; returns how many calls there were.
    async fn play(&self, depth: u32, other: PlayerProxy) -> Result<u32, String>;
    async fn keep(&self, other: PlayerProxy);
    async fn forget(&self);
    async fn call_kept(&self) -> Result<u32, String>;
    async fn depth(&self) -> u16;
    /// Asks the process that calls for the object that it published under this name.
    async fn ask_caller(&self, name: &str) -> Result<u32, String>;
}

#[derive(Default)]
struct Machine(Mutex<Option<PlayerProxy>>);

impl Machine {
    fn proxy() -> PlayerProxy {
        PlayerProxy::new(Machine::default())
    }
}

impl Player for Machine {
    async fn play(&self, depth: u32, other: PlayerProxy) -> Result<u32, String> {
        if depth == 0 {
            return Ok(0);
        }
        match other.play(depth - 1, Machine::proxy()).await {
            Ok(n) => Ok(n + 1),
            Err(CallError::App(error)) => Err(error),
            Err(CallError::Fault(fault)) => {
                Err(format!("{:?} {:?}", fault.kind(), fault.outcome()))
            }
        }
    }
    async fn keep(&self, other: PlayerProxy) {
        *self.0.lock().unwrap() = Some(other);
    }
    async fn forget(&self) {
        let kept = self.0.lock().unwrap().take();
        drop(kept);
    }
    async fn call_kept(&self) -> Result<u32, String> {
        let kept = self.0.lock().unwrap().clone().ok_or("nothing was kept")?;
        kept.play(0, Machine::proxy())
            .await
            .map_err(|error| format!("{error:?}"))
    }
    async fn depth(&self) -> u16 {
        CallContext::current().unwrap().depth()
    }
    async fn ask_caller(&self, name: &str) -> Result<u32, String> {
        let caller: PlayerProxy = CallContext::current()
            .unwrap()
            .caller(name)
            .await
            .map_err(|fault| format!("{:?}", fault.kind()))?;
        caller
            .depth()
            .await
            .map(u32::from)
            .map_err(|fault| format!("{fault:?}"))
    }
}

#[tokio::test]
async fn calls_nest_in_both_directions_on_one_connection_and_one_thread() {
    let pair = Pair::tcp().await;
    let player = pair.serve("player", Machine::proxy()).await;
    for depth in [1, 2, 20] {
        assert_eq!(player.play(depth, Machine::proxy()).await.unwrap(), depth);
    }
    assert_eq!(
        (pair.client.peers().len(), pair.daemon.peers().len()),
        (1, 1)
    );
    drop(player);
    pair.at_baseline().await;
}

#[tokio::test]
async fn recursion_ends_at_the_limit_and_nothing_is_left_behind() {
    let pair = Pair::tcp().await;
    let player = pair.serve("player", Machine::proxy()).await;
    let error = player.play(1000, Machine::proxy()).await.unwrap_err();
    assert_eq!(error.app().unwrap(), "DepthExceeded NotStarted");
    assert_eq!(
        player.play(3, Machine::proxy()).await.unwrap(),
        3,
        "the session lives on"
    );
    drop(player);
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_limit_of_depth_is_configurable() {
    let mut limits = farref::Limits::default();
    limits.max_depth = 100;
    let pair = Pair::of(
        Daemon::builder().limits(limits.clone()),
        Client::builder().limits(limits),
    )
    .await;
    let player = pair.serve("player", Machine::proxy()).await;
    assert_eq!(player.play(100, Machine::proxy()).await.unwrap(), 100);
    let error = player.play(102, Machine::proxy()).await.unwrap_err();
    assert_eq!(error.app().unwrap(), "DepthExceeded NotStarted");
    drop(player);
    pair.at_baseline().await;
}

#[tokio::test]
async fn depth_counts_calls_across_processes() {
    let pair = Pair::tcp().await;
    let player = pair.serve("player", Machine::proxy()).await;
    assert_eq!(player.depth().await.unwrap(), 0);
    pair.client.publish("me", &Machine::proxy()).unwrap();
    assert_eq!(player.ask_caller("me").await.unwrap(), 1);
}

#[tokio::test]
async fn a_callback_that_is_kept_lives_until_it_is_dropped_and_is_called_later() {
    let pair = Pair::tcp().await;
    let player = pair.serve("player", Machine::proxy()).await;
    player.keep(Machine::proxy()).await.unwrap();
    assert_eq!(pair.client_tables().exports, 1);
    assert_eq!(player.call_kept().await.unwrap(), 0);
    player.forget().await.unwrap();
    drop(player);
    pair.at_baseline().await;
}

#[tokio::test]
async fn the_client_needs_no_listener_to_be_asked_for_its_objects() {
    let pair = Pair::tcp().await;
    let player = pair.serve("player", Machine::proxy()).await;
    let error = player.ask_caller("me").await.unwrap_err();
    assert_eq!(error.app().unwrap(), "NoSuchObject");
    pair.client.publish("me", &Machine::proxy()).unwrap();
    player.ask_caller("me").await.unwrap();
    // Either side drives: the daemon asks on its own account, too.
    let me: PlayerProxy = pair.daemon.peers()[0].object("me").await.unwrap();
    assert_eq!(me.play(1, Machine::proxy()).await.unwrap(), 1);
    assert!(pair.client.unpublish("me") && !pair.client.unpublish("me"));
    assert_eq!(
        me.depth().await.unwrap(),
        0,
        "a reference that is held lives on"
    );
    drop((me, player));
    pair.at_baseline().await;
}

/// All its methods are callbacks.
#[callback]
trait Listener {
    #[oneway]
    async fn told(&self, n: u32);
    async fn asked(&self, n: u32) -> Result<u32, String>;
}

struct Ear(mpsc::UnboundedSender<u32>);

impl Listener for Ear {
    async fn told(&self, n: u32) {
        self.0.send(n).unwrap();
    }
    async fn asked(&self, n: u32) -> Result<u32, String> {
        match n {
            0 => Err("as the test wants it".into()),
            1 => panic!("as the test wants it"),
            _ => Ok(n),
        }
    }
}

#[expose]
trait Caller {
    async fn subscribe(&self, listener: ListenerProxy);
    async fn tell_all(&self, n: u32) -> u32;
    async fn ask(&self, listener: ListenerProxy, n: u32) -> Result<u32, String>;
}

#[derive(Default)]
struct Server(Mutex<Vec<ListenerProxy>>);

impl Caller for Server {
    async fn subscribe(&self, listener: ListenerProxy) {
        self.0.lock().unwrap().push(listener);
    }
    async fn tell_all(&self, n: u32) -> u32 {
        let listeners = std::mem::take(&mut *self.0.lock().unwrap());
        let mut alive = Vec::new();
        for listener in listeners {
            if listener.told(n).await.is_ok() {
                alive.push(listener);
            }
        }
        let told = u32::try_from(alive.len()).unwrap();
        *self.0.lock().unwrap() = alive;
        told
    }
    async fn ask(&self, listener: ListenerProxy, n: u32) -> Result<u32, String> {
        listener.asked(n).await.map_err(|error| match error {
            CallError::App(error) => error,
            CallError::Fault(fault) => format!("{:?} {:?}", fault.kind(), fault.outcome()),
        })
    }
}

#[tokio::test]
async fn a_callbacks_error_and_panic_go_back_to_who_called_it() {
    let pair = Pair::tcp().await;
    let caller = pair
        .serve("caller", CallerProxy::new(Server::default()))
        .await;
    let (sender, _told) = mpsc::unbounded_channel();
    let listener = ListenerProxy::new(Ear(sender));
    assert!(ListenerProxy::DESCRIPTOR.callback);
    assert_eq!(caller.ask(listener.clone(), 2).await.unwrap(), 2);
    assert_eq!(
        caller
            .ask(listener.clone(), 0)
            .await
            .unwrap_err()
            .app()
            .unwrap(),
        "as the test wants it"
    );
    assert_eq!(
        caller
            .ask(listener.clone(), 1)
            .await
            .unwrap_err()
            .app()
            .unwrap(),
        "Panicked Ran"
    );
    assert_eq!(
        caller.ask(listener, 3).await.unwrap(),
        3,
        "the connection lives on"
    );
    drop(caller);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_list_of_listeners_drops_those_that_are_gone() {
    let pair = Pair::tcp().await;
    let caller = pair
        .serve("caller", CallerProxy::new(Server::default()))
        .await;
    let other = Client::new();
    let elsewhere: CallerProxy = other.connect(caller.uri().unwrap()).await.unwrap();
    let (sender, mut told) = mpsc::unbounded_channel();
    caller
        .subscribe(ListenerProxy::new(Ear(sender.clone())))
        .await
        .unwrap();
    elsewhere
        .subscribe(ListenerProxy::new(Ear(sender)))
        .await
        .unwrap();
    assert_eq!(caller.tell_all(1).await.unwrap(), 2);
    assert_eq!((told.recv().await, told.recv().await), (Some(1), Some(1)));
    other.close().await;
    while pair.daemon.peers().len() > 1 {
        pair.barrier().await;
    }
    assert_eq!(caller.tell_all(2).await.unwrap(), 1);
    assert_eq!(told.recv().await, Some(2));
}

#[tokio::test]
async fn one_slow_listener_delays_no_other() {
    let pair = Pair::tcp().await;
    let caller = pair
        .serve("caller", CallerProxy::new(Server::default()))
        .await;
    let (slow, mut slow_told) = mpsc::channel(1);
    let (sender, mut told) = mpsc::unbounded_channel();
    caller
        .subscribe(ListenerProxy::new(Slow(slow)))
        .await
        .unwrap();
    caller
        .subscribe(ListenerProxy::new(Ear(sender)))
        .await
        .unwrap();
    for n in 0..20 {
        assert_eq!(caller.tell_all(n).await.unwrap(), 2);
        assert_eq!(told.recv().await, Some(n));
    }
    for _ in 0..20 {
        slow_told.recv().await.unwrap();
    }
}

/// Takes one thing at a time.
struct Slow(mpsc::Sender<u32>);

impl Listener for Slow {
    async fn told(&self, n: u32) {
        self.0.send(n).await.unwrap();
    }
    async fn asked(&self, n: u32) -> Result<u32, String> {
        Ok(n)
    }
}

#[tokio::test]
async fn a_reference_to_a_listener_dies_with_its_session() {
    let pair = Pair::tcp().await;
    let server = std::sync::Arc::new(Server::default());
    let caller = pair
        .serve(
            "caller",
            CallerProxy::shared(std::sync::Arc::clone(&server)),
        )
        .await;
    let (sender, _told) = mpsc::unbounded_channel();
    caller
        .subscribe(ListenerProxy::new(Ear(sender)))
        .await
        .unwrap();
    let listener = server.0.lock().unwrap()[0].clone();
    assert_eq!(listener.asked(2).await.unwrap(), 2);
    pair.client.close().await;
    while !pair.daemon.peers().is_empty() {
        tokio::task::yield_now().await;
    }
    let error = listener.asked(2).await.unwrap_err();
    assert_fault(
        error.fault().unwrap(),
        FaultKind::StaleReference,
        Outcome::NotStarted,
    );
}
