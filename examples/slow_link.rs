//! A link that is as slow as one around the world, for an example of what that costs.
//!
//! It stands between a client and a daemon, neither of which knows of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use farref::{Address, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long whatever is said takes, in each direction.
pub const DELAY: Duration = Duration::from_millis(50);

/// A way to a daemon that takes [`DELAY`] in each direction and counts round trips, until it is dropped.
#[derive(Debug)]
pub struct SlowLink {
    uri: Uri,
    counter: Arc<Counter>,
    listening: JoinHandle<()>,
}

/// How often a client has spoken after it had been spoken to.
#[derive(Debug, Default)]
struct Counter {
    round_trips: AtomicUsize,
    was_spoken_to: AtomicBool,
}

impl Counter {
    fn client_speaks(&self) {
        if self.was_spoken_to.swap(false, Ordering::SeqCst) {
            self.round_trips.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn client_is_spoken_to(&self) {
        self.was_spoken_to.store(true, Ordering::SeqCst);
    }
}

/// What is measured between [`SlowLink::begin`] and [`end`](Trip::end).
#[derive(Debug)]
#[must_use = "a measurement has an end"]
pub struct Trip<'a> {
    link: &'a SlowLink,
    begun: Instant,
}

impl Trip<'_> {
    /// Prints how many round trips and milliseconds it took.
    pub fn end(self, what: &str) {
        let round_trips = self.link.counter.round_trips.load(Ordering::SeqCst);
        let milliseconds = self.begun.elapsed().as_millis();
        let s = if round_trips == 1 { "" } else { "s" };
        println!("{what}: {round_trips} round trip{s} ({milliseconds} ms)");
    }
}

impl SlowLink {
    /// A slow way to the object at this URI.
    ///
    /// # Errors
    ///
    /// If the URI is not one of TCP, or nothing can listen here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn to(uri: &Uri) -> anyhow::Result<Self> {
        let (Some(Address::Tcp { host, port }), Some(object)) = (uri.address(), uri.object())
        else {
            bail!("the slow link leads to objects at far://host:port/object");
        };
        let daemon = (host.clone(), *port);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let here = Uri::new(listener.local_addr()?.into()).context("where it listens")?;
        let counter = Arc::new(Counter::default());
        let counted = Arc::clone(&counter);
        Ok(SlowLink {
            uri: here.with_object(object),
            counter,
            listening: tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let Ok(daemon) = TcpStream::connect(daemon.clone()).await else {
                        continue;
                    };
                    // The link is slow enough without the waits of TCP's own.
                    if client
                        .set_nodelay(true)
                        .and_then(|()| daemon.set_nodelay(true))
                        .is_ok()
                    {
                        carry(client, daemon, &counted);
                    }
                }
            }),
        })
    }

    /// Where a client finds the object at the other end.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Begins to count round trips.
    pub fn begin(&self) -> Trip<'_> {
        self.counter.round_trips.store(0, Ordering::SeqCst);
        // What the client says next is a round trip of its own.
        self.counter.client_is_spoken_to();
        Trip {
            link: self,
            begun: Instant::now(),
        }
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Carries bytes in both directions until one end is closed.
fn carry(client: TcpStream, daemon: TcpStream, counter: &Arc<Counter>) {
    let (from_client, to_client) = client.into_split();
    let (from_daemon, to_daemon) = daemon.into_split();
    let (speaks, is_spoken_to) = (Arc::clone(counter), Arc::clone(counter));
    carry_later(
        from_client,
        to_daemon,
        move || speaks.client_speaks(),
        || (),
    );
    carry_later(
        from_daemon,
        to_client,
        || (),
        move || is_spoken_to.client_is_spoken_to(),
    );
}

/// Writes what is read, [`DELAY`] later, and tells of both.
fn carry_later(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    is_read: impl Fn() + Send + 'static,
    is_written: impl Fn() + Send + 'static,
) {
    let (sender, mut under_way) = mpsc::channel(1024);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            is_read();
            let later = Instant::now() + DELAY;
            if sender.send((later, buffer[..read].to_vec())).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((when, bytes)) = under_way.recv().await {
            tokio::time::sleep_until(when).await;
            is_written();
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    });
}
