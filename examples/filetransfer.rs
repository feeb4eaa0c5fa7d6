//! Sends files to another process and fetches them from there: streams in both directions.
//!
//! ```console
//! $ cargo run --example filetransfer                                                 # both ends in one process
//! $ cargo run --example filetransfer server ./store far://127.0.0.1:9995             # a store, until ctrl-c
//! $ cargo run --example filetransfer upload far://127.0.0.1:9995/store song.mp3      # keeps a file there
//! $ cargo run --example filetransfer download far://127.0.0.1:9995/store song.mp3 .  # fetches it into this folder
//! ```
//!
//! A [`Transfer`] is a struct with a stream inside, and goes either way: as an argument it is an upload, as a result a
//! download. The end that reads the file never reads further ahead than the stream's window, 1 MiB, so files may be of any
//! size. The end that writes it does so under another name, and gives it its own when all has come and the checksum is
//! right: a transfer that breaks off leaves nothing behind.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use farref::prelude::*;
use farref::{FaultKind, Outcome};
use futures_util::{StreamExt, stream};
use hmac_sha256::Hash;
use serde::{Deserialize, Serialize};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A folder of files.
#[expose]
pub trait Store {
    /// Keeps a file under this name, in place of an earlier one. It is there when this returns.
    async fn upload(&self, name: &str, file: Transfer) -> Result<(), StoreError>;

    /// The file of this name.
    async fn download(&self, name: &str) -> Result<Transfer, StoreError>;
}

/// A file on its way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Transfer {
    /// Its bytes in all.
    pub size: u64,
    /// The SHA-256 of all its bytes.
    pub checksum: [u8; 32],
    /// Its bytes in order. Byte strings are not copied on their way.
    pub parts: RemoteStream<Vec<u8>>,
}

/// Why a file was not kept, or cannot be had.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum StoreError {
    /// There is no file of this name.
    #[error("there is no file `{0}`")]
    NotFound(String),
    /// The name leads out of the folder.
    #[error("`{0}` is not the name of a file")]
    BadName(String),
    /// The bytes that came are not those that were announced.
    #[error("the file did not come as it was sent")]
    Corrupt,
    /// The stream ended early.
    #[error("the transfer broke off: {0}")]
    BrokenOff(String),
    /// The disk failed.
    #[error("{0}")]
    Disk(String),
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        StoreError::Disk(error.to_string())
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        StoreError::BrokenOff(fault.to_string())
    }
}

/// How much is read from a disk at once.
const PART: u64 = 64 * 1024;

impl Transfer {
    /// Reads the file once for its checksum, and a second time when it is asked for, part by part.
    async fn of(path: &Path, mut progress: Progress) -> std::io::Result<Transfer> {
        let mut file = File::open(path).await?;
        let (mut size, mut hash) = (0, Hash::new());
        loop {
            let part = next_part(&mut file).await?;
            if part.is_empty() {
                break;
            }
            size += part.len() as u64;
            hash.update(part);
        }

        let file = File::open(path).await?;
        let parts = stream::try_unfold(file, |mut file| async move {
            let part = next_part(&mut file)
                .await
                .map_err(|error| unreadable(&error))?;
            Ok((!part.is_empty()).then_some((part, file)))
        });
        let parts = parts.inspect(move |part| {
            let part = part.as_ref().map_or(0, Vec::len);
            progress.add(part, size);
        });
        Ok(Transfer {
            size,
            checksum: hash.finalize(),
            parts: RemoteStream::fallible(parts),
        })
    }

    /// Writes what comes to a file, which is there in the end as a whole, or not at all.
    async fn save(mut self, path: &Path, mut progress: Progress) -> Result<(), StoreError> {
        let mut unfinished = Unfinished::create(path).await?;
        let (mut size, mut hash) = (0, Hash::new());
        while let Some(part) = self.parts.next().await {
            let part = part?;
            size += part.len() as u64;
            hash.update(&part);
            unfinished.file.write_all(&part).await?;
            progress.add(part.len(), self.size);
        }
        if (size, hash.finalize()) != (self.size, self.checksum) {
            return Err(StoreError::Corrupt);
        }
        unfinished.finish(path).await?;
        Ok(())
    }
}

/// The next bytes of a file; none at its end.
async fn next_part(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART).read_to_end(&mut part).await?;
    Ok(part)
}

/// What the stream of a file that cannot be read ends with, at its other end.
fn unreadable(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Internal, Outcome::Ran, "the file is unreadable").with_cause(error)
}

/// A file under a name of its own, removed when it is dropped: also when the call that writes it is cancelled, because
/// its caller gave up, or died.
struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Unfinished {
    async fn create(path: &Path) -> std::io::Result<Self> {
        // Two transfers to one name must not write to one file.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = path.with_file_name(format!("transfer-{}-{number}.part", std::process::id()));
        Ok(Unfinished {
            file: File::create_new(&path).await?,
            path,
        })
    }

    async fn finish(mut self, path: &Path) -> std::io::Result<()> {
        self.file.flush().await?;
        fs::rename(&self.path, path).await
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // When the file has got its own name, there is none of this one any more.
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Folder(PathBuf);

impl Folder {
    /// Where the file of this name is. A caller's name must not lead elsewhere.
    fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        match Path::new(name).file_name() {
            Some(plain) if plain == name => Ok(self.0.join(name)),
            _ => Err(StoreError::BadName(name.to_owned())),
        }
    }
}

impl Store for Folder {
    async fn upload(&self, name: &str, file: Transfer) -> Result<(), StoreError> {
        file.save(&self.path(name)?, Progress::silent()).await?;
        println!("store: keeps {name}");
        Ok(())
    }

    async fn download(&self, name: &str) -> Result<Transfer, StoreError> {
        match Transfer::of(&self.path(name)?, Progress::silent()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(StoreError::NotFound(name.to_owned()))
            }
            transfer => Ok(transfer?),
        }
    }
}

/// A bar on the terminal; where there is none, a line for each quarter.
struct Progress {
    title: String,
    done: u64,
    /// How many cells of the bar were drawn last.
    drawn: u64,
}

impl Progress {
    fn new(title: &str) -> Self {
        Progress {
            title: title.to_owned(),
            done: 0,
            drawn: 0,
        }
    }

    /// One that shows nothing.
    fn silent() -> Self {
        Progress::new("")
    }

    fn add(&mut self, bytes: usize, total: u64) {
        const CELLS: u64 = 20;
        self.done += bytes as u64;
        let cells = self.done * CELLS / total.max(1);
        if self.title.is_empty() || cells == self.drawn {
            return;
        }
        let bar = "#".repeat(cells as usize);
        let line = format!("{} [{bar:<20}] {} %", self.title, cells * 100 / CELLS);
        let mut terminal = std::io::stdout();
        if terminal.is_terminal() {
            let end = if cells < CELLS { "" } else { "\n" };
            print!("\r{line}{end}");
            // A bar that cannot be drawn is no reason to stop.
            let _ = terminal.flush();
        } else if self.drawn / 5 < cells / 5 {
            println!("{line}");
        }
        self.drawn = cells;
    }
}

async fn upload(store: &StoreProxy, path: &Path) -> anyhow::Result<()> {
    let name = file_name(path)?;
    let file = Transfer::of(path, Progress::new("upload  ")).await?;
    store.upload(name, file).await?;
    Ok(())
}

async fn download(store: &StoreProxy, name: &str, folder: &Path) -> anyhow::Result<()> {
    let file = store.download(name).await?;
    let path = folder.join(name);
    file.save(&path, Progress::new("download")).await?;
    println!("{} is here, and its checksum is right", path.display());
    Ok(())
}

fn file_name(path: &Path) -> anyhow::Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.with_context(|| format!("{} has no file name", path.display()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => demonstrate().await,
        ["server", folder] => serve(folder, "far://127.0.0.1:0").await,
        ["server", folder, listen] => serve(folder, listen).await,
        ["upload", uri, path] => upload(&farref::connect(uri).await?, path.as_ref()).await,
        ["download", uri, name, folder] => {
            download(&farref::connect(uri).await?, name, folder.as_ref()).await
        }
        _ => anyhow::bail!(
            "usage: filetransfer [server FOLDER [URI] | upload URI FILE | download URI NAME FOLDER]"
        ),
    }
}

async fn serve(folder: &str, listen: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder).await?;
    let daemon = Daemon::bind(listen).await?;
    println!(
        "{}",
        daemon.register("store", StoreProxy::new(Folder(folder.into())))?
    );
    daemon.run_until(farref::shutdown_signal()).await?;
    Ok(())
}

/// A store and its client, with files in a folder that is removed in the end.
async fn demonstrate() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("farref-filetransfer-{}", std::process::id()));
    let demonstrated = transfer_in(&folder).await;
    fs::remove_dir_all(&folder).await?;
    demonstrated
}

async fn transfer_in(folder: &Path) -> anyhow::Result<()> {
    let (here, there) = (folder.join("here"), folder.join("there"));
    fs::create_dir_all(&here).await?;
    fs::create_dir_all(&there).await?;
    let song = folder.join("song.bin");
    let bytes: Vec<u8> = (0..4 << 20).map(|n: u32| (n ^ n >> 11) as u8).collect();
    fs::write(&song, &bytes).await?;

    let daemon = Daemon::bind("far://127.0.0.1:0").await?;
    let uri = daemon.register("store", StoreProxy::new(Folder(there.clone())))?;
    let store: StoreProxy = farref::connect(&uri).await?;

    // There and back.
    upload(&store, &song).await?;
    download(&store, "song.bin", &here).await?;
    ensure!(fs::read(here.join("song.bin")).await? == bytes);
    println!("it came back as it went");

    // A file that stops coming halfway: its sender gives up, which drops the handler, and its unfinished file with it.
    let mut file = Transfer::of(&song, Progress::silent()).await?;
    file.parts = RemoteStream::fallible(file.parts.take(32).chain(stream::pending()));
    let upload = store.upload("half.bin", file);
    if let Err(error) = upload.timeout(Duration::from_millis(500)).await {
        println!("half.bin was not kept: {error}");
    }

    // One whose bytes are not those that were announced.
    let mut file = Transfer::of(&song, Progress::silent()).await?;
    file.checksum = [0; 32];
    if let Err(error) = store.upload("wrong.bin", file).await {
        println!("wrong.bin was not kept: {error}");
    }

    daemon.shutdown(Shutdown::default()).await;
    let mut kept = fs::read_dir(&there).await?;
    while let Some(file) = kept.next_entry().await? {
        println!("in the store: {}", file.file_name().display());
    }
    Ok(())
}
