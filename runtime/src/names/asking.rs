//! The resolver that clients have unless they were given another: it asks a name server.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use super::{DEFAULT_PORT, NamesProxy, TIMEOUT, beacon};
use crate::FaultKind;
use crate::client::Client;
use crate::error::{Fault, Result};
use crate::proxy::Proxy;
use crate::resolve::{Candidate, Resolver, Resolving};
use crate::uri::{self, Uri};

/// How many of the objects that have the same tags a proxy may choose from.
const SAMPLE: u32 = 16;

/// Where the name server of a client is.
#[derive(Clone, Debug)]
pub(crate) enum NameServer {
    /// On this machine, or else where a beacon says.
    Unsaid,
    /// There.
    At(Uri),
    /// Where the beacon says that is answered at this address.
    Beacon(SocketAddr),
}

impl std::str::FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("beacon:") {
            Some(address) => address.parse().map(NameServer::Beacon).map_err(|_| {
                format!("`{address}` is no address; write beacon:127.0.0.1:{DEFAULT_PORT}")
            }),
            None => uri::parse_server(text)
                .map(NameServer::At)
                .map_err(|error| error.to_string()),
        }
    }
}

/// Asks name servers.
#[derive(Debug)]
pub(crate) struct AskNameServer;

impl Resolver for AskNameServer {
    fn resolve<'a>(&'a self, client: &'a Client, uri: &'a Uri) -> Resolving<'a> {
        Box::pin(async move {
            let names = name_server(client, uri.name_server()).await?;
            let entries = match (uri.name(), uri.tags()) {
                (Some(name), _) => names.lookup(name).await?,
                (_, Some(tags)) => names.sample(tags.clone(), SAMPLE).await?,
                _ => Vec::new(),
            };
            let candidates = entries.into_iter().map(|entry| Candidate {
                uri: entry.uri,
                load: entry.load,
            });
            Ok(candidates.collect())
        })
    }
}

/// What beacons told a client; forgotten when nobody answers there.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Option<Uri>>);

impl Told {
    fn get(&self) -> Option<Uri> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, uri: Option<Uri>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = uri;
    }
}

/// Connects to the name server at this URI, or to that of the client.
pub(super) async fn name_server(client: &Client, uri: Option<&Uri>) -> Result<NamesProxy> {
    if let Some(uri) = uri {
        return connect(client, uri).await;
    }
    let (server, told) = client.name_server();
    let beacon = match server {
        NameServer::At(uri) => return connect(client, uri).await,
        NameServer::Beacon(address) => Some(*address),
        NameServer::Unsaid => None,
    };
    if let Some(uri) = told.get() {
        match connect(client, &uri).await {
            Err(fault) if is_away(&fault) => told.set(None),
            connected => return connected,
        }
    }
    let found = match beacon {
        Some(address) => beacon::find(&[address]).await,
        None => {
            let here = Uri::from(SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)));
            match connect(client, &here.as_directory()?).await {
                Err(fault) if is_away(&fault) => beacon::find(&beacon::everywhere()).await,
                connected => return connected,
            }
        }
    };
    let uri = found
        .map_err(|error| nowhere().with_cause(&error))?
        .ok_or_else(nowhere)?
        .as_directory()?;
    let names = connect(client, &uri).await?;
    told.set(Some(uri));
    Ok(names)
}

fn is_away(fault: &Fault) -> bool {
    fault.kind() == FaultKind::ConnectFailed
}

fn nowhere() -> Fault {
    Fault::not_started(
        FaultKind::ConnectFailed,
        "no name server was found: start one with `farref ns`, or say where it is with FARREF_NAME_SERVER=host:port",
    )
}

async fn connect(client: &Client, uri: &Uri) -> Result<NamesProxy> {
    let names: NamesProxy = client.lazy(uri)?;
    let names = names.with_timeout(TIMEOUT).with_max_retries(1);
    match tokio::time::timeout(TIMEOUT, names.ensure_connected()).await {
        Ok(connected) => connected.map(|()| names),
        Err(_) => Err(Fault::not_started(
            FaultKind::ConnectFailed,
            format!("the name server at {uri} did not answer within {TIMEOUT:?}"),
        )),
    }
}
