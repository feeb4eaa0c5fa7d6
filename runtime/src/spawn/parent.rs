//! The child's side: the way to the process that started this one.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use crate::client::misuse;
use crate::daemon::DaemonHandle;
use crate::error::Result;
use crate::peer::Peer;

/// What the parent is called in messages.
const NAME: &str = "the parent process";

/// Whether the way to the parent is in use. There is one.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

impl DaemonHandle {
    /// Serves the process that started this one by a [`Spawner`](crate::spawn::Spawner), and returns it. What it asks for
    /// should be registered before.
    ///
    /// The daemon speaks over this process's standard input if that is a socket, else over its standard input and output,
    /// which nothing else may then read or write. Processes that this one starts should get another standard input: while
    /// they have it, the parent cannot see by it that this one has ended.
    ///
    /// A program serves until [`Peer::closed`] says that the parent is gone; the parent kills it if it goes on for much
    /// longer.
    ///
    /// # Errors
    ///
    /// `Misuse`, if the standard input is neither a socket nor a pipe, or has been taken already; `ConnectFailed` or
    /// `Refused`, if the handshake fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the way.
    pub async fn serve_parent(&self) -> Result<Peer> {
        if IS_TAKEN.swap(true, Ordering::AcqRel) {
            return Err(misuse("the parent process is served already".to_owned()));
        }
        let unfit = |error: io::Error| {
            misuse(format!(
                "this process was not started to serve its parent ({error}): start it with `Client::spawn`"
            ))
        };
        match socket().map_err(unfit)? {
            Some(socket) => self.serve_io(socket, NAME).await,
            None => {
                let (input, output) = pipes().map_err(unfit)?;
                self.serve_io(tokio::io::join(input, output), NAME).await
            }
        }
    }
}

/// The standard input, if it is a socket.
fn socket() -> io::Result<Option<UnixStream>> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let socket = std::os::unix::net::UnixStream::from(input);
    if socket.peer_addr().is_err() {
        return Ok(None);
    }
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket).map(Some)
}

/// The standard input and output, if they are pipes.
fn pipes() -> io::Result<(pipe::Receiver, pipe::Sender)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((
        pipe::Receiver::from_owned_fd(input)?,
        pipe::Sender::from_owned_fd(output)?,
    ))
}
