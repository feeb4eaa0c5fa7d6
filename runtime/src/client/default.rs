//! The client of programs that need no other, configured from the environment.

use super::{Client, ClientBuilder};
use crate::error::Result;
use crate::proxy::Proxy;
use crate::uri::{Uri, UriError};

/// The client of [`connect`] and [`lazy`].
pub(crate) fn default_client() -> Result<Client> {
    static DEFAULT: std::sync::OnceLock<Result<Client>> = std::sync::OnceLock::new();
    DEFAULT
        .get_or_init(|| Client::builder().from_env().map(ClientBuilder::build))
        .clone()
}

/// Connects to the object at this URI and makes sure that it is there.
///
/// Proxies to one daemon share a session. The client behind this is configured from the environment, see
/// [`ClientBuilder::from_env`].
///
/// # Errors
///
/// As [`Client::connect`]; and `Misuse`, if the environment holds a value that means nothing.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn connect<P: Proxy>(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<P> {
    default_client()?.connect(uri).await
}

/// A proxy to the object at this URI, which connects at its first call. Does no I/O.
///
/// # Errors
///
/// As [`Client::lazy`]; and `Misuse`, if the environment holds a value that means nothing.
pub fn lazy<P: Proxy>(uri: impl TryInto<Uri, Error: Into<UriError>>) -> Result<P> {
    default_client()?.lazy(uri)
}

/// Ends all sessions of [`connect`] and [`lazy`], once what was queued is written: for a program that is about to exit and
/// wants its daemons to know at once what they need not keep for it any more.
///
/// # Cancel safety
///
/// The sessions end also if the future is dropped.
pub async fn close() {
    if let Ok(client) = default_client() {
        client.close().await;
    }
}
