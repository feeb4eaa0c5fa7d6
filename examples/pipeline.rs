//! Many calls in one round trip: what that saves when the other end is far away.
//!
//! ```console
//! $ cargo run --example pipeline                                      # both ends in one process
//! $ cargo run --example pipeline server far://127.0.0.1:9992          # an archive, until ctrl-c
//! $ cargo run --example pipeline client far://127.0.0.1:9992/archive  # its reader
//! ```
//!
//! The reader reaches the archive through a [`SlowLink`], on which everything takes 50 ms in each direction, as from one
//! continent to the next, and which counts round trips. Four things make many calls take one of them:
//!
//! - `call.pipeline()` is a proxy to what the call will return, which is called before it is there;
//! - `farref::batch((..))` and `Batch` send calls together, which run one after the other;
//! - `call.start()` begins a call now, whose result is collected later.

use std::collections::BTreeMap;

use farref::Batch;
use farref::prelude::*;
use farref_examples::slow_link::SlowLink;
use serde::{Deserialize, Serialize};

/// A folder of documents and of other folders.
#[expose]
pub trait Folder {
    /// The folder of this name within this one.
    fn folder(&self, name: &str) -> Result<FolderProxy, NotFound>;

    /// The document of this name.
    fn document(&self, name: &str) -> Result<DocumentProxy, NotFound>;

    /// The names of the documents.
    fn names(&self) -> Vec<String>;
}

/// Something to read.
#[expose]
pub trait Document {
    /// What it says.
    fn text(&self) -> String;

    /// How many words it has.
    fn words(&self) -> usize;
}

/// There is nothing of this name.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("there is no `{0}`")]
pub struct NotFound(String);

#[derive(Clone, Default)]
struct Shelf {
    folders: BTreeMap<String, Shelf>,
    documents: BTreeMap<String, Paper>,
}

impl Shelf {
    /// An archive with the folder `poems/english`.
    fn archive() -> Self {
        let documents = [
            ("tyger", "Tyger Tyger, burning bright"),
            ("daffodils", "I wandered lonely as a cloud"),
            ("ozymandias", "I met a traveller from an antique land"),
        ];
        let documents = documents.map(|(name, text)| (name.to_owned(), Paper(text.to_owned())));
        let english = Shelf {
            documents: BTreeMap::from(documents),
            ..Shelf::default()
        };
        Shelf::with("poems", Shelf::with("english", english))
    }

    fn with(name: &str, folder: Shelf) -> Self {
        Shelf {
            folders: BTreeMap::from([(name.to_owned(), folder)]),
            ..Shelf::default()
        }
    }
}

impl Folder for Shelf {
    fn folder(&self, name: &str) -> Result<FolderProxy, NotFound> {
        match self.folders.get(name) {
            Some(folder) => Ok(FolderProxy::new(folder.clone())),
            None => Err(NotFound(name.to_owned())),
        }
    }

    fn document(&self, name: &str) -> Result<DocumentProxy, NotFound> {
        match self.documents.get(name) {
            Some(document) => Ok(DocumentProxy::new(document.clone())),
            None => Err(NotFound(name.to_owned())),
        }
    }

    fn names(&self) -> Vec<String> {
        self.documents.keys().cloned().collect()
    }
}

#[derive(Clone)]
struct Paper(String);

impl Document for Paper {
    fn text(&self) -> String {
        self.0.clone()
    }

    fn words(&self) -> usize {
        self.0.split_whitespace().count()
    }
}

async fn open(listen: &str) -> farref::Result<(Daemon, Uri)> {
    let daemon = Daemon::bind(listen).await?;
    let uri = daemon.register("archive", FolderProxy::new(Shelf::archive()))?;
    Ok((daemon, uri))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let (daemon, uri) = open("far://127.0.0.1:0").await?;
            read(&uri).await?;
            daemon.shutdown(Shutdown::default()).await;
        }
        ["server"] => serve("far://127.0.0.1:0").await?,
        ["server", listen] => serve(listen).await?,
        ["client", uri] => read(&uri.parse()?).await?,
        _ => anyhow::bail!("usage: pipeline [server [URI] | client URI]"),
    }
    Ok(())
}

async fn serve(listen: &str) -> anyhow::Result<()> {
    let (daemon, uri) = open(listen).await?;
    println!("{uri}");
    daemon.run_until(farref::shutdown_signal()).await?;
    Ok(())
}

async fn read(uri: &Uri) -> anyhow::Result<()> {
    let link = SlowLink::to(uri).await?;
    let client = Client::new();
    let archive: FolderProxy = client.connect(link.uri()).await?;

    // One call after the other: each waits for the one before, though only the last result is wanted.
    let trip = link.begin();
    let poems = archive.folder("poems").await?;
    let english = poems.folder("english").await?;
    let tyger = english.document("tyger").await?;
    let text = tyger.text().await?;
    trip.end("one after the other");
    println!("  {text}");

    // The same calls as a pipeline: each is made on what the one before will return.
    let trip = link.begin();
    let poems = archive.folder("poems").pipeline();
    let english = poems.folder("english").pipeline();
    let tyger = english.document("tyger").pipeline();
    let text = tyger.text().await?;
    trip.end("as a pipeline");
    println!("  {text}");

    // If a call in the middle fails, those on its result are not run, and say so.
    let trip = link.begin();
    let letters = archive.folder("letters").pipeline();
    let lost = letters.document("tyger").pipeline();
    let text = lost.text().await;
    trip.end("a pipeline that breaks");
    if let Err(fault) = text {
        println!("  {:?}, {:?}: {fault}", fault.kind(), fault.outcome());
    }

    // Calls whose number is known: a tuple of results, or the first error.
    let trip = link.begin();
    let (words, names) = farref::batch((tyger.words(), english.names())).await?;
    trip.end("a batch of two");
    println!("  {words} words in one of {} documents", names.len());

    // Calls whose number is not: the result of each is in its slot when the batch has come back.
    let trip = link.begin();
    let documents: Vec<_> = names
        .iter()
        .map(|name| english.document(name).pipeline())
        .collect();
    let mut batch = Batch::new();
    let texts: Vec<_> = documents
        .iter()
        .map(|document| batch.add(document.text()))
        .collect();
    batch.send().await?;
    trip.end("a batch of all, on a pipeline");
    for text in texts {
        println!("  {}", text.take()?);
    }

    // Calls that are under way while this program does something else.
    let trip = link.begin();
    let started: Vec<_> = documents
        .iter()
        .map(|document| document.words().start())
        .collect();
    println!("  ... something else ...");
    let mut words = 0;
    for result in started {
        words += result.await?;
    }
    trip.end("started calls");
    println!("  {words} words in all");

    client.close().await;
    Ok(())
}
