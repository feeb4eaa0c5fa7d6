//! Answering those who ask the local network where a name server is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use farref::Uri;
use farref::names::beacon;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// How long to rest after an error, so that a socket that fails is not asked without end.
const REST: Duration = Duration::from_millis(100);

/// Answers questions until it is dropped.
#[derive(Debug)]
pub(crate) struct Beacon {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Beacon {
    pub(crate) async fn start(address: SocketAddr, uri: Uri) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        let task = tokio::spawn(async move {
            // One byte more than a question has tells a longer datagram from it.
            let mut buffer = [0; beacon::SIZE + 1];
            loop {
                let Ok((length, sender)) = socket.recv_from(&mut buffer).await else {
                    tokio::time::sleep(REST).await;
                    continue;
                };
                if let Some(answer) = beacon::answer_to(&buffer[..length], &uri)
                    && let Err(error) = socket.send_to(&answer, sender).await
                {
                    tracing::debug!(%sender, %error, "a question for the name server was not answered");
                }
            }
        });
        Ok(Beacon { address, task })
    }

    /// Stops answering, and waits until the address is free.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        self.task.abort();
    }
}
