//! A server for the tests of the command line: one object with a method of every kind.
//!
//! `demo URI [NAME [TAG..]]` listens at the URI, prints where its object is, and announces it under the name and the tags.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use farref::Signal;
use farref::names::{self, IfTaken};
use farref::prelude::*;
use serde::{Deserialize, Serialize};

/// A piece of music.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Track {
    /// Its title.
    pub title: String,
    /// Its length in seconds.
    pub seconds: u32,
}

/// How tracks follow each other.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Order {
    /// As they are.
    Given,
    /// Anyhow.
    Shuffled,
}

/// Why there is no music.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaError {
    /// There is no such list.
    NotFound {
        /// Its name.
        name: String,
    },
}

/// A jukebox that several clients drive at once.
#[expose(name = "demo.Jukebox")]
pub trait Jukebox {
    /// Loads a playlist and returns its number of tracks.
    async fn load_playlist(&self, name: &str) -> Result<u32, MediaError>;

    /// Starts playing. The caller does not wait for it.
    #[oneway]
    async fn play(&self);

    /// Fires after each start, with the number of starts.
    #[signal]
    fn started(&self) -> &Signal<u32>;

    /// How often it was started.
    #[idempotent]
    fn plays(&self) -> u32;

    /// Output level, 0.0 to 1.0.
    #[attribute]
    fn volume(&self) -> f32;

    /// Sets the output level.
    #[attribute]
    fn set_volume(&self, level: f32);

    /// Adds a track, and returns how many there are.
    fn add(&self, track: Track, order: Order) -> usize;

    /// The longest of several tracks.
    fn longest(&self, tracks: Vec<Track>) -> Option<Track>;

    /// Adds numbers.
    #[idempotent]
    fn sum(&self, a: i64, b: i64) -> i64;

    /// Says whether it would mind.
    fn comment(&self, text: String, stars: Option<u8>) -> String;

    /// Counts, one number each time that somebody wants one.
    fn count(&self, from: u32, names: bool) -> impl Stream<Item = String> + Send;

    /// Never ends.
    async fn sleep(&self);

    /// An object of its own.
    fn child(&self) -> JukeboxProxy;

    /// Fails where it runs.
    fn panic(&self);
}

/// An iterator as a stream.
struct Counting<I>(I);

impl<I> Unpin for Counting<I> {}

impl<I: Iterator> Stream for Counting<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

#[derive(Default)]
struct Machine {
    volume: Mutex<f32>,
    tracks: Mutex<Vec<Track>>,
    plays: AtomicU32,
    started: Signal<u32>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Jukebox for Machine {
    async fn load_playlist(&self, name: &str) -> Result<u32, MediaError> {
        match name {
            "90s rock" => Ok(42),
            name => Err(MediaError::NotFound {
                name: name.to_owned(),
            }),
        }
    }

    async fn play(&self) {
        let plays = self.plays.fetch_add(1, Ordering::SeqCst) + 1;
        // A receiver that fails hinders nobody here.
        self.started.send_robust(plays).await;
    }

    fn started(&self) -> &Signal<u32> {
        &self.started
    }

    fn plays(&self) -> u32 {
        self.plays.load(Ordering::SeqCst)
    }

    fn volume(&self) -> f32 {
        *lock(&self.volume)
    }

    fn set_volume(&self, level: f32) {
        *lock(&self.volume) = level;
    }

    fn add(&self, track: Track, order: Order) -> usize {
        let mut tracks = lock(&self.tracks);
        match order {
            Order::Given => tracks.push(track),
            Order::Shuffled => tracks.insert(0, track),
        }
        tracks.len()
    }

    fn longest(&self, tracks: Vec<Track>) -> Option<Track> {
        tracks.into_iter().max_by_key(|track| track.seconds)
    }

    fn sum(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    fn comment(&self, text: String, stars: Option<u8>) -> String {
        format!(
            "{text} ({})",
            stars.map_or_else(|| "-".to_owned(), |stars| stars.to_string())
        )
    }

    fn count(&self, from: u32, names: bool) -> impl Stream<Item = String> + Send {
        let word = if names { "number " } else { "" };
        Counting(
            (from..)
                .map(move |number| format!("{word}{number}"))
                .take(3),
        )
    }

    async fn sleep(&self) {
        std::future::pending().await
    }

    fn child(&self) -> JukeboxProxy {
        JukeboxProxy::new(Machine::default())
    }

    fn panic(&self) {
        panic!("as it was asked to");
    }
}

#[tokio::main]
async fn main() -> farref::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "far://127.0.0.1:0".to_owned());
    let mut builder = Daemon::builder().listen(&address).name("demo");
    if let Ok(token) = std::env::var("DEMO_TOKEN") {
        builder = builder.token(token);
    }
    if std::env::var_os("DEMO_SECRETIVE").is_some() {
        builder = builder.grant(|_, _| false);
    }
    let daemon = builder.drain_timeout(Duration::from_secs(1)).bind().await?;
    let uri = daemon.register("jukebox", JukeboxProxy::new(Machine::default()))?;
    let announced = match arguments.next() {
        Some(name) => {
            let announce = names::announce(name, &uri)
                .tags(arguments)
                .if_taken(IfTaken::Join);
            Some(announce.lease(Duration::from_secs(3)).start().await?)
        }
        None => None,
    };
    println!("{uri}");
    farref::shutdown_signal().await;
    if let Some(announced) = announced {
        announced.withdraw().await;
    }
    daemon.shutdown(Shutdown::default()).await;
    Ok(())
}
