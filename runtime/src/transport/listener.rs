//! Listeners of all kinds behind one type.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use super::memory::MemoryListener;
use super::{Transport, tcp};
use crate::uri::Address;

/// How long a listener rests after an error such as a lack of descriptors, so that it does not spin.
const REST: Duration = Duration::from_millis(100);

/// Something that accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
    Memory(MemoryListener),
}

/// The file of a Unix listener, removed when the listener goes.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct SocketFile(std::path::PathBuf);

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => Ok(Listener::Tcp(
                TcpListener::bind((host.as_str(), *port)).await?,
            )),
            #[cfg(unix)]
            Address::Unix(path) => {
                remove_dead_socket(path).await?;
                let listener = UnixListener::bind(path)?;
                Ok(Listener::Unix {
                    listener,
                    _file: SocketFile(path.clone()),
                })
            }
            Address::Memory(name) => Ok(Listener::Memory(MemoryListener::bind(name)?)),
            #[expect(
                unreachable_patterns,
                reason = "addresses that this platform lacks are refused"
            )]
            other => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("cannot listen at `{other:?}` on this platform"),
            )),
        }
    }

    /// The address that it listens at, with the port that the system chose.
    pub(crate) fn address(&self, asked: &Address) -> io::Result<Address> {
        match (self, asked) {
            (Listener::Tcp(listener), Address::Tcp { host, .. }) => Ok(Address::Tcp {
                host: host.clone(),
                port: listener.local_addr()?.port(),
            }),
            _ => Ok(asked.clone()),
        }
    }

    /// Where a TCP listener is bound.
    pub(crate) fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            _ => None,
        }
    }

    /// Waits for the next connection. Errors of single connections are passed over, and a lack of descriptors is waited
    /// out: the loop of a listener never ends.
    pub(crate) async fn accept(&mut self) -> Transport {
        loop {
            let accepted = match self {
                Listener::Tcp(listener) => match listener.accept().await {
                    Ok((stream, peer)) => tcp::transport(stream, peer),
                    Err(error) => Err(error),
                },
                #[cfg(unix)]
                Listener::Unix { listener, .. } => listener
                    .accept()
                    .await
                    .map(|(stream, _)| super::unix::transport(stream, None)),
                Listener::Memory(listener) => match listener.accept().await {
                    Some(transport) => Ok(transport),
                    None => std::future::pending().await,
                },
            };
            match accepted {
                Ok(transport) => return transport,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections for the moment");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, NotConnected,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | NotConnected
    )
}

/// Removes the file of a listener that is gone; one that answers is left alone.
#[cfg(unix)]
async fn remove_dead_socket(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            match tokio::net::UnixStream::connect(path).await {
                Ok(_) => Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another process listens at this path",
                )),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)
                }
                Err(error) => Err(error),
            }
        }
        _ => Ok(()),
    }
}
