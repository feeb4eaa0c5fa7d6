//! What happens to daemons and sessions, as signals.
//!
//! ```
//! use std::sync::Arc;
//!
//! use farref::life::LifeCycle;
//! use farref::prelude::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> farref::Result<()> {
//! let life = Arc::new(LifeCycle::default());
//! life.session_opened.connect(|peer| println!("{} is here", peer.address()));
//! life.session_ended.connect(|ended| println!("{} has left: {}", ended.peer.address(), ended.reason));
//! life.stopping.connect_async(async |_| println!("the last orders"));
//!
//! let daemon = Daemon::builder()
//!     .listen("far://127.0.0.1:0")
//!     .life_cycle(&life)
//!     .bind()
//!     .await?;
//! daemon.shutdown(Shutdown::default()).await;
//! # Ok(())
//! # }
//! ```
//!
//! Receivers are told by a task of each daemon's, or client's, own: one event after the other, in the order in which they
//! happened, each receiver awaited before the next is called. So a receiver never runs under a lock, in somebody's `Drop`,
//! or in the way of a connection. One that fails is logged, and stops nobody. While 1024 events wait for receivers that
//! do not keep up, further ones are dropped, with a warning.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::daemon::DaemonHandle;
use crate::error::Fault;
use crate::peer::{Peer, PeerAddress};
use crate::relay::{Relay, Turn};
use crate::session::Session;
use crate::signal::{Sender, Signal};
use crate::task;

/// How many events wait for receivers.
const WAITING: usize = 1024;

/// Signals of a daemon or a client; see the [module](self).
///
/// The sender of each is the daemon or client itself: [`DaemonHandle::sender`], [`Client::sender`](crate::Client::sender).
/// So one of these may serve several, and a receiver listen to one of them.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LifeCycle {
    /// A daemon has started: it listens, and its builder's `bind` returns when all receivers have been told.
    pub started: Signal<DaemonHandle>,
    /// A session was opened: its handshake is done.
    pub session_opened: Signal<Peer>,
    /// A session that was opened has ended, by either side or by the network.
    pub session_ended: Signal<SessionEnded>,
    /// A session was not opened: its handshake failed.
    pub session_failed: Signal<SessionFailed>,
    /// A daemon is told to shut down, and does so when all receivers have been told. It has stopped listening. A daemon
    /// that is dropped, or aborted, does not wait for them.
    pub stopping: Signal<DaemonHandle>,
    /// A daemon has shut down.
    pub stopped: Signal<DaemonHandle>,
}

/// A session that has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionEnded {
    /// The process at its other end.
    pub peer: Peer,
    /// Why it ended.
    pub reason: Fault,
}

/// A session that was not opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionFailed {
    /// The place at its other end.
    pub address: PeerAddress,
    /// Why it was not opened.
    pub reason: Fault,
}

/// Something that happens to a daemon.
pub(crate) enum Happening {
    Started(DaemonHandle),
    Stopping(DaemonHandle),
    Stopped(DaemonHandle),
}

/// Who tells what happens, as a node knows it: not by its type, which knows the node in turn.
pub(crate) trait Tells: fmt::Debug + Send + Sync {
    /// Who the signals are sent by.
    fn sender(&self) -> &Sender;
    /// Notes the runtime on which events are told that happen outside any.
    fn note_runtime(&self);
    /// Tells of a session from now on.
    fn watch(self: Arc<Self>, session: Arc<Session>);
    /// Tells of a daemon.
    fn daemon(self: Arc<Self>, happening: Happening) -> Told;
}

/// The teller of a daemon's or a client's events.
struct Life {
    signals: Arc<LifeCycle>,
    sender: Sender,
    queue: Relay<Telling>,
    /// Where the task runs that tells, if an event happens outside any runtime.
    runtime: OnceLock<Handle>,
}

type Telling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits until an event was told; nothing to wait for if nobody wanted to know.
#[derive(Debug)]
pub(crate) struct Told(Option<oneshot::Receiver<()>>);

impl Told {
    /// Of an event that nobody wanted to know of.
    pub(crate) const NOBODY: Told = Told(None);

    pub(crate) async fn wait(self) {
        if let Told(Some(told)) = self {
            // It is dropped if the task that tells is.
            let _ = told.await;
        }
    }
}

/// A teller of these signals.
pub(crate) fn teller(signals: &Arc<LifeCycle>) -> Arc<dyn Tells> {
    Arc::new(Life {
        signals: Arc::clone(signals),
        sender: Sender::unique(),
        queue: Relay::default(),
        runtime: OnceLock::new(),
    })
}

impl Tells for Life {
    fn sender(&self) -> &Sender {
        &self.sender
    }

    fn note_runtime(&self) {
        if self.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            let _ = self.runtime.set(runtime);
        }
    }

    fn watch(self: Arc<Self>, session: Arc<Session>) {
        self.note_runtime();
        task::spawn(async move {
            let opened = session.established().await;
            if !session.was_opened() {
                let Err(reason) = opened else { return };
                let address = session.peer_address().clone();
                self.tell(&self.signals.session_failed, || SessionFailed {
                    address,
                    reason,
                });
                return;
            }
            let peer = Peer::of(&session);
            self.tell(&self.signals.session_opened, || peer.clone());
            let reason = session.ended().await;
            self.tell(&self.signals.session_ended, || SessionEnded {
                peer,
                reason,
            });
        });
    }

    fn daemon(self: Arc<Self>, happening: Happening) -> Told {
        match happening {
            Happening::Started(daemon) => self.tell(&self.signals.started, || daemon),
            Happening::Stopping(daemon) => self.tell(&self.signals.stopping, || daemon),
            Happening::Stopped(daemon) => self.tell(&self.signals.stopped, || daemon),
        }
    }
}

impl Life {
    /// Tells of an event, after those before it. Runs nothing of the application.
    fn tell<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        signal: &Signal<T>,
        value: impl FnOnce() -> T,
    ) -> Told {
        if !signal.has_receivers() {
            return Told::NOBODY;
        }
        let (signal, sender, value) = (signal.share(), self.sender.clone(), value());
        let (done, told) = oneshot::channel();
        self.push(Box::pin(async move {
            for (receiver, response) in signal.send_robust_from(&sender, value).await {
                if let Err(error) = response {
                    tracing::warn!(%receiver, %error, "a receiver of a life-cycle signal failed");
                }
            }
            let _ = done.send(());
        }));
        Told(Some(told))
    }

    fn push(self: &Arc<Self>, telling: Telling) {
        let runtime = Handle::try_current().ok();
        let Some(runtime) = runtime.or_else(|| self.runtime.get().cloned()) else {
            tracing::warn!("nobody is told of an event outside any runtime");
            return;
        };
        let handed = Turn::hand_over_within(self, |life| &life.queue, telling, WAITING);
        let Ok(turn) = handed else {
            tracing::warn!(
                "the receivers of life-cycle signals do not keep up: nobody is told of an event"
            );
            return;
        };
        if let Some(mut turn) = turn {
            runtime.spawn(async move {
                while let Some(telling) = turn.next() {
                    telling.await;
                }
            });
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signals.fmt(f)
    }
}
