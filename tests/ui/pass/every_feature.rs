//! Everything that a trait may say, in one crate.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use farref::Signal;
use farref::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Track {
    pub title: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum MediaError {
    NotFound,
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not found")
    }
}

pub mod media {
    pub type Result<T> = std::result::Result<T, super::MediaError>;
}

/// A jukebox.
#[expose(name = "media.Jukebox")]
pub trait Jukebox {
    /// Loads a playlist.
    async fn load(&self, name: &str, tracks: &Vec<Track>) -> Result<u32, MediaError>;

    async fn count(&self) -> media::Result<u32>;

    async fn upload<'a>(&'a self, near: &'a [u8], call: Vec<u8>) -> Result<Bytes, MediaError>;

    #[oneway]
    async fn play(&self);

    #[oneway(ordered)]
    async fn note(&self, text: String);

    #[attribute]
    fn volume(&self) -> f32;
    #[attribute]
    fn set_volume(&self, level: f32);

    #[callback]
    #[no_cancel]
    async fn watch(&self, listener: ListenerProxy) -> Option<ListenerProxy>;

    #[idempotent]
    #[expose(name = "current-song", spawn)]
    async fn current(&self) -> Option<Track>;

    #[blocking]
    fn scan(&self, folders: Vec<String>) -> HashMap<String, u32>;

    #[name = "new"]
    async fn start_anew(&self) -> ();

    #[signal]
    #[name = "song-changed"]
    fn changed<'a>(&'a self) -> &'a Signal<Track, Option<u32>>;

    #[signal]
    fn closing(&self) -> &'static farref::Signal<()> {
        static CLOSING: Signal<()> = Signal::new();
        &CLOSING
    }

    /// Has a body, as any method of a trait may.
    async fn load_twice(&self, name: &str) -> Result<u32, MediaError> {
        let first = self.load(name, &Vec::new()).await?;
        let second = self.load(name, &Vec::new()).await?;
        Ok(first + second)
    }

    fn twice(&self, mut n: u32) -> u32 {
        n *= 2;
        n
    }

    async fn r#type(&self, r#fn: u32, out: u32, arguments: u32, object: u32) -> u32;

    #[local]
    fn inspect<T: fmt::Debug>(&self, value: T) -> String {
        format!("{value:?}")
    }

    #[local]
    fn name() -> &'static str
    where
        Self: Sized,
    {
        "jukebox"
    }
}

#[callback]
pub trait Listener {
    #[oneway]
    async fn changed(&self, track: Track);
}

struct Machine;

static CHANGED: Signal<Track, Option<u32>> = Signal::new();

impl Jukebox for Machine {
    fn changed(&self) -> &Signal<Track, Option<u32>> {
        &CHANGED
    }

    async fn load(&self, _name: &str, tracks: &Vec<Track>) -> Result<u32, MediaError> {
        Ok(tracks.len() as u32)
    }

    async fn count(&self) -> media::Result<u32> {
        Err(MediaError::NotFound)
    }

    async fn upload(&self, near: &[u8], call: Vec<u8>) -> Result<Bytes, MediaError> {
        Ok([near, &call].concat().into())
    }

    async fn play(&self) {}

    async fn note(&self, _text: String) {}

    fn volume(&self) -> f32 {
        0.5
    }

    fn set_volume(&self, _level: f32) {}

    async fn watch(&self, listener: ListenerProxy) -> Option<ListenerProxy> {
        Some(listener)
    }

    async fn current(&self) -> Option<Track> {
        None
    }

    fn scan(&self, _folders: Vec<String>) -> HashMap<String, u32> {
        HashMap::new()
    }

    async fn start_anew(&self) {}

    async fn r#type(&self, r#fn: u32, out: u32, arguments: u32, object: u32) -> u32 {
        r#fn + out + arguments + object
    }
}

struct Client;

impl Listener for Client {
    async fn changed(&self, _track: Track) {}
}

#[tokio::main]
async fn main() {
    let jukebox = JukeboxProxy::new(Machine);
    assert_eq!(jukebox.load_twice("90s rock").await.expect("loads"), 0);
    assert_eq!(jukebox.twice(4).await.expect("answers"), 8);
    assert_eq!(jukebox.r#type(1, 2, 3, 4).await.expect("answers"), 10);
    let uploaded = jukebox.upload(b"a", b"b".to_vec()).await.expect("uploads");
    assert_eq!(&uploaded[..], b"ab");
    assert!(matches!(jukebox.count().await, Err(CallError::App(MediaError::NotFound))));
    let listener = ListenerProxy::new(Client);
    assert_eq!(jukebox.watch(listener.clone()).await.expect("watches"), Some(listener));

    jukebox.changed().connect(|track| Some(track.title.len() as u32)).await.expect("connects");
    let told = CHANGED.send(Track { title: "Creep".to_owned() }).await.expect("tells");
    assert_eq!(told[0].1, Some(5));
    jukebox.closing().connect(|_| ()).await.expect("connects");

    let descriptor = JukeboxProxy::DESCRIPTOR;
    assert_eq!(descriptor.name, "media.Jukebox");
    assert_eq!(descriptor.docs, "A jukebox.");
    let names: Vec<_> = descriptor.methods.iter().map(|method| method.name).collect();
    let expected = [
        "load", "count", "upload", "play", "note", "volume", "set_volume", "watch", "current-song", "scan", "new",
        "song-changed", "closing", "load_twice", "twice", "type",
    ];
    assert_eq!(names, expected);
    assert_eq!(Machine.inspect(3), "3");
    assert_eq!(Machine::name(), "jukebox");
}
