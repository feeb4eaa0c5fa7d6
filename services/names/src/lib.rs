//! A name server for farref: finds objects by name and by tags.
//!
//! It serves the interface [`farref::names::Names`], which any program can call, and which any other program can serve in
//! its place. This one keeps its directory in memory, where it is asked, and writes what changes to a [`Store`] before it
//! acknowledges it: to a file, or nowhere.
//!
//! ```
//! use farref::names::Registration;
//! use farref_names::NameServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = NameServer::builder().listen("far://127.0.0.1:0").bind().await?;
//!
//! let client = farref::Client::builder().name_server(server.uri())?.build();
//! let names = client.names().await?;
//! let there: farref::Uri = "far://127.0.0.1:9999/jukebox".parse()?;
//! names.register(Registration::new("jukebox", &there)).await?;
//! assert_eq!(names.lookup("jukebox").await?[0].uri, there);
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - What was acknowledged by a server with a persistent store is there after a restart, also after a `SIGKILL` or a loss of
//!   power: every change is on disk before it is answered. Changes that come at once share one write.
//! - Epochs grow with every registration, across restarts.
//! - Readers may see a change an instant before it is on disk. If it cannot be written it is taken back.
//! - Leases are kept in memory. After a restart each begins anew, so nobody loses a name because the name server was away.

mod beacon;
mod cleanup;
mod directory;
mod limits;
mod news;
mod registry;
mod server;
mod store;
mod writing;

pub use crate::limits::Limits;
pub use crate::registry::Registry;
pub use crate::server::{Builder, NameServer};
#[cfg(feature = "persistent")]
pub use crate::store::Persistent;
pub use crate::store::{Change, Loaded, Record, Store, StoreError, Volatile};
