//! A session whose flights are counted: how often the client spoke after it had been spoken to, a round trip each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farref::Peer;
use farref::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A client and a daemon in one process, with a wire between them that counts.
pub(crate) struct Wire {
    daemon: Daemon,
    /// The daemon as the client sees it, and the other way round.
    ends: [Peer; 2],
    flights: Arc<AtomicUsize>,
    spoken: Arc<AtomicUsize>,
}

impl Wire {
    pub(crate) async fn new() -> Self {
        let daemon = Daemon::builder().bind().await.unwrap();
        let client = Client::builder().build();
        let (near, left) = tokio::io::duplex(1 << 20);
        let (right, far) = tokio::io::duplex(1 << 20);
        let flights = Arc::new(AtomicUsize::new(0));
        let spoken = Arc::new(AtomicUsize::new(0));
        let counters = [&flights, &spoken].map(Arc::clone);
        tokio::spawn(relay(left, right, counters));
        let (at_client, at_daemon) = tokio::join!(
            client.from_io(near, "the daemon"),
            daemon.serve_io(far, "the client")
        );
        Wire {
            daemon,
            ends: [at_client.unwrap(), at_daemon.unwrap()],
            flights,
            spoken,
        }
    }

    /// Registers an object and finds it through the wire.
    pub(crate) async fn serve<P: Proxy>(&self, name: &str, object: P) -> P {
        let _ = self.daemon.register(name, object).unwrap();
        self.ends[0].object(name).await.unwrap()
    }

    /// How many flights of the client's there were so far.
    pub(crate) fn flights(&self) -> usize {
        self.flights.load(Ordering::SeqCst)
    }

    /// How many bytes the client sent so far.
    pub(crate) fn spoken(&self) -> usize {
        self.spoken.load(Ordering::SeqCst)
    }
}

async fn relay(
    mut client: DuplexStream,
    mut daemon: DuplexStream,
    [flights, spoken]: [Arc<AtomicUsize>; 2],
) {
    let mut to_daemon = vec![0; 1 << 20];
    let mut to_client = vec![0; 1 << 20];
    let mut was_client = false;
    loop {
        tokio::select! {
            read = client.read(&mut to_daemon) => {
                let Ok(read @ 1..) = read else { return };
                if !was_client {
                    flights.fetch_add(1, Ordering::SeqCst);
                }
                was_client = true;
                spoken.fetch_add(read, Ordering::SeqCst);
                if daemon.write_all(&to_daemon[..read]).await.is_err() {
                    return;
                }
            }
            read = daemon.read(&mut to_client) => {
                let Ok(read @ 1..) = read else { return };
                was_client = false;
                if client.write_all(&to_client[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
