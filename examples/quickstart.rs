//! The README's forty lines: a daemon and a client that talk over real TCP, in one process for once.

use farref::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
enum MediaError {
    NotFound,
}

/// A jukebox that several clients drive at once.
#[expose]
trait Jukebox {
    /// Loads a playlist and returns its number of tracks.
    async fn load_playlist(&self, name: &str) -> Result<u32, MediaError>;

    /// Starts playing. The caller does not wait for it.
    #[oneway]
    async fn play(&self);
}

struct Machine;

impl Jukebox for Machine {
    async fn load_playlist(&self, name: &str) -> Result<u32, MediaError> {
        match name {
            "90s rock" => Ok(42),
            _ => Err(MediaError::NotFound),
        }
    }

    async fn play(&self) {
        println!("machine: playing");
    }
}

#[tokio::main]
async fn main() -> farref::Result<()> {
    let daemon = Daemon::bind("far://127.0.0.1:0").await?;
    let uri = daemon.register("jukebox", JukeboxProxy::new(Machine))?;
    println!("serving {uri}");

    let jukebox: JukeboxProxy = farref::connect(&uri).await?;
    jukebox.play().await?;
    for name in ["90s rock", "nope"] {
        match jukebox.load_playlist(name).await {
            Ok(tracks) => println!("{name}: {tracks} tracks"),
            Err(CallError::App(MediaError::NotFound)) => println!("{name}: no such list"),
            Err(CallError::Fault(fault)) => return Err(fault),
        }
    }
    daemon.shutdown(Shutdown::default()).await;
    Ok(())
}
