//! Drives a jukebox in every way that there is.
//!
//! ```console
//! $ cargo run --example jukebox_client                                  # with a jukebox of its own
//! $ cargo run --example jukebox_client far://127.0.0.1:9999/jukebox     # with that of `jukebox_server`
//! ```

use std::time::Duration;

use farref::Batch;
use farref::prelude::*;
use farref_examples::jukebox::machine::Machine;
use farref_examples::jukebox::{JukeboxProxy, Listener, ListenerProxy, MediaError, Track};
use tokio::sync::mpsc;

/// Hears of changes of song, in this process, and passes them on to `main`.
struct Ear(mpsc::UnboundedSender<Track>);

impl Listener for Ear {
    async fn song_changed(&self, track: Track) {
        // `main` may have heard enough.
        let _ = self.0.send(track);
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1) {
        Some(uri) => drive(farref::connect(uri.as_str()).await?).await,
        None => {
            let daemon = Daemon::bind("far://127.0.0.1:0").await?;
            let uri = daemon.register("jukebox", JukeboxProxy::new(Machine::new()))?;
            let driven = drive(farref::connect(&uri).await?).await;
            daemon.shutdown(Shutdown::default()).await;
            driven
        }
    }
}

async fn drive(jukebox: JukeboxProxy) -> anyhow::Result<()> {
    // A call, with an error of its own.
    println!(
        "90s rock: {} tracks",
        jukebox.load_playlist("90s rock").await?
    );
    match jukebox.load_playlist("polka").await {
        Ok(tracks) => println!("polka: {tracks} tracks"),
        Err(CallError::App(MediaError::NotFound(name))) => println!("no playlist named {name}"),
        Err(error) => println!("{error}; may have run: {}", error.may_have_run()),
    }

    // A callback: an object of this process, called by the jukebox over the same connection.
    let (ear, mut heard) = mpsc::unbounded_channel();
    jukebox.watch(ListenerProxy::new(Ear(ear))).await?;

    // A receiver of a signal: the jukebox tells it in its turn, and waits for it.
    let (told, mut changes) = mpsc::unbounded_channel();
    let connection = jukebox
        .song_changed()
        .connect(move |track| {
            let _ = told.send(track.title.clone());
        })
        .await?;

    // Oneways are sent and not answered; they start in the order in which they were sent.
    jukebox.play().await?;
    jukebox.skip().await?;
    jukebox.skip().await?;
    for _ in 0..3 {
        if let Some(track) = heard.recv().await {
            println!("now playing: {track}");
        }
    }
    for _ in 0..3 {
        if let Some(title) = changes.recv().await {
            println!("the signal told of {title}");
        }
    }
    println!("disconnected: {}", connection.disconnect().await?);

    // An attribute, written and read.
    jukebox.set_volume(0.8).await?;
    println!("volume: {}", jukebox.volume().await?);

    // A deadline for one call.
    let current = jukebox.current_song().timeout(Duration::from_secs(2));
    if let Some(track) = current.await? {
        println!("current song: {track}");
    }

    // Bytes, there and back; and work that the jukebox does on a thread of its own.
    let sound: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    println!("uploaded {} bytes", jukebox.upload("hum", &sound).await?);
    let same = jukebox.download("hum").await? == sound;
    println!("downloaded the same: {same}");
    println!("loudness: {:.2}", jukebox.loudness("hum").await?);

    // Streams, out and in: as fast as their consumer takes them, and no faster.
    let mut tracks = jukebox.tracks();
    while let Some(track) = tracks.next().await {
        println!("in the library: {}", track?);
    }
    let parts = RemoteStream::from_iter((0..4).map(|part| vec![part; 1 << 16]));
    println!("recorded {} bytes", jukebox.record("drone", parts).await?);

    // Calls are futures, many under way at once on one connection.
    let (black, queen) = tokio::join!(jukebox.search("Black"), jukebox.search("Queen"));
    println!("found {} and {} tracks", black?.len(), queen?.len());
    jukebox.save_playlist("favourites").await?;

    // Calls made together: one group of frames, one round trip, each run when the one before has ended.
    let (volume, current) = farref::batch((jukebox.volume(), jukebox.current_song())).await?;
    println!(
        "in one trip: volume {volume}, playing {}",
        current.is_some()
    );
    let titles = ["hum", "silence"];
    let mut batch = Batch::new().continue_on_error();
    let slots: Vec<_> = titles
        .iter()
        .map(|title| batch.add(jukebox.loudness(title)))
        .collect();
    batch.send().await?;
    let found = slots.into_iter().filter_map(|slot| slot.take().ok());
    println!("recordings found in one trip: {}", found.count());

    // An object that the jukebox makes for us, called before it is there: one round trip for both calls. Dropping the
    // proxy drops it there.
    let queue = jukebox.open_queue().pipeline();
    let track = Track {
        artist: "Björk".to_owned(),
        title: "Hyperballad".to_owned(),
    };
    queue.push(track).await?;
    if let Some(track) = queue.pop().await? {
        println!("next in the queue: {track}");
    }
    Ok(())
}
