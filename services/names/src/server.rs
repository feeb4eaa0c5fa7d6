//! A name server: a daemon that serves a directory, with a beacon beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use farref::names::{NamesProxy, OBJECT};
use farref::{Client, Daemon, Fault, FaultKind, Outcome, Result, Shutdown, Uri, UriError};
use tokio::task::JoinHandle;

use crate::beacon::Beacon;
use crate::cleanup;
use crate::limits::Limits;
use crate::registry::Registry;
#[cfg(feature = "persistent")]
use crate::store::Persistent;
use crate::store::{StoreError, Volatile};

/// A name server that runs. Dropping it ends it at once.
#[derive(Debug)]
#[must_use = "dropping a name server ends it"]
pub struct NameServer {
    daemon: Daemon,
    registry: Registry,
    uri: Uri,
    beacon: Option<Beacon>,
    cleaning: Option<JoinHandle<()>>,
}

/// Says how a [`NameServer`] behaves.
#[derive(Debug)]
#[must_use = "a builder does nothing until `bind` is called"]
pub struct Builder {
    daemon: farref::DaemonBuilder,
    client: farref::ClientBuilder,
    file: Option<PathBuf>,
    limits: Limits,
    beacon: Option<SocketAddr>,
    cleanup: Option<Duration>,
}

impl NameServer {
    /// Begins to configure a name server, which forgets everything when it ends unless it is given a
    /// [`file`](Builder::file).
    pub fn builder() -> Builder {
        Builder {
            daemon: Daemon::builder(),
            client: Client::builder(),
            file: None,
            limits: Limits::default(),
            beacon: None,
            cleanup: None,
        }
    }

    /// Where the directory is.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The daemon that serves it.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The directory itself.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Where questions of the local network are answered, if they are.
    pub fn beacon(&self) -> Option<SocketAddr> {
        self.beacon.as_ref().map(|beacon| beacon.address)
    }

    /// Serves until `until` ends, then lets calls under way end.
    ///
    /// # Errors
    ///
    /// As [`Daemon::run_until`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the name server at once.
    pub async fn run_until(self, until: impl Future) -> Result<()> {
        until.await;
        self.shutdown(Shutdown::default()).await;
        Ok(())
    }

    /// Ends the name server as `how` says, and waits until its addresses are free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the name server at once.
    pub async fn shutdown(mut self, how: Shutdown) {
        if let Some(beacon) = self.beacon.take() {
            beacon.stop().await;
        }
        self.daemon.shutdown(how).await;
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        if let Some(cleaning) = &self.cleaning {
            cleaning.abort();
        }
    }
}

impl Builder {
    /// Listens here, too.
    pub fn listen(mut self, uri: impl TryInto<Uri, Error: Into<UriError>>) -> Self {
        self.daemon = self.daemon.listen(uri);
        self
    }

    /// The host, and maybe the port, at which others reach it, if they are not those that it is bound to.
    pub fn advertise(mut self, host: impl Into<String>, port: Option<u16>) -> Self {
        self.daemon = self.daemon.advertise(host, port);
        self
    }

    /// Lets only those in who prove that they hold this shared secret.
    pub fn token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.client = self.client.token(token.as_ref());
        self.daemon = self.daemon.token(token);
        self
    }

    /// Allows listening where other machines reach it, without a token.
    pub fn insecure_public(mut self, allowed: bool) -> Self {
        self.daemon = self.daemon.insecure_public(allowed);
        self
    }

    /// How many connections may be open at once; the default is that of a daemon, 1024.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.daemon = self.daemon.max_connections(connections);
        self
    }

    /// Keeps the directory in this file, which is made if it is not there.
    #[cfg(feature = "persistent")]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// What bounds the directory.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Answers those who ask the local network for a name server by datagrams to this address.
    pub fn beacon(mut self, address: SocketAddr) -> Self {
        self.beacon = Some(address);
        self
    }

    /// Asks all daemons that have names so often whether they are there, and takes the names of those away that did not
    /// answer three times in a row.
    pub fn cleanup(mut self, period: Duration) -> Self {
        self.cleanup = Some(period);
        self
    }

    /// Starts the name server.
    ///
    /// # Errors
    ///
    /// As [`farref::DaemonBuilder::bind`]; and `Misuse`, if there is no place to listen, or the file or the beacon's port
    /// cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind, but maybe an empty file.
    pub async fn bind(self) -> Result<NameServer> {
        let registry = open(self.file, self.limits)?;
        let daemon = self.daemon.name("farref-names").bind().await?;
        let uri = daemon.register(OBJECT, NamesProxy::new(registry.clone()))?;
        if daemon.uris().is_empty() {
            return Err(misuse(
                "a name server needs a place to listen, such as far://127.0.0.1:0",
            ));
        }
        let beacon = match self.beacon {
            Some(address) => {
                let started = Beacon::start(address, uri.clone()).await;
                Some(started.map_err(|error| {
                    misuse(format!("the beacon cannot use {address}: {error}")).with_cause(&error)
                })?)
            }
            None => None,
        };
        let cleaning = self.cleanup.map(|period| {
            let client = self.client.connect_timeout(Duration::from_secs(5)).build();
            tokio::spawn(cleanup::run(registry.clone(), client, period))
        });
        Ok(NameServer {
            daemon,
            registry,
            uri,
            beacon,
            cleaning,
        })
    }
}

fn open(file: Option<PathBuf>, limits: Limits) -> Result<Registry> {
    let Some(path) = file else {
        return Registry::open(Volatile, limits).map_err(|error| unreadable("memory", &error));
    };
    let shown = path.display().to_string();
    #[cfg(feature = "persistent")]
    return Persistent::open(path)
        .and_then(|store| Registry::open(store, limits))
        .map_err(|error| unreadable(&shown, &error));
    #[cfg(not(feature = "persistent"))]
    Err(misuse(format!(
        "{shown} cannot be used: this name server was built without the feature `persistent`"
    )))
}

fn unreadable(what: &str, error: &StoreError) -> Fault {
    misuse(format!("the directory in {what} cannot be opened: {error}")).with_cause(error)
}

fn misuse(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Misuse, Outcome::NotStarted, message)
}
