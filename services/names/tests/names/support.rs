//! What the tests share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use farref::names::{NamesProxy, Registration};
use farref::prelude::*;
use farref_names::{Builder, NameServer};

/// A name in memory that no other test has.
pub(crate) fn memory_uri() -> Uri {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("far+mem:names-{number}").parse().unwrap()
}

/// A name server in memory, and a client that uses it.
pub(crate) async fn names() -> (NameServer, Client, NamesProxy) {
    names_of(NameServer::builder()).await
}

pub(crate) async fn names_of(builder: Builder) -> (NameServer, Client, NamesProxy) {
    let server = builder.listen(memory_uri()).bind().await.unwrap();
    let client = client_of(server.uri());
    let names = client.names().await.unwrap();
    (server, client, names)
}

pub(crate) fn client_of(server: &Uri) -> Client {
    Client::builder().name_server(server).unwrap().build()
}

pub(crate) fn tags(tags: &str) -> BTreeSet<String> {
    tags.split_whitespace().map(str::to_owned).collect()
}

pub(crate) fn there(number: u32) -> Uri {
    format!("far://127.0.0.1:{}/object", 1 + number % 60_000)
        .parse()
        .unwrap()
}

pub(crate) fn registration(name: &str, labels: &str) -> Registration {
    Registration {
        tags: tags(labels),
        ..Registration::new(name, there(1))
    }
}

#[expose]
pub(crate) trait Numbered {
    #[idempotent]
    fn number(&self) -> u32;
}

pub(crate) struct Object(pub(crate) u32);

impl Numbered for Object {
    fn number(&self) -> u32 {
        self.0
    }
}

/// A daemon with one object.
pub(crate) async fn object(number: u32) -> (Daemon, Uri) {
    let daemon = Daemon::bind(memory_uri()).await.unwrap();
    let uri = daemon
        .register("object", NumberedProxy::new(Object(number)))
        .unwrap();
    (daemon, uri)
}
