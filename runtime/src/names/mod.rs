//! Finding objects by name and by tags: what a name server offers, and how programs use it.
//!
//! A name server keeps a directory: names, the URIs of the objects that have them, and tags. Wherever a URI is taken,
//! `farname:NAME` and `farmeta:TAG,TAG` lead through it:
//!
//! ```no_run
//! # use farref::prelude::*;
//! # #[expose]
//! # pub trait Jukebox { fn play(&self); }
//! # async fn example(daemon: Daemon, uri: Uri) -> farref::Result<()> {
//! // A server says under which name and tags its object is to be found, for as long as it keeps what it gets:
//! let _announced = farref::names::announce("jukebox", &uri).tags(["audio", "live"]).start().await?;
//!
//! // And a client finds it:
//! let jukebox: JukeboxProxy = farref::connect("farname:jukebox").await?;
//! let any: JukeboxProxy = farref::connect("farmeta:audio,live").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which name server
//!
//! The one that the URI names after `@`; else the one that the client was told
//! ([`ClientBuilder::name_server`](crate::ClientBuilder::name_server), or the variable `FARREF_NAME_SERVER`); else the
//! one on this machine, on [port 13277](DEFAULT_PORT); else the first on the local network that answers a [`beacon`].
//!
//! # What a proxy to a name does
//!
//! It asks when it connects, and again when its session was lost; in between, the name server may be away. If nobody can
//! be asked when the session was lost, the proxy tries what it was told before. Of several objects it takes one by the
//! client's [`Choice`](crate::Choice), and another if that does not answer.
//!
//! # Another directory
//!
//! [`Names`] is an interface like any other. A directory that is kept elsewhere, in etcd for instance, is served by
//! implementing it and registering it as [`OBJECT`] at a daemon; nothing that uses names will notice. A program that has
//! its own way to find objects and wants no server implements [`Resolver`](crate::Resolver) instead.

mod announce;
mod asking;
pub mod beacon;
mod entry;
pub mod pattern;

use std::collections::BTreeSet;
use std::time::Duration;

use farref_macros::expose;

pub use self::announce::{Announce, Announced, announce};
pub(crate) use self::asking::{AskNameServer, NameServer, Told};
pub use self::entry::{
    Changed, Entry, Grant, Happened, IfTaken, NamesError, NamesInfo, Page, Position, Query,
    Registration, Renewal, Renewed,
};
use crate::client::{Client, default_client};
use crate::error::Result;
use crate::signal::Signal;
use crate::uri;

/// The port of a name server where none is said.
pub const DEFAULT_PORT: u16 = uri::NAME_SERVER_PORT;

/// The name under which a name server serves its directory.
pub const OBJECT: &str = uri::DIRECTORY;

/// How long a question to a name server may take.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// The most entries that one answer holds.
pub const MAX_PAGE: u32 = 1000;

/// A directory of objects: what a name server serves.
///
/// A name may belong to several objects, each with its own registration. A registration has an *epoch*, a number that
/// grows with every registration that this directory ever took, across restarts as well. Who holds the greatest epoch of a
/// name owns it; whoever acts with an older one is *fenced*: refused, and told so. An owner may pass its epoch on to what
/// it writes to, so that a predecessor who does not know of its end cannot write any more.
///
/// A registration with a lease ends unless it is renewed in time. After a restart of the directory every lease begins
/// anew.
#[expose(crate = crate, name = "farref.Names")]
pub trait Names {
    /// Gives an object a name.
    ///
    /// Repeating it with the same owner replaces what that owner registered under the name, so it is safe to repeat.
    #[idempotent]
    async fn register(&self, registration: Registration) -> Result<Grant, NamesError>;

    /// Lets leases begin anew, and says how much their owners have to do. One answer for each renewal, in order.
    #[idempotent]
    async fn renew(&self, renewals: Vec<Renewal>) -> Result<Vec<Renewed>, NamesError>;

    /// Takes a name away: from the registration of this epoch, or from all that have it. Returns how many had it.
    async fn remove(&self, name: &str, epoch: Option<u64>) -> Result<u32, NamesError>;

    /// Adds tags to all registrations of a name, and then takes others away. Returns how many registrations there are.
    #[idempotent]
    async fn tag(
        &self,
        name: &str,
        add: BTreeSet<String>,
        remove: BTreeSet<String>,
    ) -> Result<u32, NamesError>;

    /// The registrations of a name, the newest first; none if nobody has it.
    #[idempotent]
    async fn lookup(&self, name: &str) -> Result<Vec<Entry>, NamesError>;

    /// Up to so many registrations that have all of these tags, drawn at random if there are more.
    #[idempotent]
    async fn sample(&self, tags: BTreeSet<String>, limit: u32) -> Result<Vec<Entry>, NamesError>;

    /// Registrations that fit a query, ordered by name and then by epoch: those after this position, up to so many.
    #[idempotent]
    async fn list(
        &self,
        query: Query,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Page, NamesError>;

    /// What the directory says of itself.
    #[idempotent]
    async fn info(&self) -> NamesInfo;

    /// Tells of every change when it is acknowledged, in the order of [their numbers](Changed::number).
    ///
    /// Subscribe first and list then, and nothing is missed. A receiver that keeps the directory waiting is disconnected.
    #[signal]
    fn changed(&self) -> &Signal<Changed>;
}

/// Connects to the name server that programs use unless they say otherwise.
///
/// # Errors
///
/// As [`connect`](crate::connect), if none can be found.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn locate() -> Result<NamesProxy> {
    default_client()?.names().await
}

impl Client {
    /// Connects to the name server of this client; its calls take at most [`TIMEOUT`].
    ///
    /// # Errors
    ///
    /// As [`Client::connect`], if none can be found.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn names(&self) -> Result<NamesProxy> {
        asking::name_server(self, None).await
    }
}
