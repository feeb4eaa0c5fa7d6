//! Callbacks run on the thread that waits for the call that brought them about, wherever their objects live.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use farref::prelude::*;
use farref::{blocking, chain};
use tokio::sync::Notify;

#[expose]
trait Talker {
    fn thread(&self) -> String;
    #[blocking]
    fn thread_for_blocking(&self) -> String;
    async fn thread_after_a_while(&self) -> String;
    fn panic(&self);
    async fn wait(&self);
    /// Waits until the one that waits has been given up.
    async fn given_up(&self);
    /// Says where it ends.
    async fn finish(&self);
    #[no_cancel]
    async fn finish_whatever_happens(&self);
}

/// Asks who is passed to it.
#[expose]
trait Host {
    async fn ask(&self, talker: TalkerProxy) -> Result<Vec<String>, String>;
    async fn ask_apart(&self, talker: TalkerProxy) -> Result<String, String>;
    async fn let_it_panic(&self, talker: TalkerProxy) -> String;
    /// Gives the talker up while it waits.
    async fn give_up(&self, talker: TalkerProxy) -> Result<(), String>;
    /// Returns while the talker is at it.
    async fn leave(&self, talker: TalkerProxy, whatever_happens: bool);
}

/// Calls back and forth.
#[expose]
trait Ball {
    #[blocking]
    fn bounce(&self, depth: u32, other: BallProxy) -> Result<u32, String>;
}

fn this_thread() -> String {
    format!("{:?}", std::thread::current().id())
}

#[derive(Clone, Default)]
struct Signs {
    begun: Arc<Notify>,
    go: Arc<Notify>,
}

struct Mouth {
    signs: Signs,
    said: mpsc::Sender<String>,
}

struct Says(mpsc::Sender<String>, Signs);
impl Drop for Says {
    fn drop(&mut self) {
        let _ = self.0.send(this_thread());
        self.1.go.notify_one();
    }
}

impl Talker for Mouth {
    fn thread(&self) -> String {
        this_thread()
    }
    fn thread_for_blocking(&self) -> String {
        this_thread()
    }
    async fn thread_after_a_while(&self) -> String {
        tokio::time::sleep(Duration::from_millis(1)).await;
        this_thread()
    }
    fn panic(&self) {
        panic!("as the test wants it");
    }
    async fn wait(&self) {
        let _says = Says(self.said.clone(), self.signs.clone());
        self.signs.begun.notify_one();
        std::future::pending().await
    }
    async fn given_up(&self) {
        self.signs.go.notified().await;
    }
    async fn finish(&self) {
        self.signs.begun.notify_one();
        self.signs.go.notified().await;
        self.said.send(this_thread()).unwrap();
    }
    async fn finish_whatever_happens(&self) {
        self.finish().await;
    }
}

struct Desk(Signs);

impl Host for Desk {
    async fn ask(&self, talker: TalkerProxy) -> Result<Vec<String>, String> {
        let text = |fault: Fault| fault.to_string();
        Ok(vec![
            talker.thread().await.map_err(text)?,
            talker.thread_for_blocking().await.map_err(text)?,
            talker.thread_after_a_while().await.map_err(text)?,
        ])
    }
    async fn ask_apart(&self, talker: TalkerProxy) -> Result<String, String> {
        let asked = tokio::spawn(async move { talker.thread().await });
        asked.await.unwrap().map_err(|fault| fault.to_string())
    }
    async fn let_it_panic(&self, talker: TalkerProxy) -> String {
        format!("{:?}", talker.panic().await.unwrap_err().kind())
    }
    async fn give_up(&self, talker: TalkerProxy) -> Result<(), String> {
        tokio::select! {
            ended = talker.wait() => return Err(format!("ended with {ended:?}")),
            () = self.0.begun.notified() => {}
        }
        let given_up = talker.given_up().await;
        given_up.map_err(|fault| fault.to_string())
    }
    async fn leave(&self, talker: TalkerProxy, whatever_happens: bool) {
        let calling = tokio::spawn(chain::scope(async move {
            let _ = match whatever_happens {
                true => talker.finish_whatever_happens().await,
                false => talker.finish().await,
            };
        }));
        self.0.begun.notified().await;
        if whatever_happens {
            calling.abort();
        }
    }
}

struct Scene {
    _daemon: Daemon,
    host: HostProxy,
    talker: TalkerProxy,
    signs: Signs,
    said: mpsc::Receiver<String>,
}

fn scene() -> Scene {
    let daemon = blocking::bind("far://127.0.0.1:0").unwrap();
    let signs = Signs::default();
    let desk = HostProxy::new(Desk(signs.clone()));
    let uri = daemon.register("host", desk).unwrap();
    let (sender, said) = mpsc::channel();
    let mouth = Mouth {
        signs: signs.clone(),
        said: sender,
    };
    Scene {
        host: blocking::connect(&uri).unwrap(),
        talker: TalkerProxy::new(mouth),
        _daemon: daemon,
        signs,
        said,
    }
}

#[test]
fn a_callback_runs_on_the_thread_that_waits_whatever_its_object_is() {
    let scene = scene();
    for _ in 0..3 {
        let threads = scene.host.ask(scene.talker.clone()).wait().unwrap();
        assert_eq!(threads, vec![this_thread(); 3]);
    }
    // Another thread has its own.
    let (host, talker) = (scene.host.clone(), scene.talker.clone());
    let other = std::thread::spawn(move || (this_thread(), host.ask(talker).wait().unwrap()));
    let (other, threads) = other.join().unwrap();
    assert_eq!(threads, vec![other; 3]);
    // So has a blocking proxy.
    let threads = scene.host.blocking().ask(scene.talker.clone()).unwrap();
    assert_eq!(threads, vec![this_thread(); 3]);
}

#[test]
fn what_is_called_apart_runs_apart() {
    let scene = scene();
    let thread = scene.host.ask_apart(scene.talker.clone()).wait().unwrap();
    assert_ne!(thread, this_thread());
    // Nor does a thread that serves nobody serve this.
    let call = scene.host.ask(scene.talker.clone()).reentrant(false);
    assert!(!call.wait().unwrap().contains(&this_thread()));
}

#[test]
fn a_callback_that_panics_on_the_thread_that_waits_leaves_it_waiting() {
    let scene = scene();
    let kind = scene.host.let_it_panic(scene.talker.clone()).wait();
    assert_eq!(kind.unwrap(), "Panicked");
    assert!(scene.host.ask(scene.talker.clone()).wait().is_ok());
}

#[test]
fn a_callback_that_is_given_up_is_dropped_on_the_thread_that_waits() {
    let scene = scene();
    let given_up = scene.host.give_up(scene.talker.clone());
    given_up.wait().unwrap();
    assert_eq!(scene.said.try_recv(), Ok(this_thread()));
}

#[test]
fn a_callback_that_is_not_done_when_the_call_is_goes_on_elsewhere() {
    let scene = scene();
    for whatever_happens in [false, true] {
        let left = scene.host.leave(scene.talker.clone(), whatever_happens);
        left.wait().unwrap();
        scene.signs.go.notify_one();
        let patience = Duration::from_secs(20);
        let thread = scene.said.recv_timeout(patience).unwrap();
        assert_ne!(thread, this_thread());
    }
}

/// Which threads a side was on.
#[derive(Clone, Default)]
struct Player(Arc<Mutex<HashSet<String>>>);

impl Ball for Player {
    fn bounce(&self, depth: u32, other: BallProxy) -> Result<u32, String> {
        self.0.lock().unwrap().insert(this_thread());
        if depth == 0 {
            return Ok(0);
        }
        let mine = BallProxy::new(self.clone());
        match other.bounce(depth - 1, mine).wait() {
            Ok(reached) => Ok(reached + 1),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[test]
fn two_sides_call_each_other_to_any_depth_on_two_threads() {
    let daemon = blocking::bind("far://127.0.0.1:0").unwrap();
    let (mine, theirs) = (Player::default(), Player::default());
    let uri = daemon
        .register("ball", BallProxy::new(theirs.clone()))
        .unwrap();
    let ball: BallProxy = blocking::connect(&uri).unwrap();
    let depth = 30;
    let reached = ball.bounce(depth, BallProxy::new(mine.clone())).wait();
    assert_eq!(reached.unwrap(), depth);
    let mine = std::mem::take(&mut *mine.0.lock().unwrap());
    assert_eq!(mine, HashSet::from([this_thread()]));
    let theirs = std::mem::take(&mut *theirs.0.lock().unwrap());
    assert_eq!(theirs.len(), 1);
    assert!(mine.is_disjoint(&theirs));
}
