//! Reaching those that the command line names.

use std::sync::OnceLock;
use std::time::Duration;

use farref::daemon_object::DaemonObjectProxy;
use farref::names::{MAX_PAGE, NamesProxy};
use farref::{Client, Proxy, Uri};

use crate::arguments::Arguments;
use crate::failure::Failure;

/// How long connecting may take unless the command line says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long peers have to take a goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// A client as the environment and the command line want it.
pub(crate) fn client(arguments: &Arguments) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .name("farref")
        .from_env()?;
    if let Some(place) = &arguments.name_server {
        builder = match place.strip_prefix("beacon:") {
            Some(address) => builder.name_server_beacon(address.parse().map_err(|_| {
                Failure::usage(format!(
                    "`{address}` is no address; write beacon:127.0.0.1:13277"
                ))
            })?),
            None => builder.name_server(name_server(place)?)?,
        };
    }
    if let Some(token) = &arguments.token {
        builder = builder.token(token);
    }
    if let Some(timeout) = arguments.timeout {
        builder = builder.timeout(timeout).connect_timeout(timeout);
    }
    let client = builder.build();
    Ok(OPENED.get_or_init(|| client).clone())
}

/// The client of this process, which runs one command.
static OPENED: OnceLock<Client> = OnceLock::new();

/// Says goodbye to all who were called, so that none waits for this process to come back.
pub(crate) async fn close() {
    if let Some(client) = OPENED.get() {
        // Who does not listen is not waited for.
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, client.close()).await;
    }
}

/// The directory at `HOST`, `HOST:PORT` or a URI: whatever may stand behind the `@` of a name.
pub(crate) fn name_server(place: &str) -> Result<Uri, Failure> {
    let uri: Uri = format!("farname:x@{place}").parse()?;
    uri.name_server()
        .cloned()
        .ok_or_else(|| Failure::usage(format!("`{place}` says no name server")))
}

/// The name server that this URI says, or the usual one.
pub(crate) async fn names(client: &Client, uri: Option<&Uri>) -> Result<NamesProxy, Failure> {
    match uri.and_then(Uri::name_server) {
        Some(server) => Ok(client.connect(server).await?),
        None => Ok(client.names().await?),
    }
}

/// The places where the objects are that a URI stands for.
pub(crate) async fn places(client: &Client, uri: &Uri) -> Result<Vec<Uri>, Failure> {
    if uri.address().is_some() {
        return Ok(vec![uri.clone()]);
    }
    let names = names(client, Some(uri)).await?;
    let entries = match (uri.name(), uri.tags()) {
        (Some(name), _) => names.lookup(name).await?,
        (_, Some(tags)) => names.sample(tags.clone(), MAX_PAGE).await?,
        _ => Vec::new(),
    };
    match entries.is_empty() {
        true => Err(nobody(uri)),
        false => Ok(entries.into_iter().map(|entry| entry.uri).collect()),
    }
}

pub(crate) fn nobody(uri: &Uri) -> Failure {
    let hint = match uri.tags() {
        Some(_) => "`farref list --any TAG` shows who has one of them",
        None => "`farref list` shows what there is",
    };
    Failure::not_found(format!("nobody has registered {uri}")).with_hint(hint)
}

/// The daemon that has the object which a URI stands for; of several, the first that answers.
pub(crate) async fn daemon(
    client: &Client,
    uri: &Uri,
) -> Result<(DaemonObjectProxy, Uri), Failure> {
    let mut failed = None;
    for place in places(client, uri).await? {
        let place = place.without_object();
        let daemon: DaemonObjectProxy = client.lazy(&place)?;
        match daemon.ensure_connected().await {
            Ok(()) => return Ok((daemon, place)),
            Err(fault) => failed = Some(fault),
        }
    }
    Err(failed.map_or_else(|| nobody(uri), Failure::from))
}
