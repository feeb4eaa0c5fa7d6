//! The jukebox as its callers see it: interfaces, and the types that they speak of.
//!
//! Each kind of method that farref knows is here once. The object behind it is in [`machine`].

pub mod machine;

use std::fmt;

use farref::Signal;
use farref::prelude::*;
use serde::{Deserialize, Serialize};

/// A piece of music.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Who plays it.
    pub artist: String,
    /// What it is called.
    pub title: String,
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.title, self.artist)
    }
}

/// What a jukebox may refuse to do. Callers get it as `CallError::App`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum MediaError {
    /// There is no playlist or recording of this name.
    #[error("there is no `{0}` here")]
    NotFound(String),
    /// A recording without a sound.
    #[error("`{0}` is empty")]
    Empty(String),
    /// The parts of a recording stopped coming.
    #[error("the recording was interrupted: {0}")]
    Interrupted(String),
}

/// A jukebox that several clients drive at once.
#[expose]
pub trait Jukebox {
    /// Loads a playlist and returns its number of tracks.
    async fn load_playlist(&self, name: &str) -> Result<u32, MediaError>;

    /// Starts playing. The caller does not wait for it.
    #[oneway]
    async fn play(&self);

    /// Goes to the next track. Of several skips, each ends before the next one starts.
    #[oneway(ordered)]
    async fn skip(&self);

    /// Output level, 0.0 to 1.0: a remote attribute, read and written.
    #[attribute]
    fn volume(&self) -> f32;

    /// Changes the output level.
    #[attribute]
    fn set_volume(&self, level: f32);

    /// Fires after each change of song.
    #[signal]
    fn song_changed(&self) -> &Signal<Track>;

    /// What is playing. Safe to send again after a lost connection.
    #[idempotent]
    async fn current_song(&self) -> Option<Track>;

    /// Tells `listener` about every change of song until the listener is gone.
    async fn watch(&self, listener: ListenerProxy);

    /// A private queue that lives as long as the caller holds it.
    async fn open_queue(&self) -> QueueProxy;

    /// Keeps a recording and returns its number of bytes. Bytes travel as they are, outside the codec.
    async fn upload(&self, title: &str, sound: &[u8]) -> Result<u64, MediaError>;

    /// Keeps a recording that comes in parts, which are taken as fast as the jukebox can.
    async fn record(&self, title: &str, parts: RemoteStream<Vec<u8>>) -> Result<u64, MediaError>;

    /// Every track in the library, produced as they are asked for.
    fn tracks(&self) -> impl Stream<Item = Track>;

    /// The recording of this title.
    async fn download(&self, title: &str) -> Result<Vec<u8>, MediaError>;

    /// How loud a recording is on average: work for a thread of its own.
    #[blocking]
    fn loudness(&self, title: &str) -> Result<f32, MediaError>;

    /// All tracks with this word in them: work for a task of its own, beside the calls that follow.
    #[expose(spawn)]
    async fn search(&self, word: &str) -> Vec<Track>;

    /// Keeps the playlist under a new name. Once begun it is carried through, even if the caller gives up.
    #[no_cancel]
    async fn save_playlist(&self, name: &str);
}

/// Implemented by clients, called by the jukebox.
#[callback]
pub trait Listener {
    /// Another track is playing.
    #[oneway]
    async fn song_changed(&self, track: Track);
}

/// Tracks that wait for their turn. Its methods change it, so it is served one call at a time.
#[expose]
pub trait Queue {
    /// Adds a track and returns how many are waiting.
    fn push(&mut self, track: Track) -> u32;

    /// Takes the track out that waited longest.
    fn pop(&mut self) -> Option<Track>;
}
