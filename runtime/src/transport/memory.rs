//! Pipes through memory, between endpoints of one process.

use std::collections::HashMap;
use std::io;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::Transport;
use crate::peer::PeerAddress;

/// How many bytes each direction of a pipe holds.
const PIPE: usize = 64 * 1024;
/// How many connections wait to be accepted.
const BACKLOG: usize = 128;

/// The listeners of this process. Names are only found by those who share its memory, like ports of a host.
static LISTENERS: LazyLock<Mutex<HashMap<String, mpsc::Sender<Transport>>>> =
    LazyLock::new(Mutex::default);

fn listeners() -> MutexGuard<'static, HashMap<String, mpsc::Sender<Transport>>> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two ends of a pipe.
pub(crate) fn pair(name: &str) -> (Transport, Transport) {
    let (one, other) = tokio::io::duplex(PIPE);
    let make = |io| {
        let (reader, writer) = tokio::io::split(io);
        let peer = PeerAddress::Memory(name.to_owned());
        Transport {
            reader: Box::new(reader),
            writer: Box::new(writer),
            peer,
        }
    };
    (make(one), make(other))
}

/// Connects to the listener of this name.
pub(crate) async fn connect(name: &str) -> io::Result<Transport> {
    let (near, far) = pair(name);
    offer(name, far).await?;
    Ok(near)
}

/// Gives the listener of this name the far end of a connection.
pub(crate) async fn offer(name: &str, far: Transport) -> io::Result<()> {
    let listener = listeners().get(name).cloned();
    let refused = || {
        io::Error::new(
            io::ErrorKind::ConnectionRefused,
            format!("nothing listens at `{name}` in this process"),
        )
    };
    let listener = listener.ok_or_else(refused)?;
    listener.send(far).await.map_err(|_| refused())
}

/// Frees a name. Its listener, if there is one, accepts nothing any more.
#[cfg(feature = "testing")]
pub(crate) fn forget(name: &str) {
    listeners().remove(name);
}

/// A listener, until it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryListener {
    name: String,
    incoming: mpsc::Receiver<Transport>,
}

impl MemoryListener {
    pub(crate) fn bind(name: &str) -> io::Result<Self> {
        let mut listeners = listeners();
        if listeners.contains_key(name) {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("something listens at `{name}` already"),
            ));
        }
        let (sender, incoming) = mpsc::channel(BACKLOG);
        listeners.insert(name.to_owned(), sender);
        Ok(MemoryListener {
            name: name.to_owned(),
            incoming,
        })
    }

    pub(crate) async fn accept(&mut self) -> Option<Transport> {
        self.incoming.recv().await
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.incoming.close();
        let mut listeners = listeners();
        // The name may be that of another meanwhile.
        if listeners
            .get(&self.name)
            .is_some_and(mpsc::Sender::is_closed)
        {
            listeners.remove(&self.name);
        }
    }
}
