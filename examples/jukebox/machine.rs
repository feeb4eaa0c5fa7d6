//! The object behind the jukebox: plain Rust, which knows of the network only that proxies may fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use farref::prelude::*;
use farref::{Listeners, Signal};

use super::{Jukebox, ListenerProxy, MediaError, Queue, QueueProxy, Track};

/// A jukebox.
#[derive(Debug)]
pub struct Machine {
    state: Mutex<State>,
    /// Those of them that are gone, or too slow, are dropped when they are told something.
    listeners: Listeners<ListenerProxy>,
    song_changed: Signal<Track>,
}

#[derive(Debug)]
struct State {
    library: BTreeMap<String, Vec<Track>>,
    recordings: BTreeMap<String, Vec<u8>>,
    playlist: Vec<Track>,
    position: Option<usize>,
    volume: f32,
}

impl State {
    fn current(&self) -> Option<Track> {
        self.playlist.get(self.position?).cloned()
    }

    fn recording(&self, title: &str) -> Result<&[u8], MediaError> {
        self.recordings
            .get(title)
            .map(Vec::as_slice)
            .ok_or_else(|| MediaError::NotFound(title.to_owned()))
    }
}

impl Machine {
    /// A jukebox with one playlist, "90s rock", in its library.
    pub fn new() -> Self {
        let tracks = [
            ("Nirvana", "Come as You Are"),
            ("Pearl Jam", "Black"),
            ("Radiohead", "Creep"),
        ];
        let track = |(artist, title): (&str, &str)| Track {
            artist: artist.to_owned(),
            title: title.to_owned(),
        };
        let state = State {
            library: BTreeMap::from([("90s rock".to_owned(), tracks.map(track).to_vec())]),
            recordings: BTreeMap::new(),
            playlist: Vec::new(),
            position: None,
            volume: 0.5,
        };
        Machine {
            state: Mutex::new(state),
            listeners: Listeners::new(),
            song_changed: Signal::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays the track at this position of the playlist, if it has any, and says so to all who listen.
    async fn play_at(&self, choose: impl FnOnce(Option<usize>) -> usize) {
        let track = {
            let mut state = self.state();
            if state.playlist.is_empty() {
                return;
            }
            let position = choose(state.position) % state.playlist.len();
            state.position = Some(position);
            state.playlist[position].clone()
        };
        let listeners = self.listeners.all();
        listeners
            .notify(|listener| listener.song_changed(track.clone()))
            .await;
        // A receiver that fails is its own affair: the song has changed all the same.
        self.song_changed.send_robust(track).await;
    }
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

impl Jukebox for Machine {
    async fn load_playlist(&self, name: &str) -> Result<u32, MediaError> {
        let mut state = self.state();
        let tracks = state
            .library
            .get(name)
            .cloned()
            .ok_or_else(|| MediaError::NotFound(name.to_owned()))?;
        state.playlist = tracks;
        state.position = None;
        Ok(u32::try_from(state.playlist.len()).unwrap_or(u32::MAX))
    }

    async fn play(&self) {
        self.play_at(|position| position.unwrap_or(0)).await;
    }

    async fn skip(&self) {
        self.play_at(|position| position.map_or(0, |position| position + 1))
            .await;
    }

    fn volume(&self) -> f32 {
        self.state().volume
    }

    fn set_volume(&self, level: f32) {
        self.state().volume = level.clamp(0.0, 1.0);
    }

    fn song_changed(&self) -> &Signal<Track> {
        &self.song_changed
    }

    async fn current_song(&self) -> Option<Track> {
        self.state().current()
    }

    async fn watch(&self, listener: ListenerProxy) {
        self.listeners.add(listener);
    }

    async fn open_queue(&self) -> QueueProxy {
        QueueProxy::serial(PrivateQueue::default())
    }

    async fn upload(&self, title: &str, sound: &[u8]) -> Result<u64, MediaError> {
        if sound.is_empty() {
            return Err(MediaError::Empty(title.to_owned()));
        }
        self.state()
            .recordings
            .insert(title.to_owned(), sound.to_vec());
        Ok(sound.len() as u64)
    }

    async fn record(
        &self,
        title: &str,
        mut parts: RemoteStream<Vec<u8>>,
    ) -> Result<u64, MediaError> {
        let mut sound = Vec::new();
        while let Some(part) = parts.next().await {
            sound.extend(part.map_err(|fault| MediaError::Interrupted(fault.to_string()))?);
        }
        self.upload(title, &sound).await
    }

    fn tracks(&self) -> impl Stream<Item = Track> {
        let tracks: Vec<_> = self.state().library.values().flatten().cloned().collect();
        futures_util::stream::iter(tracks)
    }

    async fn download(&self, title: &str) -> Result<Vec<u8>, MediaError> {
        self.state().recording(title).map(<[u8]>::to_vec)
    }

    fn loudness(&self, title: &str) -> Result<f32, MediaError> {
        let sound = self.state().recording(title)?.to_vec();
        let sum: f64 = sound.iter().map(|sample| f64::from(*sample) / 255.0).sum();
        Ok((sum / sound.len() as f64) as f32)
    }

    async fn search(&self, word: &str) -> Vec<Track> {
        let state = self.state();
        let tracks = state.library.values().flatten();
        tracks
            .filter(|track| track.artist.contains(word) || track.title.contains(word))
            .cloned()
            .collect()
    }

    async fn save_playlist(&self, name: &str) {
        let mut state = self.state();
        let playlist = state.playlist.clone();
        state.library.insert(name.to_owned(), playlist);
    }
}

/// A queue of one caller; dropped when that caller drops its proxy, or dies.
#[derive(Debug, Default)]
struct PrivateQueue(VecDeque<Track>);

impl Queue for PrivateQueue {
    fn push(&mut self, track: Track) -> u32 {
        self.0.push_back(track);
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn pop(&mut self) -> Option<Track> {
        self.0.pop_front()
    }
}

impl Drop for PrivateQueue {
    fn drop(&mut self) {
        println!("a queue was closed");
    }
}
