//! A chat room: the server calls its clients back, and notices when one of them dies.
//!
//! ```console
//! $ cargo run --example chat                                             # a short conversation in one process
//! $ cargo run --example chat server far://127.0.0.1:9998                 # a room, until ctrl-c
//! $ cargo run --example chat client far://127.0.0.1:9998/room alice      # says what you type; several of these
//! ```
//!
//! Whoever joins passes an object in, on which lines are delivered, and gets one back, a seat, on which lines are said.
//! The seat lives in the server for as long as the client holds its proxy. So when a client leaves, crashes or loses its
//! network, its seat is dropped, and that is all the bookkeeping there is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use farref::Topic;
use farref::prelude::*;
use farref::topic::{Subscription, WhenFull};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncBufReadExt;
use tokio::sync::mpsc;

/// A place to talk.
#[expose]
pub trait Room {
    /// Takes a seat under a name that nobody else has. `member` hears whatever is said.
    async fn join(&self, name: &str, member: MemberProxy) -> Result<SeatProxy, NameTaken>;
}

/// A client's place in the room, until it drops it.
#[expose]
pub trait Seat {
    /// Says something to everybody.
    async fn say(&self, text: &str);
}

/// Implemented by clients, called by the room.
#[callback]
pub trait Member {
    /// Somebody said something.
    #[oneway(ordered)]
    async fn hear(&self, line: String);
}

/// Somebody else has that name.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("somebody named {0} is here already")]
pub struct NameTaken(String);

/// How many lines a member may be behind before it is shown out: the slow delay nobody.
const PATIENCE: usize = 100;

#[derive(Clone)]
struct ChatRoom {
    names: Arc<Mutex<BTreeSet<String>>>,
    lines: Arc<Topic<String>>,
}

impl ChatRoom {
    fn new() -> Self {
        ChatRoom {
            names: Arc::default(),
            lines: Arc::new(Topic::new(WhenFull::Disconnect).with_capacity(PATIENCE)),
        }
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_all(&self, line: String) {
        println!("{line}");
        self.lines.publish(line);
    }
}

impl Room for ChatRoom {
    async fn join(&self, name: &str, member: MemberProxy) -> Result<SeatProxy, NameTaken> {
        if !self.names().insert(name.to_owned()) {
            return Err(NameTaken(name.to_owned()));
        }
        let hears = self.lines.subscribe(member, async |member, line| {
            member.hear(String::clone(&line)).await
        });
        self.tell_all(format!("* {name} is here"));
        Ok(SeatProxy::new(ChatSeat {
            name: name.to_owned(),
            room: self.clone(),
            hears,
        }))
    }
}

struct ChatSeat {
    name: String,
    room: ChatRoom,
    hears: Subscription,
}

impl Seat for ChatSeat {
    async fn say(&self, text: &str) {
        self.room.tell_all(format!("{}: {text}", self.name));
    }
}

impl Drop for ChatSeat {
    fn drop(&mut self) {
        self.hears.unsubscribe();
        self.room.names().remove(&self.name);
        self.room.tell_all(format!("* {} is gone", self.name));
    }
}

/// Passes on whatever is heard.
struct Ear(mpsc::UnboundedSender<String>);

impl Member for Ear {
    async fn hear(&self, line: String) {
        // Nobody may be interested any more.
        let _ = self.0.send(line);
    }
}

/// Takes a seat; the lines that are said come through the receiver.
async fn join(
    room: &RoomProxy,
    name: &str,
) -> anyhow::Result<(SeatProxy, mpsc::UnboundedReceiver<String>)> {
    let (ear, heard) = mpsc::unbounded_channel();
    let seat = room.join(name, MemberProxy::new(Ear(ear))).await?;
    Ok((seat, heard))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => converse().await,
        ["server"] => serve("far://127.0.0.1:0").await,
        ["server", listen] => serve(listen).await,
        ["client", uri, name] => talk(uri, name).await,
        _ => anyhow::bail!("usage: chat [server [URI] | client URI NAME]"),
    }
}

async fn serve(listen: &str) -> anyhow::Result<()> {
    let daemon = Daemon::bind(listen).await?;
    println!(
        "{}",
        daemon.register("room", RoomProxy::new(ChatRoom::new()))?
    );
    daemon.run_until(farref::shutdown_signal()).await?;
    Ok(())
}

/// Says each line of the standard input, and prints what is heard.
async fn talk(uri: &str, name: &str) -> anyhow::Result<()> {
    let room: RoomProxy = farref::connect(uri).await?;
    let (seat, mut heard) = join(&room, name).await?;
    let mut typed = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = typed.next_line() => match line? {
                Some(line) => seat.say(&line).await?,
                None => return Ok(()),
            },
            line = heard.recv() => println!("{}", line.context("the room is closed")?),
        }
    }
}

/// A room and three visitors, of whom one leaves without a word.
async fn converse() -> anyhow::Result<()> {
    let daemon = Daemon::bind("far://127.0.0.1:0").await?;
    let uri = daemon.register("room", RoomProxy::new(ChatRoom::new()))?;

    // Each visitor is a client with a session of its own, as if it were another process.
    let (alice, bob, carol) = (Client::new(), Client::new(), Client::new());
    let (alice_seat, mut heard) = join(&alice.connect(&uri).await?, "alice").await?;
    let (bob_seat, _) = join(&bob.connect(&uri).await?, "bob").await?;
    let (carol_seat, _) = join(&carol.connect(&uri).await?, "carol").await?;
    alice_seat.say("hello").await?;
    bob_seat.say("hi, alice").await?;

    // Bob's process dies.
    for session in bob.peers() {
        session.abort();
    }
    while heard
        .recv()
        .await
        .is_some_and(|line| line != "* bob is gone")
    {}
    carol_seat.say("bob? he was here a moment ago").await?;
    while heard
        .recv()
        .await
        .is_some_and(|line| !line.starts_with("carol:"))
    {}

    daemon.shutdown(Shutdown::default()).await;
    Ok(())
}
